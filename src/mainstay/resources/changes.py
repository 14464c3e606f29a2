"""Changes of resources as lines that a page can colour: what goes, what comes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from mainstay.kernel.actor import Actor
from mainstay.kernel.resource import KINDS
from mainstay.store.resources.export import to_yaml
from mainstay.store.resources.plan import ABSENT, Change
from mainstay.store.resources.planning import keeper
from mainstay.store.resources.showing import shown_changes

_LINES = 400  # of one change; nobody reads on


@dataclass(frozen=True, slots=True)
class DiffLine:
    kind: Literal["add", "del", "at"]
    text: str


@dataclass(frozen=True, slots=True)
class ChangeView:
    """One change with its heading and lines."""

    action: str
    kind: str
    name: str
    note: str
    lines: list[DiffLine]
    only_keeper: bool = False

    @property
    def title(self) -> str:
        words = {"create": "New", "update": "Changed", "delete": "Deleted", "unchanged": "Unchanged"}
        known = KINDS.by_name.get(self.kind)  # a kind that a newer version had is not
        thing = known.called(self.name) if known else f"{self.kind} {self.name}"
        return f"{'Taken over' if self.only_keeper else words[self.action]}: {thing}"


def change_views(actor: Actor, changes: Iterable[Change]) -> list[ChangeView]:
    return [_view(change) for change in shown_changes(actor, changes)]


def _view(change: Change) -> ChangeView:
    note = ""
    if change.takeover and change.before is not None:
        note = f"managed by {keeper(change.before)} until now"
    lines = list(_lines(change))[:_LINES]
    return ChangeView(change.action, change.kind, change.name, note, lines, change.only_keeper)


def _lines(change: Change) -> Iterable[DiffLine]:
    if change.action == "create" and change.after is not None:
        yield from _block("add", change.after.document)
    elif change.action == "delete" and change.before is not None:
        yield from _block("del", change.before.document)
    else:
        for field in change.fields:
            yield DiffLine("at", field.path)
            if field.before is not ABSENT:
                yield from _block("del", field.before)
            if field.after is not ABSENT:
                yield from _block("add", field.after)
            else:
                yield DiffLine("add", "+ (default)")


def _block(kind: Literal["add", "del"], value: Any) -> Iterable[DiffLine]:
    sign = "+" if kind == "add" else "-"
    text = to_yaml(value).removesuffix("\n...\n").rstrip("\n")
    for line in text.split("\n"):
        yield DiffLine(kind, f"{sign} {line}")
