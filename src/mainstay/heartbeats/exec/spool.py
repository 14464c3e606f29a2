"""Reports that wait for the server: one file each, readable by their owner only, bounded in number and bytes."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

LIMIT_FILES = 1_000
LIMIT_BYTES = 10_000_000
_SUFFIX = ".json"
_DROPPED = ".dropped"
_LATEST = 1e11  # more is no time, seconds


class Waiting(NamedTuple):
    """A report as it was to be sent. `ended` is when the job did, epoch seconds; `seconds` is how long it ran."""

    url: str
    query: str
    code: int
    rid: str
    ended: float
    body: bytes
    seconds: float | None = None


class Spool:
    """Files are named by the time they came, so their order is that of their names."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    @classmethod
    def find(cls) -> Spool:
        state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
        return cls(os.environ.get("MAINSTAY_SPOOL") or os.path.join(state, "mainstay", "spool"))

    def add(self, waiting: Waiting) -> None:
        """Keep it over a crash; OSError if that cannot be done. The oldest ones go where there are too many."""
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        name = f"{self._next():020d}-{os.getpid()}"
        document = {**waiting._asdict(), "body": base64.b64encode(waiting.body).decode("ascii")}
        temporary = os.path.join(self.folder, f".{name}")
        try:
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(json.dumps(document).encode())
                file.flush()
                os.fsync(file.fileno())
            os.rename(temporary, os.path.join(self.folder, name + _SUFFIX))
        except OSError:  # such as a full disk, where the attempts of many jobs must not add up
            self.remove(f".{name}")
            raise
        self._bound()

    def _next(self) -> int:
        """The time, nanoseconds, and later than all that wait even if the clock was set back since."""
        newest = "".join(self.names()[-1:]).partition("-")[0]
        return max(time.time_ns(), int(newest) + 1 if newest.isdecimal() else 0)

    def _bound(self) -> None:
        sizes = [(name, self._size(name)) for name in self.names()]
        total, dropped = sum(size for _, size in sizes), 0
        while len(sizes) > LIMIT_FILES or total > LIMIT_BYTES:
            name, size = sizes.pop(0)
            total -= size
            dropped += 1
            self.remove(name)
        if dropped:
            dropped += self.dropped()
            with open(self._dropped_file(), "w", encoding="ascii") as file:
                file.write(str(dropped))

    def names(self) -> list[str]:
        """Oldest first; of files only, because a pipe would be read for ever."""
        try:
            with os.scandir(self.folder) as found:
                files = [entry.name for entry in found if entry.is_file(follow_symlinks=False)]
        except OSError:
            return []
        return sorted(name for name in files if name.endswith(_SUFFIX) and name[0] != ".")

    def count(self) -> int:
        return len(self.names())

    def read(self, name: str) -> Waiting | None:
        """None if it is gone meanwhile or is no report; what is no report is removed."""
        path = os.path.join(self.folder, name)
        try:
            with open(path, "rb") as file:
                return _parsed(file.read(LIMIT_BYTES))
        except OSError:
            return None
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            self.remove(name)
            return None

    def remove(self, name: str) -> None:
        try:
            os.unlink(os.path.join(self.folder, name))
        except OSError:
            return  # somebody else sent it, or it is somebody else's

    def dropped(self) -> int:
        """Reports that were dropped and not told of yet."""
        try:
            with open(self._dropped_file(), encoding="ascii") as file:
                return int(file.read(20) or 0)
        except (OSError, ValueError):
            return 0

    def forget_dropped(self) -> None:
        self.remove(_DROPPED)

    @contextmanager
    def only_one(self, patience: float = 0.0) -> Iterator[bool]:
        """Whether this process is the one that sends now, at the latest after `patience` seconds.

        Never where nothing can be removed: what waits would be sent again and again.
        """
        if not os.access(self.folder, os.W_OK):
            yield False
            return
        try:
            descriptor = os.open(os.path.join(self.folder, ".lock"), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:  # no folder, so nothing waits
            yield False
            return
        try:
            yield _locked(descriptor, time.monotonic() + patience)
        finally:
            os.close(descriptor)

    def _size(self, name: str) -> int:
        try:
            return os.stat(os.path.join(self.folder, name)).st_size
        except OSError:
            return 0

    def _dropped_file(self) -> str:
        return os.path.join(self.folder, _DROPPED)


def _parsed(text: bytes) -> Waiting:
    """Raises what it may where this is no report, such as ValueError and TypeError."""
    document = json.loads(text)
    waiting = Waiting(**{**document, "body": base64.b64decode(document["body"])})
    texts, numbers = (waiting.url, waiting.query, waiting.rid), (waiting.code, waiting.ended, waiting.seconds or 0)
    if not all(isinstance(one, str) for one in texts) or not all(0 <= one < _LATEST for one in numbers):
        raise ValueError(document)
    return waiting


def _locked(descriptor: int, until: float) -> bool:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.05)
        else:
            return True
