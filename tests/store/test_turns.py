"""Who writes next, and how long each took."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from mainstay.kernel.actor import system
from mainstay.store import turn
from mainstay.store.timing import LONG, TIMINGS, Timings
from mainstay.store.turn import Turn
from mainstay.store.work import quietly, unit_of_work
from mainstay.store.writer import Writer

ME = system("test")


def order_of(jobs: list[tuple[str, bool]]) -> list[str]:
    """The order in which a writer does jobs (name, urgent) that came while it was busy."""
    done: list[str] = []

    async def run() -> None:
        writer, gate, begun = Writer(), threading.Event(), threading.Event()

        def block() -> None:
            begun.set()
            gate.wait(10)

        first = asyncio.ensure_future(writer.run(block))
        await asyncio.to_thread(begun.wait, 10)

        def job(name: str) -> Callable[[], None]:
            return lambda: done.append(name)

        waiting = [asyncio.ensure_future(writer.run(job(name), urgent=urgent)) for name, urgent in jobs]
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(first, *waiting)
        writer.stop()

    asyncio.run(run())
    return done


def test_urgent_jobs_go_before_upkeep_and_keep_their_order() -> None:
    jobs = [("retention", False), ("ping", True), ("snapshot", False), ("claim", True)]
    assert order_of(jobs) == ["ping", "claim", "retention", "snapshot"]


def test_what_has_waited_long_enough_is_urgent_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "PATIENCE", 0.0)
    assert order_of([("retention", False), ("ping", True)]) == ["retention", "ping"]


def test_each_job_gets_its_own_result_or_mistake_and_a_cancelled_one_is_not_done() -> None:
    async def run() -> None:
        writer, gate, done = Writer(), threading.Event(), []
        blocking = asyncio.ensure_future(writer.run(lambda: gate.wait(10)))
        good = asyncio.ensure_future(writer.run(lambda: "good"))
        bad = asyncio.ensure_future(writer.run(lambda: 1 // 0, urgent=True))
        gone = asyncio.ensure_future(writer.run(lambda: done.append("gone")))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.wait({gone})
        gate.set()
        assert await blocking is True
        assert await good == "good"
        with pytest.raises(ZeroDivisionError):
            await bad
        await asyncio.to_thread(writer.stop)
        assert done == []

    asyncio.run(run())


def test_a_turn_is_handed_to_the_most_urgent_who_waits() -> None:
    lock, came, waiting = Turn(), [], []

    def wait(name: str, *, urgent: bool) -> None:
        if urgent:
            turn.go_first()
        lock.acquire()
        came.append(name)
        lock.release()

    lock.acquire()
    for count, (name, urgent) in enumerate([("bulk", False), ("page", False), ("ping", True)], start=1):
        thread = threading.Thread(target=wait, args=(name,), kwargs={"urgent": urgent})
        thread.start()
        waiting.append(thread)
        while len(lock._waiting) < count:
            thread.join(0.001)
    lock.release()
    for thread in waiting:
        thread.join(10)
    assert came == ["ping", "bulk", "page"]


def seen(name: str) -> int:
    timing = TIMINGS.read().get(name)
    return timing.count if timing is not None else 0


@pytest.mark.usefixtures("store")
def test_a_unit_of_work_is_noted_once_under_the_name_of_its_function() -> None:
    name = f"{__name__}.test_a_unit_of_work_is_noted_once_under_the_name_of_its_function"
    with unit_of_work(ME), unit_of_work(ME):
        assert seen(name) == 0
    assert seen(name) == 1
    quietly(ME, None, lambda _work: None)
    assert seen(name) == 2


def test_timings_tell_how_often_how_long_and_how_long_at_most() -> None:
    timings = Timings()
    timings.note("a.b", 0.5, LONG / 2)
    timings.note("a.b", 0.25, LONG * 2)
    (timing,) = timings.read().values()
    assert (timing.count, timing.waited, timing.longest, timing.long) == (2, 0.75, LONG * 2, 1)
    assert timing.held == pytest.approx(LONG * 2.5)
