"""Groups: the quorum itself, how one is declared, and how the watch lane judges it from its members."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import ValidationError
from tests.rigs.watching import ACTOR, in_thread, journal, monitor, watching

from mainstay.integrations.checks.group.spec import KIND
from mainstay.kernel.errors import InvalidInput
from mainstay.kernel.ports import Quorum
from mainstay.store.resources.apply import apply, declare
from mainstay.store.resources.files import read_body
from mainstay.store.resources.planning import Terms, plan_reading
from mainstay.watch import verbs
from mainstay.watch.quorum import judge

UP, DOWN, WEAK, UNKNOWN = "up", "down", "degraded", "unknown"


@pytest.mark.parametrize(
    ("needed", "states", "verdict", "says"),
    [
        (2, [UP, UP, DOWN], "up", ""),
        (2, [UP, DOWN, DOWN], "down", "1 of 3 is up, 2 must be: b, c are down"),
        (3, [UP, UP, DOWN], "down", "2 of 3 are up, 3 must be: c is down"),
        (2, [UP, WEAK, DOWN], "degraded", "2 of 3 are up, 2 must be, and of these b is degraded"),
        (1, [UP, WEAK, DOWN], "up", ""),
        (2, [UP, UNKNOWN, DOWN], "unknown", "1 of 3 is up, 2 must be, and the state is unknown of b"),
        (2, [UP, "paused", "maintenance"], "unknown", "the state is unknown of b, c"),
        (2, [DOWN, DOWN, UNKNOWN], "down", "0 of 3 are up"),
        (1, [UNKNOWN, DOWN, UP], "up", ""),
    ],
)
def test_quorum(needed: int, states: list[str], verdict: str, says: str) -> None:
    result = judge(Quorum(("a", "b", "c"), needed), dict(zip("abc", states, strict=True)))
    assert result.verdict == verdict
    assert says in result.message
    assert result.evidence["members"] == dict(zip("abc", states, strict=True))
    assert result.evidence["needed"] == needed


def test_a_member_that_is_gone_is_unknown() -> None:
    assert judge(Quorum(("a", "b"), 2), {"a": "up"}).verdict == "unknown"


@pytest.mark.parametrize(
    ("document", "needed", "address"),
    [
        ({"members": ["a", "b", "c"]}, 2, "2 of a, b, c"),
        ({"members": ["a", "b", "c", "d"], "up": "most"}, 3, "3 of a, b, c, d"),
        ({"members": ["a", "b"], "up": "any"}, 1, "1 of a, b"),
        ({"members": ["a", "b"], "up": "all"}, 2, "2 of a, b"),
        ({"members": ["a", "b"], "up": 1}, 1, "1 of a, b"),
    ],
)
def test_how_many_must_be_up(document: Any, needed: int, address: str) -> None:
    target = KIND.target.model_validate(document)
    assert KIND.quorum is not None
    assert KIND.quorum(target) == Quorum(tuple(document["members"]), needed)
    assert KIND.address(target) == address


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"members": []}, "at least 1 item"),
        ({"members": ["a", "a"]}, "named twice"),
        ({"members": ["a"], "up": 2}, "has 1 member"),
        ({"members": ["a"], "up": 0}, "up is 0"),
        ({"members": ["a"], "up": "some"}, "Input should be"),
    ],
)
def test_wrong_groups_are_refused(document: Any, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        KIND.target.model_validate(document)


def applied(text: str) -> None:
    apply(ACTOR, plan_reading(ACTOR, read_body(text.encode()), Terms("file", "f")))


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("monitors:\n  g: {group: [api, gone]}\n  api: {tcp: 'a.example:1'}\n", "no monitor `gone`"),
        ("monitors:\n  g: {group: {members: [gone]}}\n", "no monitor `gone`"),
        ("monitors:\n  a: {group: [b]}\n  b: {group: [a]}\n", "depend on each other in a cycle"),
        ("monitors:\n  a: {group: [a]}\n", "depend on each other in a cycle"),
    ],
)
def test_members_must_exist_and_lead_to_no_circle(text: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        applied(text)


@pytest.mark.usefixtures("store")
def test_a_member_cannot_be_pruned_alone() -> None:
    applied("monitors:\n  g: {group: [api]}\n  api: {tcp: 'a.example:1'}\n")
    with pytest.raises(InvalidInput, match="no monitor `api`"):
        plan_reading(ACTOR, read_body(b"monitors:\n  g: {group: [api]}\n"), Terms("file", "f", prune="all"))


def _group(name: str, members: list[str], **document: Any) -> str:
    once = {"confirm": {"failures": 1}, "recover": {"successes": 1}}
    return declare(ACTOR, "monitor", name, {"group": {"members": members}, **once, **document}, manager="api").uid


@pytest.mark.usefixtures("store")
def test_the_lane_judges_a_group_when_its_members_move() -> None:
    for name in ("a", "b", "c"):
        monitor(name, confirm={"failures": 1}, recover={"successes": 1})
    uid = _group("any-two", ["a", "b", "c"])
    _group("both", ["any-two", "a"])

    async def main() -> None:
        async with watching() as scene:
            assert uid not in scene.probers.orders
            for name in ("a", "b", "c"):
                scene.result(name, "up")
            assert (scene.state("any-two"), scene.state("both")) == ("up", "up")
            scene.result("c", "down")
            assert scene.state("any-two") == "up"
            scene.result("b", "down")
            assert (scene.state("any-two"), scene.state("both")) == ("down", "down")
            scene.result("b", "up")
            assert (scene.state("any-two"), scene.state("both")) == ("up", "up")
            await scene.written()
            told = [entry for entry in await journal() if entry.subject == "monitor/any-two"]
            assert [entry.kind for entry in told] == ["monitor.went_up", "monitor.went_down", "monitor.went_up"]
            assert told[1].data["code"] == "expect.quorum"
            assert told[1].data["message"] == "1 of 3 is up, 2 must be: b, c are down"
            assert told[1].data["evidence"]["members"] == {"a": "up", "b": "down", "c": "down"}
            samples = [sample for sample in scene.telemetry.samples if sample.uid == uid]
            assert {sample.verdict for sample in samples} >= {"up", "down"}
            assert scene.probers.rechecked == []

    asyncio.run(main())


@pytest.mark.usefixtures("store")
def test_a_group_notices_a_pause_and_is_judged_again_on_request() -> None:
    monitor("a", confirm={"failures": 1})
    uid = _group("alone", ["a"])

    async def main() -> None:
        async with watching() as scene:
            scene.result("a", "up")
            assert scene.state("alone") == "up"
            await in_thread(lambda: verbs.pause_monitors(ACTOR, ["a"], scene.clock))
            await scene.until(lambda: scene.state("a") == "paused")
            entry = scene.lane.board.entries[uid]
            await scene.until(lambda: entry.last is not None and entry.last.verdict == "unknown")
            count = len(scene.telemetry.samples)
            scene.lane.recheck(uid)
            await scene.until(lambda: len(scene.telemetry.samples) > count)
            assert entry.last is not None
            assert entry.last.scheduled is False

    asyncio.run(main())


@pytest.mark.usefixtures("store")
def test_a_group_confirms_like_any_monitor() -> None:
    monitor("a", confirm={"failures": 1})
    declare(
        ACTOR,
        "monitor",
        "slowly",
        {"group": ["a"], "confirm": {"failures": 2, "recheck": "10ms"}},
        manager="api",
    )

    async def main() -> None:
        async with watching() as scene:
            scene.result("a", "up")
            scene.result("a", "down")
            assert scene.state("slowly") == "up"
            await scene.until(lambda: scene.state("slowly") == "down")

    asyncio.run(main())
