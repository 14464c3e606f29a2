"""Every way in which a heartbeat changes its state, as a table of what came and when."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mainstay.heartbeats.rules import (
    Absence,
    Condition,
    Ping,
    Rhythm,
    arm,
    deadline_passed,
    is_late,
    pause,
    receive,
    redeclare,
    resume,
    set_right,
)
from mainstay.kernel.schedule import Schedule

T = 1_800_000_000.0
HOURLY = Rhythm(Schedule(every=3600.0), 300.0)
RID, OTHER = "123e4567-e89b-12d3-a456-426614174000", "00000000-0000-4000-8000-000000000001"


def up_at(at: float, rhythm: Rhythm = HOURLY) -> Condition:
    return receive(Condition(), rhythm, Ping(at, "success")).condition


def test_the_first_success_makes_it_up_and_arms_the_deadline() -> None:
    decision = receive(Condition(), HOURLY, Ping(T, "success"))
    assert decision.transition is not None
    assert (decision.transition.state, decision.transition.previous) == ("up", "new")
    assert decision.condition.due_at == T + 3600
    assert decision.condition.next_at == T + 3900


@pytest.mark.parametrize(
    ("kind", "status", "reason", "code"),
    [("fail", None, "reported_failure", "fail"), ("fail", 3, "exit_status", "exit_3")],
)
def test_a_failure_is_down_at_once(kind: str, status: int | None, reason: str, code: str) -> None:
    decision = receive(up_at(T), HOURLY, Ping(T + 10, "fail", exit_status=status))
    assert decision.transition is not None
    assert (decision.transition.state, decision.reason, decision.transition.code) == ("down", reason, code)
    assert decision.transition.since == T + 10
    assert decision.condition.next_at is None


def test_a_repeated_failure_is_no_second_transition() -> None:
    down = receive(up_at(T), HOURLY, Ping(T + 10, "fail")).condition
    again = receive(down, HOURLY, Ping(T + 20, "fail", exit_status=2))
    assert again.transition is None
    assert again.condition.since == T + 10


def test_recovery_tells_the_downtime() -> None:
    down = receive(up_at(T), HOURLY, Ping(T + 10, "fail")).condition
    decision = receive(down, HOURLY, Ping(T + 70, "success"))
    assert decision.transition is not None
    assert decision.transition.downtime == 60.0


def test_log_changes_nothing() -> None:
    before = up_at(T)
    decision = receive(before, HOURLY, Ping(T + 5000, "log"))
    assert decision.transition is None
    assert replace(decision.condition, last_kind=before.last_kind) == before


def test_a_deadline_is_judged_when_it_has_passed_and_not_before() -> None:
    before = up_at(T)
    assert deadline_passed(before, HOURLY, T + 3899.9).reason == "not_due"
    decision = deadline_passed(before, HOURLY, T + 3900)
    assert decision.transition is not None
    assert (decision.transition.state, decision.reason, decision.transition.since) == ("down", "missed", T + 3900)


def test_late_is_due_but_within_grace() -> None:
    before = up_at(T)
    assert not is_late(before, HOURLY, T + 3599)
    assert is_late(before, HOURLY, T + 3600)


def test_a_start_makes_up_for_nothing() -> None:
    begun_late = receive(up_at(T), HOURLY, Ping(T + 3700, "start")).condition
    assert is_late(begun_late, HOURLY, T + 3700)
    begun_early = receive(up_at(T), HOURLY, Ping(T + 3500, "start")).condition
    assert [is_late(begun_early, HOURLY, T + at) for at in (3599, 3600)] == [False, True]
    assert not is_late(receive(begun_late, HOURLY, Ping(T + 3710, "success")).condition, HOURLY, T + 3710)


def test_a_start_that_does_not_end_within_grace_is_down() -> None:
    started = receive(up_at(T), HOURLY, Ping(T + 100, "start")).condition
    assert started.next_at == T + 400
    decision = deadline_passed(started, HOURLY, T + 400)
    assert decision.transition is not None
    assert decision.reason == "overran"
    assert decision.condition.last_start is None


def test_a_start_does_not_put_the_missed_ping_off() -> None:
    late = receive(up_at(T), HOURLY, Ping(T + 3700, "start")).condition
    assert late.next_at == T + 3900


def test_a_new_heartbeat_is_judged_once_a_run_was_started() -> None:
    started = receive(Condition(), HOURLY, Ping(T, "start")).condition
    assert (started.state, started.next_at) == ("new", T + 300)
    assert deadline_passed(started, HOURLY, T + 300).condition.state == "down"


@pytest.mark.parametrize(
    ("start_rid", "end_kind", "end_rid", "duration", "runs_on"),
    [
        ("", "success", "", 50.0, False),
        (RID, "success", RID, 50.0, False),
        (RID, "fail", RID, 50.0, False),
        (RID, "success", OTHER, None, True),
        (RID, "success", "", None, False),
        (RID, "fail", OTHER, None, False),
        ("", "success", RID, None, True),
    ],
)
def test_runs_pair_by_run_id(
    start_rid: str, end_kind: str, end_rid: str, duration: float | None, runs_on: bool
) -> None:
    started = receive(up_at(T), HOURLY, Ping(T + 100, "start", start_rid)).condition
    ended = receive(started, HOURLY, Ping(T + 150, end_kind, end_rid)).condition  # type: ignore[arg-type]
    assert ended.last_duration == duration
    assert (ended.last_start is not None) == runs_on


def test_pings_to_a_declared_pause_are_kept_and_ignored() -> None:
    off = replace(HOURLY, enabled=False)
    paused = redeclare(up_at(T), off, T + 5).condition
    decision = receive(paused, off, Ping(T + 10, "fail"))
    assert (decision.recorded, decision.condition.state, decision.transition) == ("ign", "paused", None)


def test_a_success_resumes_what_a_person_paused() -> None:
    paused = pause(up_at(T), T + 5, "person").condition
    assert (paused.state, paused.next_at) == ("paused", None)
    assert receive(paused, HOURLY, Ping(T + 10, "success")).condition.state == "up"


def test_pausing_twice_changes_nothing() -> None:
    paused = pause(up_at(T), T + 5, "person").condition
    assert pause(paused, T + 9, "person").condition == paused


def test_resumed_it_waits_for_the_next_ping_and_then_is_down() -> None:
    waiting = resume(pause(up_at(T), T + 5, "person").condition, HOURLY, T + 10)
    assert (waiting.condition.state, waiting.condition.next_at) == ("unknown", T + 10 + 3900)
    assert deadline_passed(waiting.condition, HOURLY, T + 4000).condition.state == "down"


def test_resumed_before_any_ping_it_is_new() -> None:
    assert resume(pause(Condition(), T, "person").condition, HOURLY, T + 1).condition.state == "new"


def test_a_shorter_schedule_leaves_time_for_the_next_ping() -> None:
    every_minute = Rhythm(Schedule(every=60.0), 30.0)
    decision = redeclare(up_at(T), every_minute, T + 3000)
    assert decision.transition is None
    assert decision.condition.next_at == T + 3030


class TestAbsence:
    """Pings could not arrive: unknown rather than a false down."""

    def test_a_deadline_that_passed_while_away_is_unknown_until_the_next_one(self) -> None:
        decision = deadline_passed(up_at(T), HOURLY, T + 7000, [Absence(T + 3000, T + 7000)])
        assert decision.transition is not None
        assert (decision.condition.state, decision.reason) == ("unknown", "mainstay_was_away")
        assert decision.condition.next_at == T + 7000 + 3900
        assert deadline_passed(decision.condition, HOURLY, T + 11_000).condition.state == "down"

    def test_an_absence_before_the_ping_was_expected_excuses_nothing(self) -> None:
        assert deadline_passed(up_at(T), HOURLY, T + 3900, [Absence(T + 100, T + 3500)]).reason == "missed"

    def test_a_short_absence_gives_a_minute_after_the_return(self) -> None:
        away = [Absence(T + 3890, T + 3905)]
        waiting = deadline_passed(up_at(T), HOURLY, T + 3905, away)
        assert (waiting.transition, waiting.condition.next_at) == (None, T + 3965)
        assert deadline_passed(waiting.condition, HOURLY, T + 3965, away).reason == "missed"

    def test_most_of_the_expected_time_excuses_too(self) -> None:
        decision = deadline_passed(up_at(T), HOURLY, T + 3900, [Absence(T + 3500, T + 3800)])
        assert decision.condition.state == "unknown"

    def test_a_little_of_the_expected_time_does_not(self) -> None:
        assert deadline_passed(up_at(T), HOURLY, T + 3900, [Absence(T + 3610, T + 3650)]).reason == "missed"

    def test_a_ping_ends_the_doubt(self) -> None:
        unknown = deadline_passed(up_at(T), HOURLY, T + 7000, [Absence(T + 3000, T + 7000)]).condition
        assert receive(unknown, HOURLY, Ping(T + 7100, "success")).condition.state == "up"


class TestMaintenance:
    def test_nothing_is_down_while_covered(self) -> None:
        missed = deadline_passed(up_at(T), HOURLY, T + 3900, window="monthly")
        failed = receive(up_at(T), HOURLY, Ping(T + 10, "fail"), "monthly")
        assert (missed.condition.state, failed.condition.state) == ("unknown", "unknown")
        assert missed.condition.next_at == T + 3900 + 3900

    def test_still_covered_at_the_next_deadline_is_no_second_transition(self) -> None:
        held = deadline_passed(up_at(T), HOURLY, T + 3900, window="monthly").condition
        again = deadline_passed(held, HOURLY, T + 7800, window="monthly")
        assert (again.transition, again.condition.next_at) == (None, T + 7800 + 3900)


def test_a_cron_heartbeat_is_due_by_the_clock_of_its_zone() -> None:
    nightly = Rhythm(Schedule(cron="0 2 * * *", timezone="Europe/Berlin"), 1800.0)
    condition = arm(replace(up_at(T), last_ping=1_774_720_800.0), nightly, T)  # 2026-03-28 19:00 in Berlin
    assert condition.due_at == 1_774_746_000.0  # 02:00 does not exist on the 29th: 03:00 CEST, 01:00 UTC


def late(at: float, arrived: float, kind: str = "success", **more: Any) -> Ping:
    return Ping(at, kind, late=arrived - at, **more)  # type: ignore[arg-type] # one of the kinds


def missed(at: float = T) -> Condition:
    """Its last success was at `at`, and the next one stayed away: down since `at` + 3900."""
    return deadline_passed(up_at(at), HOURLY, at + 3900).condition


def test_a_late_success_counts_when_it_happened() -> None:
    decision = receive(up_at(T), HOURLY, late(T + 3600, T + 3800, duration=4.0))
    assert decision.transition is None
    assert (decision.condition.last_ping, decision.condition.last_duration) == (T + 3600, 4.0)
    assert decision.condition.next_at == T + 3600 + 3900


def test_a_late_success_ends_an_alert_and_says_that_the_job_was_in_time() -> None:
    decision = receive(missed(), HOURLY, late(T + 3700, T + 5700))
    assert decision.transition is not None
    assert decision.transition.message == "the job had reported success in time; the report came 33m20s late"
    assert (decision.transition.since, decision.transition.downtime) == (T + 5700, 1800.0)
    assert (decision.condition.state, decision.condition.since) == ("up", T + 5700)
    assert decision.condition.last_ping == T + 3700


def test_a_late_success_after_the_deadline_does_not_claim_to_have_been_in_time() -> None:
    decision = receive(missed(), HOURLY, late(T + 4000, T + 5700))
    assert decision.transition is not None
    assert decision.transition.message == "the job reported success; the report came 28m20s late"


def test_a_late_success_that_is_overdue_again_wakes_nobody_and_ends_nothing() -> None:
    for before in (missed(), receive(up_at(T), HOURLY, Ping(T + 9, "fail")).condition, Condition()):
        decision = receive(before, HOURLY, late(T + 3600, T + 3600 + 3900))
        assert (decision.reason, decision.transition, decision.recorded) == ("still_overdue", None, "success")
        assert decision.condition.state == before.state
        assert decision.condition.last_ping == T + 3600
        assert decision.condition.next_at == before.next_at


def test_a_series_of_late_reports_ends_in_what_is_true_now() -> None:
    away = deadline_passed(up_at(T), HOURLY, T + 3900, [Absence(T + 100, T + 20_000)]).condition
    assert away.state == "unknown"
    for number in range(1, 6):
        decision = receive(away, HOURLY, late(T + 3600 * number, T + 20_000 + number))
        assert (decision.transition is not None) == (number == 5)
        away = decision.condition
    assert (away.state, away.last_ping) == ("up", T + 18_000)


@pytest.mark.parametrize("kind", ["success", "fail"])
def test_what_is_older_than_the_last_word_changes_nothing(kind: str) -> None:
    before = receive(up_at(T), HOURLY, Ping(T + 100, "success")).condition
    decision = receive(before, HOURLY, late(T + 99, T + 200, kind))
    assert (decision.condition, decision.reason, decision.transition) == (before, "overtaken", None)
    assert decision.recorded == kind


def test_a_late_failure_is_down_since_it_happened() -> None:
    decision = receive(up_at(T), HOURLY, late(T + 100, T + 700, "fail", exit_status=3))
    assert decision.transition is not None
    assert (decision.transition.since, decision.condition.since) == (T + 100, T + 100)
    assert decision.transition.message == "the job ended with exit status 3; the report came 10m late"
    resumed = replace(up_at(T), state="unknown", since=T + 500)
    assert receive(resumed, HOURLY, late(T + 100, T + 700, "fail")).condition.since == T + 500


def test_a_late_report_does_not_end_a_pause_that_is_younger() -> None:
    paused = pause(up_at(T), T + 50, "person").condition
    assert receive(paused, HOURLY, late(T + 40, T + 60)).condition == paused
    assert receive(paused, HOURLY, late(T + 55, T + 60)).condition.state == "up"


def test_a_late_end_keeps_the_duration_of_its_run() -> None:
    running = receive(up_at(T), HOURLY, Ping(T + 100, "start", RID)).condition
    decision = receive(running, HOURLY, late(T + 160, T + 300, rid=RID))
    assert decision.condition.last_duration == 60.0
    assert decision.condition.last_start is None
    measured = receive(running, HOURLY, late(T + 160, T + 300, rid=RID, duration=59.5))
    assert measured.condition.last_duration == 59.5
    overran = deadline_passed(running, HOURLY, T + 400).condition
    told = receive(overran, HOURLY, late(T + 160, T + 500, rid=RID, duration=60.0))
    assert told.transition is not None
    assert told.transition.message.startswith("the job had reported success in time")
    assert told.condition.last_duration == 60.0


def test_a_late_start_begins_no_run() -> None:
    before = up_at(T)
    decision = receive(before, HOURLY, late(T + 10, T + 20, "start"))
    assert (decision.condition, decision.reason, decision.recorded) == (before, "late_start", "start")


def test_a_late_report_never_brings_a_deadline_forward() -> None:
    moved = redeclare(up_at(T), Rhythm(Schedule(every=60.0), 600.0), T + 5000)
    decision = receive(moved.condition, Rhythm(Schedule(every=60.0), 600.0), late(T + 4900, T + 5010))
    assert decision.condition.next_at == moved.condition.next_at


def test_a_late_failure_in_a_window_is_judged_by_its_own_time() -> None:
    decision = receive(up_at(T), HOURLY, late(T + 100, T + 9000, "fail"), "works")
    assert (decision.condition.state, decision.reason) == ("unknown", "failed_in_maintenance")
    assert decision.condition.due_at == T + 9000 + 3600


def test_a_clock_that_was_set_back_moves_what_was_stored_to_now() -> None:
    ahead = up_at(T + 7200)
    right = set_right(ahead, HOURLY, T)
    assert (right.last_ping, right.since, right.next_at) == (T, T, T + 3900)
    running = receive(ahead, HOURLY, Ping(T + 7201, "start", RID)).condition
    assert (set_right(running, HOURLY, T).last_start, set_right(running, HOURLY, T).next_at) == (T, T + 300)
    waiting = arm(replace(ahead, state="unknown", last_ping=T - 9), HOURLY, T + 7200)
    assert set_right(waiting, HOURLY, T).next_at == T + 3900
    sound = up_at(T)
    assert set_right(sound, HOURLY, T) is sound
    assert set_right(sound, HOURLY, T + 3000) is sound


NIGHT = 1_800_064_800.0  # 2027-01-16 02:00 UTC
DAY = 86_400.0


@pytest.mark.parametrize(("ping", "due"), [(-301, 0), (-300, DAY), (-1, DAY), (60, DAY), (DAY - 301, DAY)])
def test_a_ping_a_little_early_is_the_one_for_the_time_to_come(ping: float, due: float) -> None:
    nightly = Rhythm(Schedule(cron="0 2 * * *"), 600.0, early=300.0)
    assert receive(Condition(), nightly, Ping(NIGHT + ping, "success")).condition.due_at == NIGHT + due


def test_a_run_must_start_within_its_own_limit_and_end_within_grace() -> None:
    nightly = Rhythm(Schedule(cron="0 2 * * *"), 3600.0, start_within=300.0)
    waiting = receive(Condition(), nightly, Ping(NIGHT - 3600, "success")).condition
    assert (waiting.due_at, waiting.next_at) == (NIGHT, NIGHT + 300)
    silent = deadline_passed(waiting, nightly, NIGHT + 300)
    assert silent.transition is not None
    assert (silent.reason, silent.transition.since) == ("not_started", NIGHT + 300)
    assert silent.transition.message == "no run was started within 5m of the time at which it was due"
    started = receive(waiting, nightly, Ping(NIGHT + 200, "start")).condition
    assert started.next_at == NIGHT + 3600
    assert deadline_passed(started, nightly, NIGHT + 3600).reason == "missed"
    assert receive(started, nightly, Ping(NIGHT + 900, "success")).condition.next_at == NIGHT + DAY + 300
    assert receive(waiting, nightly, Ping(NIGHT + 250, "success")).condition.next_at == NIGHT + DAY + 300
