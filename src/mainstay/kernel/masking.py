"""Keeping secrets out of whatever comes back from outside: answers of targets, errors of channels, output of programs.

A server echoes what it was sent in the form of its own language: percent-encoded in a link, escaped in JSON or HTML,
in base64 where it quotes a header. A text is therefore also looked at with these forms undone, up to two of them within
each other, and what stands for a secret is replaced where it was found.
"""

from __future__ import annotations

import html
import re
from base64 import b64encode
from bisect import bisect_right
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MASK = "***"
_SHORTEST = 4  # shorter values are masked nowhere: they stand in ordinary words
_SHORTEST_CUT = 6  # characters of a secret that are told from ordinary words at the end of a text that was cut off
_LONGEST_CUT = 500  # of which so many are looked for
_MAY_BE_CUT = 40  # characters of the shortest text that may have been cut off
_BEGINNING = 12  # characters by which a secret is known anywhere, as messages quote the beginning of an answer
_SEPARATORS = re.compile(r"[/:@?&=+#]+")
_TOKEN = re.compile(r"(?=.*[0-9]).{8,}|.{16,}")  # what looks like a key and not like a word
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]")


class Masker:
    """Knows the values of some secrets: whole, by line, by the telling parts of a URL, and by how they begin."""

    __slots__ = ("_needles", "values")

    def __init__(self, values: Iterable[str]) -> None:
        self.values = tuple(dict.fromkeys(value for value in values if len(value) >= _SHORTEST))
        pieces = {piece for value in self.values for piece in _pieces(value) if len(piece) >= _SHORTEST}
        # The beginning of a URL is its host, which is no secret.
        needles = {_Needle(piece, piece if "://" in piece else piece[:_BEGINNING]) for piece in pieces}
        for piece in pieces:
            for core in _in_base64(piece.encode("utf-8", "surrogatepass")):
                needles.add(_Needle(core, core if "://" in piece else core[:_BEGINNING], encoded=True))
        self._needles = tuple(needles)

    def text(self, text: str) -> str:
        """The text with every secret replaced, in whatever form it stands there."""
        spans = sorted(span for layer in _layers(text) for span in self._found(layer)) if self._needles else []
        if not spans:
            return text
        kept, at = [], 0
        for begin, end in spans:
            if begin >= at:
                kept += [text[at:begin], MASK]
            at = max(at, end)
        return "".join([*kept, text[at:]])

    def value(self, value: Any) -> Any:
        """The same nested value of dicts, lists and texts without secrets."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.value(key): self.value(inner) for key, inner in value.items()}
        return [self.value(inner) for inner in value] if isinstance(value, list | tuple) else value

    def _found(self, layer: _Layer) -> Iterator[tuple[int, int]]:
        """Where secrets stand, as places in the text that the layer came from."""
        text = layer.text
        for needle in self._needles:
            for sought in dict.fromkeys((needle.text, needle.beginning)):
                begin = text.find(sought)
                while begin >= 0:
                    end = begin + _shared(needle.text, text[begin : begin + len(needle.text)])
                    yield layer.source(*(_widened(text, begin, end) if needle.encoded else (begin, end)))
                    begin = text.find(sought, end)
        bare = text.removesuffix("…")
        if len(bare) >= _MAY_BE_CUT:
            for needle in self._needles:
                if length := _cut_off(bare, needle.text):
                    yield layer.source(len(bare) - length, len(bare))


class _Needle(NamedTuple):
    """What is looked for: a text, known by its `beginning`, whatever may follow."""

    text: str
    beginning: str
    encoded: bool = False


def _shared(one: str, other: str) -> int:
    """How many characters both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (left, right) in pairs if left != right), min(len(one), len(other)))


def _pieces(value: str) -> set[str]:
    """A secret as a text of ours or a server's may hold it, apart from escapes."""
    tokens = [part for part in _SEPARATORS.split(value) if _TOKEN.fullmatch(part)] if "://" in value else []
    pieces = {value, value.strip(), *value.splitlines(), *tokens, " ".join(value.split())}
    pieces |= {piece.replace(" ", "+") for piece in pieces}
    # As an excerpt shows what cannot be printed.
    return pieces | {"".join(sign if sign.isprintable() else "\ufffd" for sign in value)}


