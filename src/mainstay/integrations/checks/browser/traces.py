"""Traces of failed visits, kept as files beside the data: the newest few of each monitor, bounded in all.

A trace holds everything that the browser typed, sent and got, so there is none where the script uses secrets.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

FOLDER = "traces"
LARGEST = 8 * 1024 * 1024  # bytes of one trace
PER_MONITOR = 5
OLDEST = 14 * 86_400.0  # seconds that a trace is kept
ALL = 256 * 1024 * 1024  # bytes of all traces together


def keep(made: Path, folder: Path, uid: str) -> str:
    """Bring a trace to its place; its name there, or empty if it is too large. OSError if there is no room."""
    if made.stat().st_size > LARGEST:
        return ""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = f"{uid}-{time.time_ns() // 1_000_000}.zip"
    partial = folder / f".{name}"
    try:
        partial.write_bytes(made.read_bytes())
        partial.chmod(0o600)
        partial.rename(folder / name)
    finally:
        partial.unlink(missing_ok=True)
    thin_out(folder)
    return name


def thin_out(folder: Path) -> None:
    """Delete what is too old, too many of one monitor, or too much in all, the oldest first."""
    found = sorted(folder.glob("*.zip"), key=lambda path: path.name.rpartition("-")[2], reverse=True)
    seen: dict[str, int] = {}
    total, now = 0, time.time()
    for path in found:
        with suppress(FileNotFoundError):  # another prober thins out too
            uid, about = path.name.rpartition("-")[0], path.stat()
            if seen.get(uid, 0) >= PER_MONITOR or total + about.st_size > ALL or now - about.st_mtime > OLDEST:
                path.unlink()
                continue
            seen[uid] = seen.get(uid, 0) + 1
            total += about.st_size
