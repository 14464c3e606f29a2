"""A whole server in this process sees, and tells from memory, that it cannot write, deliver or end its turns."""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import connection, connections
from tests.rigs.changeable import Target, wait_for
from tests.rigs.receivers import Receiver, Reply, declare, in_thread, receiver
from tests.rigs.settings import having
from tests.rigs.told import Told

from mainstay.alerting.last_word_lane import AGAIN, CALM, PATIENCE
from mainstay.frames.boot import current_settings
from mainstay.kernel.clock import SystemClock
from mainstay.kernel.wording import instant
from mainstay.runtime.composition import Parts
from mainstay.store.hub import HUB

NAME = "tower"
THREADS = 8
pytestmark = pytest.mark.usefixtures("store")


class Ahead(SystemClock):
    """The true clock, some seconds ahead."""

    def __init__(self) -> None:
        self.by = 0.0

    def now(self) -> float:
        return super().now() + self.by

    def monotonic(self) -> float:
        return super().monotonic() + self.by


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


@pytest.fixture
def target() -> Iterator[Target]:
    running = Target(["/api"])
    yield running
    running.close()


@contextlib.asynccontextmanager
async def live(folder: Path, clock: Ahead) -> AsyncIterator[Parts]:
    asyncio.get_running_loop().set_default_executor(threads := ThreadPoolExecutor(THREADS))
    parts = Parts(having(current_settings(), data=folder, probers=1, node=NAME), None, clock)
    async with parts.running():
        yield parts
    together = threading.Barrier(THREADS)  # each thread of the pool has a connection of its own to close

    def leave() -> None:
        together.wait(10)
        connections.close_all()

    await asyncio.gather(*(asyncio.to_thread(leave) for _ in range(THREADS)))
    threads.shutdown()


_SQLITE = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("BEGIN EXCLUSIVE")
"""
_POSTGRES = """
import psycopg, sys
database = psycopg.connect(sys.argv[1])
database.execute("LOCK TABLE journal_head IN ACCESS EXCLUSIVE MODE")
"""
_HOLD = "print('locked', flush=True); sys.stdin.read()"


@contextlib.asynccontextmanager
async def locked() -> AsyncIterator[None]:
    """Another process has the database for itself."""
    lite = connection.vendor == "sqlite"
    where = str(connection.settings_dict["NAME"]) if lite else current_settings().database
    program = (_SQLITE if lite else _POSTGRES) + _HOLD
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, where, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    try:
        assert await other.stdout.readline() == b"locked\n"
        yield
    finally:
        await other.communicate(b"")


async def _wrong(
    parts: Parts, names: tuple[str, ...], check: Callable[[dict[str, str]], bool], *, poke: bool = False
) -> dict[str, str]:
    """What is wrong with these parts, once it is as expected. poke: with news of alerts, so that lanes turn at once."""
    async with asyncio.timeout(20):
        while not check(found := await parts.health.wrong(names)):
            if poke:
                HUB.publish(Told("alert.acknowledged", "alert/x", {}), 0)
            await asyncio.sleep(0.02)
    return found


def _impatient() -> None:
    """What runs on this thread waits for a lock of SQLite shortly only."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout = 200")


def test_a_locked_database_is_seen_by_every_part_and_told_to_channels_directly(
    tmp_path: Path, hook: Receiver, target: Target
) -> None:
    clock = Ahead()
    # PostgreSQL lets who wants a lock wait, so that its writer is at work all the time.
    seeing = ("changes", "delivery", *(("writer",) if connection.vendor == "sqlite" else ()))
    declare("channel", "hook", {"webhook": {"url": hook.url}})
    declare("monitor", "api", {"http": f"{target.url}/api", "every": "1s", "confirm": {"failures": 1}})
    hook.answer = lambda _: Reply(503)

    async def play() -> None:
        async with live(tmp_path, clock) as parts:
            await parts.last_word.turn()
            target.healthy.discard("/api")
            await asyncio.to_thread(hook.wait_for, 1)
            await parts.writer.run(_impatient)
            async with locked():
                target.healthy.add("/api")
                await asyncio.to_thread(wait_for, lambda: parts.watch.waiting, 20, "a decision waits")
                clock.by += 200
                found = await _wrong(parts, seeing, lambda found: len(found) == len(seeing))
                assert "the oldest message has been due for" in found["delivery"]
                assert "nothing was written for 2" in found["changes"]
                assert "has waited for the database for" in found.get("writer", "has waited for the database for")
                assert (await parts.health.report())["status"] == "unhealthy"
                hook.requests.clear()
                await parts.last_word.turn()
                clock.by += PATIENCE
                await parts.last_word.turn()
                await asyncio.to_thread(hook.wait_for, 1)
                clock.by += AGAIN / 2
                await parts.last_word.turn()
                assert len(hook.requests) == 1, "not tried again before its time"
                hook.answer = lambda _: Reply(200)
                clock.by += AGAIN / 2
                await parts.last_word.turn()
                await asyncio.to_thread(hook.wait_for, 2)
                clock.by += 5 * AGAIN
                await parts.last_word.turn()
            await _wrong(parts, seeing, lambda found: not found)
            await asyncio.to_thread(hook.wait_for, 4)
            await parts.last_word.turn()
            clock.by += CALM
            await parts.last_word.turn()
            await asyncio.to_thread(hook.wait_for, 5)

    asyncio.run(play())
    told = [(request.json["alert"]["monitor"], request.json["status"]) for request in hook.requests]
    own = [("storage", "firing"), ("storage", "firing"), ("storage", "resolved")]
    assert told == [*own[:2], ("api", "firing"), ("api", "resolved"), own[2]]
    first, again, *_, last = hook.requests
    assert first.body == again.body
    assert first.headers["idempotency-key"] == again.headers["idempotency-key"] == last.json["alert"]["id"]
    assert last.headers["idempotency-key"] != first.headers["idempotency-key"]
    alert = first.json["alert"]
    assert (alert["severity"], alert["labels"]["server"]) == ("P0", NAME)
    assert first.json["evidence"]["title"] == f"Mainstay on {NAME} cannot record or report what happens"
    assert "nothing was written for" in first.json["evidence"]["error"]
    assert "read this server's log" in first.json["evidence"]["description"]
    assert instant(last.json["alert"]["until"]) > instant(alert["since"])


def test_a_lane_that_does_not_get_through_is_told_until_it_does(tmp_path: Path) -> None:
    async def play() -> None:
        async with live(tmp_path, Ahead()) as parts:
            assert await parts.health.wrong(("lanes",)) == {}
            await in_thread(_rename, "outbox", "elsewhere")
            try:
                found = await _wrong(parts, ("lanes",), bool, poke=True)
                assert re.match(r"delivery failed \d+ times in a row \(", found["lanes"])
            finally:
                await in_thread(_rename, "elsewhere", "outbox")
            await _wrong(parts, ("lanes",), lambda found: not found, poke=True)

    asyncio.run(play())


def _rename(table: str, name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO {name}")
