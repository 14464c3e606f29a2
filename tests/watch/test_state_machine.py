"""The state machine under every row of signals that Hypothesis can think of, held to what must never break."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mainstay.watch.rules import decide, restarted
from mainstay.watch.state import (
    UNKNOWN_AFTER,
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
    Transition,
    WindowBegan,
    WindowEnded,
    from_json,
    to_json,
)

EXCUSES = (Reason.UPLINK_LOST, Reason.RESOLVER_DEAD, Reason.NO_RESULTS, Reason.NOT_CHECKABLE)
policies = st.builds(
    Policy,
    interval=st.sampled_from([1.0, 30.0, 300.0]),
    timeout=st.sampled_from([1.0, 10.0]),
    failures=st.integers(1, 4),
    recheck=st.sampled_from([0.0, 5.0]),
    successes=st.integers(1, 4),
    flap_falls=st.sampled_from([2, 3, 100]),
    flap_within=st.sampled_from([60.0, 1800.0]),
    degraded_alerts=st.booleans(),
    parents=st.just(True),
)


class MonitorMachine(RuleBasedStateMachine):
    """Beside the rules, a plain model keeps the verdicts that may count: what the last ones were in a row."""

    @initialize(policy=policies)
    def start(self, policy: Policy) -> None:
        self.policy, self.state, self.now = policy, MonitorState(since=1_000_000.0), 1_000_000.0
        self.counting: list[str] = []  # verdicts since the last break, unknown ones left out
        self.seen = 0.0
        self.told: list[Transition] = []
        self.flapping_told: list[bool] = []

    def feed(self, signal: Signal) -> Decision:
        before = self.state
        decision = decide(self.state, signal, self.now, self.policy)
        self.state = decision.state
        self.check(before, signal, decision)
        return decision

    def check(self, before: MonitorState, signal: Signal, decision: Decision) -> None:
        moved = decision.transition
        if moved is None:
            assert decision.state.state == before.state
        else:
            assert moved.previous == before.state != moved.to == decision.state.state
            assert 0 <= moved.since <= self.now
            assert moved.downtime is None or moved.downtime >= 0
            if moved.to == "down":
                last = self.counting[-self.policy.failures :]
                assert last == ["down"] * self.policy.failures
                assert isinstance(signal, Result)
                assert signal.verdict == "down"
            if moved.to == "up" and before.state == "down":
                last = self.counting[-self.policy.successes :]
                assert last == ["up"] * self.policy.successes
            if before.state == "down" and moved.to == "degraded":
                assert "down" not in self.counting[-self.policy.successes :]
            if moved.to == "up":
                assert not decision.state.suppressed_by
                assert not (decision.state.flapping and before.state == "down")
            self.told.append(moved)
        if isinstance(signal, Result) and signal.verdict == "unknown" and moved is not None:
            assert moved.to == "unknown"
            assert decision.state.unknown_streak >= UNKNOWN_AFTER
        if decision.flapping is not None:
            assert self.flapping_told[-1:] != [decision.flapping]
            assert decision.flapping or self.flapping_told
            self.flapping_told.append(decision.flapping)
        if decision.tell_again:
            assert before.suppressed_by or decision.flapping is False
            assert not decision.state.suppressed_by
            wrong = {"down"} if decision.state.state == "down" else {"down", "degraded"}
            assert set(self.counting[-self.policy.failures :]) <= wrong
        if decision.recheck_after is not None:
            assert 0 <= decision.recheck_after <= max(self.policy.recheck, 1.0)

    @rule(
        verdict=st.sampled_from(["up", "degraded", "down", "unknown"]),
        step=st.floats(0.0, 1.0),
        failing=st.booleans(),
        unchecked=st.booleans(),
        times=st.integers(1, 5),
    )
    def result(self, *, verdict: str, step: float, failing: bool, unchecked: bool, times: int) -> None:
        for _ in range(times):
            self.now += max(0.1, step * self.policy.interval)
            self.one_result(verdict, failing=failing, unchecked=unchecked)

    def one_result(self, verdict: str, *, failing: bool = False, unchecked: bool = False) -> None:
        if self.seen and not -self.policy.timeout - 1 <= self.now - self.seen <= self.policy.gap:
            self.counting = []
        if self.state.state != "paused":
            self.seen = self.now if not self.seen else max(self.seen, self.now) if self.counting else self.now
            if verdict != "unknown":
                self.counting.append(verdict)
        parents = ("gateway",) if failing else ()
        decision = self.feed(Result(self.now, verdict, parents, unchecked))  # type: ignore[arg-type]
        self.seen = self.state.seen_at
        if decision.transition is not None and decision.transition.to == "unknown":
            self.counting = []

    @rule(jump=st.sampled_from([3600.0, -3600.0, 86_400.0]), verdict=st.sampled_from(["up", "down"]))
    def clock_jumps(self, jump: float, verdict: str) -> None:
        self.now = max(500_000.0, self.now + jump)
        before = self.state.state
        self.one_result(verdict)
        if verdict == "down" and self.policy.failures > 1:
            assert self.state.state == before or before == "maintenance"

    @rule(reason=st.sampled_from(EXCUSES))
    def excused(self, reason: Reason) -> None:
        self.counting = []
        decision = self.feed(Excused(reason))
        assert decision.state.state in ("unknown", "paused", "maintenance")

    @rule()
    def restored(self) -> None:
        assert self.feed(Restored()).transition is None

    @rule()
    def pause(self) -> None:
        self.counting = []
        self.feed(Paused("user:ops"))
        assert self.state.state == "paused"

    @precondition(lambda self: self.state.state == "paused")
    @rule()
    def resume(self) -> None:
        self.feed(Resumed())
        assert self.state.state in ("pending", "maintenance")

    @rule(window=st.sampled_from(["monthly", "weekly"]))
    def window_begins(self, window: str) -> None:
        if self.state.state not in ("paused", "maintenance"):
            self.counting = []
        self.feed(WindowBegan(window))
        assert self.state.state in ("maintenance", "paused")

    @precondition(lambda self: bool(self.state.window))
    @rule()
    def window_ends(self) -> None:
        decision = self.feed(WindowEnded())
        assert self.state.state != "down"
        if decision.transition is None and self.state.state == "maintenance":
            self.counting = []

    @rule()
    def program_restarts(self) -> None:
        self.counting = []
        self.state = restarted(from_json(to_json(self.state)))

    @invariant()
    def transitions_follow_from_each_other(self) -> None:
        told = getattr(self, "told", [])
        for before, after in pairwise(told):
            assert before.to == after.previous

    @invariant()
    def state_is_whole(self) -> None:
        state = getattr(self, "state", None)
        if state is None:
            return
        assert bool(state.paused_by) == (state.state == "paused")
        assert state.state == "maintenance" or not state.window or state.state == "paused"
        assert state.failed_streak <= state.troubled_streak
        assert state.up_streak <= state.working_streak
        assert not (state.failed_streak and state.working_streak)
        assert from_json(to_json(state)) == state


TestMonitorMachine = MonitorMachine.TestCase
TestMonitorMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
