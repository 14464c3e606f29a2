"""Votes of places: how the results of several become one state of a monitor."""

from __future__ import annotations

import asyncio

import pytest
from tests.rigs.watching import Watching, closing, in_loop, journal, location, monitor, watching

from mainstay.kernel.probing import CheckResult, Verdict

pytestmark = pytest.mark.usefixtures("store")

PLACES = ["main", "fra", "nyc"]


def found(scene: Watching, name: str, verdict: Verdict) -> CheckResult:
    code = "connect.refused" if verdict == "down" else ""
    return CheckResult(uid=scene.uid(name), at=scene.clock.now(), verdict=verdict, code=code, duration=0.01)


@in_loop
async def test_votes_of_places_become_one_state_with_evidence_and_a_history_for_each() -> None:
    def prepare() -> None:
        for name in ("fra", "nyc"):
            location(name)
        monitor("shop", locations=PLACES, quorum="2 of 3", confirm={"failures": 2, "recheck": "1s"})
        monitor("plain")

    await asyncio.to_thread(closing, prepare)
    async with watching() as scene:
        uid = scene.uid("shop")
        assert scene.probers.placed == {uid: tuple(PLACES)}
        scene.result("shop", "up")
        assert scene.state("shop") == "unknown", "one of three is no quorum"
        scene.lane.take_from("fra", [found(scene, "shop", "up")])
        assert scene.state("shop") == "up"
        scene.lane.take_from("fra", [found(scene, "plain", "down")])
        assert scene.state("plain") == "unknown", "nobody elsewhere is asked about it"
        for _ in range(2):
            scene.result("shop", "down")
            scene.lane.take_from("nyc", [found(scene, "shop", "down")])
        assert scene.state("shop") == "down"
        await scene.written()
        (went_down,) = await journal("monitor.went_down")
        votes = went_down.data["evidence"]["locations"]
        assert {name: vote["verdict"] for name, vote in votes.items()} == {"main": "down", "fra": "up", "nyc": "down"}
        places = {sample.location for sample in scene.telemetry.samples if sample.uid == uid}
        assert places == {"", *PLACES}
        assert all(sample.charged == 0 for sample in scene.telemetry.samples if sample.location)


@in_loop
async def test_a_first_failure_is_put_to_the_other_places_at_once_where_that_is_wished() -> None:
    def prepare() -> None:
        location("fra")
        monitor("shop", locations=["main", "fra"], quorum=1, confirm={"elsewhere": True})

    await asyncio.to_thread(closing, prepare)
    async with watching() as scene:
        for place in ("main", "fra"):
            scene.lane.take_from(place, [found(scene, "shop", "up")])
        scene.result("shop", "down")
        assert scene.probers.rechecked_at == [("fra", scene.uid("shop"), 0.0)]
        scene.lane.take_from("fra", [found(scene, "shop", "up")])
        for _ in range(5):
            scene.result("shop", "down")
            scene.lane.take_from("fra", [found(scene, "shop", "up")])
        assert scene.state("shop") == "up"


@in_loop
async def test_without_enough_places_nothing_is_known() -> None:
    def prepare() -> None:
        location("fra")
        monitor("shop", locations=["main", "fra"])

    await asyncio.to_thread(closing, prepare)
    async with watching() as scene:
        for place in ("main", "fra"):
            scene.lane.take_from(place, [found(scene, "shop", "up")])
        assert scene.state("shop") == "up"
        scene.lane.reach("fra", lost=True)
        assert scene.state("shop") == "unknown"
        scene.result("shop", "up")
        assert scene.state("shop") == "unknown"
        scene.lane.reach("fra", lost=False)
        scene.lane.take_from("fra", [found(scene, "shop", "up")])
        assert scene.state("shop") == "up"
        await scene.written()
        assert [entry.data["reason"] for entry in await journal("monitor.went_unknown")] == ["too_few_votes"]


# Who is ordered what


@pytest.fixture
def two_names() -> None:
    for name in ("fra", "nyc"):
        location(name)
    for name, host in (("api", "a.example.com"), ("web", "b.example.net")):
        monitor(name, f"https://{host}/", locations=["fra", "nyc"], every="10s")


@pytest.mark.usefixtures("two_names")
@in_loop
async def test_a_name_that_places_cannot_look_up_is_down_where_they_find_others() -> None:
    async with watching() as scene:
        verdicts: tuple[Verdict, ...] = ("up", "unknown", "unknown", "unknown")
        for verdict in verdicts:
            for place in ("fra", "nyc"):
                scene.lane.take_from(place, [CheckResult(uid=scene.uid("web"), at=scene.clock.now(), verdict="up")])
                code = "lookup.failed" if verdict == "unknown" else ""
                found = CheckResult(uid=scene.uid("api"), at=scene.clock.now(), verdict=verdict, code=code)
                scene.lane.take_from(place, [found])
        assert (scene.state("api"), scene.state("web")) == ("down", "up")
        entry = scene.lane.board.named("api")
        assert entry is not None
        assert entry.last is not None
        assert entry.last.code == "lookup.failed"
