"""How often strangers may ask: for each client address, and for each address that a job reports to.

One number is kept for each, when it would be idle again (GCRA, the leaky bucket as ATM networks meter it), in
memory of this process: nobody waits for anybody else's lock. The table is bounded: who has asked longest ago gives
way and may ask anew at once. Addresses of this machine itself (loopback) count as keys only: a proxy in
front that nobody declared would otherwise share one limit among all of its visitors.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from mainstay.frames.addresses import Proxies, network_of
from mainstay.kernel.settings import Settings

Send = Callable[[dict[str, Any]], Awaitable[None]]

KEPT = 50_000  # entries of a table; about 10 MB
BURST = 10.0  # seconds' worth of requests that may come at once
KEYED = ("/ping/", "/api/push/", "/api/v1/endpoints/")  # where the address names what is reported to
_KEY = 160  # characters of a key


class Rates:
    """`take` says how long to wait, 0 if one more is fine. `rate`: a second, as it is then; 0: no limit."""

    def __init__(self, rate: Callable[[], float], *, kept: int = KEPT) -> None:
        self._rate = rate
        self._idle_at: OrderedDict[str, float] = OrderedDict()  # who asked longest ago comes first
        self._kept = kept

    def __len__(self) -> int:
        return len(self._idle_at)

    def take(self, key: str, now: float, count: int = 1) -> float:
        """Count one, or so many, for this key at this moment (monotonic seconds); seconds to wait if too many."""
        rate = self._rate()
        if rate <= 0:
            return 0.0
        step = 1.0 / rate
        slack = BURST - step + 1e-9
        table = self._idle_at
        begins = max(now, table.get(key, 0.0))
        if begins - now > slack:
            table.move_to_end(key)
            return begins - now - slack
        table[key] = begins + step * count
        table.move_to_end(key)
        if len(table) > self._kept:
            table.popitem(last=False)
        return 0.0


class Limits:
    """Asked by the server before any door."""

    def __init__(self, settings: Settings) -> None:
        self._addresses = Rates(lambda: settings.requests_per_address)
        self._keys = Rates(lambda: settings.reports_per_key)
        self._proxies = Proxies(settings.trusted_proxies)

    def wait(self, scope: Mapping[str, Any], now: float | None = None) -> float:
        """Seconds that this request must wait; 0: answer it."""
        moment = time.monotonic() if now is None else now
        client = scope.get("client")
        peer = client[0] if client else ""
        if self._proxies.trusts(peer):
            peer = self._proxies.origin(peer, "", dict(scope["headers"]))[0]
        network = network_of(peer)
        wait = self._addresses.take(network, moment) if network else 0.0
        path: str = scope["path"]
        if not wait and path.startswith(KEYED):
            wait = self._keys.take(_key_of(path), moment)
        return wait


def _key_of(path: str) -> str:
    """`/ping/<uuid>/start` and `/ping/<key>/<slug>/3` without what the job says."""
    parts = path[:_KEY].split("/", 5)
    named = 5 if path.startswith("/api/v1/") else 3 if len(parts) > 2 and len(parts[2]) == 36 else 4
    return "/".join(parts[:named])


async def refuse(wait: float, send: Send) -> None:
    """429, with the seconds after which it makes sense to ask again."""
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"retry-after", str(math.ceil(wait)).encode())]
    await send({"type": "http.response.start", "status": 429, "headers": headers})
    await send({"type": "http.response.body", "body": b"too many requests, try again in a moment\n"})
