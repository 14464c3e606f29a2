"""Locations: which are declared, which can be heard, whether their tokens are still good, and what is kept of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import structlog
from django.db import DatabaseError, connections

from mainstay.kernel.actor import system
from mainstay.kernel.clock import Clock
from mainstay.store.hub import HUB
from mainstay.store.writer import Writer
from mainstay.watch import location_queries
from mainstay.watch.directory import Location
from mainstay.watch.join import Link
from mainstay.watch.lanes.watch import WatchLane
from mainstay.watch.links import Links, Station
from mainstay.watch.location_verbs import Seen, record_presence, save_locations
from mainstay.watch.metrics import LocationSnapshot
from mainstay.watch.presence import Presence, PresenceState, change

log = structlog.get_logger("places")

EVERY = 0.5
_TOKENS = 0.75  # seconds between two looks at the tokens of the links
_SAVE = 5.0
_AGAIN = 5.0  # seconds until a location that another server hears is looked at again
_LANE = system("places")
T = TypeVar("T")


class PlacesLane:
    """`turn` again and again; `close` at the end."""

    def __init__(self, links: Links, watch: WatchLane, writer: Writer, clock: Clock) -> None:
        self._links, self._watch, self._writer, self._clock = links, watch, writer, clock
        self._presences: dict[str, Presence] = {}  # by uid
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="places-reader")
        self._looked = self._saved = float("-inf")
        self._blind_until = float("-inf")
        self._revoked = False
        self._away: set[str] = set()  # names of those that this server does not hear any more
        self._again: dict[str, float] = {}  # uid -> when to look at it again
        self._unsubscribe = HUB.subscribe(self._hear)

    def _hear(self, event: object) -> None:
        self._revoked = self._revoked or str(getattr(event, "kind", "")).startswith(("token.", "user."))

    async def turn(self) -> None:
        places = self._watch.places
        self._links.declare(places)
        if not places:
            return
        await self._take_up()
        await self._check_tokens()
        for place in places.values():
            await self._follow(place, self._links.stations[place.name])
        if self._clock.monotonic() - self._saved >= _SAVE and self._writer.waiting_since is None:
            self._saved = self._clock.monotonic()
            seen = [self._seen(place, self._links.stations[place.name]) for place in places.values()]
            await self._writer.run(
                partial(save_locations, _LANE, [one for one in seen if one is not None], self._clock)
            )

    async def probe(self) -> str:
        """For the health of the server: which locations are lost. One that no prober has joined yet is none of them."""
        lost = sorted(self._away & set(self._watch.places))
        return f"no reports from {', '.join(lost)}" if lost else "ok"

    def snapshots(self) -> list[LocationSnapshot]:
        """For the metrics."""
        found = []
        for station in list(self._links.stations.values()):
            vitals = station.vitals
            found.append(
                LocationSnapshot(
                    name=station.name,
                    up=station.link is not None,
                    monitors=len(station.orders),
                    offset=vitals.offset if vitals else 0.0,
                    round_trip=vitals.round_trip if vitals else 0.0,
                    waiting=vitals.waiting if vitals else 0,
                    dropped=vitals.dropped if vitals else 0,
                    ignored=station.ignored,
                    results=station.results,
                )
            )
        return found

    def close(self) -> None:
        self._unsubscribe()
        self._reader.submit(connections.close_all)
        self._reader.shutdown(wait=True)

    async def _take_up(self) -> None:
        """Locations that were not known a moment ago begin with what is remembered of them."""
        declared = {place.uid for place in self._watch.places.values()}
        if declared == self._presences.keys():
            return
        stored = await self._read(location_queries.states)
        mono = self._clock.monotonic()
        for uid in declared - self._presences.keys():
            self._presences[uid] = Presence(stored.get(uid, "waiting"), mono)
        for uid in self._presences.keys() - declared:
            del self._presences[uid]

    async def _check_tokens(self) -> None:
        """A link whose token is revoked, over, or limited otherwise is cut."""
        mono = self._clock.monotonic()
        if mono - self._looked < _TOKENS and not self._revoked:
            return
        self._looked, self._revoked = mono, False
        links = [station.link for station in self._links.stations.values() if station.link is not None]
        if not links:
            return
        try:
            bad = await self._read(partial(_no_longer_good, links))
        except DatabaseError as error:
            log.warning("the tokens of probers cannot be checked", error=str(error)[:200])
            return
        for link in bad:
            self._links.revoke(link)

    async def _follow(self, place: Location, station: Station) -> None:
        presence, mono = self._presences[place.uid], self._clock.monotonic()
        blind = "network" in self._watch.board.uplink.lost
        if blind:
            self._blind_until = mono + place.silent_after
        presence.heard = max(presence.heard, station.heard)
        if station.link is None:
            presence.since = None
        elif presence.since is None:
            presence.since = mono
        away = mono - presence.heard > place.silent_after
        if away and presence.state != "waiting":
            self._away.add(place.name)
        else:
            self._away.discard(place.name)
        self._watch.reach(place.name, lost=away or (presence.state == "waiting" and station.link is None))
        to = change(presence, mono, place.silent_after, blind=blind or mono < self._blind_until)
        busy = self._writer.waiting_since is not None or mono < self._again.get(place.uid, mono)
        if to is not None and not busy:
            await self._record(place, station, to)

    async def _record(self, place: Location, station: Station, to: PresenceState) -> None:
        """Another server may hear a location that this one does not: then it is not told to be lost, but looked at
        again, because that server may be gone."""
        if to == "up":
            # Before the event: so that no other server takes it for silent at once.
            seen = self._seen(place, station)
            if seen is not None:
                await self._writer.run(partial(save_locations, _LANE, [seen], self._clock))
        presence, job = self._presences[place.uid], partial(record_presence, _LANE, place.uid, to)
        known = await self._writer.run(partial(job, place.silent_after, self._clock), urgent=True)
        if known == to:
            log.warning("location changed", location=place.name, state=to)
        else:
            self._again[place.uid] = self._clock.monotonic() + _AGAIN
        presence.state = known or to

    def _seen(self, place: Location, station: Station) -> Seen | None:
        """None of a prober that was never heard by this server."""
        hello, vitals = station.hello, station.vitals
        if hello is None:
            return None
        now, mono = self._clock.now(), self._clock.monotonic()
        return Seen(
            uid=place.uid,
            heard_at=now - (mono - station.heard),
            joined_at=station.link.since if station.link is not None else 0.0,
            connected=station.link is not None,
            version=hello.version[:60],
            address=station.address[:60],
            offset=vitals.offset if vitals else 0.0,
            round_trip=vitals.round_trip if vitals else 0.0,
            assigned=len(station.orders),
            checks=vitals.checks if vitals else 0,
            waiting=vitals.waiting if vitals else 0,
            dropped=vitals.dropped if vitals else 0,
            ignored=station.ignored,
        )

    async def _read(self, job: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._reader, job)


def _no_longer_good(links: list[Link]) -> list[Link]:
    return [link for link in links if not link.visitor.may_join()]
