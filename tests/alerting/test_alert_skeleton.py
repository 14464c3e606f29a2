"""The whole way, once: a monitor goes down, the right channel hears of it, and of its end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator

import pytest
from tests.rigs.receivers import Receiver, declare, in_thread, occur, receiver

from mainstay.alerting.delivery_lane import DeliveryLane
from mainstay.alerting.models import AlertRow, OutboxRow
from mainstay.frames.boot import current_settings
from mainstay.kernel.clock import SystemClock
from mainstay.store.writer import Writer

pytestmark = pytest.mark.usefixtures("store")


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


async def _with_lane(step: Callable[[], None]) -> None:
    writer = Writer()
    lane = DeliveryLane(current_settings(), writer, SystemClock())
    running = asyncio.create_task(lane.run())
    try:
        await in_thread(step)
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await lane.stop()
        await in_thread(writer.stop)


def test_down_and_up_reach_the_webhook_in_order(hook: Receiver) -> None:
    declare("channel", "hook", {"webhook": {"url": hook.url}})
    declare("monitor", "api", {"http": "https://api.example.com"})

    def step() -> None:
        occur("monitor.went_down", "monitor/api")
        occur("monitor.went_up", "monitor/api")
        hook.wait_for(2)

    asyncio.run(_with_lane(step))
    assert [request.json["status"] for request in hook.requests] == ["firing", "resolved"]
    assert AlertRow.objects.get().status == "resolved"
    assert list(OutboxRow.objects.values_list("state", flat=True)) == ["delivered", "delivered"]
