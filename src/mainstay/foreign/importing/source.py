"""Reading a source, and walking through it field by field."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from mainstay.foreign.importing.json_places import JsonPlaces
from mainstay.foreign.importing.report import Report
from mainstay.kernel.diagnostics import Diagnostics, Place
from mainstay.kernel.errors import UserError
from mainstay.kernel.timespan import format_duration
from mainstay.store.resources.documents import Path, decode, read_text
from mainstay.store.resources.json_text import holds_more
from mainstay.store.resources.scalars import noun

_LIMIT = 64 * 1024 * 1024
_LIMIT_NODES = 5_000_000


@dataclass(frozen=True, slots=True)
class Node:
    """A value of the source with its path; it can say what became of it."""

    value: Any
    path: Path
    report: Report

    @property
    def place(self) -> Place:
        return self.report.place_of(self.path)

    @property
    def key(self) -> str:
        return str(self.path[-1]) if self.path else ""

    def get(self, *keys: str) -> Node | None:
        """The first of these fields that is set."""
        if isinstance(self.value, dict):
            for key in keys:
                if self.value.get(key) is not None:
                    return Node(self.value[key], (*self.path, key), self.report)
        return None

    def fields(self) -> Iterator[Node]:
        """The fields of a mapping that are set."""
        for key, value in self.value.items() if isinstance(self.value, dict) else ():
            if value is not None:
                yield Node(value, (*self.path, key), self.report)

    def entries(self, *keys: str) -> list[Node]:
        """The entries of a list of mappings; anything else in its place is a mistake."""
        found = self.get(*keys)
        if found is None:
            return []
        if not isinstance(found.value, list):
            found.mistake(f"`{found.key}` must be a list, not {noun(found.value)}")
            return []
        nodes = [Node(value, (*found.path, index), self.report) for index, value in enumerate(found.value)]
        for node in nodes:
            if not isinstance(node.value, dict):
                node.mistake(f"an entry of `{found.key}` must be a mapping, not {noun(node.value)}")
        return [node for node in nodes if isinstance(node.value, dict)]

    def mapping(self, *keys: str) -> Node | None:
        found = self.get(*keys)
        if found is not None and not isinstance(found.value, dict):
            found.mistake(f"`{found.key}` must be a mapping, not {noun(found.value)}")
            return None
        return found

    def text(self, *keys: str) -> str:
        """A field as text, numbers as they are written; empty if it is not set."""
        found = self.get(*keys)
        return "" if found is None else found.as_text()

    def as_text(self) -> str:
        if isinstance(self.value, bool):
            return "true" if self.value else "false"
        if isinstance(self.value, str | int | float):
            return str(self.value)
        self.mistake(f"`{self.key}` must be text, not {noun(self.value)}")
        return ""

    def as_number(self) -> float | None:
        """A number, also one written as text; a mistake otherwise."""
        try:
            if isinstance(self.value, str | int | float):
                return float(self.value)
        except ValueError:
            pass
        self.mistake(f"`{self.key}` must be a number, not {noun(self.value)}")
        return None

    @property
    def is_on(self) -> bool:
        """Whether a switch is on, as files and databases write it."""
        return self.value in (True, 1, "1", "true", "True", "yes", "on")

    def expect(self, what: str, *keys: str) -> None:
        """A mistake unless one of these fields is set: else this is a file of something else."""
        if self.get(*keys) is None:
            self.mistake(f"this is not {what}: it has no {' or '.join(f'`{key}`' for key in keys)}")

    def mistake(self, message: str, hint: str = "") -> None:
        self.report.diagnostics.add(message, self.place, hint=hint, path=".".join(str(step) for step in self.path))

    def carried(self, to: str, why: str = "") -> None:
        self.report.note(self.path, "carried", to, why)

    def approximated(self, to: str, how: str) -> None:
        self.report.note(self.path, "approximated", to, how)

    def idle(self, why: str) -> None:
        """Without effect: the other tool does not use it here."""
        self.report.note(self.path, "without effect", "", why)

    def left(self, why: str) -> None:
        """Not carried."""
        self.report.note(self.path, "not carried", "", why)


def leave(node: Node | None, why: str, *keys: str) -> None:
    """These fields of a node, as far as they are set, are not carried."""
    for key in keys:
        if node is not None and (found := node.get(key)) is not None:
            found.left(why)


def carry(node: Node | None, to: str) -> None:
    if node is not None:
        node.carried(to)


def bounded(node: Node, seconds: float, low: float, high: float, to: str) -> str:
    """A length of time within our bounds, as text; the node tells where it goes and whether it had to change."""
    fitted = min(max(seconds, low), high)
    if fitted == seconds:
        node.carried(to)
    else:
        node.approximated(to, f"it must be between {format_duration(low)} and {format_duration(high)}")
    return format_duration(fitted)


def read_bytes(path: str) -> bytes:
    """The content of a file; UserError if there is none or it is too large."""
    try:
        with FilePath(path).open("rb") as handle:
            raw = handle.read(_LIMIT + 1)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    if len(raw) > _LIMIT:
        raise UserError(f"{path} is too large: at most {_LIMIT // 1024 // 1024} MiB are read")
    return raw


def read_yaml(tool: str, path: str) -> Node:
    """The one document of a YAML file. Raises InvalidInput with every mistake of its syntax."""
    return read_document(tool, read_bytes(path), path)


def read_document(tool: str, raw: bytes, name: str) -> Node:
    diagnostics = Diagnostics()
    text = decode(raw, name, diagnostics)
    documents = read_text(text, name, diagnostics) if text is not None else []
    diagnostics.raise_if_errors()
    if not documents:
        diagnostics.add("the file is empty", Place(name))
    elif len(documents) > 1:
        diagnostics.add("the file holds more than one document", documents[1].place())
    elif not isinstance(documents[0].data, dict):
        diagnostics.add(f"the file must be a mapping, not {noun(documents[0].data)}", documents[0].place())
    diagnostics.raise_if_errors()
    return root(tool, documents[0].data, documents[0].place)


def read_json(tool: str, path: str) -> Node:
    """A JSON file, lists allowed. Raises InvalidInput with the line of a mistake."""
    diagnostics = Diagnostics()
    text = _as_text(read_bytes(path), path, diagnostics)
    if holds_more(text, _LIMIT_NODES):
        raise UserError(f"{path} is too large: at most {_LIMIT_NODES:,} values are read")
    try:
        data = json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        diagnostics.add(f"this is not JSON: {error.msg}", Place(path, error.lineno, error.colno))
    except RecursionError:
        diagnostics.add("this is nested too deeply", Place(path))
    except ValueError as error:
        diagnostics.add(f"this is not JSON that can be trusted: {error}", Place(path))
    diagnostics.raise_if_errors()
    return root(tool, data, JsonPlaces(path, text, data).place)


def _as_text(raw: bytes, path: str, diagnostics: Diagnostics) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        diagnostics.add("the input is not UTF-8 text", Place(path), hint="save it as UTF-8")
    diagnostics.raise_if_errors()
    return ""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice in one object")
    return found


def root(tool: str, data: Any, place_of: Callable[[Path], Place]) -> Node:
    return Node(data, (), Report(tool, data, place_of))
