"""Live updates: who may listen, what is said, how it ends."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tests.rigs.told import Told

from mainstay.runtime.live import LiveUpdates
from mainstay.store.hub import HUB


class Listener:
    """One open stream and what came over it."""

    def __init__(
        self, live: LiveUpdates, client: str = "127.0.0.1", headers: tuple[tuple[bytes, bytes], ...] = ()
    ) -> None:
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.gone = asyncio.Event()
        scope = {"type": "http", "method": "GET", "path": "/live", "headers": [*headers], "client": (client, 1)}
        self.task = asyncio.ensure_future(live(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        await self.messages.put(message)

    async def next(self) -> dict[str, Any]:
        return await asyncio.wait_for(self.messages.get(), 10)

    async def topics(self) -> list[str]:
        while True:
            body: bytes = (await self.next()).get("body", b"")
            if body.startswith(b"data: "):
                found: list[str] = json.loads(body[6:])["topics"]
                return found


def test_a_viewer_hears_topics_of_what_happened() -> None:
    async def run() -> tuple[int, list[str], list[str]]:
        live = LiveUpdates(lambda _scope: "user:a")
        live.start()
        listener = Listener(live)
        status = (await listener.next())["status"]
        await listener.next()
        await asyncio.to_thread(HUB.publish, Told("monitor.went_down", "monitor/api"))
        await asyncio.to_thread(HUB.publish, Told("alert.fired", "monitor/api"))
        first = await listener.topics()
        await asyncio.to_thread(live.results_came)
        second = await listener.topics()
        live.stop()
        await asyncio.wait_for(listener.task, 10)
        return status, first, second

    status, first, second = asyncio.run(run())
    assert status == 200
    assert first == ["alerts", "journal", "monitors"]
    assert second == ["results"]


def test_strangers_are_refused_and_streams_are_bounded() -> None:
    async def run() -> list[int]:
        refused = Listener(LiveUpdates(lambda _scope: ""))
        statuses = [(await refused.next())["status"]]
        await refused.task
        live = LiveUpdates(lambda _scope: "user:a", limit=1)
        live.start()
        first = Listener(live)
        statuses.append((await first.next())["status"])
        second = Listener(live)
        statuses.append((await second.next())["status"])
        first.gone.set()
        await asyncio.wait_for(first.task, 10)
        assert live.viewers == 0
        third = Listener(live)
        statuses.append((await third.next())["status"])
        live.stop()
        await asyncio.gather(third.task, second.task)
        return statuses

    assert asyncio.run(run()) == [401, 200, 503, 200]


def test_nothing_is_kept_for_nobody() -> None:
    async def run() -> None:
        live = LiveUpdates(lambda _scope: "user:a")
        live.start()
        HUB.publish(Told("monitor.went_up", "monitor/api"))
        live.results_came()
        await asyncio.sleep(0)
        assert not live._timers
        live.stop()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("clients", "people", "statuses"),
    [
        (["127.0.0.1"] * 27, ["a"] * 26 + ["b"], [200] * 25 + [429, 200]),
        (["192.0.2.1"] * 21 + ["192.0.2.2"], [str(number) for number in range(22)], [200] * 20 + [429, 200]),
        (["2001:db8::1"] * 20 + ["2001:db8::2"], [str(number) for number in range(21)], [200] * 20 + [429]),
    ],
    ids=["person", "address", "network"],
)
def test_one_person_or_network_leaves_streams_to_others(
    clients: list[str], people: list[str], statuses: list[int]
) -> None:
    async def run() -> list[int]:
        waiting = iter(people)
        live = LiveUpdates(lambda _scope: next(waiting), limit=40)
        live.start()
        found = [(await Listener(live, client).next())["status"] for client in clients]
        live.stop()
        return found

    assert asyncio.run(run()) == statuses


def test_nobody_leaves_a_network_by_claiming_to_forward_for_others() -> None:
    async def run() -> int:
        names = iter(range(100))
        live = LiveUpdates(lambda _scope: str(next(names)), limit=4)
        live.start()
        claims = [((b"x-forwarded-for", b"198.51.100.%d" % number),) for number in range(3)]
        found = [(await Listener(live, "192.0.2.1", claim).next())["status"] for claim in claims]
        live.stop()
        return int(found[-1])

    assert asyncio.run(run()) == 429
