"""Which declared things the label matchers of another one fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainstay.kernel.matchers import all_match
from mainstay.kernel.resource import KINDS, Fact
from mainstay.kernel.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainstay.kernel.resource import Resource

_LINKS = 12


def fitting(question: str, matchers: Sequence[str], every: Sequence[Resource]) -> Fact:
    """How many of each kind alerts of which these would take, with links to some."""
    return _fact(question, [one for one in _labelled(every) if all_match(matchers, labels_of(one))])


def fitting_none(question: str, every: Sequence[Resource], kind: str) -> Fact | None:
    """The same of what nothing of `kind`, which holds label matchers under `match`, would take; None if all fit."""
    matchers = [one.document.get("match", []) for one in every if one.kind == kind]
    left = [one for one in _labelled(every) if not any(all_match(some, labels_of(one)) for some in matchers)]
    return _fact(question, left) if left else None


def _labelled(every: Sequence[Resource]) -> list[Resource]:
    return [one for one in every if KINDS[one.kind].labelled]


def _fact(question: str, found: Sequence[Resource]) -> Fact:
    names = [kind.name for kind in KINDS if kind.labelled]
    words = ", ".join(counted(sum(1 for one in found if one.kind == name), name) for name in names)
    return Fact(question, words, [(one.name, KINDS.page_of(one.subject)) for one in found[:_LINKS]])


def labels_of(resource: Resource) -> dict[str, str]:
    """The labels that alerts of it carry."""
    document = resource.document
    own = {str(key): str(value) for key, value in document.get("labels", {}).items()}
    return {**own, resource.kind: resource.name, "severity": document.get("severity", "P2")}
