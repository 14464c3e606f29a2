"""Where every value of a JSON text stands, found in one pass over its tokens beside the data that is read from it."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any

from mainstay.kernel.diagnostics import Place
from mainstay.store.resources.documents import Path

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_NEWLINE = re.compile(r"\r\n|\n|\r")
Offsets = dict[int, Any]  # id of a container -> offsets of its values, by key or by position


class JsonPlaces:
    """Places by path. `data` must be what json.loads makes of `text`, and its containers must stay the same."""

    def __init__(self, file: str, text: str, data: Any) -> None:
        self._file, self._data = file, data
        self._lines = [0, *(found.end() for found in _NEWLINE.finditer(text))]
        self._offsets: Offsets = {}
        tokens = _TOKEN.finditer(text)
        self._root = self._walk(next(tokens), tokens, data)

    def place(self, path: Path) -> Place:
        """Of the value at the path, or of the nearest one above it that is known."""
        offset, value = self._root, self._data
        for step in path:
            known = self._offsets.get(id(value))
            if known is None:
                break
            try:
                offset, value = known[step], value[step]
            except (KeyError, IndexError, TypeError):
                break
        line = bisect_right(self._lines, offset)
        return Place(self._file, line, offset - self._lines[line - 1] + 1)

    def _walk(self, token: re.Match[str], tokens: Iterator[re.Match[str]], value: Any) -> int:
        """Take one value's tokens, of which `token` is the first; its offset."""
        sign = token[0]
        if sign == "{":
            self._mapping(tokens, value if isinstance(value, dict) else {})
        elif sign == "[":
            self._list(tokens, value if isinstance(value, list) else [])
        return token.start()

    def _mapping(self, tokens: Iterator[re.Match[str]], value: dict[str, Any]) -> None:
        known: dict[str, int] = {}
        keys = iter(value)
        for token in tokens:
            if token[0] == "}":
                break
            if token[0] == ",":
                continue
            next(tokens)  # the colon
            key = next(keys, "")
            known[key] = self._walk(next(tokens), tokens, value.get(key))
        self._offsets[id(value)] = known

    def _list(self, tokens: Iterator[re.Match[str]], value: list[Any]) -> None:
        known: list[int] = []
        for token in tokens:
            if token[0] == "]":
                break
            if token[0] != ",":
                known.append(self._walk(token, tokens, value[len(known)] if len(known) < len(value) else None))
        self._offsets[id(value)] = known
