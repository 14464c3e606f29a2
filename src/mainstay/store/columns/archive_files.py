"""The files of the archive: Parquet by the day in a folder or a bucket, each under a name that says what is in it.

A name is what it is of, the day, the number of rows and their checksum, so that writing the same rows twice is writing
one file, and a file under a name never changes. What comes from a bucket is kept in a folder for next time, up to a
bound.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO

from mainstay.kernel.errors import NotFound, Unavailable
from mainstay.store.columns.engine import Content
from mainstay.store.columns.sql import Part
from mainstay.store.columns.table import DAY, micro
from mainstay.store.snapshots.places import Bucket, Storage, place

_NAME = re.compile(r"([a-z_]+)-(\d{4}-\d{2}-\d{2})-(\d{1,12})-([0-9a-f]{16})(?:-(\d{1,6})of(\d{1,6}))?\.parquet")
_LISTED = 60.0  # seconds that a list of names is believed; only other nodes make it wrong
_CACHE = 1 << 30  # bytes of files from a bucket that are kept here


@dataclass(frozen=True, slots=True, order=True)
class DayFile:
    """`day` is a midnight in microseconds since the Unix epoch; `of` is Table.archived_as."""

    day: int
    name: str
    bytes: int
    of: str
    part: Part = field(compare=False)


def name_of(of: str, part: Part, content: Content) -> str:
    date = datetime.fromtimestamp(part.day / 1e6, UTC).date().isoformat()
    share = f"-{part.number}of{part.shares}" if part.shares > 1 else ""
    return f"{of}-{date}-{content.rows}-{content.checksum & (2**64 - 1):016x}{share}.parquet"


def _part_of(name: str) -> tuple[str, Part] | None:
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    try:
        day = int(datetime.fromisoformat(found[2]).replace(tzinfo=UTC).timestamp()) // DAY * micro(DAY)
    except ValueError:  # a day that no month has
        return None
    return found[1], Part(day, int(found[5] or 0), max(1, int(found[6] or 1)))


class ArchiveFiles:
    """Not thread-safe: the archive takes turns. Unavailable while the place does not answer."""

    def __init__(self, address: str, work: Path, what: str = "the archive") -> None:
        """`work`: a folder for what is made and for what came from a bucket; `what` words call it. UserError for a bad
        address."""
        self.address, self.work, self._what = address, work, what
        self._place: Storage = place(address, work, what)
        self._remote = isinstance(self._place, Bucket)
        self._sizes: dict[str, int] = {}
        self._listed = float("-inf")
        self.work.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in self.work.glob("*.partial"):  # of a process that was killed, and not of one that works here now
            if time.time() - left.stat().st_mtime > DAY:
                left.unlink(missing_ok=True)

    def sizes(self) -> dict[str, int]:
        """Bytes by name of everything there."""
        if time.monotonic() - self._listed > _LISTED:
            try:
                self._sizes = self._place.sizes()
            except OSError as error:
                raise Unavailable(f"{self._what} {self.address} cannot be read: {error.strerror}") from None
            self._listed = time.monotonic()
        return self._sizes

    def days(self, of: str = "") -> list[DayFile]:
        """In the order of days; all, or those of one table."""
        self.sizes()
        return [one for one in self.known() if of in ("", one.of)]

    def known(self) -> list[DayFile]:
        """As `days`, of the last look."""
        found = ((_part_of(name), name, size) for name, size in list(self._sizes.items()))
        return sorted(DayFile(part[1].day, name, size, *part) for part, name, size in found if part is not None)

    def put(self, name: str, source: Path) -> None:
        """Whole or not at all."""

        def write(target: IO[bytes]) -> None:
            with source.open("rb") as handle:
                shutil.copyfileobj(handle, target, 1 << 20)

        size = self._place.put(name, write)
        self._sizes[name] = size

    def put_text(self, name: str, text: str) -> None:
        self._sizes[name] = self._place.put(name, partial(_write_text, text))

    def text(self, name: str) -> str:
        path = self.local(name)
        return path.read_text() if path is not None else ""

    def delete(self, name: str) -> None:
        try:
            self._place.delete(name)
        except NotFound:
            pass  # another node was faster
        except OSError as error:
            raise Unavailable(f"{self._what} {self.address} cannot be changed: {error.strerror}") from None
        self._sizes.pop(name, None)
        if self._remote:
            (self.work / name).unlink(missing_ok=True)

    def local(self, name: str) -> Path | None:
        """A path to read it at until the next call; None if it is gone (merged or deleted by another node)."""
        if not self._remote:
            path = Path(self._place.address(name))
            return path if path.exists() else None
        kept, partial_path = self.work / name, self.work / f"{name}.partial"
        if kept.exists():
            os.utime(kept)
            return kept
        self._make_room(self._sizes.get(name, 0))
        try:
            with partial_path.open("wb") as target:
                self._place.fetch(name, target)
        except NotFound:
            partial_path.unlink(missing_ok=True)
            self._listed = float("-inf")
            return None
        partial_path.rename(kept)
        return kept

    def _make_room(self, size: int) -> None:
        """Delete what was not read for longest."""
        kept = sorted(self.work.glob("*.parquet"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in kept:
            size += path.stat().st_size
            if size > _CACHE:
                path.unlink()


def _write_text(text: str, target: IO[bytes]) -> None:
    target.write(text.encode())
