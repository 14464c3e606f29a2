"""Whatever comes in whatever order, a heartbeat's state is explained by what came."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mainstay.heartbeats.rules import (
    Absence,
    Condition,
    Decision,
    Ping,
    PingKind,
    Rhythm,
    deadline_passed,
    pause,
    receive,
    redeclare,
    resume,
)
from mainstay.kernel.schedule import Schedule

RIDS = st.sampled_from(["", "a", "b"])
RHYTHMS = st.builds(
    Rhythm,
    st.one_of(
        st.builds(Schedule, every=st.sampled_from([1.0, 60.0, 3600.0, 86_400.0])),
        st.builds(
            Schedule,
            cron=st.sampled_from(["*/5 * * * *", "30 2 * * *", "0 0 1 * *"]),
            timezone=st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe"]),
        ),
    ),
    st.sampled_from([1.0, 30.0, 3600.0]),
)


class Heartbeat(RuleBasedStateMachine):
    @initialize(rhythm=RHYTHMS, start=st.integers(1_700_000_000, 1_800_000_000))
    def begin(self, rhythm: Rhythm, start: int) -> None:
        self.rhythm = rhythm
        self.now = float(start)
        self.condition = Condition(since=self.now)

    def took(self, decision: Decision) -> None:
        before, after, told = self.condition, decision.condition, decision.transition
        assert decision.reason
        if told is not None:
            assert (told.previous, told.state) == (before.state, after.state)
            assert told.message
            assert told.reason == decision.reason
            assert after.since == told.since <= self.now + 1e-6
        elif after.state != before.state:
            assert (before.state, after.state) == ("paused", "new")
        if told is not None and told.downtime is not None:
            assert before.state == "down"
            assert told.downtime >= 0
        self.condition = after

    @rule(seconds=st.one_of(st.floats(0.001, 100), st.floats(100, 200_000)))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(rid=RIDS)
    def success(self, rid: str) -> None:
        self.took(receive(self.condition, self.rhythm, Ping(self.now, "success", rid)))
        if self.rhythm.enabled:
            assert self.condition.state == "up"

    @rule(rid=RIDS, status=st.sampled_from([None, 1, 255]), window=st.sampled_from(["", "w"]))
    def fail(self, rid: str, status: int | None, window: str) -> None:
        was = self.condition.state
        self.took(receive(self.condition, self.rhythm, Ping(self.now, "fail", rid, status), window))
        if self.rhythm.enabled:
            assert self.condition.state == ("unknown" if window and was != "down" else "down")

    @rule(kind=st.sampled_from(["success", "fail", "start"]), ago=st.floats(0.001, 86_400.0), rid=RIDS)
    def late(self, kind: PingKind, ago: float, rid: str) -> None:
        before = self.condition
        self.took(receive(before, self.rhythm, Ping(self.now - ago, kind, rid, late=ago)))
        after = self.condition
        if before.last_ping is not None:
            assert after.last_ping is not None
            assert after.last_ping >= before.last_ping
        if before.next_at is not None and after.next_at is not None:
            assert after.next_at >= before.next_at
        if kind == "success" and after.state == "up" != before.state and after.last_start is None:
            assert after.next_at is not None
            assert after.next_at > self.now - 1e-3, "nobody is woken by a recovery"

    @rule(rid=RIDS)
    def start(self, rid: str) -> None:
        was = self.condition.state
        self.took(receive(self.condition, self.rhythm, Ping(self.now, "start", rid)))
        assert self.condition.state == was

    @rule()
    def log(self) -> None:
        before = self.condition
        self.took(receive(self.condition, self.rhythm, Ping(self.now, "log")))
        assert replace(self.condition, last_kind=before.last_kind) == before

    @rule(away=st.one_of(st.none(), st.floats(5, 100_000)), window=st.sampled_from(["", "w"]))
    def judge(self, away: float | None, window: str) -> None:
        due = self.condition.next_at is not None and self.condition.next_at <= self.now
        absences = () if away is None else (Absence(self.now - away, self.now),)
        self.took(deadline_passed(self.condition, self.rhythm, self.now, absences, window))
        if due and self.rhythm.enabled and not absences and not window:
            assert self.condition.state == "down"
        if due:
            assert self.condition.next_at is None or self.condition.next_at > self.now

    @rule()
    def paused(self) -> None:
        self.took(pause(self.condition, self.now, "person"))
        assert self.condition.state == "paused"

    @rule()
    def resumed(self) -> None:
        if self.rhythm.enabled:
            self.took(resume(self.condition, self.rhythm, self.now))
            assert self.condition.state != "paused"

    @rule(rhythm=RHYTHMS, enabled=st.booleans())
    def redeclared(self, rhythm: Rhythm, enabled: bool) -> None:
        self.rhythm = replace(rhythm, enabled=enabled)
        self.took(redeclare(self.condition, self.rhythm, self.now))
        if self.condition.next_at is not None:
            assert self.condition.next_at >= self.now + self.rhythm.grace

    @invariant()
    def deadlines_fit_the_state(self) -> None:
        if not hasattr(self, "condition"):
            return
        one = self.condition
        assert (one.due_at is None) == (one.next_at is None)
        assert (one.state == "paused") == bool(one.paused_by)
        if one.state in ("up", "unknown"):
            assert one.next_at is not None
        if one.state == "down" or one.paused_by == "declaration":
            assert one.next_at is None
        if one.state in ("new", "paused") and one.last_start is None:
            assert one.next_at is None


TestHeartbeat = Heartbeat.TestCase
TestHeartbeat.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
