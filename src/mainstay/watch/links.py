"""The server's side of the probers at other places: their orders, their results, and how they do.

Orders, with the secrets in them, live in memory here and in the probers, and nowhere else. A prober that comes back
gets all of its orders again. What it sends is believed about the monitors assigned to it, and about
nothing else.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import assert_never

import structlog
from msgspec.structs import replace

from mainstay import __version__
from mainstay.kernel.probing import (
    Assign,
    Batch,
    CheckOrder,
    CheckResult,
    ClockAsk,
    ClockTold,
    FromRemote,
    Hello,
    Received,
    Recheck,
    Vitals,
    Welcome,
    Withdraw,
)
from mainstay.watch.facts import share_of
from mainstay.watch.join import Link
from mainstay.watch.telling import plain, text_of

_log = structlog.get_logger(__name__)

_ORDERS_PER_FRAME = 200
_QUIET = 10.0  # seconds without a word after which another prober may take a place
_OLDEST = 7 * 86_400.0  # seconds; results that are older are not taken in
_TAKEN = 4409
_UNDECLARED = 4404
_REVOKED = 4403
_PHASES = 12

OnResults = Callable[[str, list[CheckResult]], None]


@dataclass(slots=True)
class Station:
    """One location: what it is to check, and the prober that does, if one is connected.

    `received`: number of the last batch of that prober; `ignored`: results for monitors not assigned to it.
    Times are epoch seconds, those of `heard` and `since` of the steady clock.
    """

    name: str
    orders: dict[str, CheckOrder] = field(default_factory=dict)
    link: Link | None = None
    hello: Hello | None = None
    received: int = 0
    vitals: Vitals | None = None
    heard: float = float("-inf")
    ignored: int = 0
    results: int = 0
    reconnects: int = 0
    address: str = ""

    @property
    def connected(self) -> bool:
        return self.link is not None


class Links:
    """The `Reception` of the door, and the remote half of the fleet. Everything on the event loop."""

    def __init__(self, on_results: OnResults) -> None:
        self._on_results = on_results
        self.stations: dict[str, Station] = {}

    # -- what is declared and ordered --

    def declare(self, names: Iterable[str]) -> None:
        """The locations that there are; a prober at another one is sent away."""
        wanted = set(names)
        for name in wanted - self.stations.keys():
            self.stations[name] = Station(name)
        for name in self.stations.keys() - wanted:
            station = self.stations[name]
            if station.orders and station.link is None:
                continue  # its monitors follow in a moment
            if station.link is not None:
                station.link.cut(_UNDECLARED)
            del self.stations[name]

    def assign(self, location: str, orders: list[CheckOrder]) -> None:
        station = self.stations.setdefault(location, Station(location))
        # Each place has slots of its own, so that together they look more often.
        own = [replace(one, offset=round(share_of(one.uid, location) * one.interval, 3)) for one in orders]
        station.orders.update((order.uid, order) for order in own)
        if station.link is not None:
            _send_orders(station.link, own)

    def withdraw(self, location: str, uids: list[str]) -> None:
        station = self.stations.get(location)
        if station is None:
            return
        for uid in uids:
            station.orders.pop(uid, None)
        if station.link is not None:
            station.link.send(Withdraw(uids))

    def recheck(self, location: str, uid: str, delay: float) -> None:
        station = self.stations.get(location)
        if station is not None and station.link is not None:
            station.link.send(Recheck(uid, delay))

    # -- who comes and goes --

    def knows(self, location: str) -> bool:
        return location in self.stations

    def joined(self, link: Link, hello: Hello) -> int:
        station = self.stations.get(link.location)
        if station is None:
            return _UNDECLARED
        known = station.hello
        same = known is not None and known.instance == hello.instance
        if station.link is not None:
            if not same and time.monotonic() - station.heard < _QUIET:
                return _TAKEN
            station.link.cut(_TAKEN)
        if not same:
            station.received, station.vitals = 0, None
        station.reconnects += known is not None
        station.link, station.hello, station.heard = link, hello, time.monotonic()
        station.address = link.visitor.address
        _log.info("location.joined", location=link.location, version=hello.version, pid=hello.pid)
        orders = list(station.orders.values())
        link.send(Welcome(__version__, station.received, [order.uid for order in orders]))
        _send_orders(link, _spread(orders))
        return 0

    def heard(self, link: Link, frame: FromRemote) -> None:
        station = self.stations.get(link.location)
        if station is None or station.link is not link:
            return
        station.heard = time.monotonic()
        match frame:
            case Batch():
                self._take(station, link, frame)
            case Vitals():
                station.vitals = frame
            case ClockAsk():
                link.send(ClockTold(frame.sent, time.time()))
            case Hello():
                pass  # the door lets in the first one only
            case _:
                assert_never(frame)

    def left(self, link: Link) -> None:
        station = self.stations.get(link.location)
        if station is not None and station.link is link:
            station.link = None
            _log.info("location.left", location=link.location)

    def revoke(self, link: Link) -> None:
        """Its token is good no more: it ends at once, and forgets its orders."""
        link.cut(_REVOKED)
        self.left(link)

    def _take(self, station: Station, link: Link, batch: Batch) -> None:
        if batch.number <= station.received:  # it was sent again because our word of it was lost
            link.send(Received(station.received))
            return
        station.received = batch.number
        now = time.time()
        offset = batch.offset if math.isfinite(batch.offset) else 0.0
        good = []
        for result in batch.results:
            if result.uid not in station.orders:
                station.ignored += 1
                continue
            result.at = min(result.at + offset, now)
            if now - result.at < _OLDEST:
                good.append(bounded(result))
        station.results += len(good)
        if good:
            self._on_results(station.name, good)
        link.send(Received(batch.number))


def bounded(result: CheckResult) -> CheckResult:
    """What came from elsewhere, within bounds."""
    result.duration, result.lag = _length(result.duration), _length(result.lag)
    result.code, result.message = text_of(result.code, 60), text_of(result.message)
    result.phases = {text_of(name, 20): _length(value) for name, value in list(result.phases.items())[:_PHASES]}
    result.evidence = plain(result.evidence)
    return result


def _length(seconds: float) -> float:
    return seconds if 0.0 <= seconds <= 3600.0 else 0.0


def _send_orders(link: Link, orders: list[CheckOrder]) -> None:
    for start in range(0, len(orders), _ORDERS_PER_FRAME):
        link.send(Assign(orders[start : start + _ORDERS_PER_FRAME]))


def _spread(orders: list[CheckOrder]) -> list[CheckOrder]:
    """First checks of a prober that has just started, not all at once; one that comes back goes on as it was."""
    over = min(20.0, len(orders) / 50)
    return [replace(order, first_delay=share_of(order.uid, "start") * min(over, order.interval)) for order in orders]
