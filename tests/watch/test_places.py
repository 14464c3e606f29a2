"""Locations: what is declared, remembered and told of them, and the door that their probers come in by."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from django.db import connections
from django.test import override_settings
from msgspec.structs import replace as replace_fields
from tests.rigs.watching import ACTOR, closing, in_loop, location, monitor, watching

from mainstay.accounts import queries as accounts
from mainstay.accounts import rules, token_verbs
from mainstay.alerting.queries import alerts
from mainstay.kernel.actor import Actor
from mainstay.kernel.errors import Forbidden, InvalidInput
from mainstay.kernel.probing import (
    Assign,
    Batch,
    CheckOrder,
    CheckResult,
    ClockAsk,
    ClockTold,
    Hello,
    Received,
    Recheck,
    ToRemote,
    Vitals,
    Welcome,
    Withdraw,
)
from mainstay.store.journal import Filter, entries
from mainstay.store.resources.apply import declare
from mainstay.watch import join, location_queries
from mainstay.watch.fleet import Fleet
from mainstay.watch.join import JoinDoor
from mainstay.watch.lanes.places import PlacesLane
from mainstay.watch.links import Links
from mainstay.watch.location_verbs import Seen, record_presence, save_locations

pytestmark = pytest.mark.usefixtures("store")

_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[ToRemote] = msgspec.msgpack.Decoder(ToRemote)


def complaint(document: dict[str, Any]) -> str:
    with pytest.raises(InvalidInput) as caught:
        declare(ACTOR, "monitor", "m", {"http": "http://127.0.0.1:1/", **document}, manager="api")
    return " ".join(item.message for item in caught.value.diagnostics)


# What may be declared


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"locations": ["main", "frra"]}, "frra"),
        ({"locations": ["fra", "fra"]}, "named twice"),
        ({"locations": ["fra", "nyc"], "quorum": "2 of 3"}, "there are 2 locations"),
        ({"locations": ["fra", "nyc"], "quorum": 3}, "1 to 2"),
        ({"quorum": 1}, "there are none"),
        ({"locations": ["fra"], "confirm": {"elsewhere": True}}, "at least two"),
    ],
)
def test_mistakes_of_locations_are_told(document: dict[str, Any], words: str) -> None:
    location("fra")
    location("nyc")
    assert words in complaint(document)


def test_a_group_has_no_locations_and_the_server_is_not_declared() -> None:
    location("fra")
    monitor("one")
    document = {"group": {"members": ["one"]}, "locations": ["fra"]}
    with pytest.raises(InvalidInput) as caught:
        declare(ACTOR, "monitor", "g", document, manager="api")
    assert "group" in str([item.message for item in caught.value.diagnostics])
    with pytest.raises(InvalidInput) as caught:
        location("main")
    assert "this server itself" in next(iter(caught.value.diagnostics)).message


def test_rows_of_locations_follow_what_is_declared() -> None:
    uid = location("fra", description="Frankfurt")
    monitor("shop", locations=["main", "fra"])
    found = location_queries.location("fra")
    assert (found.uid, found.state, found.description, found.monitors) == (uid, "waiting", "Frankfurt", ("shop",))
    from mainstay.store.resources.apply import remove

    with pytest.raises(InvalidInput):
        remove(ACTOR, "location", "fra", manager="api", source="t", takeover=True)
    remove(ACTOR, "monitor", "shop", manager="api", source="t", takeover=True)
    remove(ACTOR, "location", "fra", manager="api", source="t", takeover=True)
    assert location_queries.locations() == []


# What is remembered and told


def test_a_lost_location_is_told_once_and_so_is_its_return(clock: Any) -> None:
    uid = location("fra")
    heard = clock.now()
    save_locations(ACTOR, [Seen(uid, heard, heard, True, "1", "192.0.2.1")], clock)
    for _ in range(2):
        assert record_presence(ACTOR, uid, "up", 30.0, clock) == "up"
    assert record_presence(ACTOR, uid, "silent", 30.0, clock) == "up", "another server has heard it a moment ago"
    clock.advance(31)
    for _ in range(2):
        assert record_presence(ACTOR, uid, "silent", 30.0, clock) == "silent"
    told = [entry.kind for entry in entries(Filter(kind="location.*"), limit=0, newest_first=False)]
    assert told == ["location.came_back", "location.went_silent"]
    (alert,) = alerts(status="firing")
    assert (alert.subject, alert.severity, dict(alert.labels)["location"]) == ("location/fra", "P1", "fra")
    assert alert.title == "the location fra has stopped reporting"
    assert record_presence(ACTOR, uid, "up", 30.0, clock) == "up"
    assert record_presence(ACTOR, "gone", "up", 30.0, clock) is None
    assert alerts(status="firing") == []


def test_of_two_servers_the_one_that_heard_last_counts() -> None:
    uid = location("fra")
    save_locations(ACTOR, [Seen(uid, 200.0, 100.0, True, "new")])
    save_locations(ACTOR, [Seen(uid, 150.0, 100.0, False, "old")])
    assert location_queries.location("fra").version == "new"


def test_verbs_ask_for_their_scope() -> None:
    nobody = Actor("token", "nobody")
    with pytest.raises(Forbidden):
        record_presence(nobody, "u", "up", 1.0)
    with pytest.raises(Forbidden):
        save_locations(nobody, [])


# Votes in the lane


class Recorded:
    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def assign(self, *arguments: Any) -> None:
        self.calls.append(("assign", *arguments[:-1], sorted(order.uid for order in arguments[-1])))

    def withdraw(self, *arguments: Any) -> None:
        self.calls.append(("withdraw", *arguments[:-1], sorted(arguments[-1])))

    def recheck(self, *arguments: Any) -> None:
        self.calls.append(("recheck", *arguments))

    def taken(self) -> list[tuple[Any, ...]]:
        calls, self.calls = self.calls, []
        return calls


def order(uid: str) -> CheckOrder:
    return CheckOrder(uid=uid, kind="tcp", interval=60.0, timeout=5.0, options={"target": {}, "expect": {}})


def test_orders_go_to_the_places_that_a_monitor_names() -> None:
    local, remote = Recorded(), Recorded()
    fleet = Fleet(local, remote, "main")
    fleet.assign([order("a"), order("b")])
    assert local.taken() == [("assign", ["a", "b"])]
    assert fleet.place({"b": ("main", "fra"), "c": ("fra",)}) in (["b", "c"], ["c", "b"])
    assert local.taken() == [("withdraw", ["c"])]
    fleet.assign([order("a"), order("b"), order("c")])
    assert local.taken() == [("assign", ["a", "b"])]
    assert remote.taken() == [("assign", "fra", ["b", "c"])]
    fleet.recheck("b", 1.0)
    assert (local.taken(), remote.taken()) == ([("recheck", "b", 1.0)], [("recheck", "fra", "b", 1.0)])
    assert fleet.place({"c": ("nyc",)}) in (["b", "c"], ["c", "b"])
    assert remote.taken() == [("withdraw", "fra", ["b", "c"])]
    fleet.withdraw(["c", "a"])
    assert local.taken() == [("withdraw", ["a"])]
    assert remote.taken() == [("withdraw", "nyc", ["c"])]


# The door


class Visitor:
    """A prober on the other side of the door, without a network."""

    def __init__(self, door: JoinDoor, location: str, token: str) -> None:
        self.status, self.words, self.code, self.reason = 0, b"", 0, ""
        self.frames: asyncio.Queue[ToRemote] = asyncio.Queue()
        self._inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._inbox.put_nowait({"type": "websocket.connect"})
        scope = {
            "type": "websocket", "path": "/probe/join", "query_string": f"location={location}".encode(),
            "headers": [(b"authorization", f"Bearer {token}".encode())], "client": ("127.0.0.1", 1),
        }  # fmt: skip
        self.task = asyncio.create_task(door(scope, self._inbox.get, self._send))

    async def _send(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "websocket.send":
            self.frames.put_nowait(_DECODER.decode(message["bytes"]))
        elif kind == "websocket.close":
            self.code, self.reason = message["code"], message["reason"]
        elif kind == "websocket.http.response.start":
            self.status = message["status"]
        elif kind == "websocket.http.response.body":
            self.words = message["body"]
            self.leave()
            self.leave()

    def say(self, frame: Any) -> None:
        self._inbox.put_nowait({"type": "websocket.receive", "bytes": _ENCODER.encode(frame)})

    def mumble(self, **message: Any) -> None:
        self._inbox.put_nowait({"type": "websocket.receive", **message})

    def leave(self) -> None:
        self._inbox.put_nowait({"type": "websocket.disconnect", "code": 1005})

    async def hears(self) -> ToRemote:
        return await asyncio.wait_for(self.frames.get(), 10)

    async def ended(self) -> int:
        await asyncio.wait_for(self.task, 20)
        return self.code


@pytest.fixture
def token() -> Iterator[str]:
    yield token_verbs.create_token(ACTOR, "probe", ["probes:join"], limits=['location="fra"'])
    accounts.forget_tokens()


class Scene:
    def __init__(self) -> None:
        self.results: list[tuple[str, CheckResult]] = []
        self.links = Links(lambda name, results: self.results.extend((name, one) for one in results))
        self.links.declare(["fra", "nyc"])
        self.door = JoinDoor(self.links)

    def visit(self, token: str, location: str = "fra") -> Visitor:
        return Visitor(self.door, location, token)


@asynccontextmanager
async def _joined(scene: Scene, token: str, instance: str = "one") -> AsyncIterator[tuple[Visitor, Welcome]]:
    visitor = scene.visit(token)
    visitor.say(Hello("0.1.0", "fra", instance, 7))
    welcome = await visitor.hears()
    assert isinstance(welcome, Welcome)
    yield visitor, welcome
    visitor.leave()
    await visitor.ended()


@in_loop
async def test_a_prober_gets_its_orders_and_every_change_of_them(token: str) -> None:
    scene = Scene()
    scene.links.assign("fra", [order("a")])
    async with _joined(scene, token) as (visitor, welcome):
        assert (welcome.received, welcome.uids) == (0, ["a"])
        first = await visitor.hears()
        assert isinstance(first, Assign)
        assert [one.uid for one in first.orders] == ["a"]
        scene.links.assign("fra", [order("b")])
        assert isinstance(await visitor.hears(), Assign)
        scene.links.recheck("fra", "b", 2.0)
        assert await visitor.hears() == Recheck("b", 2.0)
        scene.links.withdraw("fra", ["a"])
        assert await visitor.hears() == Withdraw(["a"])
        visitor.say(ClockAsk(5.0))
        told = await visitor.hears()
        assert isinstance(told, ClockTold)
        assert (told.sent, abs(told.at - time.time()) < 5) == (5.0, True)
    assert scene.links.stations["fra"].link is None


@in_loop
async def test_results_are_corrected_taken_once_and_only_where_they_were_asked_for(token: str) -> None:
    scene = Scene()
    scene.links.assign("fra", [order("a")])
    now = time.time()
    batch = Batch(
        1,
        [
            CheckResult(uid="a", at=now - 70, verdict="up"),
            CheckResult(uid="somebody-elses", at=now, verdict="down"),
            CheckResult(uid="a", at=now + 9_999, verdict="up"),
            CheckResult(uid="a", at=now - 90 * 86_400, verdict="up"),
        ],
        60.0,
    )
    async with _joined(scene, token) as (visitor, _):
        await visitor.hears()
        visitor.say(batch)
        assert await visitor.hears() == Received(1)
        assert [(name, one.uid) for name, one in scene.results] == [("fra", "a")] * 2
        assert scene.results[0][1].at == pytest.approx(now - 10, abs=0.01)
        assert scene.results[1][1].at <= time.time(), "nothing was found in the future"
        assert scene.links.stations["fra"].ignored == 1
        visitor.say(batch)
        assert await visitor.hears() == Received(1)
        visitor.say(Batch(2, [CheckResult(uid="a", at=now, verdict="up")], float("nan")))
        assert await visitor.hears() == Received(2)
        assert len(scene.results) == 3
    async with _joined(scene, token) as (_, welcome):
        assert welcome.received == 2, "the same prober need not send again what was taken in"
    async with _joined(scene, token, "another") as (_, welcome):
        assert welcome.received == 0


@in_loop
async def test_a_place_is_taken_once_unless_its_prober_is_gone(token: str) -> None:
    scene = Scene()
    async with _joined(scene, token) as (first, _):
        second = scene.visit(token)
        second.say(Hello("0.1.0", "fra", "two", 8))
        assert await second.ended() == 4409
        again = scene.visit(token)
        again.say(Hello("0.1.0", "fra", "one", 7))
        assert isinstance(await again.hears(), Welcome)
        assert await first.ended() == 4409, "its own half-open link gives way"
        scene.links.stations["fra"].heard -= 60
        third = scene.visit(token)
        third.say(Hello("0.1.0", "fra", "three", 9))
        assert isinstance(await third.hears(), Welcome)
        for visitor in (again, third):
            visitor.leave()
            await visitor.ended()


@pytest.mark.parametrize(
    "wrong",
    [{"text": "hello"}, {"bytes": b"\xc1"}, {"bytes": b"\x91" * 5_000}, {"bytes": _ENCODER.encode(Received(1))}],
    ids=["text", "garbage", "deep", "not for the server"],
)
@in_loop
async def test_what_is_no_frame_ends_the_link(token: str, wrong: dict[str, Any]) -> None:
    scene = Scene()
    for first in (True, False):
        visitor = scene.visit(token)
        if not first:
            visitor.say(Hello("0.1.0", "fra", "one", 7))
        visitor.mumble(**wrong)
        assert await visitor.ended() == 4400
    assert scene.links.stations["fra"].link is None


@pytest.mark.parametrize(
    "wild",
    [{"checks": 2**63}, {"waiting": -1}, {"offset": float("nan")}, {"round_trip": float("inf")}],
    ids=["large", "less than nothing", "no number", "endless"],
)
@in_loop
async def test_vitals_that_no_database_holds_end_the_link(token: str, wild: dict[str, Any]) -> None:
    """All locations are saved together: the word of one prober must not keep the others from being saved."""
    scene = Scene()
    async with _joined(scene, token) as (visitor, _):
        visitor.say(replace_fields(Vitals(time.time(), 0, 0, 5, 0.0, 1), **wild))
        assert await visitor.ended() == 4400
        assert next(iter(wild)) in visitor.reason
    assert scene.links.stations["fra"].vitals is None


@in_loop
async def test_a_version_with_what_no_database_holds_ends_the_link(token: str) -> None:
    visitor = Scene().visit(token)
    visitor.say(Hello("0.1.0\0", "fra", "one", 7))
    assert await visitor.ended() == 4400


def _batches(count: int, size: int) -> list[Batch]:
    now = time.time()
    return [Batch(n, [CheckResult(uid="a", at=now, verdict="up") for _ in range(size)]) for n in range(1, count + 1)]


@in_loop
async def test_a_frame_of_too_many_results_ends_the_link_and_is_told(token: str) -> None:
    scene = Scene()
    scene.links.assign("fra", [order("a")])
    async with _joined(scene, token) as (visitor, _):
        visitor.say(_batches(1, 60_000)[0])
        assert await visitor.ended() == 4400
        assert "length <= 200" in visitor.reason
    assert not scene.results


@in_loop
async def test_between_two_frames_everybody_else_has_a_turn(token: str) -> None:
    scene = Scene()
    scene.links.assign("fra", [order("a")])
    async with _joined(scene, token) as (visitor, _):
        for batch in _batches(20, 200):
            visitor.say(batch)
        seen = []
        while len(scene.results) < 4_000:
            seen.append(len(scene.results))
            await asyncio.sleep(0)
        assert len(set(seen)) >= 20, "the loop had a turn after each frame"


@in_loop
async def test_who_says_nothing_or_another_place_is_sent_away(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(join, "HELLO_SECONDS", 0.05)
    scene = Scene()
    assert await scene.visit(token).ended() == 4408
    liar = scene.visit(token)
    liar.say(Hello("0.1.0", "nyc", "one", 7))
    assert await liar.ended() == 4400


@in_loop
async def test_whoever_does_not_read_is_cut_off(token: str) -> None:
    scene = Scene()
    async with _joined(scene, token) as (visitor, _):
        link = scene.links.stations["fra"].link
        assert link is not None
        for _ in range(6_000):
            link.send(Recheck("a", 0.0))  # the loop never gets a turn to write
        assert await visitor.ended() == 4429


@in_loop
async def test_only_a_good_token_of_this_place_opens_the_door(token: str) -> None:
    scene = Scene()

    def make(scopes: list[str], limits: list[str]) -> str:
        try:
            return token_verbs.create_token(ACTOR, "t", scopes, limits=limits)
        finally:
            connections.close_all()

    unlimited = await asyncio.to_thread(make, ["probes:join"], [])
    elsewhere = await asyncio.to_thread(make, ["probes:join"], ['location="nyc"'])
    other = await asyncio.to_thread(make, ["monitors:read"], ['location="fra"'])
    unknown = await asyncio.to_thread(make, ["probes:join"], ['location="sin"'])
    for given, place, status in (
        ("", "fra", 401),
        (str(rules.new_token()), "fra", 401),
        (unlimited, "fra", 403),
        (elsewhere, "fra", 403),
        (other, "fra", 403),
        (token, "nyc", 403),
        (token, "", 403),
        (unknown, "sin", 404),
    ):
        visitor = scene.visit(given, place)
        await visitor.ended()
        assert visitor.status == status, (place, visitor.words)
        assert given.encode() not in visitor.words or not given


@in_loop
async def test_a_token_that_is_revoked_or_over_ends_the_link(token: str) -> None:
    await asyncio.to_thread(closing, lambda: location("fra") and None)
    async with watching() as scene:
        links = Links(scene.lane.take_from)
        lane = PlacesLane(links, scene.lane, scene.writer, scene.clock)
        await lane.turn()
        visitor = Visitor(JoinDoor(links), "fra", token)
        visitor.say(Hello("0.1.0", "fra", "one", 7))
        assert isinstance(await visitor.hears(), Welcome)
        visitor.say(Vitals(time.time(), 0, 0, 5, 0.0, 1, waiting=3, dropped=2, offset=-1.5, round_trip=0.02))
        await asyncio.sleep(0.05)
        await lane.turn()
        view = await asyncio.to_thread(_read_location)
        assert (view.state, view.connected, view.waiting, view.dropped, view.offset) == ("up", True, 3, 2, -1.5)
        parsed = rules.parse_token(token)
        assert parsed is not None
        await asyncio.to_thread(closing, lambda: token_verbs.revoke_token(ACTOR, parsed.id))
        await lane.turn()
        assert await visitor.ended() == 4403
        assert await lane.probe() == "ok", "not silent yet"
        links.stations["fra"].heard -= 60
        lane._presences[next(iter(lane._presences))].heard -= 60
        await lane.turn()
        assert await lane.probe() == "no reports from fra"
        assert (await asyncio.to_thread(_read_location)).state == "up", "a word of it was saved a moment ago"
        assert [snapshot.up for snapshot in lane.snapshots()] == [False]
        lane.close()


def _read_location() -> location_queries.LocationView:
    try:
        return location_queries.location("fra")
    finally:
        connections.close_all()


def test_the_place_of_this_server_may_be_called_otherwise() -> None:
    from django.conf import settings

    from mainstay.kernel.resource import KINDS
    from mainstay.watch.spec import location_kind

    with override_settings(MAINSTAY=replace(settings.MAINSTAY, location="hq")):
        assert list(location_kind("hq").check("hq", None))
        assert not list(location_kind("hq").check("main", None))
    assert "location" in KINDS
