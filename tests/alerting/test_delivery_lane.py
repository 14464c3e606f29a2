from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

import pytest
from tests.rigs.receivers import Receiver, Reply, decide, declare, in_thread, receiver, remove
from tests.rigs.receivers import occur as happen  # the lane decides what follows

from mainstay.alerting import delivery_lane as lane_module
from mainstay.alerting import queries, stages
from mainstay.alerting.delivery_lane import DeliveryLane
from mainstay.alerting.models import AlertRow, OutboxRow
from mainstay.alerting.verbs import mute_alert
from mainstay.frames.boot import current_settings
from mainstay.kernel.actor import system
from mainstay.kernel.clock import SystemClock
from mainstay.store.writer import Writer

pytestmark = pytest.mark.usefixtures("store")
HOUR = 3600.0
HANGING = 40


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


@pytest.fixture
def other() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


@contextlib.asynccontextmanager
async def lane_of(clock: Any, **more: Any) -> AsyncIterator[DeliveryLane]:
    """A lane that turns when it is told."""
    writer = Writer()
    lane = DeliveryLane(current_settings(), writer, clock, **more)
    try:
        yield lane
    finally:
        await lane.stop()
        await in_thread(writer.stop)


@contextlib.asynccontextmanager
async def running(lane: DeliveryLane) -> AsyncIterator[None]:
    """The lane turns by itself."""
    task = asyncio.create_task(lane.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def settled(lane: DeliveryLane) -> int:
    """One turn and the end of the deliveries that it started."""
    started = await lane.turn()
    while lane._running:
        await asyncio.wait(lane._running)
        await asyncio.sleep(0)
    return started


def _declare(name: str, url: str, **more: Any) -> None:
    declare("channel", name, {"webhook": {"url": url}, **more})


def _states() -> dict[str, str]:
    return {f"{row.channel} {row.kind}": row.state for row in OutboxRow.objects.all()}


async def _eventually(check: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not await in_thread(check):
        assert time.monotonic() < end, "it did not happen"
        await asyncio.sleep(0.01)


def test_a_provider_that_is_down_for_two_hours_gets_everything_after(hook: Receiver, clock: Any) -> None:
    hook.answer = lambda _: Reply(503)

    async def play() -> None:
        async with lane_of(clock) as lane:
            end = clock.now() + 2 * HOUR
            while clock.now() < end:
                await settled(lane)
                clock.advance(30)
            await in_thread(happen, "monitor.went_up", "monitor/api", clock)
            hook.answer = lambda _: Reply(200)
            for _ in range(40):
                await settled(lane)
                clock.advance(15)

    _declare("hook", hook.url)
    happen("monitor.went_down", "monitor/api", clock)
    asyncio.run(play())
    assert _states() == {"hook firing": "delivered", "hook resolved": "delivered"}
    keys = [request.headers["idempotency-key"] for request in hook.requests]
    assert len(set(keys)) == 2
    assert keys == sorted(keys, key=keys.index), "the end came after the beginning"
    assert 20 < len(keys) < 120, "neither given up nor hammered"
    bodies = {request.headers["idempotency-key"]: request.body for request in hook.requests}
    assert all(request.body == bodies[request.headers["idempotency-key"]] for request in hook.requests)


def test_what_cannot_be_delivered_in_a_day_expires_with_its_end(hook: Receiver, clock: Any) -> None:
    hook.answer = lambda _: Reply(500)

    async def play() -> None:
        async with lane_of(clock) as lane:
            for _ in range(26 * 2):
                await settled(lane)
                clock.advance(HOUR / 2)

    _declare("hook", hook.url)
    happen("monitor.went_down", "monitor/api", clock)
    happen("monitor.went_up", "monitor/api", clock)
    asyncio.run(play())
    assert _states() == {"hook firing": "expired", "hook resolved": "cancelled"}
    kinds = [entry.kind for entry in queries.whole_alert(queries.alerts()[0].id).journal]
    assert "alert.resolved" in kinds
    assert queries.channel_health()[0].expired == 1


def test_a_clock_that_is_set_forward_ages_no_message_and_delivers_it(hook: Receiver, clock: Any) -> None:
    hook.answer = lambda _: Reply(503)

    async def play() -> None:
        async with lane_of(clock) as lane:
            await settled(lane)
            clock.set(400 * 24 * HOUR)
            await settled(lane)
            clock.advance(HOUR)
            hook.answer = lambda _: Reply(200)
            await settled(lane)

    _declare("hook", hook.url)
    happen("monitor.went_down", "monitor/api", clock)
    asyncio.run(play())
    assert _states() == {"hook firing": "delivered"}


@pytest.mark.parametrize("restarted", [False, True])
def test_a_mute_that_was_made_while_the_clock_was_ahead_lasts_as_long_as_it_was_meant_to(
    clock: Any, restarted: bool
) -> None:
    async def play() -> None:
        async with lane_of(clock) as lane:
            await settled(lane)
            alert = (await in_thread(queries.alerts))[0]
            clock.set(48 * HOUR)
            await settled(lane)
            await in_thread(mute_alert, system("test"), alert.id, clock.now() + HOUR, clock)
            clock.set(-48 * HOUR)
            if not restarted:
                await settled(lane)
        async with lane_of(clock) as lane:
            await settled(lane)
            clock.advance(HOUR - 1)
            await settled(lane)
            assert (await in_thread(queries.alerts))[0].muted_until == clock.now() + 1
            clock.advance(1)
            await settled(lane)
            assert (await in_thread(queries.alerts))[0].muted_until is None

    happen("monitor.went_down", "monitor/api", clock)
    asyncio.run(play())


def test_a_mute_that_was_made_before_ends_when_it_was_meant_to(clock: Any) -> None:
    async def play() -> None:
        async with lane_of(clock) as lane:
            alert, end = (await in_thread(queries.alerts))[0], clock.now() + 72 * HOUR
            await in_thread(mute_alert, system("test"), alert.id, end, clock)
            for seconds in (48 * HOUR, -48 * HOUR):
                clock.set(seconds)
                await settled(lane)
            assert (await in_thread(queries.alerts))[0].muted_until == end

    happen("monitor.went_down", "monitor/api", clock)
    asyncio.run(play())


def test_retry_after_is_waited_for_by_the_whole_channel(hook: Receiver, clock: Any) -> None:
    hook.answer = lambda _: Reply(429, {"Retry-After": "600"})

    async def play() -> None:
        async with lane_of(clock) as lane:
            await settled(lane)
            assert len(hook.requests) == 1
            await in_thread(happen, "monitor.went_down", "monitor/b", clock)
            for _ in range(59):
                clock.advance(10)
                await settled(lane)
            assert len(hook.requests) == 1
            hook.answer = lambda _: Reply(200)
            clock.advance(11)
            await settled(lane)
            await settled(lane)

    _declare("hook", hook.url)
    happen("monitor.went_down", "monitor/a", clock)
    asyncio.run(play())
    assert set(OutboxRow.objects.values_list("state", flat=True)) == {"delivered"}


def test_a_refusal_ends_it_and_shows(hook: Receiver, clock: Any) -> None:
    hook.answer = lambda _: Reply(410, body=b"gone")

    async def play() -> None:
        async with lane_of(clock) as lane:
            await settled(lane)
            clock.advance(HOUR)
            assert await settled(lane) == 0

    _declare("hook", hook.url)
    happen("monitor.went_down", "monitor/api", clock)
    asyncio.run(play())
    assert _states() == {"hook firing": "refused"}
    assert queries.channel_health()[0].problem == "it answered 410: gone"
    assert len(hook.requests) == 1


def test_a_hanging_channel_delays_no_other(hook: Receiver, other: Receiver) -> None:
    stuck = threading.Event()
    hook.answer = lambda _: Reply(wait=stuck)

    async def play() -> None:
        async with lane_of(SystemClock()) as lane, running(lane):
            for number in range(20):
                await in_thread(happen, "monitor.went_down", f"monitor/m{number}")
            await in_thread(other.wait_for, 20)
            assert len(hook.requests) <= lane_module.PER_CHANNEL
            stuck.set()
            await in_thread(hook.wait_for, 20)

    _declare("stuck", hook.url)
    _declare("well", other.url)
    asyncio.run(play())


def test_news_wake_the_lane_at_once(hook: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_module, "POLL", 600.0)
    delays: list[float] = []

    async def play() -> None:
        async with lane_of(SystemClock()) as lane, running(lane):
            for number in range(30):
                at = time.time()
                await in_thread(happen, "monitor.went_down", f"monitor/m{number}")
                requests = await in_thread(hook.wait_for, number + 1)
                delays.append(requests[-1].at - at)

    _declare("hook", hook.url)
    asyncio.run(play())
    print(f"transition to hand-over: median {sorted(delays)[15] * 1000:.1f} ms, worst {max(delays) * 1000:.1f} ms")
    assert len(hook.requests) == 30


def test_an_alert_that_cannot_be_decided_about_is_put_off_and_holds_up_no_other(
    hook: Receiver, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(case: Any, *_facts: Any) -> None:
        if case.labels["monitor"] == "b":
            raise ZeroDivisionError

    async def play() -> None:
        async with lane_of(clock) as lane:
            with monkeypatch.context() as patch:
                patch.setattr(stages, "STAGES", (stages.Stage("inhibit", "", stumble), *stages.STAGES))
                await settled(lane)
                await settled(lane)
            assert len(hook.requests) == 2
            problem = (await in_thread(lambda: AlertRow.objects.get(name="b"))).way["steps"][0]["reason"]
            assert problem == "Mainstay could not decide about it: ZeroDivisionError"
            clock.advance(60)
            await settled(lane)

    _declare("hook", hook.url)
    for name in "abc":
        happen("monitor.went_down", f"monitor/{name}", clock)
    asyncio.run(play())
    assert {request.json["alert"]["monitor"] for request in hook.requests} == {"a", "b", "c"}
    assert len(hook.requests) == 3


def test_a_claim_whose_process_died_is_taken_again_with_the_same_key(hook: Receiver, clock: Any) -> None:
    async def play() -> None:
        async with lane_of(clock) as first:
            await in_thread(decide, clock)
            claims = await first.writer.run(
                lambda: lane_module.claim_due(
                    lane_module._LANE, current_settings(), lane_module.Room(lambda *_: 9), 45, clock
                )
            )
            assert len(claims) == 1  # and then it dies: nothing is recorded
            await settled(first)
            clock.advance(46)
        async with lane_of(clock, _started=True) as second:
            await settled(second)
            await second.writer.run(
                lambda: lane_module.mark_delivered(lane_module._LANE, claims[0], lane_module.Receipt("stale"), clock)
            )

    _declare("hook", hook.url)
    happen("monitor.went_down", "monitor/api", clock)
    asyncio.run(play())
    row = OutboxRow.objects.get()
    assert row.state == "delivered"
    assert row.receipt["detail"] != "stale"
    assert [request.headers["idempotency-key"] for request in hook.requests] == [row.id] * len(hook.requests)


def test_a_deleted_channel_cancels_what_was_claimed_meanwhile(hook: Receiver, clock: Any) -> None:
    hook.answer = lambda _: Reply(503)

    async def play() -> None:
        async with lane_of(clock) as lane:
            await settled(lane)
            await in_thread(remove, "channel", "hook")
            clock.advance(HOUR)
            assert await settled(lane) == 0

    _declare("hook", hook.url)
    happen("monitor.went_down", "monitor/api", clock)
    asyncio.run(play())
    row = OutboxRow.objects.get()
    assert (row.state, row.reason) == ("cancelled", "the channel was deleted")


def test_a_missing_secret_waits_visibly_until_it_is_there(
    hook: Receiver, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOOK_SECRET_KEY", raising=False)

    async def play() -> None:
        async with lane_of(clock) as lane:
            await settled(lane)
            health = await in_thread(queries.channel_health)
            assert "${env:HOOK_SECRET_KEY} is not set" in health[0].problem
            monkeypatch.setenv("HOOK_SECRET_KEY", "now")
            clock.advance(60)
            await settled(lane)

    declare("channel", "hook", {"webhook": {"url": hook.url, "secret": "${env:HOOK_SECRET_KEY}"}})
    happen("monitor.went_down", "monitor/api", clock)
    asyncio.run(play())
    assert _states() == {"hook firing": "delivered"}
    assert "x-mainstay-signature" in hook.requests[0].headers


def test_a_mistake_in_a_channel_loses_nothing(hook: Receiver, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: Any) -> None:
        raise RuntimeError("secret text of a library")

    async def play() -> None:
        async with lane_of(clock) as lane:
            with monkeypatch.context() as patch:
                patch.setattr(lane_module, "hand_over", broken)
                await settled(lane)
            row = await in_thread(OutboxRow.objects.get)
            assert (row.state, row.last_error) == ("pending", "delivery failed inside Mainstay (RuntimeError)")
            clock.advance(60)
            await settled(lane)

    _declare("hook", hook.url)
    happen("monitor.went_down", "monitor/api", clock)
    asyncio.run(play())
    assert _states() == {"hook firing": "delivered"}


def test_many_alerts_reach_a_channel_that_comes_back(hook: Receiver, clock: Any) -> None:
    """While it is away it is asked once in a while, not for each of them; afterwards all go out."""
    hook.answer = lambda _: Reply(503)
    count = 60

    async def play() -> None:
        async with lane_of(clock) as lane:
            for _ in range(20):
                await settled(lane)
                clock.advance(5)
            assert len(hook.requests) < 20
            hook.answer = lambda _: Reply(200)
            clock.advance(HOUR)
            while await settled(lane):
                clock.advance(1)

    _declare("hook", hook.url)
    for number in range(count):
        happen("monitor.went_down", f"monitor/m{number}", clock)
    asyncio.run(play())
    assert OutboxRow.objects.filter(state="delivered").count() == count


def test_many_channels_that_hang_leave_room_for_one_that_works(hook: Receiver, other: Receiver) -> None:
    hook.answer = lambda _: Reply(wait=threading.Event())  # until the test ends

    async def play() -> DeliveryLane:
        async with lane_of(SystemClock()) as lane, running(lane):
            for number in range(HANGING):  # each had worked before, so each may have several at once
                lane._channel(f"hangs-{number:02}").proven = True
            await in_thread(_fall, range(6))
            await in_thread(hook.wait_for, HANGING)
            await in_thread(other.wait_for, 6)
            assert (lane.delivered <= 6, lane.failed) == (True, 0), "nothing that hangs was waited for"
            await _eventually(lambda: lane.delivered == 6)
            assert lane.failed == 0
            hook.ending.set()
            return lane

    for number in range(HANGING):
        _declare(f"hangs-{number:02}", f"{hook.url}/{number}")
    _declare("works", other.url)
    asyncio.run(play())
    assert [row.state for row in OutboxRow.objects.filter(channel="works")] == ["delivered"] * 6


def _fall(numbers: Iterable[int]) -> None:
    for number in numbers:
        happen("monitor.went_down", f"monitor/m{number}")
