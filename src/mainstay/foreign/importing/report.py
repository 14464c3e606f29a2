"""What became of every field of a source: carried (where to), approximated (how), not carried (why), without effect.

A field that no importer speaks of is reported as not carried, so that nothing can be lost in silence.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from mainstay.kernel.diagnostics import Diagnostics, Place
from mainstay.store.resources.documents import Path

Status = Literal["without effect", "carried", "approximated", "not carried"]
_RANK: dict[Status, int] = {"without effect": 0, "carried": 1, "approximated": 2, "not carried": 3}
UNKNOWN = "this import does not know the field"


@dataclass(slots=True)
class Note:
    """`to`: dotted paths in the written file."""

    status: Status
    to: list[str] = field(default_factory=list)
    why: list[str] = field(default_factory=list)

    def add(self, status: Status, to: str, why: str) -> None:
        if _RANK[status] > _RANK[self.status]:
            self.status = status
        if to and to not in self.to:
            self.to.append(to)
        if why and why not in self.why:
            self.why.append(why)


@dataclass(frozen=True, slots=True)
class Row:
    """One field of the source."""

    path: str
    place: Place
    status: Status
    to: tuple[str, ...]
    why: str

    def as_dict(self) -> dict[str, Any]:
        place = {"file": self.place.file, "line": self.place.line, "column": self.place.column}
        return {"path": self.path, **place, "status": self.status, "to": list(self.to), "why": self.why}


@dataclass(slots=True)
class Needed:
    """A secret that must be given to Mainstay: `name` is the variable, `places` say where its value stands now."""

    name: str
    how: str
    places: list[tuple[str, Place]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        found = [{"path": path, "file": place.file, "line": place.line} for path, place in self.places]
        return {"name": self.name, "how": self.how, "values": found}


class Report:
    """Notes on the fields of `data`; `place_of` says where a path stands in the source."""

    def __init__(self, tool: str, data: Any, place_of: Callable[[Path], Place]) -> None:
        self.tool = tool
        self.data = data
        self.place_of = place_of
        self.diagnostics = Diagnostics()
        self.secrets: dict[str, Needed] = {}
        self.history: dict[str, Any] = {}
        self.counts: dict[str, int] = {}
        self._notes: dict[Path, Note] = {}
        self._rows: list[Row] = []

    def note(self, path: Path, status: Status, to: str = "", why: str = "") -> None:
        """On a field, or on all fields below a path that have no note of their own."""
        known = self._notes.setdefault(path, Note(status))
        known.add(status, to, why)

    def is_noted(self, path: Path) -> bool:
        """Whether somebody has spoken of this very field."""
        return path in self._notes

    def settle(self, path: Path, why: str) -> None:
        """Whatever was said: it asks for nothing but what Mainstay does anyway."""
        self._notes[path] = Note("without effect", [], [why])

    def overrule(self, resource: str, field: str, why: str) -> None:
        """What was written to this field of a resource, or below it, had to be left out."""
        to = f"{resource}.{field}"
        for note in self._notes.values():
            if any(one == to or one.startswith(f"{to}.") for one in note.to):
                note.status, note.why = "not carried", [why]
            elif any(one != resource and one.startswith(resource) and to.startswith(f"{one}.") for one in note.to):
                note.add("approximated", "", f"{to} is left out: {why}")

    def drop(self, path: Path, why: str) -> None:
        """Nothing at or below `path` was carried after all."""
        for known, note in self._notes.items():
            if known[: len(path)] == path:
                note.status, note.to = "not carried", []
                note.why = [why]
        self.note(path, "not carried", "", why)

    def locate(self, document: Any) -> None:
        """Let each note name places that are in `document`: a field that is left to its default is in the one above."""
        for note in self._notes.values():
            places = {
                (place if "." in place or "." not in to else "", default)
                for to in note.to
                for place, default in [_place(document, to)]
            }
            if note.to and not any(place for place, _ in places):
                note.status, note.to, note.why = "not carried", [], ["its purpose is not in the file"]
                continue
            note.to = sorted({place for place, _ in places if place})
            if note.status == "carried" and any(is_default for _, is_default in places):
                note.add("carried", "", "omitted: the default is the same")

    def needs(self, name: str, how: str, path: Path) -> None:
        needed = self.secrets.setdefault(name, Needed(name, how))
        needed.places.append((dotted(path), self.place_of(path)))

    def rows(self) -> list[Row]:
        """One for each field; made once, when nothing more is noted."""
        if not self._rows:
            self._rows = list(self._made_rows())
        return self._rows

    def _made_rows(self) -> Iterator[Row]:
        for path, value in leaves(self.data):
            note = self._of(path)
            if value is None or value in ("", [], {}):
                if note is None or (note.status == "not carried" and path not in self._notes):
                    note = Note("without effect", [], ["nothing is set"])
            elif note is None:
                note = Note("not carried", [], [UNKNOWN])
            yield Row(dotted(path), self.place_of(path), note.status, tuple(note.to), "; ".join(note.why))

    def _of(self, path: Path) -> Note | None:
        for length in range(len(path), -1, -1):
            if (note := self._notes.get(path[:length])) is not None:
                return note
        return None

    def groups(self) -> list[tuple[Row, int]]:
        """What is not in the file as it was: the first row of each reason, and how many there are."""
        found: dict[tuple[str, str, str], tuple[Row, int]] = {}
        for row in self.rows():
            if _RANK[row.status] > _RANK["carried"]:
                named = row.path.rpartition(".")[2] if row.why == UNKNOWN else ""
                key = (row.status, row.why, named)
                first, count = found.get(key, (row, 0))
                found[key] = (first, count + 1)
        return sorted(found.values(), key=lambda pair: -_RANK[pair[0].status])

    def tally(self) -> dict[Status, int]:
        counted = Counter(row.status for row in self.rows())
        return {status: counted.get(status, 0) for status in _RANK}

    def to_json(self) -> Iterator[str]:
        """The report as JSON in pieces, each row on a line of its own."""
        head = {
            "tool": self.tool,
            "made": self.counts,
            "fields": self.tally(),
            "secrets": [needed.as_dict() for needed in self.secrets.values()],
            **({"history": self.history} if self.history else {}),
        }
        yield json.dumps(head, ensure_ascii=False, indent=2).removesuffix("\n}") + ',\n  "rows": ['
        for number, row in enumerate(self.rows()):
            yield ("," if number else "") + "\n    " + json.dumps(row.as_dict(), ensure_ascii=False)
        yield "\n  ]\n}\n"


def _place(document: Any, to: str) -> tuple[str, bool]:
    """(as much of this dotted path as there is, whether the rest is a field that a mapping leaves out)."""
    if not isinstance(document, dict) or not to:
        return "", bool(to) and isinstance(document, dict)
    steps, found = to.split("."), ("", True)
    for length in range(1, len(steps) + 1):  # names may hold dots
        key = ".".join(steps[:length])
        if key in document:
            below, is_default = _place(document[key], ".".join(steps[length:]))
            found = max(found, (f"{key}.{below}" if below else key, is_default), key=lambda one: len(one[0]))
    return found


def dotted(path: Path) -> str:
    return ".".join(str(step) for step in path)


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every scalar and every empty container with its path."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))
    else:
        yield path, value
