from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from tests.rigs.receivers import declare, happen, in_thread

from mainstay.alerting import delivery, queries
from mainstay.alerting.lanes import lanes
from mainstay.alerting.models import OutboxRow
from mainstay.alerting.upkeep import prune_alerts
from mainstay.frames.boot import current_settings
from mainstay.kernel.actor import Actor, system
from mainstay.kernel.clock import Steps
from mainstay.kernel.errors import Forbidden
from mainstay.kernel.ports import Receipt
from mainstay.store.running import Running
from mainstay.store.seals.proving import verify
from mainstay.store.writer import Writer

pytestmark = pytest.mark.usefixtures("store")
LANE = system("test")
DAY = 86_400


@pytest.fixture
def hook() -> None:
    declare("monitor", "api", {"http": "https://api.example.com"})
    declare("channel", "hook", {"webhook": {"url": "https://hooks.example.com/x"}})


def _deliver_all(clock: Any) -> None:
    while claims := delivery.claim_due(LANE, current_settings(), delivery.Room(lambda *_: 10), 60, clock):
        for claim in claims:
            delivery.mark_delivered(LANE, claim, Receipt("200"), clock)


def test_what_ended_long_ago_goes_with_its_messages_and_the_journal_stays(hook: None, clock: Any) -> None:
    happen("monitor.went_down", "monitor/api", clock)
    _deliver_all(clock)
    happen("monitor.went_up", "monitor/api", clock)
    _deliver_all(clock)
    clock.advance(10 * DAY)
    happen("monitor.went_down", "monitor/api", clock)
    clock.advance(25 * DAY)
    assert prune_alerts(LANE, 30, clock) == 1
    assert [alert.status for alert in queries.alerts()] == ["firing"]
    assert OutboxRow.objects.count() == 1
    assert verify().broken_at is None
    assert prune_alerts(LANE, 30, clock) == 0


def test_an_alert_with_a_message_on_its_way_stays(hook: None, clock: Any) -> None:
    happen("monitor.went_down", "monitor/api", clock)
    _deliver_all(clock)
    happen("monitor.went_up", "monitor/api", clock)
    clock.advance(60 * DAY)
    assert prune_alerts(LANE, 30, clock) == 0
    assert len(queries.alerts()) == 1


def test_a_clock_that_is_set_forward_deletes_no_alert_before_it_was_steady_for_a_while(hook: None, clock: Any) -> None:
    async def play() -> list[int]:
        writer, left = Writer(), []
        (lane,) = lanes(Running(current_settings(), writer, cast("Any", None), clock))
        for seconds in (0, 0, 400 * DAY, 0, 0):
            clock.set(seconds)
            await lane.turn()
            left.append(await in_thread(lambda: len(queries.alerts())))
            clock.advance(Steps.STEADY / 2)
        await in_thread(writer.stop)
        return left

    happen("monitor.went_down", "monitor/api", clock)
    _deliver_all(clock)
    happen("monitor.went_up", "monitor/api", clock)
    _deliver_all(clock)
    assert asyncio.run(play()) == [1, 1, 1, 1, 0]


def test_it_asks_for_its_scope(clock: Any) -> None:
    with pytest.raises(Forbidden):
        prune_alerts(Actor("user", "reader@example.com", frozenset({"alerts:read"})), 30, clock)
