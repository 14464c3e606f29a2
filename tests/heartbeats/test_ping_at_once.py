"""A heartbeat is pinged in the same breath in which it is declared: by this process, another one, another server."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
from tests.rigs.compat_rig import Rig, rigged
from tests.rigs.pinging import heartbeat

from mainstay.heartbeats import lane as heartbeats

pytestmark = pytest.mark.usefixtures("store")


async def status(rig: Rig, path: str) -> int:
    return (await rig.client.get(f"/ping/{path}")).status_code


def test_declared_here(clock: Any) -> None:
    async def run(rig: Rig) -> None:
        made = await asyncio.to_thread(heartbeat, "job")
        assert await status(rig, made.uuid) == 200

    rigged(clock, run)


def test_declared_elsewhere(clock: Any) -> None:
    async def run(rig: Rig) -> None:
        rig.lane.close()  # it hears of nothing any more
        made = await asyncio.to_thread(heartbeat, "job")
        found = await asyncio.gather(*(status(rig, path) for path in (made.uuid, f"{rig.key}/job", f"{rig.key}/no")))
        assert found == [200, 200, 404]

    rigged(clock, run)


def test_declared_while_the_directory_is_being_filled(clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    entries, begun, asked = heartbeats.directory_entries, threading.Event(), threading.Event()

    def slow() -> Any:
        found = entries()
        begun.set()
        asked.wait(5)
        return found

    async def run(rig: Rig) -> None:
        monkeypatch.setattr(heartbeats, "directory_entries", slow)
        first = await asyncio.to_thread(heartbeat, "first")
        turning = asyncio.create_task(rig.lane.turn())
        await asyncio.to_thread(begun.wait, 5)
        asking = asyncio.create_task(status(rig, first.uuid))
        await asyncio.sleep(0.1)  # it has looked in vain, and waits for the look that is under way
        asked.set()
        assert await asking == 200
        await turning

    rigged(clock, run)


def test_many_strangers_are_looked_up_together(clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []

    async def run(rig: Rig) -> None:
        declared = rig.lane._declared
        monkeypatch.setattr(rig.lane, "_declared", lambda: looks.append(time.monotonic()) or declared())
        found = await asyncio.gather(*(status(rig, f"{rig.key}/nobody-{number}") for number in range(200)))
        assert set(found) == {404}

    rigged(clock, run)
    assert 1 <= len(looks) <= 20
