"""Walking through a file of blackbox modules field by field: everything is taken, or is a mistake with its place."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, Literal, TypeVar

from mainstay.kernel.diagnostics import Diagnostics, Place, did_you_mean
from mainstay.kernel.patterns import BadPattern, check_pattern
from mainstay.store.resources.documents import Document, Path
from mainstay.store.resources.scalars import noun

T = TypeVar("T")

_FILE_LIMIT = 1024 * 1024  # bytes of a certificate, a key, a password, a body
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|\u00b5s|ms|[smhdwy])")
_SECONDS = {
    "ns": 1e-9,
    "us": 1e-6,
    "\u00b5s": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86_400.0,
    "w": 604_800.0,
    "y": 31_536_000.0,
}
_SIZE = re.compile(r"(\d+(?:\.\d*)?)([KMGTPE]?)i?B", re.IGNORECASE)


@dataclass(slots=True)
class Reading:
    """What reading one module gathers. `files`: what it names, watched for changes."""

    document: Document
    folder: FilePath
    diagnostics: Diagnostics = field(default_factory=Diagnostics)
    files: set[FilePath] = field(default_factory=set)
    secrets: list[str] = field(default_factory=list)


class Fields:
    """One mapping. Values that are not of the wanted form are noted and read as if they were not set."""

    def __init__(self, reading: Reading, path: Path, data: dict[str, Any]) -> None:
        self._reading = reading
        self._path = path
        self._data = data
        self._taken: set[str] = set()

    def has(self, name: str) -> bool:
        return self._data.get(name) is not None

    def take(self, name: str) -> Any:
        self._taken.add(name)
        return self._data.get(name)

    def text(self, name: str, default: str = "") -> str:
        value = self.take(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        return self._of(name, value, str, "text", default)

    def secret(self, name: str) -> str:
        found = self.text(name)
        if found:
            self._reading.secrets.append(found)
        return found

    def flag(self, name: str, default: bool = False) -> bool:
        return self._of(name, self.take(name), bool, "true or false", default)

    def whole(self, name: str, low: int, high: int) -> int:
        """0 if it is not set."""
        value = self._of(name, self.take(name), int, "a whole number", 0)
        if isinstance(value, bool) or not (value == 0 or low <= value <= high):
            self.mistake(f"`{name}` must be between {low} and {high}", name)
            return 0
        return value

    def items(self, name: str) -> list[Any]:
        return self._of(name, self.take(name), list, "a list", [])

    def texts(self, name: str) -> list[str]:
        found = self.items(name)
        for index, value in enumerate(found):
            if isinstance(value, bool) or not isinstance(value, str | int | float):
                self._note(f"an entry of `{name}` must be text, not {noun(value)}", (*self._path, name, index))
        return [str(value) for value in found if isinstance(value, str | int | float)]

    def pattern(self, name: str) -> str:
        """A regular expression, empty if it is not set."""
        written = self.text(name)
        return self._pattern(written, (*self._path, name)) if written else ""

    def patterns(self, name: str) -> list[str]:
        found = (self._pattern(text, (*self._path, name, index)) for index, text in enumerate(self.texts(name)))
        return [pattern for pattern in found if pattern]

    def _pattern(self, written: str, path: Path) -> str:
        try:
            return check_pattern(written)
        except BadPattern as error:
            self._note(str(error), path)
            return ""

    def seconds(self, name: str) -> float:
        """Of `5s`, `1m30s`; 0 if it is not set."""
        written = self.text(name)
        parts = _DURATION.findall(written)
        if written not in ("", "0") and "".join(number + unit for number, unit in parts) != written:
            self.mistake(f"`{written[:40]}` is not a duration such as 5s or 500ms", name)
            return 0.0
        return sum(float(number) * _SECONDS[unit] for number, unit in parts)

    def size(self, name: str) -> int:
        """Bytes of `10MB`, counted in powers of 1024 as the exporter does; 0 if it is not set."""
        written = self.text(name)
        found = _SIZE.fullmatch(written)
        if found is None:
            if written not in ("", "0"):
                self.mistake(f"`{written[:40]}` is not a size such as 10MB", name)
            return 0
        return int(float(found[1]) * 1024 ** " KMGTPE".find(found[2].upper() or " "))

    def file(self, name: str, *, secret: bool = False) -> str:
        """The text of the file that a field names, relative to the folder of the modules file."""
        written = self.text(name)
        if not written:
            return ""
        path = self._reading.folder / written
        self._reading.files.add(path)
        try:
            with path.open("rb") as handle:
                found = handle.read(_FILE_LIMIT + 1).decode()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            self.mistake(f"{written} cannot be read: {reason}", name)
            return ""
        if len(found) > _FILE_LIMIT:
            self.mistake(f"{written} has over {_FILE_LIMIT} bytes", name)
        if secret:
            found = found.strip()
            self._reading.secrets.append(found)
        return found

    def within(self, name: str) -> Fields:
        """A mapping inside, empty if it is not set."""
        return Fields(self._reading, (*self._path, name), self._of(name, self.take(name), dict, "a mapping", {}))

    def mapping(self, name: str) -> dict[str, str]:
        """Names to texts."""
        inner = self.within(name)
        return {key: inner.text(key) for key in inner._data}

    def entries(self, name: str) -> list[Fields]:
        found = []
        for index, value in enumerate(self.items(name)):
            if isinstance(value, dict):
                found.append(Fields(self._reading, (*self._path, name, index), value))
            else:
                self._note(f"an entry of `{name}` must be a mapping, not {noun(value)}", (*self._path, name, index))
        return found

    def cannot(self, why: str, *names: str) -> None:
        """These fields have no counterpart here: a module that sets one cannot be used."""
        for name in names:
            value = self.take(name)
            if value not in (None, False, "", [], {}):
                self.mistake(f"`{name}` is not supported: {why}", name)

    def finish(self) -> None:
        """What nobody has taken does not belong here."""
        for name in self._data:
            if name not in self._taken:
                self._note(
                    f"there is no field `{name[:60]}` here",
                    (*self._path, name),
                    hint=did_you_mean(name, self._taken),
                    key=True,
                )

    def mistake(self, message: str, name: str = "", *, warning: bool = False) -> None:
        path = (*self._path, name) if name in self._data else self._path
        self._note(message, path, warning=warning, key=name in self._data)

    def _of(self, name: str, value: Any, wanted: type[T], what: str, default: T) -> T:
        if value is None:
            return default
        if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
            self._note(f"`{name}` must be {what}, not {noun(value)}", (*self._path, name))
            return default
        return value

    def _note(self, message: str, path: Path, *, hint: str = "", warning: bool = False, key: bool = False) -> None:
        place: Place = self._reading.document.place(path, key=key)
        dotted = ".".join(str(step) for step in path)
        severity: Literal["error", "warning"] = "warning" if warning else "error"
        self._reading.diagnostics.add(message, place, hint=hint, path=dotted, severity=severity)
