"""Reading declared files from disk: single files, folders, and standard input, within one bound of size."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mainstay.kernel.diagnostics import Diagnostics, Place
from mainstay.store.resources.documents import LIMIT_BYTES, Document, Spent, decode, read_text

STDIN = "-"
_SUFFIXES = (".yaml", ".yml", ".json")
_LIMIT_FILES = 1000


@dataclass(slots=True)
class Reading:
    """What was read. `texts` holds each file's text, to show a mistake's line; `sources` their full paths."""

    documents: list[Document] = field(default_factory=list)
    diagnostics: Diagnostics = field(default_factory=Diagnostics)
    texts: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)  # files without any document

    def source_of(self, file: str) -> str:
        """Who keeps what is declared in `file`."""
        return self.sources.get(file, file)


def read_paths(paths: Iterable[str]) -> Reading:
    """Read files, every *.yaml, *.yml and *.json of folders (in the order of their names), and `-`."""
    reading, left, spent = Reading(), LIMIT_BYTES, Spent()
    for path in _files(paths, reading.diagnostics):
        raw = _bytes(path, left, reading.diagnostics)
        if raw is None:
            continue
        left = max(left - len(raw), 0)
        text = decode(raw, path, reading.diagnostics)
        if text is not None:
            reading.texts[path] = text
            reading.sources[path] = STDIN if path == STDIN else os.path.abspath(path)
            found = read_text(text, path, reading.diagnostics, spent)
            reading.documents += found
            reading.empty += [] if found or reading.diagnostics.errors else [path]
    return reading


def read_body(raw: bytes, name: str = "body") -> Reading:
    """The same for what came over the network, in one piece."""
    reading = Reading()
    text = decode(raw, name, reading.diagnostics)
    if text is not None:
        reading.texts[name] = text
        reading.documents = read_text(text, name, reading.diagnostics)
    return reading


def _files(paths: Iterable[str], diagnostics: Diagnostics) -> Iterator[str]:
    count = 0
    for path in dict.fromkeys(paths):
        for found in _expand(path, diagnostics):
            count += 1
            if count > _LIMIT_FILES:
                diagnostics.add(f"more than {_LIMIT_FILES} files", Place(found))
                return
            yield found


def _expand(path: str, diagnostics: Diagnostics) -> list[str]:
    if path == STDIN or not Path(path).is_dir():
        return [path]
    found = sorted(
        str(inner) for inner in Path(path).iterdir() if inner.suffix in _SUFFIXES and not inner.name.startswith(".")
    )
    if not found:
        diagnostics.add("the folder holds no *.yaml file", Place(path))
    return found


def _bytes(path: str, limit: int, diagnostics: Diagnostics) -> bytes | None:
    """At most one byte more than `limit`, which tells that there is more."""
    try:
        if path == STDIN:
            raw = sys.stdin.buffer.read(limit + 1)
        else:
            with Path(path).open("rb") as handle:
                raw = handle.read(limit + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a file name"
        diagnostics.add(f"the file cannot be read: {reason}", Place(path))
        return None
    if len(raw) > limit:
        size = LIMIT_BYTES // 1024 // 1024
        message = f"the input is too large: at most {size} MiB are read, all files together"
        diagnostics.add(message, Place(path), hint="split it and apply the parts")
        return None
    return raw
