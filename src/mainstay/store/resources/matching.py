"""Which declared things the label matchers of another one fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainstay.kernel.matchers import all_match
from mainstay.kernel.resource import KINDS, Fact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainstay.kernel.resource import Resource

_LINKS = 12


def fitting(question: str, matchers: Sequence[str], every: Sequence[Resource]) -> Fact:
    """How many of each kind alerts of which these would take, with links to some."""
    labelled = [kind.name for kind in KINDS if kind.labelled]
    found = [one for one in every if one.kind in labelled and all_match(matchers, labels_of(one))]
    counts = [(sum(1 for one in found if one.kind == kind), kind) for kind in labelled]
    words = ", ".join(f"{count} {kind}{'' if count == 1 else 's'}" for count, kind in counts)
    return Fact(question, words, [(one.name, KINDS[one.kind].page.format(one.name)) for one in found[:_LINKS]])


def labels_of(resource: Resource) -> dict[str, str]:
    """The labels that alerts of it carry."""
    document = resource.document
    own = {str(key): str(value) for key, value in document.get("labels", {}).items()}
    return {**own, resource.kind: resource.name, "severity": document.get("severity", "P2")}
