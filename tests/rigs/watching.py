"""The watch lane with probers, telemetry and a network that tests decide about."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any

from django.db import connections
from tests.rigs.settings import having

from mainstay.frames.boot import current_settings
from mainstay.kernel.actor import command
from mainstay.kernel.clock import Clock, SystemClock
from mainstay.kernel.probing import CheckOrder, CheckResult, Verdict
from mainstay.store.journal import Entry, Filter, entries
from mainstay.store.resources.apply import declare
from mainstay.store.writer import Writer
from mainstay.watch import queries
from mainstay.watch.board import Board, Moved, Watched
from mainstay.watch.directory import stored_states
from mainstay.watch.lanes.watch import WatchLane
from mainstay.watch.results.values import Sample
from mainstay.watch.telling import Facts
from mainstay.watch.uplink import Evidence, Routes

ACTOR = command("tests")
ONLINE = Evidence(0.0, Routes(default=True, interface=True), {"uplink:1": True}, resolver=True)
OFFLINE = Evidence(0.0, Routes(default=True, interface=True), {"uplink:1": False}, resolver=False)


class FakeProbers:
    """Keeps what it was told; the test hands in results."""

    def __init__(self) -> None:
        self.orders: dict[str, CheckOrder] = {}
        self.assigned: list[str] = []
        self.rechecked: list[tuple[str, float]] = []
        self.placed: dict[str, tuple[str, ...]] = {}
        self.rechecked_at: list[tuple[str, str, float]] = []

    def assign(self, orders: list[CheckOrder]) -> None:
        self.orders |= {order.uid: order for order in orders}
        self.assigned += [order.uid for order in orders]

    def withdraw(self, uids: list[str]) -> None:
        for uid in uids:
            self.orders.pop(uid, None)

    def recheck(self, uid: str, delay: float) -> None:
        self.rechecked.append((uid, delay))

    def place(self, placed: Mapping[str, tuple[str, ...]]) -> list[str]:
        moved = [uid for uid in {**placed, **self.placed} if placed.get(uid) != self.placed.get(uid)]
        self.placed = dict(placed)
        return moved

    def recheck_at(self, location: str, uid: str, delay: float) -> None:
        self.rechecked_at.append((location, uid, delay))


class FakeTelemetry:
    def __init__(self) -> None:
        self.samples: list[Sample] = []

    def append(self, samples: Sequence[Sample]) -> None:
        self.samples += samples


class FakeLook:
    """A look at a machine whose network the test plugs and unplugs."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.sees, self.looks = clock, ONLINE, 0

    async def __call__(self, *, resolver: bool) -> Evidence:
        self.looks += 1
        await asyncio.sleep(0)
        at = self.clock.now()
        return Evidence(at, self.sees.routes, self.sees.targets, self.sees.resolver if resolver else None)


class Watching:
    """A running lane and the fakes around it."""

    def __init__(self, clock: Clock | None = None, writer: Writer | None = None) -> None:
        self.clock = clock or SystemClock()
        self.probers, self.telemetry, self.look = FakeProbers(), FakeTelemetry(), FakeLook(self.clock)
        self.writer = writer or Writer()
        self.lane = WatchLane(
            having(current_settings(), uplink_targets="uplink:1"),
            self.probers,
            self.telemetry,
            self.writer,
            self.clock,
            look=self.look,  # type: ignore[arg-type]
        )

    def uid(self, name: str) -> str:
        entry = self.lane.board.named(name)
        assert entry is not None
        return entry.watched.facts.uid

    def state(self, name: str) -> str:
        entry = self.lane.board.named(name)
        return entry.state.shown if entry is not None else "absent"

    def result(self, name: str, verdict: Verdict, code: str = "", **more: Any) -> None:
        """Hand one result in, as if its check had just begun and ended."""
        if verdict == "down" and not code:
            code = "connect.refused"
        at = more.pop("at", self.clock.now())
        found = CheckResult(uid=self.uid(name), at=at, verdict=verdict, code=code, duration=0.01, **more)
        self.lane.take([found])

    async def until(self, condition: Callable[[], bool], patience: float = 15.0) -> None:
        for _ in range(int(patience / 0.01)):
            if condition():
                return
            await asyncio.sleep(0.01)
        raise AssertionError("what was waited for did not happen")

    async def written(self) -> None:
        """Return once all that is decided is in the database."""
        await self.until(lambda: self.lane.waiting == 0)


def monitor(name: str, target: str = "http://127.0.0.1:1/", **document: Any) -> str:
    """Declare a monitor; its uid."""
    return declare(ACTOR, "monitor", name, {"http": target, **document}, manager="api").uid


@asynccontextmanager
async def watching(clock: Clock | None = None, sees: Evidence = ONLINE) -> AsyncIterator[Watching]:
    """A lane that runs until the block ends."""
    scene = Watching(clock)
    scene.look.sees = sees
    await scene.lane.start()
    task = asyncio.create_task(scene.lane.run())
    try:
        yield scene
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await scene.lane.stop()
        await scene.writer.run(connections.close_all)
        scene.writer.stop()


async def journal(kind: str = "monitor.*", subject: str = "") -> list[Entry]:
    """Entries oldest first, read on another thread."""

    def read() -> list[Entry]:
        try:
            return list(entries(Filter(kind=kind, subject=subject), limit=0, newest_first=False))
        finally:
            connections.close_all()

    return await asyncio.to_thread(read)


async def in_thread(job: Callable[[], Any]) -> Any:
    """Run something that blocks on the database, as another process would."""

    def run() -> Any:
        try:
            return job()
        finally:
            connections.close_all()

    return await asyncio.to_thread(run)


def moves(name: str, *letters: str) -> list[Moved]:
    """What a board decides for one declared monitor that is fed these verdicts."""
    uid = queries.monitor(name).uid
    board = Board()
    board.declare([Watched(Facts(uid, name, address="http://127.0.0.1:1/"))], stored_states())
    for number, verdict in enumerate(letters):
        at = 1_800_000_000.0 + number
        board.take(CheckResult(uid=uid, at=at, verdict=verdict, code="" if verdict == "up" else "x.y"), at, at)  # type: ignore[arg-type]
        board.uplink.lost.clear()
    for waiting in [uid for uid, entry in board.entries.items() if entry.parked is not None]:
        assert waiting == uid
        board.looked([], at + 1, at)
    return board.drain().moved


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test that runs in an event loop of its own; its fixtures are made outside of it."""

    @wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        async def main() -> None:
            try:
                await test(*arguments, **named)
            finally:
                await asyncio.to_thread(connections.close_all)

        loop_threads = ThreadPoolExecutor(1)  # one, so that its database connection can be closed
        with asyncio.Runner() as runner:
            runner.get_loop().set_default_executor(loop_threads)
            runner.run(main())

    return run


def location(name: str, **document: Any) -> str:
    return declare(ACTOR, "location", name, document, manager="api").uid


def closing(job: Callable[[], None]) -> None:
    try:
        job()
    finally:
        connections.close_all()
