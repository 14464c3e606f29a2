"""Pictures of pages that failed: files beside the data, the newest few of each monitor, bounded in all.

A picture is as large as a hundred results, so none goes into a table: evidence names its file. What is deleted
stays named, and whoever shows a result looks whether the file is there. Files are this server's alone, and in no
snapshot.
"""

from __future__ import annotations

import base64
import re
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import structlog
from msgspec.structs import replace

from mainstay.watch.results.values import Sample

log = structlog.get_logger("telemetry")

FOLDER = "pictures"
INLINE = "data:image/jpeg;base64,"  # how a prober sends one
NAME = re.compile(r"([0-9A-Za-z]{1,40})-\d{10,16}\.jpg")
PER_MONITOR = 10
ALL = 128 * 1024 * 1024  # bytes of all pictures together
LARGEST = 64 * 1024  # characters of one as it is sent; a browser check keeps to 40,000 bytes
_WAITING = 200  # that may wait for the disk; older ones are dropped


class Pictures:
    """`take` is safe on any thread and never waits for the disk; the others are for one thread."""

    def __init__(self, folder: Path | None) -> None:
        """None: there is nowhere to keep them, and they are dropped."""
        self._folder = folder
        self._waiting: deque[tuple[str, str]] = deque(maxlen=_WAITING)

    def take(self, samples: Sequence[Sample]) -> list[Sample]:
        """The samples with names in place of pictures; `write` brings those to the disk."""
        return [self._named(one) if _has_picture(one) else one for one in samples]

    def _named(self, sample: Sample) -> Sample:
        evidence = dict(sample.evidence)
        for key, value in sample.evidence.items():
            if isinstance(value, str) and value.startswith(INLINE):
                evidence[key] = name = name_of(sample.uid, int(sample.at * 1e6))
                if len(value) <= LARGEST:
                    self._waiting.append((name, value))
        return replace(sample, evidence=evidence)

    def write(self) -> None:
        """A full disk costs pictures, and nothing else."""
        written = False
        while self._waiting:
            name, value = self._waiting.popleft()
            written = self.keep(name, value) or written
        if written and self._folder is not None:
            thin_out(self._folder)

    def keep(self, name: str, inline: str) -> bool:
        """Write one picture; False if it cannot be."""
        if self._folder is None:
            return False
        partial = self._folder / f".{name}"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                partial.write_bytes(base64.b64decode(inline.removeprefix(INLINE), validate=True))
                partial.chmod(0o600)
                partial.rename(self._folder / name)
            finally:
                partial.unlink(missing_ok=True)
        except (OSError, ValueError) as error:  # ValueError: no base64, or not even ASCII
            log.warning("a screenshot cannot be kept", picture=name, error=str(error)[:200])
            return False
        return True

    def forget(self, uids: Iterable[str]) -> None:
        gone = set(uids)
        self._waiting = deque((one for one in self._waiting if one[0].partition("-")[0] not in gone), _WAITING)
        if self._folder is not None:
            for path in self._folder.glob("*.jpg"):
                if path.name.partition("-")[0] in gone:
                    path.unlink(missing_ok=True)


def name_of(uid: str, at_us: int) -> str:
    return f"{uid}-{at_us // 1000}.jpg"


def thin_out(folder: Path) -> None:
    """Delete too many of one monitor, and too much in all, the oldest first."""
    found = sorted(folder.glob("*.jpg"), key=lambda path: path.name.rpartition("-")[2], reverse=True)
    seen: dict[str, int] = {}
    total = 0
    for path in found:
        with suppress(FileNotFoundError):
            uid, size = path.name.partition("-")[0], path.stat().st_size
            if seen.get(uid, 0) >= PER_MONITOR or total + size > ALL:
                path.unlink()
                continue
            seen[uid] = seen.get(uid, 0) + 1
            total += size


def _has_picture(sample: Sample) -> bool:
    return any(isinstance(value, str) and value.startswith(INLINE) for value in sample.evidence.values())
