"""Reading YAML and JSON into plain data, with the place of every key and value.

Built from the parser's events and not from its loader: nothing is constructed but text, numbers, true,
false, null, lists and mappings; depth, size and what aliases expand to are bounded while reading; and
all mistakes of a file are found in one pass.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from mainstay.kernel.diagnostics import Diagnostics, Place
from mainstay.store.resources.json_text import read_json
from mainstay.store.resources.scalars import CONTROL, noun, plain, trap

LIMIT_BYTES = 8 * 1024 * 1024  # all files of one plan together
LIMIT_DEPTH = 40
LIMIT_NODES = 1_000_000  # keys and values, aliases counted as often as they are used; of all files of one plan
LIMIT_TEXT = 2 * LIMIT_BYTES  # characters of all these
LIMIT_MISTAKES = 100  # of one file; reading stops there

Path = tuple[str | int, ...]
_Mark = tuple[int, int]

_LOADER: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_STANDARD = "tag:yaml.org,2002:"
_SCALAR_TAGS: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "null": (type(None),),
}
_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_HINTS = (
    ("cannot start any token", "YAML is indented with spaces, never with tabs; put quotes around text with @ ` or %"),
    ("mapping values are not allowed", "is it indented like its neighbours? put quotes around text with `: ` in it"),
    ("could not find expected ':'", "every line is `key: value` or `- value`"),
    ("did not find expected key", "is it indented like its neighbours?"),
    ("did not find expected ',' or", "is a bracket or a comma missing? put quotes around text with brackets in it"),
    ("while scanning a quoted scalar", "a quotation mark is missing"),
)


@dataclass(slots=True)
class Spent:
    """What was read so far, with aliases counted as often as they are used: the files of one plan share it."""

    nodes: int = 0
    text: int = 0


@dataclass(slots=True)
class Document:
    """One YAML document. `data` must not be changed: places are found by the identity of its containers."""

    file: str
    data: Any = None
    root: _Mark = (0, 0)
    marks: dict[int, dict[str, tuple[_Mark, _Mark]] | list[_Mark]] = field(default_factory=dict)

    def place(self, path: Path = (), *, key: bool = False) -> Place:
        """Where the value at `path` stands (`key`: where its key does); as near as is known."""
        mark, value = self.root, self.data
        for step in path:
            marks = self.marks.get(id(value))
            if isinstance(marks, dict) and isinstance(step, str) and step in marks:
                mark = marks[step][0 if key and step is path[-1] else 1]
            elif isinstance(marks, list) and isinstance(step, int) and 0 <= step < len(marks):
                mark = marks[step]
            else:
                break
            value = value[step]
        return Place(self.file, *mark)


def decode(raw: bytes, file: str, diagnostics: Diagnostics) -> str | None:
    """The text of a file, or None with a mistake noted: too large, not UTF-8, control characters."""
    if len(raw) > LIMIT_BYTES:
        size = f"at most {LIMIT_BYTES // 1024 // 1024} MiB are read"
        diagnostics.add(f"the input is too large: {size}", Place(file), hint="split it and apply the parts")
        return None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8-sig", "replace")
        diagnostics.add("the input is not UTF-8 text", _place_at(file, before), hint="save it as UTF-8")
        return None
    found = CONTROL.search(text)
    if found:
        what = f"control character U+{ord(found[0]):04X}"
        diagnostics.add(f"the {what} is not allowed", _place_at(file, text[: found.start()]), hint="remove it")
        return None
    return text


def _place_at(file: str, before: str) -> Place:
    lines = _BREAK.split(before)
    return Place(file, len(lines), len(lines[-1]) + 1)


def source_lines(text: str) -> list[str]:
    """Lines as the parser counts them."""
    return _BREAK.split(text)


def read_text(text: str, file: str, diagnostics: Diagnostics, spent: Spent | None = None) -> list[Document]:
    """The YAML documents of a text (several are read as if they stood in several files).

    A text that is JSON and not YAML (escaped surrogate pairs, tabs) is read as JSON, without places.
    """
    reader = _Reader(file, diagnostics, spent or Spent())
    known = len(diagnostics)
    try:
        reader.read(text)
    except yaml.YAMLError as error:
        if text.lstrip()[:1] in ("{", "[") and (data := read_json(text)) is not None:
            del diagnostics.items[known:]
            return [Document(file, data)]
        _note_syntax(error, file, diagnostics)
    except _Enough:
        pass
    return [document for document in reader.documents if document.data is not None]


def _note_syntax(error: yaml.YAMLError, file: str, diagnostics: Diagnostics) -> None:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file)
    problem = getattr(error, "problem", None) or "it cannot be read"
    whole = f"{getattr(error, 'context', '') or ''} {problem}"
    hint = next((hint for sign, hint in _HINTS if sign in whole), "")
    diagnostics.add(f"this is not YAML: {problem}", place, hint=hint)


class _Enough(Exception):
    """A bound is passed or the mistakes are too many: reading on is useless."""


@dataclass(slots=True)
class _Frame:
    """A list or mapping that is being read. `key` holds the key that waits for its value."""

    value: Any
    marks: Any
    start: _Mark
    anchor: str | None
    as_key: bool  # the whole container stands where a key must be
    key: Any = None
    key_mark: _Mark = (0, 0)
    merged: list[tuple[dict[str, Any], _Mark]] = field(default_factory=list)
    before: tuple[int, int] = (0, 0)  # nodes and text that were spent before it


_REMEMBERED = 30  # characters of a name or value that may come again
_NONE: Any = object()  # no key read yet
_BAD: Any = object()  # a key that cannot be one; its value is read and dropped
_MERGE: Any = object()


class _Reader:
    def __init__(self, file: str, diagnostics: Diagnostics, spent: Spent) -> None:
        self.file, self.diagnostics, self._spent = file, diagnostics, spent
        self.documents: list[Document] = []
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[Any, int, int]] = {}  # value, nodes, text
        self._open: set[str] = set()
        self._mistakes = 0
        # Of ten thousand resources most names and values are the same: what passed once is not looked at again.
        self._good_names: set[str] = set()
        self._good_values: dict[str, Any] = {}

    def read(self, text: str) -> None:
        for event in yaml.parse(text, Loader=_LOADER):
            kind = type(event)
            if kind is yaml.ScalarEvent:
                self._scalar(event)
            elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                self._start(event, {} if kind is yaml.MappingStartEvent else [])
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                self._end()
            elif kind is yaml.AliasEvent:
                self._alias(event)
            elif kind is yaml.DocumentStartEvent:
                self._anchors.clear()
                self.documents.append(Document(self.file))

    def _mistake(self, message: str, mark: _Mark, hint: str = "") -> None:
        self.diagnostics.add(message, Place(self.file, *mark), hint=hint)
        self._mistakes += 1
        if self._mistakes >= LIMIT_MISTAKES:
            self._stop(f"more than {LIMIT_MISTAKES} mistakes; the rest of the file is not read", mark)

    def _stop(self, message: str, mark: _Mark, hint: str = "") -> None:
        self.diagnostics.add(message, Place(self.file, *mark), hint=hint)
        raise _Enough

    def _count(self, nodes: int, text: int, mark: _Mark) -> None:
        spent = self._spent
        spent.nodes += nodes
        spent.text += text
        if spent.nodes > LIMIT_NODES or spent.text > LIMIT_TEXT:
            what = f"{LIMIT_NODES:,} values" if spent.nodes > LIMIT_NODES else f"{LIMIT_TEXT:,} characters"
            self._stop(f"more than {what}", mark, "aliases and merged keys count as often as they are used")

    def _at_key(self) -> bool:
        frame = self._stack[-1] if self._stack else None
        return frame is not None and frame.key is _NONE and isinstance(frame.value, dict)

    # nodes

    def _scalar(self, event: Any) -> None:
        start = event.start_mark
        mark = (start.line + 1, start.column + 1)
        self._count(1, len(event.value), mark)
        frame = self._stack[-1] if self._stack else None
        if frame is not None and frame.key is _NONE and isinstance(frame.value, dict):
            if event.anchor is None and event.value in self._good_names:
                frame.key_mark, frame.key = mark, event.value
            else:
                self._key(event, mark)
            return
        value = self._value(event, mark)
        if event.anchor:
            self._anchors[event.anchor] = (value, 1, len(event.value))
        self._place(value, mark)

    def _value(self, event: Any, mark: _Mark) -> Any:
        text, tag = event.value, event.tag
        is_plain = tag is None and event.implicit[0]
        if is_plain and text in self._good_values:
            return self._good_values[text]
        try:
            value = plain(text) if is_plain else self._tagged(text, tag, mark)
        except ValueError as error:
            self._mistake(str(error), mark, "put quotes around it if it is text")
            return None
        if isinstance(value, str) and (found := CONTROL.search(value)):
            self._mistake(f"the control character U+{ord(found[0]):04X} is not allowed", mark, "remove it")
            return None
        if is_plain and len(text) <= _REMEMBERED:
            self._good_values[text] = value
        return value

    def _tagged(self, text: str, tag: str | None, mark: _Mark) -> Any:
        name = tag.removeprefix(_STANDARD) if tag else "str"
        if name in ("str", "!", "timestamp"):
            return text
        if name not in _SCALAR_TAGS:
            self._refuse_tag(tag or "", mark)
            return None
        value = plain(text)
        if not isinstance(value, _SCALAR_TAGS[name]) or (name != "bool" and isinstance(value, bool)):
            raise ValueError(f"`{text[:40]}` is not of the type !!{name}")
        return value

    def _refuse_tag(self, tag: str, mark: _Mark) -> None:
        shown = tag.replace(_STANDARD, "!!", 1)[:60]
        self._mistake(f"the tag `{shown}` is not allowed", mark, "write plain text, numbers, lists and mappings")

    def _key(self, event: Any, mark: _Mark) -> None:
        frame, text = self._stack[-1], event.value
        frame.key_mark = mark
        quoted = not event.implicit[0] and event.tag in (None, "!", _STANDARD + "str")
        if not quoted and text == "<<":
            frame.key = _MERGE
            return
        frame.key = self._checked_key(text, mark, quoted)
        if event.anchor:
            self._anchors[event.anchor] = (text, 1, len(text))

    def _checked_key(self, text: str, mark: _Mark, quoted: bool) -> Any:
        if not quoted and (what := trap(text)):
            self._mistake(f"the name `{text[:40]}` is {what} to YAML", mark, f'put quotes around it: "{text[:40]}"')
            return _BAD
        if CONTROL.search(text):
            self._mistake("a name cannot hold control characters", mark)
            return _BAD
        if not quoted and len(text) <= _REMEMBERED:
            self._good_names.add(text)
        return text

    def _start(self, event: Any, value: Any) -> None:
        mark = (event.start_mark.line + 1, event.start_mark.column + 1)
        before = (self._spent.nodes, self._spent.text)
        self._count(1, 0, mark)
        if len(self._stack) >= LIMIT_DEPTH:
            self._stop(f"nested more than {LIMIT_DEPTH} levels deep", mark)
        if event.tag not in (None, "!", _STANDARD + ("map" if isinstance(value, dict) else "seq")):
            self._refuse_tag(event.tag, mark)
        as_key = self._at_key()
        if as_key:
            self._mistake(f"a name must be text, not {noun(value)}", mark, "put quotes around text with brackets in it")
        frame = _Frame(value, {} if isinstance(value, dict) else [], mark, event.anchor, as_key, _NONE, before=before)
        if event.anchor:
            self._open.add(event.anchor)
        self._stack.append(frame)

    def _end(self) -> None:
        frame = self._stack.pop()
        for source, mark in frame.merged:
            self._merge(frame, source, mark)
        self.documents[-1].marks[id(frame.value)] = frame.marks
        if frame.anchor:
            self._open.discard(frame.anchor)
            nodes, text = frame.before
            self._anchors[frame.anchor] = (frame.value, self._spent.nodes - nodes, self._spent.text - text)
        if frame.as_key:
            self._stack[-1].key = _BAD
        else:
            self._place(frame.value, frame.start)

    def _alias(self, event: Any) -> None:
        mark = (event.start_mark.line + 1, event.start_mark.column + 1)
        value, nodes, text = self._anchors.get(event.anchor, (_BAD, 1, 0))
        if event.anchor in self._open:
            self._mistake(f"the alias `*{event.anchor}` is inside what it refers to", mark)
            value = None
        elif value is _BAD:
            self._mistake(f"there is no anchor `&{event.anchor}` before this alias", mark)
            value = None
        self._count(nodes, text, mark)
        if self._at_key():
            frame = self._stack[-1]
            frame.key_mark, frame.key = mark, value if isinstance(value, str) else _BAD
            if value is not None and not isinstance(value, str):
                self._mistake(f"a name must be text, not {noun(value)}", mark)
            return
        self._place(value, mark)

    def _place(self, value: Any, mark: _Mark) -> None:
        """Put a finished value into the container that is open, or make it the document."""
        if not self._stack:
            self.documents[-1].data, self.documents[-1].root = value, mark
            return
        frame = self._stack[-1]
        if isinstance(frame.value, list):
            frame.value.append(value)
            frame.marks.append(mark)
            return
        key, frame.key = frame.key, _NONE
        if key is _MERGE:
            self._note_merge(frame, value, mark)
        elif key is not _BAD:
            if key in frame.value:
                first = frame.marks[key][0][0]
                self._mistake(f"the key `{key[:60]}` occurs twice here, first in line {first}", frame.key_mark)
                return
            frame.value[key] = value
            frame.marks[key] = (frame.key_mark, mark)

    def _note_merge(self, frame: _Frame, value: Any, mark: _Mark) -> None:
        sources = value if isinstance(value, list) else [value]
        if frame.merged or not all(isinstance(source, dict) for source in sources):
            self._mistake("`<<` takes one mapping, or one list of mappings, such as `<<: *defaults`", mark)
            return
        frame.merged += [(source, mark) for source in sources]

    def _merge(self, frame: _Frame, source: dict[str, Any], mark: _Mark) -> None:
        """Keys of `source` that are not there yet; their places are those of the original."""
        self._count(len(source), 0, mark)
        marks: Any = self.documents[-1].marks.get(id(source), {})
        for key, value in source.items():
            if key not in frame.value:
                frame.value[key] = value
                frame.marks[key] = marks.get(key, (mark, mark))
