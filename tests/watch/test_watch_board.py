"""The board: what time is charged to, what waits for the guard, who is checked again, what is told."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from mainstay.kernel.probing import CheckResult
from mainstay.watch.board import Board, Watched
from mainstay.watch.reach import Reach, reach_of
from mainstay.watch.state import Excused, MonitorState, Paused, Policy, Reason, WindowBegan
from mainstay.watch.telling import Facts, finding_of
from mainstay.watch.uplink import Evidence, Routes

START = 1_800_000_000.0
LOOPBACK, PUBLIC = Reach("loopback"), Reach("public")


class Scene:
    """A board with monitors by name; wall clock and steady clock move together unless told otherwise."""

    def __init__(self, *monitors: Watched) -> None:
        self.board, self.now, self.mono = Board(), START, 1000.0
        self.board.declare(monitors, {})
        self.samples: list[Any] = []
        self.events: list[Any] = []
        self.rechecks: list[tuple[str, float]] = []
        self.look = False

    def result(self, uid: str, verdict: str, after: float = 60.0, *, code: str = "", **more: Any) -> None:
        self.now += after
        self.mono += after
        code = code or ("" if verdict == "up" else "connect.refused")
        self.board.take(CheckResult(uid=uid, at=self.now, verdict=verdict, code=code, **more), self.now, self.mono)  # type: ignore[arg-type]
        self.drain()

    def drain(self) -> None:
        out = self.board.drain()
        self.samples += out.samples
        self.events += [event for move in out.moved for event in move.events]
        self.rechecks += list(out.rechecks.items())
        self.look = self.look or out.look

    def guard_looks(self, *, online: bool, resolver: bool | None = None) -> None:
        evidence = Evidence(self.now, Routes(default=True, interface=True), {"a": online}, resolver)
        self.board.looked(self.board.uplink.take(evidence), self.mono, self.now, resolver=resolver)
        self.drain()

    @property
    def charges(self) -> list[tuple[str, float]]:
        return [(sample.charge, sample.charged) for sample in self.samples]

    @property
    def kinds(self) -> list[str]:
        return [event.kind.removeprefix("monitor.") for event in self.events]


def watched(uid: str = "m", reach: Reach = LOOPBACK, **policy: Any) -> Watched:
    parents = policy.pop("parents", ())
    return Watched(Facts(uid, uid), Policy(**policy, parents=bool(parents)), parents, reach, share=0.5)


class TestCharging:
    """Time since the previous result goes to the state in force."""

    def test_an_outage(self) -> None:
        scene = Scene(watched())
        scene.result("m", "up")
        scene.result("m", "up")
        scene.result("m", "down")
        scene.result("m", "down", 5)
        scene.result("m", "down")
        scene.result("m", "up")
        scene.result("m", "up", 5)
        scene.result("m", "up")
        assert scene.charges == [
            ("unknown", 0.0),
            ("up", 60.0),
            ("up", 60.0),
            ("down", 5.0),
            ("down", 60.0),
            ("down", 60.0),
            ("down", 5.0),
            ("up", 60.0),
        ]

    def test_a_gap_is_charged_up_to_a_cap(self) -> None:
        scene = Scene(watched())
        scene.result("m", "up")
        scene.result("m", "up", 5000)
        assert scene.charges[-1] == ("up", 130.0)

    @pytest.mark.parametrize("jump", [3600.0, -3600.0])
    def test_a_jump_of_the_clock_is_charged_by_the_steady_one(self, jump: float) -> None:
        scene = Scene(watched())
        scene.result("m", "up")
        scene.now += jump
        scene.result("m", "up")
        assert scene.charges[-1] == ("up", 60.0)

    def test_results_that_waited_while_this_process_was_stopped_are_charged_by_their_own_times(self) -> None:
        scene = Scene(watched())
        scene.result("m", "up")
        at = scene.now
        scene.mono += 180
        for number in (1, 2, 3):
            scene.board.take(CheckResult(uid="m", at=at + 60 * number, verdict="up"), at + 180, scene.mono)
        scene.drain()
        assert [charged for _, charged in scene.charges] == [0.0, 60.0, 60.0, 60.0]

    def test_a_recovery_that_flapping_holds_back_is_no_downtime(self) -> None:
        scene = Scene(watched(failures=1, successes=1))
        scene.result("m", "up")
        for _ in range(6):
            scene.result("m", "down")
            scene.result("m", "up")
        assert scene.board.entries["m"].state.state == "down"
        scene.result("m", "up")
        assert scene.charges[-1] == ("degraded", 60.0)

    def test_unknown_and_maintenance_are_charged_as_such(self) -> None:
        scene = Scene(watched())
        scene.result("m", "up")
        scene.board.signal("m", Excused(Reason.NO_RESULTS), scene.now)
        scene.result("m", "down")
        scene.board.signal("m", WindowBegan("works"), scene.now)
        scene.result("m", "down")
        assert scene.charges[1:] == [("unknown", 60.0), ("maintenance", 60.0)]


class TestInverted:
    """What works is down; the network is judged by what was really found."""

    def test_it_goes_down_when_it_works_and_up_when_it_fails(self) -> None:
        scene = Scene(replace(watched(), inverted=True))
        for verdict in ("down", "up", "degraded", "down", "unknown", "down"):
            scene.result("m", verdict, 5, message="as found")
        assert scene.kinds == ["went_up", "went_down", "went_up"]
        assert [sample.verdict for sample in scene.samples] == ["up", "down", "down", "up", "unknown", "up"]
        assert (scene.samples[1].code, scene.samples[1].message) == (
            "expect.inverted",
            "it works, but is declared as `inverted`: as found",
        )

    def test_a_cut_is_no_failure_that_it_waits_for(self) -> None:
        scene = Scene(replace(watched("m", PUBLIC), inverted=True), watched("n", PUBLIC))
        scene.result("n", "up")
        scene.guard_looks(online=True)
        for verdict in ("up", "up"):
            scene.result("m", verdict, 5)
        assert scene.board.entries["m"].state.state == "down"
        for _ in range(2):
            scene.result("m", "down", 5, code="connect.timeout")
        assert scene.board.entries["m"].state.state == "down", "it waits for the guard"
        scene.guard_looks(online=False)
        assert scene.board.entries["m"].state.state == "unknown"
        assert "network" in scene.board.uplink.lost

    def test_with_a_network_it_recovers_after_a_look(self) -> None:
        scene = Scene(replace(watched("m", PUBLIC), inverted=True))
        for verdict in ("up", "up", "down", "down"):
            scene.result("m", verdict, 5)
        scene.guard_looks(online=True)
        assert scene.board.entries["m"].state.state == "up"


class TestNames:
    """A name that cannot be looked up is down, unless that lies at the resolver."""

    @staticmethod
    def silent(scene: Scene, uid: str = "a", after: float = 5.0, *, resolver: bool = True) -> str:
        scene.result(uid, "unknown", after, code="lookup.failed", message="no answer for a.example.com")
        scene.guard_looks(online=True, resolver=resolver)
        return scene.board.entries[uid].state.state

    @staticmethod
    def scene(*others: str) -> Scene:
        scene = Scene(*(watched(host[0], reach_of(host)) for host in ("a.example.com", *others)))
        for uid in scene.board.entries:
            scene.result(uid, "up", 1, evidence={"address": "198.51.100.7"})
        scene.rechecks.clear()
        return scene

    def test_alone_it_goes_down_because_the_resolver_answers(self) -> None:
        scene = self.scene()
        assert [self.silent(scene, after=60), self.silent(scene)] == ["up", "down"]
        assert (scene.samples[-1].verdict, scene.samples[-1].code) == ("down", "lookup.failed")
        assert scene.samples[-1].message == "no answer for a.example.com, while other names can be resolved"
        assert self.silent(scene, after=60) == "down"
        scene.result("a", "up", 60)
        scene.result("a", "up", 5)
        assert scene.kinds == ["went_up", "went_down", "went_up"]

    def test_it_is_checked_again_together_with_another_name_that_can_tell(self) -> None:
        scene = self.scene("b.example.net", "c.example.com")
        assert self.silent(scene, after=60) == "up"
        assert scene.rechecks == [("b", 0.0), ("a", 5.0)]
        for state in ("up", "down"):
            scene.result("b", "up", 1)
            assert self.silent(scene) == state
        assert [self.silent(scene, after=60), self.silent(scene, after=60)] == ["down", "down"]

    def test_it_stays_unknown_while_no_other_name_can_be_found_though_the_resolver_answers(self) -> None:
        scene = self.scene("b.example.net")
        states = [(self.silent(scene), self.silent(scene, "b")) for _ in range(4)]
        assert states[-1] == ("unknown", "unknown")

    def test_a_dead_resolver_excuses_it(self) -> None:
        scene = self.scene("b.example.net")
        for _ in range(3):
            self.silent(scene, resolver=False)
        assert scene.board.entries["a"].state.reason is Reason.RESOLVER_DEAD

    def test_names_of_a_network_without_a_root_are_judged_by_each_other(self) -> None:
        scene = self.scene("b.example.net")
        self.silent(scene, resolver=False)
        scene.result("b", "up", 1)
        assert scene.board.uplink.lost == {}
        for _ in range(3):
            self.silent(scene, resolver=False)
            scene.result("b", "up", 1)
        assert scene.board.entries["a"].state.state == "down"
        assert scene.board.uplink.lost == {}


class TestGuard:
    """A failure outside of this machine is confirmed only after a look."""

    def test_a_confirmation_waits_and_later_results_wait_behind_it(self) -> None:
        scene = Scene(watched(reach=PUBLIC))
        scene.result("m", "up")
        scene.result("m", "down")
        assert scene.look
        scene.result("m", "down", 5)
        scene.result("m", "up", 1)
        assert scene.board.entries["m"].state.state == "up"
        assert len(scene.samples) == 2
        scene.guard_looks(online=True)
        assert scene.kinds == ["went_up", "went_down"]
        assert [sample.verdict for sample in scene.samples] == ["up", "down", "down", "up"]

    def test_a_look_that_began_before_does_not_count(self) -> None:
        scene = Scene(watched(reach=PUBLIC))
        scene.result("m", "up")
        scene.result("m", "down")
        scene.result("m", "down", 5)
        scene.board.looked([], scene.mono - 1, scene.now)
        scene.look = False
        scene.drain()
        assert scene.board.entries["m"].state.state == "up"
        scene.board.looked([], scene.mono, scene.now)
        assert scene.board.entries["m"].state.state == "down"

    def test_a_cut_makes_all_outside_unknown_and_its_end_checks_them_again(self) -> None:
        scene = Scene(watched("a", PUBLIC), watched("b", PUBLIC), watched("c", LOOPBACK))
        for uid in "abc":
            scene.result(uid, "up")
        scene.guard_looks(online=True)
        scene.result("a", "down")
        scene.guard_looks(online=False)
        states = {uid: entry.state.state for uid, entry in scene.board.entries.items()}
        assert states == {"a": "unknown", "b": "unknown", "c": "up"}
        scene.result("a", "down", code="connect.timeout", message="no answer")
        last = scene.samples[-1]
        assert (last.verdict, last.code) == ("unknown", "check.uplink_lost")
        assert "no answer" in last.message
        scene.rechecks.clear()
        scene.guard_looks(online=True)
        assert scene.rechecks == [("a", 2.5), ("b", 2.5)]

    def test_what_is_excused_after_the_clock_was_set_back_was_not_seen_in_the_future(self) -> None:
        scene = Scene(watched(reach=PUBLIC))
        scene.result("m", "up")
        scene.guard_looks(online=True)
        scene.result("m", "down")
        scene.guard_looks(online=False)
        scene.now -= 7200
        scene.result("m", "down")
        assert scene.board.entries["m"].state.seen_at == scene.now

    def test_what_is_down_already_asks_now_and_then(self) -> None:
        scene = Scene(watched(reach=PUBLIC))
        scene.result("m", "down")
        scene.result("m", "down", 5)
        scene.guard_looks(online=True)
        scene.look = False
        scene.result("m", "down", 5)
        assert not scene.look
        scene.result("m", "down", 60)
        assert scene.look

    def test_loopback_asks_nobody(self) -> None:
        scene = Scene(watched())
        for _ in range(3):
            scene.result("m", "down")
        assert not scene.look
        assert scene.kinds == ["went_down"]


class TestSilence:
    """No result for three intervals and a timeout."""

    def test_unknown_after_silence(self) -> None:
        scene = Scene(watched())
        scene.result("m", "up")
        for _ in range(190):
            scene.board.attend(1.0, scene.now)
        scene.drain()
        assert scene.kinds == ["went_up"]
        scene.board.attend(1.0, scene.now)
        scene.drain()
        assert scene.kinds == ["went_up", "went_unknown"]
        assert scene.events[-1].data["code"] == "check.no_results"

    def test_nobody_is_silent_while_everybody_sleeps(self) -> None:
        scene = Scene(watched())
        scene.result("m", "up")
        scene.now += 7200
        scene.board.attend(2.0, scene.now)  # all that the lane grants after a long sleep
        scene.drain()
        assert scene.kinds == ["went_up"]

    @pytest.mark.parametrize("paused", [True, False])
    def test_whoever_is_not_checked_is_not_silent(self, paused: bool) -> None:
        scene = Scene(watched())
        if paused:
            scene.board.signal("m", Paused("user:ops"), scene.now)
        else:
            scene.board.entries["m"].checked = False
        scene.board.attend(10_000.0, scene.now)
        scene.drain()
        assert "went_unknown" not in scene.kinds


class TestParents:
    """Children of one gateway."""

    def test_one_question_for_a_hundred_children(self) -> None:
        children = [watched(f"c{number}", parents=("gateway",)) for number in range(100)]
        scene = Scene(watched("gateway"), *children)
        for uid in list(scene.board.entries):
            scene.result(uid, "up", 0.1)
        for child in children:
            scene.result(child.facts.uid, "down", 0.001)
        assert [uid for uid, _ in scene.rechecks].count("gateway") == 1

    def test_children_are_looked_at_when_it_is_back(self) -> None:
        scene = Scene(watched("gateway"), watched("c", parents=("gateway",)))
        for uid, verdict in (("gateway", "down"), ("c", "down"), ("gateway", "down"), ("c", "down")):
            scene.result(uid, verdict, 5)
        assert scene.board.entries["c"].state.suppressed_by == "gateway"
        scene.rechecks.clear()
        scene.result("gateway", "up")
        scene.result("gateway", "up", 5)
        assert ("c", 2.5) in scene.rechecks
        scene.result("c", "down")
        scene.result("c", "down", 5)
        assert scene.kinds[-1] == "stayed_down"
        assert scene.events[-1].data["suppressed_by"] == ""

    def test_a_paused_or_missing_parent_excuses_nobody(self) -> None:
        scene = Scene(watched("gateway"), watched("c", parents=("gateway", "nowhere")))
        scene.result("gateway", "down")
        scene.result("gateway", "down", 5)
        scene.board.signal("gateway", Paused("user:ops"), scene.now)
        scene.result("c", "down")
        scene.result("c", "down", 5)
        assert scene.board.entries["c"].state.suppressed_by == ""
        assert scene.board.entries["c"].state.state == "down"


def test_an_unchanged_monitor_keeps_its_counters_and_a_changed_one_its_state() -> None:
    monitor = watched()
    scene = Scene(monitor)
    scene.result("m", "up")
    scene.result("m", "down")
    scene.board.declare([monitor], {})
    assert scene.board.entries["m"].state.failed_streak == 1
    scene.board.declare([watched(failures=3)], {})
    assert scene.board.entries["m"].state.failed_streak == 0
    assert scene.board.entries["m"].state.state == "up"
    scene.board.declare([], {})
    scene.result("m", "down")
    assert scene.samples[-1].verdict == "down"
    assert len(scene.samples) == 2


def test_a_reload_voids_what_waits() -> None:
    scene = Scene(watched(reach=PUBLIC))
    scene.result("m", "up")
    scene.result("m", "down")
    scene.result("m", "down", 5)
    scene.board.reload("m", MonitorState(state="paused", paused_by="user:ops"), 9)
    scene.guard_looks(online=True)
    assert scene.kinds == ["went_up"]
    assert scene.board.entries["m"].version == 9


def test_evidence_is_bounded_and_always_json() -> None:
    deep: dict[str, Any] = {"a": {"b": {"c": {"d": {"e": {"f": 1}}}}}}
    result = CheckResult(
        uid="m",
        at=START,
        code="x" * 500,
        message="y" * 5000,
        duration=0.25,
        evidence={"nan": math.nan, "bytes": b"\xff", "many": list(range(1000)), "long": "z" * 9999, "deep": deep},
    )
    found = finding_of(result)
    assert (len(found.code), len(found.message)) == (60, 1000)
    assert found.evidence["nan"] is None
    assert isinstance(found.evidence["bytes"], str)
    assert len(found.evidence["many"]) == 40
    assert len(found.evidence["long"]) == 1000
    assert found.evidence["duration"] == 0.25
