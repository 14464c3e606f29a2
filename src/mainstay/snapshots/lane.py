"""The snapshot lane: takes them on schedule, in a process of their own, and lends that process the telemetry.

A process of its own, because compressing and encrypting must not bend a page or a ping; and because the command
line does just the same. Only the telemetry is copied here, on a thread: its file is open in this process alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import threading
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable
from pathlib import Path

import duckdb
import structlog

from mainstay.kernel.actor import system
from mainstay.kernel.clock import Clock
from mainstay.kernel.errors import MainstayError, StoreBusy, UserError
from mainstay.kernel.settings import Settings
from mainstay.kernel.timespan import format_duration
from mainstay.snapshots.settings import SNAPSHOT_EVERY, SNAPSHOT_KEEP
from mainstay.store.settings import SNAPSHOT_TO
from mainstay.store.snapshots import control, taking, telemetry_copy
from mainstay.store.snapshots.schedule import period
from mainstay.store.snapshots.taking import Newest
from mainstay.store.writer import Writer

log = structlog.get_logger("snapshots")

EVERY = 5.0  # seconds between two looks at the clock
_RETRY = 900.0  # seconds after a failure
_LATE = 1.5  # schedules that may pass without a snapshot before health says so
_ACTOR = system("snapshots")
# Writes what is appended so far, and gives a connection that reads it: `Columns.reading`.
Reading = Callable[[], duckdb.DuckDBPyConnection]


class SnapshotLane:
    def __init__(self, settings: Settings, reading: Reading | None, writer: Writer, clock: Clock) -> None:
        """`reading` None: this node keeps no telemetry of its own. UserError for settings that make no sense."""
        try:
            period(settings[SNAPSHOT_EVERY])
        except ValueError as error:
            raise UserError(f"MAINSTAY_SNAPSHOT_EVERY {error}") from None
        self._settings, self._reading, self._writer, self._clock = settings, reading, writer, clock
        self._newest: Newest | None = None
        self._not_before = 0.0  # monotonic
        self._started = clock.now()
        self._server: asyncio.Server | None = None
        self._child: asyncio.subprocess.Process | None = None
        self.problem = ""
        self.is_due_here: Callable[[], bool] = lambda: True  # of several servers one takes them

    async def start(self) -> None:
        """Listen on the control socket; one that a killed server left is replaced."""
        (self._settings.data / control.SOCKET).unlink(missing_ok=True)
        with control.socket_path(self._settings.data) as path:
            self._server = await asyncio.start_unix_server(self._serve, path, limit=control.LINE_LIMIT)

    async def stop(self) -> None:
        if self._child is not None and self._child.returncode is None:
            self._child.terminate()
            await self._child.wait()
        if self._server is not None:
            self._server.close()
        (self._settings.data / control.SOCKET).unlink(missing_ok=True)

    # on schedule

    @property
    def _every(self) -> float:
        """Seconds, as the settings say now."""
        return period(self._settings[SNAPSHOT_EVERY])

    async def turn(self) -> None:
        """Look for the newest, and take one if it is due."""
        self._newest = await self._writer.run(taking.newest)
        every = self._every
        if not every or self._clock.monotonic() < self._not_before or not self.is_due_here():
            return
        now = self._clock.now()
        # One that was taken later than now was taken before the clock was set back.
        if self._newest is None or not now - every < self._newest.at <= now:
            self._not_before = self._clock.monotonic() + _RETRY
            await self._take()

    async def _take(self) -> None:
        environment = {
            **os.environ,
            "MAINSTAY_DATA": str(self._settings.data),
            "MAINSTAY_DATABASE": self._settings.database,
        }
        self._child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "mainstay", "snapshot", "--json", "--keep", self._settings[SNAPSHOT_KEEP],
            stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=environment,
        )  # fmt: skip
        try:
            out, err = await self._child.communicate()
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                self._child.terminate()
            raise
        code = self._child.returncode or 0
        if code == 0:
            self.problem = ""
            log.info("snapshot taken", **json.loads(out))
            self._newest = await self._writer.run(taking.newest)
            return
        self.problem = err.decode(errors="replace").strip()[-500:] or f"it ended with {code}"
        log.error("snapshot failed", error=self.problem, retry_in=_RETRY)
        if code < 0:  # killed: it could not tell of it itself
            error = StoreBusy(f"the process was ended by signal {-code}")
            await self._writer.run(lambda: taking.record_failed(_ACTOR, self._settings[SNAPSHOT_TO], error))

    # health

    @property
    def newest(self) -> Newest | None:
        return self._newest

    async def probe(self) -> str:
        """`ok`, or that the newest is too old for the schedule and why."""
        every = self._every
        if not every:
            return "ok"
        age = self._clock.now() - (self._newest.at if self._newest else self._started)
        if age <= every * _LATE + EVERY and not self.problem:
            return "ok"
        told = f"the newest is {format_duration(round(age))} old" if self._newest else "there is none yet"
        return f"{told}; {self.problem}" if self.problem else told

    # telemetry for whoever takes one

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            log.info("the connection to the snapshot process was lost")
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked = json.loads(await asyncio.wait_for(reader.readline(), 10) or b"{}")
        except (ValueError, TimeoutError):  # not JSON, or longer than the limit
            return
        if asked.get("do") != "telemetry":
            writer.write(b'{"error": "this server does not know what is asked"}\n')
            await writer.drain()
            return
        loop = asyncio.get_running_loop()
        gone = threading.Event()

        def progress(_step: str, done: int, total: int) -> None:
            if gone.is_set():
                raise UserError("nobody is waiting for it any longer")
            loop.call_soon_threadsafe(writer.write, json.dumps({"done": done, "total": total}).encode() + b"\n")

        copying = asyncio.create_task(asyncio.to_thread(self._copy, float(asked["until"]), progress))
        leaving = asyncio.create_task(reader.read(1))  # ends when the other side closes
        await asyncio.wait({copying, leaving}, return_when=asyncio.FIRST_COMPLETED)
        gone.set()
        leaving.cancel()
        writer.write(json.dumps(await copying).encode() + b"\n")
        await writer.drain()

    def _copy(self, until: float, progress: Callable[[str, int, int], None]) -> dict[str, object]:
        if self._reading is None:
            return {"counts": {}}
        folder: Path = self._settings.data / taking.STAGING / telemetry_copy.FOLDER
        try:
            return {"counts": telemetry_copy.export(self._reading(), folder, until, progress)}
        except (MainstayError, duckdb.Error, OSError) as error:
            return {"error": str(error)[:500]}
