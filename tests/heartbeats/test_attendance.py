"""The attendance lane: heartbeats are charged the time that passed while this process was awake."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.rigs.accounts_browser import TEST

from mainstay.heartbeats.attendance_lane import EVERY, AttendanceLane
from mainstay.heartbeats.models import HeartbeatRow
from mainstay.store.resources.apply import declare
from mainstay.store.resources.queries import resource
from mainstay.store.writer import Writer
from mainstay.watch.results.results import Results

pytestmark = pytest.mark.usefixtures("store")


@pytest.fixture
def telemetry(tmp_path: Path) -> Iterator[Results]:
    opened = Results.embedded(tmp_path / "telemetry.duckdb")
    yield opened
    opened.close()


def test_each_minute_is_charged_once_and_sleep_is_not(telemetry: Results, clock: Any) -> None:
    declare(TEST, "heartbeat", "nightly", {"every": "1d"}, manager="api")
    uid = resource("heartbeat", "nightly").uid
    row = HeartbeatRow.objects.get(uid=uid)

    writer = Writer()
    lane = AttendanceLane(telemetry, writer, clock)

    def turn(state: str, since: float) -> None:
        row.state, row.since = state, since
        row.save()
        asyncio.run(lane.turn())

    began = clock.now()
    turn("up", began)
    clock.advance(EVERY)
    turn("up", began)
    clock.advance(EVERY)
    turn("down", clock.now() - 15)
    clock.advance(3600)  # asleep
    turn("down", clock.now() - 3615)
    writer.stop()
    telemetry.flush()
    found = telemetry.uptimes([uid], began, clock.now())[uid]
    assert found.seconds["up"] == pytest.approx(105)
    assert found.seconds["down"] == pytest.approx(15)
    assert found.share == pytest.approx(105 / 120)
