"""The configuration lane: applies the given file at start and whenever it changes."""

from __future__ import annotations

from pathlib import Path

import structlog

from mainstay.kernel.actor import Actor, all_scopes
from mainstay.kernel.errors import Conflict, InvalidInput, MainstayError
from mainstay.store.events import ConfigRejected
from mainstay.store.resources.apply import apply_files
from mainstay.store.work import unit_of_work
from mainstay.store.writer import Writer

log = structlog.get_logger("config")

_SHOWN = 20  # diagnostics that an event holds


class ConfigLane:
    """Polls, because watching by inotify misses what editors and mounted ConfigMaps do."""

    def __init__(self, path: Path, writer: Writer) -> None:
        self._path = path
        self._writer = writer
        self._seen: tuple[int, int, int] | None = None  # as it was when it was applied
        self._last: tuple[int, int, int] | None = None  # as it was a turn ago
        self._problem = ""  # what health says while the file is not applied; open to all, so it names no path

    async def probe(self) -> str:
        return self._problem or "ok"

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    async def turn(self) -> None:
        stamp = self._stamp()
        if stamp is None:
            self._problem = "the file cannot be read; what it declared remains"
        elif stamp != self._seen and (self._seen is None or stamp == self._last):
            # Unchanged for a turn, so that a file that is still being written is not taken for the whole of it.
            self._seen = stamp
            await self._writer.run(self._apply)
        self._last = stamp

    def _apply(self) -> None:
        actor = Actor("file", str(self._path), all_scopes())
        try:
            revision, plan = apply_files(actor, [str(self._path)], prune="sources")
        except (InvalidInput, Conflict) as error:
            self._reject(actor, error)
            return
        self._problem = ""
        if not plan.is_empty:
            log.info("configuration applied", file=str(self._path), revision=revision)

    def _reject(self, actor: Actor, error: MainstayError) -> None:
        self._problem = "the file has mistakes and is not applied; the journal has them"
        found = list(error.diagnostics) if isinstance(error, InvalidInput) else []
        for diagnostic in found:
            log.error("configuration has a mistake", where=str(diagnostic.place), problem=diagnostic.message)
        if not found:
            log.error("configuration is not applied", problem=str(error))
        with unit_of_work(actor) as work:
            diagnostics = [item.as_dict() for item in found[:_SHOWN]]
            work.record(ConfigRejected("config", str(self._path), diagnostics, None if found else error.message))
