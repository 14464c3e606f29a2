"""Decisions about monitors, by tables: what a row of verdicts comes to, and why."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from mainstay.watch.rules import decide, restarted
from mainstay.watch.state import (
    Decision,
    Excused,
    MonitorState,
    Paused,
    Policy,
    Reason,
    Restored,
    Result,
    Resumed,
    Signal,
    WindowBegan,
    WindowEnded,
    from_json,
    to_json,
)

START = 1_800_000_000.0
POLICY = Policy(interval=60, timeout=10, failures=2, recheck=5, successes=2)
VERDICTS = {"u": "up", "g": "degraded", "d": "down", "?": "unknown"}


class Machine:
    """One monitor that is fed signals; keeps every decision."""

    def __init__(self, policy: Policy = POLICY, state: MonitorState | None = None) -> None:
        self.policy, self.state, self.now = policy, state or MonitorState(), START
        self.decisions: list[Decision] = []

    def feed(self, letters: str, step: float = 60.0, **context: object) -> Decision:
        """u up, g degraded, d down, ? unknown; `step` seconds apart."""
        for letter in letters:
            self.now += step
            decision = self.signal(Result(self.now, VERDICTS[letter], **context))  # type: ignore[arg-type]
        return decision

    def signal(self, signal: Signal) -> Decision:
        decision = decide(self.state, signal, self.now, self.policy)
        self.decisions.append(decision)
        self.state = decision.state
        return decision

    @property
    def moves(self) -> list[tuple[str, str, str]]:
        found = [decision.transition for decision in self.decisions if decision.transition]
        return [(move.previous, move.to, move.reason.value) for move in found]


@pytest.mark.parametrize(
    ("letters", "state", "moves"),
    [
        ("u", "up", [("pending", "up", "first_success")]),
        ("d", "pending", []),
        ("dd", "down", [("pending", "down", "confirmed")]),
        ("du", "up", [("pending", "up", "first_success")]),
        ("g", "pending", []),
        ("gg", "degraded", [("pending", "degraded", "confirmed")]),
        ("ud", "up", [("pending", "up", "first_success")]),
        ("udu", "up", [("pending", "up", "first_success")]),
        ("udd", "down", [("pending", "up", "first_success"), ("up", "down", "confirmed")]),
        ("uddu", "down", [("pending", "up", "first_success"), ("up", "down", "confirmed")]),
        ("uddud", "down", [("pending", "up", "first_success"), ("up", "down", "confirmed")]),
        (
            "udduu",
            "up",
            [("pending", "up", "first_success"), ("up", "down", "confirmed"), ("down", "up", "recovered")],
        ),
        (
            "uddgg",
            "degraded",
            [("pending", "up", "first_success"), ("up", "down", "confirmed"), ("down", "degraded", "recovered")],
        ),
        ("ug", "up", [("pending", "up", "first_success")]),
        ("ugg", "degraded", [("pending", "up", "first_success"), ("up", "degraded", "confirmed")]),
        ("ugd", "up", [("pending", "up", "first_success")]),
        (
            "uggdd",
            "down",
            [("pending", "up", "first_success"), ("up", "degraded", "confirmed"), ("degraded", "down", "confirmed")],
        ),
        (
            "ugguu",
            "up",
            [("pending", "up", "first_success"), ("up", "degraded", "confirmed"), ("degraded", "up", "recovered")],
        ),
        ("uggu", "degraded", [("pending", "up", "first_success"), ("up", "degraded", "confirmed")]),
        ("u??", "up", [("pending", "up", "first_success")]),
        ("u???", "unknown", [("pending", "up", "first_success"), ("up", "unknown", "results_unknown")]),
        ("ud?d", "down", [("pending", "up", "first_success"), ("up", "down", "confirmed")]),
        ("ud???d", "unknown", [("pending", "up", "first_success"), ("up", "unknown", "results_unknown")]),
        ("???", "unknown", [("pending", "unknown", "results_unknown")]),
        ("???u", "up", [("pending", "unknown", "results_unknown"), ("unknown", "up", "first_success")]),
    ],
)
def test_rows_of_verdicts(letters: str, state: str, moves: list[tuple[str, str, str]]) -> None:
    machine = Machine()
    machine.feed(letters)
    assert machine.state.state == state
    assert machine.moves == moves


@pytest.mark.parametrize("failures", [1, 2, 3, 5, 20])
@pytest.mark.parametrize("successes", [1, 2, 4])
def test_counts_of_confirmation_and_recovery_are_kept(failures: int, successes: int) -> None:
    machine = Machine(replace(POLICY, failures=failures, successes=successes, flap_falls=100))
    machine.feed("u" + "d" * (failures - 1))
    assert machine.state.state == "up"
    machine.feed("d")
    assert machine.state.state == "down"
    if successes > 1:
        machine.feed("u" * (successes - 1))
    assert machine.state.state == "down"
    machine.feed("u")
    assert machine.state.state == "up"


def test_a_failure_asks_for_a_check_soon_and_down_for_none() -> None:
    machine = Machine()
    assert machine.feed("u").recheck_after is None
    assert machine.feed("d").recheck_after == 5
    assert machine.feed("d", 5).recheck_after is None
    assert machine.feed("d").recheck_after is None
    assert machine.feed("u").recheck_after == 5
    assert machine.feed("u", 5).recheck_after is None


def test_no_recheck_that_would_come_after_the_schedule() -> None:
    machine = Machine(replace(POLICY, interval=5, recheck=5))
    assert machine.feed("d", 5).recheck_after is None


def test_down_since_the_first_failed_check_and_downtime_until_the_first_good_one() -> None:
    machine = Machine()
    machine.feed("u")
    first = machine.now + 60
    down = machine.feed("d").transition or machine.feed("d", 5).transition
    assert down is not None
    assert down.since == first
    machine.feed("ddd")
    recovery = machine.now + 60
    machine.feed("u")
    up = machine.feed("u", 5).transition
    assert up is not None
    assert (up.since, up.downtime) == (recovery, recovery - first)


def test_what_was_down_before_unknown_and_still_is_is_told_as_such() -> None:
    machine = Machine()
    machine.feed("udd")
    since = machine.state.since
    machine.signal(Excused(Reason.UPLINK_LOST))
    assert machine.state.shown == "unknown"
    machine.feed("d")
    assert machine.state.state == "unknown"
    back = machine.feed("d", 5).transition
    assert back is not None
    assert (back.reason, back.since, back.to) == (Reason.STILL_DOWN, since, "down")


def test_what_was_down_before_unknown_recovers_by_its_count_with_its_downtime() -> None:
    machine = Machine()
    machine.feed("udd")
    since = machine.state.since
    machine.signal(Excused(Reason.NO_RESULTS))
    machine.feed("u")
    assert machine.state.state == "unknown"
    up = machine.feed("u", 5).transition
    assert up is not None
    assert up.to == "up"
    assert up.downtime == up.since - since


def test_what_was_up_before_unknown_is_up_at_once_or_down_after_a_new_confirmation() -> None:
    machine = Machine()
    machine.feed("ud")
    machine.signal(Excused(Reason.UPLINK_LOST))
    machine.feed("d")
    assert machine.state.state == "unknown"  # the failure before the loss does not count
    back = machine.feed("d", 5).transition
    assert back is not None
    assert back.reason is Reason.CONFIRMED
    other = Machine()
    other.feed("u")
    other.signal(Excused(Reason.UPLINK_LOST))
    assert other.feed("u").reason is Reason.RESULTS_AGAIN


def test_degraded_before_unknown_is_still_degraded_after_confirmation() -> None:
    machine = Machine()
    machine.feed("ugg")
    machine.signal(Excused(Reason.NO_RESULTS))
    machine.feed("g")
    assert machine.state.state == "unknown"
    machine.feed("g")
    assert machine.moves[-1] == ("unknown", "degraded", "still_degraded")
    machine.feed("uu")
    assert machine.state.state == "up"


@pytest.mark.parametrize("reason", [Reason.UPLINK_LOST, Reason.RESOLVER_DEAD, Reason.NO_RESULTS, Reason.NOT_CHECKABLE])
@pytest.mark.parametrize("before", ["", "u", "udd", "ugg", "ud"])
def test_an_excuse_makes_unknown_at_once_and_once(reason: Reason, before: str) -> None:
    machine = Machine()
    if before:
        machine.feed(before)
    assert machine.signal(Excused(reason)).transition is not None
    assert machine.state.state == "unknown"
    assert machine.signal(Excused(reason)).transition is None
    assert machine.signal(Restored()).transition is None


def test_a_restored_uplink_asks_for_a_check_and_claims_nothing() -> None:
    machine = Machine()
    machine.feed("u")
    machine.signal(Excused(Reason.UPLINK_LOST))
    restored = machine.signal(Restored())
    assert restored.transition is None
    assert restored.recheck_after is not None
    assert machine.state.state == "unknown"


def messages(policy: Policy, seconds: float, works: Callable[[float], bool]) -> list[str]:
    """What people hear of a target that is checked for so long, on schedule and again when the rules ask for it."""
    machine, heard = Machine(policy), []
    due, slot = [0.0], 0.0
    while (at := min(due)) < seconds:
        due.remove(at)
        if at >= slot:
            slot = at + policy.interval
            due.append(slot)
        machine.now = START + at
        decision = machine.signal(Result(machine.now, "up" if works(at) else "down"))
        if decision.recheck_after is not None:
            due.append(at + decision.recheck_after)
        if decision.transition is not None and decision.transition.to in ("down", "up") and at:
            word = "flaps" if decision.flapping else decision.transition.to
            heard.append("calm" if decision.flapping is False else word)
    return heard


class TestFlapping:
    """A third fall within half an hour, or 20 checks; calm after half of that."""

    @pytest.mark.parametrize("interval", [1.0, 5.0, 10.0, 20.0])
    @pytest.mark.parametrize("failures", [1, 2])
    @pytest.mark.parametrize(("up", "down"), [(20, 20), (30, 15), (60, 60), (240, 60), (600, 120), (120, 600)])
    def test_short_outages_in_a_row_are_one_message_and_one_when_it_is_calm(
        self, interval: float, failures: int, up: float, down: float
    ) -> None:
        policy = Policy(interval=interval, failures=failures)
        heard = messages(policy, 12_000, lambda at: at > 7_000 or at % (up + down) < up)
        assert heard == ["down", "up", "down", "up", "flaps", "calm"]

    @pytest.mark.parametrize("interval", [5.0, 60.0, 300.0])
    @pytest.mark.parametrize("lasting", [90.0, 600.0, 5_000.0])
    def test_a_clean_outage_and_a_second_one_are_none(self, interval: float, lasting: float) -> None:
        outages = [(1_000.0, 1_000.0 + lasting), (8_000.0, 8_000.0 + lasting)]
        policy = Policy(interval=interval, failures=1)
        heard = messages(policy, 20_000, lambda at: not any(start <= at < end for start, end in outages))
        assert heard in (["down", "up"] * 2, ["down", "up"], [])
        assert heard or lasting < interval

    def test_an_hour_between_checks_makes_the_time_longer(self) -> None:
        policy = Policy(interval=3600.0, failures=1, successes=1)
        assert messages(policy, 20 * 3600, lambda at: at // 7200 % 2 == 0)[:5] == ["down", "up", "down", "up", "flaps"]

    def test_a_recovery_is_held_until_it_is_calm(self) -> None:
        machine = Machine(replace(POLICY, failures=1, successes=1))
        machine.feed("u" + "du" * 2)
        assert not machine.state.flapping
        assert machine.feed("d").flapped == (3, 1800.0)
        assert machine.state.flapping
        held = machine.feed("u")
        assert held.reason is Reason.RECOVERY_HELD
        assert machine.state.state == "down"
        machine.feed("u" * 14)
        assert machine.state.state == "down"
        calm = machine.feed("u")
        assert (calm.reason, calm.flapping, machine.state.state) == (Reason.CALM_AGAIN, False, "up")
        assert machine.feed("d").flapping is None

    def test_it_is_calm_too_when_it_stays_down(self) -> None:
        machine = Machine(replace(POLICY, failures=1, successes=1))
        machine.feed("u" + "du" * 2 + "d" * 15)
        assert machine.state.flapping
        calm = machine.feed("d")
        assert (calm.flapping, calm.transition, machine.state.state) == (False, None, "down")
        assert calm.tell_again, "people were told that it flaps, and hear now that it does not work"
        assert not machine.feed("d").tell_again

    def test_it_is_calm_too_when_it_stays_degraded(self) -> None:
        machine = Machine(replace(POLICY, failures=1, successes=1, degraded_alerts=True))
        machine.feed("u" + "gu" * 2 + "g" * 15)
        assert machine.state.flapping
        calm = machine.feed("g")
        assert (calm.flapping, calm.transition, machine.state.state) == (False, None, "degraded")
        assert calm.tell_again, "people were told that it flaps, and hear now that it is degraded"
        assert not machine.feed("g").tell_again

    def test_what_wakes_nobody_is_no_fall(self) -> None:
        machine = Machine(replace(POLICY, failures=1, successes=1))
        machine.feed("u" + "gu" * 6)
        machine.feed("du" * 4, failing_parents=("gateway",))
        assert not machine.state.flapping
        aware = Machine(replace(POLICY, failures=1, successes=1, degraded_alerts=True))
        aware.feed("u" + "gdu" * 2)
        assert not aware.state.flapping
        aware.feed("g")
        assert aware.state.flapping

    def test_pausing_ends_it(self) -> None:
        machine = Machine(replace(POLICY, failures=1, successes=1))
        machine.feed("u" + "du" * 3)
        assert machine.state.flapping
        assert machine.signal(Paused("somebody")).flapping is False
        assert not machine.state.flapping


class TestParents:
    """A child that fails while its parent does."""

    policy = replace(POLICY, parents=True)

    def test_the_first_failure_asks_for_the_parents(self) -> None:
        machine = Machine(self.policy)
        machine.feed("u")
        assert machine.feed("d").recheck_parents
        assert not machine.feed("d", 5).recheck_parents

    def test_down_with_the_failing_parents_name(self) -> None:
        machine = Machine(self.policy)
        machine.feed("u")
        down = machine.feed("dd", failing_parents=("gateway",)).transition
        assert down is not None
        assert (down.suppressed_by, down.reason) == ("gateway", Reason.PARENT_FAILING)

    def test_waits_for_unchecked_parents_once(self) -> None:
        machine = Machine(self.policy)
        machine.feed("u")
        waiting = machine.feed("dd", 5, unchecked_parents=True)
        assert waiting.reason is Reason.WAITING_FOR_PARENTS
        assert waiting.recheck_after == 5
        assert waiting.recheck_parents
        down = machine.feed("d", 5, unchecked_parents=True).transition
        assert down is not None
        assert down.suppressed_by == ""

    def test_waking_after_the_parent_is_back(self) -> None:
        machine = Machine(self.policy)
        machine.feed("u")
        machine.feed("dd", failing_parents=("gateway",))
        machine.feed("ddd", failing_parents=("gateway",))
        assert machine.feed("d").recheck_after == 5
        told = machine.feed("d", 5)
        assert told.tell_again
        assert told.transition is None
        assert machine.state.suppressed_by == ""
        assert not machine.feed("d").tell_again

    def test_the_parents_relapse_starts_the_count_anew(self) -> None:
        machine = Machine(self.policy)
        machine.feed("u")
        machine.feed("dd", failing_parents=("gateway",))
        machine.feed("d")
        machine.feed("d", failing_parents=("router",))
        assert machine.state.suppressed_by == "router"
        assert not machine.feed("d").tell_again
        assert machine.feed("d").tell_again

    def test_a_recovery_frees_it(self) -> None:
        machine = Machine(self.policy)
        machine.feed("u")
        machine.feed("dd", failing_parents=("gateway",))
        machine.feed("uu")
        assert (machine.state.state, machine.state.suppressed_by) == ("up", "")

    def test_unknown_in_between_does_not_silence_it_for_ever(self) -> None:
        machine = Machine(self.policy)
        machine.feed("u")
        machine.feed("dd", failing_parents=("gateway",))
        machine.signal(Excused(Reason.UPLINK_LOST))
        down = machine.feed("dd", 5).transition
        assert down is not None
        assert (down.reason, down.suppressed_by) == (Reason.CONFIRMED, "")


class TestPausing:
    """By a person."""

    @pytest.mark.parametrize("before", ["", "u", "udd", "ugg", "u???"])
    def test_results_do_not_count_and_resuming_starts_anew(self, before: str) -> None:
        machine = Machine()
        if before:
            machine.feed(before)
        assert machine.signal(Paused("user:ops")).transition is not None
        assert machine.signal(Paused("user:ops")).transition is None
        assert machine.feed("ddd").reason is Reason.PAUSED
        assert machine.state.state == "paused"
        resumed = machine.signal(Resumed()).transition
        assert resumed is not None
        assert resumed.to == "pending"
        assert machine.signal(Resumed()).transition is None
        machine.feed("d")
        assert machine.state.shown == "unknown"
        machine.feed("d", 5)
        assert machine.state.state == "down"

    def test_resumed_inside_a_window_is_maintenance(self) -> None:
        machine = Machine()
        machine.feed("u")
        machine.signal(Paused("user:ops"))
        machine.signal(WindowBegan("monthly"))
        machine.signal(Resumed())
        assert machine.state.state == "maintenance"
        machine.signal(Paused("user:ops"))
        machine.signal(WindowEnded())
        assert machine.signal(Resumed()).state.state == "pending"


class TestMaintenance:
    """Checks go on; nobody is woken."""

    def test_failures_inside_move_nothing(self) -> None:
        machine = Machine()
        machine.feed("u")
        assert machine.signal(WindowBegan("monthly")).transition is not None
        machine.feed("ddddd???")
        assert machine.state.state == "maintenance"

    def test_working_at_its_end_is_up_at_once(self) -> None:
        machine = Machine()
        machine.feed("udd")
        machine.signal(WindowBegan("monthly"))
        machine.feed("du")
        assert machine.signal(WindowEnded()).transition is not None
        assert machine.state.state == "up"

    def test_failing_at_its_end_is_confirmed_anew(self) -> None:
        machine = Machine()
        machine.feed("udd")
        machine.signal(WindowBegan("monthly"))
        machine.feed("dd")
        ended = machine.signal(WindowEnded())
        assert ended.transition is None
        assert ended.recheck_after is not None
        machine.feed("d", 1)
        assert machine.state.state == "maintenance"
        down = machine.feed("d", 5).transition
        assert down is not None
        assert (down.previous, down.to, down.reason) == ("maintenance", "down", Reason.CONFIRMED)

    def test_degraded_at_its_end_is_degraded(self) -> None:
        machine = Machine()
        machine.signal(WindowBegan("monthly"))
        machine.feed("gg")
        machine.signal(WindowEnded())
        assert machine.state.state == "degraded"

    def test_work_is_no_flapping(self) -> None:
        machine = Machine(replace(POLICY, failures=1, successes=1))
        machine.feed("u")
        machine.signal(WindowBegan("monthly"))
        machine.feed("du" * 15)
        machine.signal(WindowEnded())
        machine.feed("u")
        assert not any(decision.flapping for decision in machine.decisions)

    def test_without_any_result_its_end_waits_for_one(self) -> None:
        machine = Machine()
        machine.signal(WindowBegan("monthly"))
        machine.signal(WindowEnded())
        assert machine.state.state == "maintenance"
        machine.signal(Excused(Reason.NO_RESULTS))
        assert machine.state.state == "unknown"

    def test_a_window_that_follows_at_once_is_no_transition(self) -> None:
        machine = Machine()
        machine.feed("u")
        machine.signal(WindowBegan("monthly"))
        machine.feed("d")
        machine.signal(WindowEnded())
        assert machine.signal(WindowBegan("weekly")).transition is None
        assert machine.state.window == "weekly"


@pytest.mark.parametrize("jump", [3600.0, -3600.0, 86_400.0, -86_400.0])
def test_a_jump_of_the_clock_confirms_nothing(jump: float) -> None:
    machine = Machine()
    machine.feed("ud")
    machine.now += jump
    assert machine.feed("d").transition is None
    assert machine.state.state == "up"
    down = machine.feed("d", 5).transition
    assert down is not None
    assert 0 <= down.since <= machine.now
    machine.now += jump
    machine.feed("u")
    up = machine.feed("u", 5).transition
    assert up is not None
    assert up.downtime is not None
    assert up.downtime >= 0


def test_a_gap_confirms_nothing() -> None:
    machine = Machine()
    machine.feed("ud")
    assert machine.feed("d", POLICY.gap + 1).transition is None
    assert machine.feed("d", POLICY.gap - 1).transition is not None


def test_overlapping_checks_count() -> None:
    machine = Machine()
    machine.feed("u")
    machine.feed("d")
    assert machine.feed("d", -5).transition is not None


def test_a_restart_confirms_nothing() -> None:
    machine = Machine()
    machine.feed("ud")
    machine.state = restarted(from_json(to_json(machine.state)))
    assert machine.state.state == "up"
    assert machine.feed("d").transition is None
    assert machine.feed("d", 5).transition is not None


def test_a_calm_monitor_stays_equal_but_for_the_time() -> None:
    machine = Machine()
    machine.feed("u" * 30)
    before = machine.state
    after = machine.feed("u").state
    assert replace(after, seen_at=0.0) == replace(before, seen_at=0.0)


def test_stored_state_of_a_later_version_is_read() -> None:
    state = from_json('{"state": "down", "since": 5.0, "not_known_yet": [1]}')
    assert (state.state, state.since) == ("down", 5.0)