def _in_base64(raw: bytes) -> Iterator[str]:
    """The part of its base64 that does not depend on its neighbours, for each way in which it may be aligned."""
    for before in range(3):
        coded = b64encode(bytes(before) + raw).decode()
        core = coded[(before * 8 + 5) // 6 : (before + len(raw)) * 8 // 6]
        if len(core) >= _SHORTEST:
            yield core
            yield core.translate({ord("+"): "-", ord("/"): "_"})


def _widened(text: str, begin: int, end: int) -> tuple[int, int]:
    """With the signs on both sides that hold some of its bits, and the padding."""
    begin -= begin > 0 and _BASE64.match(text[begin - 1]) is not None
    end += end < len(text) and _BASE64.match(text[end]) is not None
    while text[end : end + 1] == "=":
        end += 1
    return begin, end


def _cut_off(text: str, secret: str) -> int:
    """How many characters at the end of a text are the beginning of a secret; 0 if too few to tell."""
    longest = min(len(secret) - 1, len(text), _LONGEST_CUT)
    return next((size for size in range(longest, _SHORTEST_CUT - 1, -1) if text.endswith(secret[:size])), 0)


class _Mark(NamedTuple):
    """One escape: where its meaning stands in the decoded text, and where it stood itself."""

    begin: int
    end: int
    source_begin: int
    source_end: int


class _Layer(NamedTuple):
    """A text with escapes undone, and the way back."""

    text: str
    marks: tuple[tuple[_Mark, ...], ...] = ()

    def source(self, begin: int, end: int) -> tuple[int, int]:
        for marks in reversed(self.marks):
            begin, end = _back(marks, begin)[0], _back(marks, end - 1)[1]
        return begin, end


def _back(marks: tuple[_Mark, ...], at: int) -> tuple[int, int]:
    """Begin and end in the source of the character at this place."""
    index = bisect_right(marks, at, key=lambda mark: mark.begin) - 1
    while index >= 0 and marks[index].begin == marks[index].end:  # it means nothing at all
        index -= 1
    if index < 0:
        return at, at + 1
    mark = marks[index]
    if at < mark.end:
        return mark.source_begin, mark.source_end
    place = mark.source_end + at - mark.end
    return place, place + 1


def _layers(text: str) -> Iterator[_Layer]:
    """The text itself, and with one and two kinds of escapes undone."""
    layers, seen = [_Layer(text)], {text}
    for layer in layers:
        yield layer
        if len(layer.marks) < 2:
            for pattern, meaning in _ESCAPES:
                decoded = _decoded(layer, pattern, meaning)
                if decoded.text not in seen:
                    seen.add(decoded.text)
                    layers.append(decoded)


def _decoded(layer: _Layer, pattern: re.Pattern[str], meaning: Callable[[str], str]) -> _Layer:
    parts, marks, at, length = [], [], 0, 0
    for found in pattern.finditer(layer.text):
        plain, meant = layer.text[at : found.start()], meaning(found[0])
        length += len(plain)
        marks.append(_Mark(length, length + len(meant), found.start(), found.end()))
        length += len(meant)
        parts += [plain, meant]
        at = found.end()
    return _Layer("".join([*parts, layer.text[at:]]), (*layer.marks, tuple(marks)))


def _percent(escape: str) -> str:
    raw = unquote_to_bytes(escape)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


_LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "0": "\0"}


def _backslash(escape: str) -> str:
    if escape[1] == "u":
        units = b"".join(int(unit, 16).to_bytes(2, "big") for unit in escape[2:].split("\\u"))
        return units.decode("utf-16-be", "surrogatepass")
    return chr(int(f"0{escape[1:]}", 0)) if escape[1] == "x" else _LETTERS.get(escape[1], escape[1])


def _entity(escape: str) -> str:
    """By number also what HTML itself would not take, such as control characters."""
    if escape[1] != "#":
        return html.unescape(escape)
    digits = escape[2:].rstrip(";")
    number = int(f"0{digits}", 0) if digits[0] in "xX" else int(digits)
    return chr(number) if number <= 0x10FFFF else escape


_ESCAPES: tuple[tuple[re.Pattern[str], Callable[[str], str]], ...] = (
    (re.compile(r"(?:%[0-9A-Fa-f]{2})+"), _percent),
    # JSON, and how programs show a text of theirs
    (re.compile(r"""(?:\\u[0-9A-Fa-f]{4})+|\\x[0-9A-Fa-f]{2}|\\["'\\/bfnrt0&<>]"""), _backslash),
    (re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,8});?"), _entity),
)
