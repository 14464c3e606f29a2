"""The state machine of monitors: `decide(state, signal, now, policy) -> Decision`, pure and total.

    pending ──first success──▶ up ──confirm.failures──▶ down ──recover.successes──▶ up
                               up ◀─recover.successes── degraded ◀─confirm.failures── up
    any ──nothing can be said──▶ unknown ──results──▶ what they say
    any ──window──▶ maintenance ──its end──▶ up if it works, else its next results decide
    any ──person──▶ paused ──person──▶ pending

- Degraded is confirmed and left by the same counts as down. One degraded or failed check never decides.
- Unknown verdicts count neither as failure nor as success; UNKNOWN_AFTER in a row make the state unknown.
- What it was before unknown is kept: still down is told with the reason `still_down` and the old `since`.
- Going down `flapping.falls` times within `flapping.within` is flapping. A recovery is then held back until nothing
  has changed for half of that time.
- A failure while a parent fails is confirmed with `suppressed_by`; see `_confirm` and `_stay_down`.
- Results further apart than Policy.gap, or from before the last one, are not consecutive: the clock jumped,
  or this program did not run. Confirmation then starts anew; the state stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from mainstay.watch.state import (
    STREAK_LIMIT,
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
    State,
    Transition,
    WindowBegan,
    WindowEnded,
)

if TYPE_CHECKING:
    from mainstay.watch.spec import MonitorSpec

_NO_STREAKS: dict[str, Any] = {
    "up_streak": 0,
    "working_streak": 0,
    "troubled_streak": 0,
    "failed_streak": 0,
    "unknown_streak": 0,
    "waited": False,
}


def policy_of(spec: MonitorSpec) -> Policy:
    return Policy(
        interval=spec.every,
        timeout=spec.timeout,
        failures=spec.confirm.failures,
        recheck=spec.confirm.recheck,
        successes=spec.recover.successes,
        flap_falls=spec.flapping.falls,
        flap_within=spec.flapping.within,
        degraded_alerts="degraded" in spec.alert_on,
        parents=bool(spec.parents),
    )


def decide(state: MonitorState, signal: Signal, now: float, policy: Policy) -> Decision:
    """The state after `signal`, whether that is a transition, and why. `now` is the wall clock and may jump."""
    if isinstance(signal, Result):
        if signal.verdict == "up" and state.up_streak >= STREAK_LIMIT and state.state == "up":
            # The usual case, kept short: a calm monitor stays calm.
            return Decision(replace(state, seen_at=signal.at, unknown_streak=0), Reason.STEADY)
        return _on_result(state, signal, now, policy)
    if isinstance(signal, Excused):
        return _on_excuse(state, signal.reason, now)
    if isinstance(signal, Restored):
        return _on_restored(state, policy)
    return _on_order(state, signal, now, policy)


def restarted(state: MonitorState) -> MonitorState:
    """A state as it was stored: what came after it is not known, so no streak goes on."""
    return replace(state, **_NO_STREAKS, free_failures=0)


# -- results ---------------------------------------------------------------------------------------


def _on_result(state: MonitorState, result: Result, now: float, policy: Policy) -> Decision:
    if state.state == "paused":
        return Decision(state, Reason.PAUSED)
    if state.seen_at and not -policy.timeout - 1 <= result.at - state.seen_at <= policy.gap:
        state = replace(state, **_NO_STREAKS, seen_at=0.0)
    if result.verdict == "unknown":
        return _on_unknown(state, result, now, policy)
    state = _counted(state, result)
    if state.state == "maintenance" and state.window:
        return Decision(state, Reason.IN_MAINTENANCE)
    if not state.flapping or result.at - _steady_from(state, policy) < policy.flap_span / 2:
        return _counted_fall(_judged(state, result, now, policy), result.at, policy)
    decision = _judged(replace(state, flapping=False, falls=()), result, now, policy)
    if decision.reason is Reason.RECOVERED and decision.transition is not None:
        decision = _renamed(decision, Reason.CALM_AGAIN)
    stays = decision.tell_again or (decision.transition is None and _fails_on(state, policy))
    return replace(decision, flapping=False, tell_again=stays)


def _fails_on(state: MonitorState, policy: Policy) -> bool:
    """Whether it is as it was told last, confirmed anew, and no parent explains it."""
    if state.state == "degraded":
        return policy.degraded_alerts and state.troubled_streak >= policy.failures
    return state.state == "down" and state.failed_streak >= policy.failures and not state.suppressed_by


def _counted(state: MonitorState, result: Result) -> MonitorState:
    """The state with the verdict added to its streaks."""
    at, verdict = result.at, result.verdict
    failed, up = verdict == "down", verdict == "up"
    changes: dict[str, Any] = {
        "up_streak": _one_more(state.up_streak) if up else 0,
        "working_streak": 0 if failed else _one_more(state.working_streak),
        "troubled_streak": 0 if up else _one_more(state.troubled_streak),
        "failed_streak": _one_more(state.failed_streak) if failed else 0,
        "unknown_streak": 0,
        "seen_at": max(at, state.seen_at),
    }
    if not failed:
        changes["waited"] = False
        if state.working_streak == 0:
            changes["working_from"] = at
    elif state.failed_streak == 0:
        changes["failing_from"] = at
    if up and state.up_streak == 0:
        changes["up_from"] = at
    if not up and state.troubled_streak == 0:
        changes["trouble_from"] = at
    return replace(state, **changes)


def _one_more(streak: int) -> int:
    return streak + 1 if streak < STREAK_LIMIT else streak


def _steady_from(state: MonitorState, policy: Policy) -> float:
    """Since when every verdict says the same, as far as it wakes somebody."""
    if policy.degraded_alerts:
        return state.up_from if state.up_streak else state.trouble_from
    return state.failing_from if state.failed_streak else state.working_from


def _counted_fall(decision: Decision, at: float, policy: Policy) -> Decision:
    """The decision with its fall counted, if it is one that wakes somebody: one in an outage, however it went on."""
    moved = decision.transition
    if moved is None or moved.reason is not Reason.CONFIRMED:
        return decision
    troubled = ("down", "degraded") if policy.degraded_alerts else ("down",)
    if moved.to not in troubled or moved.previous in troubled:
        return decision
    state, span = decision.state, policy.flap_span
    falls = (*(fall for fall in state.falls if 0 <= at - fall <= span), at)[-policy.flap_falls :]
    if state.flapping or len(falls) < policy.flap_falls:
        return replace(decision, state=replace(state, falls=falls))
    state = replace(state, falls=falls, flapping=True)
    return replace(decision, state=state, flapping=True, flapped=(len(falls), span))


def _judged(state: MonitorState, result: Result, now: float, policy: Policy) -> Decision:
    standing = _standing(state)
    if result.verdict == "down":
        return _on_failure(state, result, now, policy)
    if standing in ("down", "degraded"):
        return _on_recovery(state, standing, now, policy)
    if result.verdict == "up":
        if state.state == "up":
            return Decision(state, Reason.STEADY)
        return _move(state, "up", now, _reason_for_first(state))
    if state.troubled_streak >= policy.failures:
        return _move(state, "degraded", now, Reason.CONFIRMED)
    return _ask_again(state, Reason.CONFIRMING, policy)


def _standing(state: MonitorState) -> State:
    """What the state was when something was last known; `pending` if nothing ever was."""
    if state.state == "unknown":
        return state.settled
    return "pending" if state.state == "maintenance" else state.state


def _reason_for_first(state: MonitorState) -> Reason:
    if state.state == "maintenance":
        return Reason.WINDOW_ENDED
    return Reason.FIRST_SUCCESS if state.settled == "pending" else Reason.RESULTS_AGAIN


def _on_failure(state: MonitorState, result: Result, now: float, policy: Policy) -> Decision:
    if state.state == "down":
        return _stay_down(state, result, policy)
    if state.failed_streak < policy.failures:
        decision = _ask_again(state, Reason.CONFIRMING, policy)
        return replace(decision, recheck_parents=policy.parents and state.failed_streak == 1)
    return _confirm(state, result, now, policy)


def _confirm(state: MonitorState, result: Result, now: float, policy: Policy) -> Decision:
    """Enough failures. Parents that were not checked since the first of them get one more moment."""
    if not result.failing_parents and result.unchecked_parents and not state.waited:
        decision = _ask_again(replace(state, waited=True), Reason.WAITING_FOR_PARENTS, policy)
        return replace(decision, recheck_parents=True)
    parent = result.failing_parents[0] if result.failing_parents else ""
    if state.state == "unknown" and state.settled == "down" and (parent or not state.suppressed_by):
        reason = Reason.STILL_DOWN
    else:
        reason = Reason.PARENT_FAILING if parent else Reason.CONFIRMED
    return _move(replace(state, suppressed_by=parent), "down", now, reason)


def _stay_down(state: MonitorState, result: Result, policy: Policy) -> Decision:
    """Down already. If a parent excused it and works again, people must hear of it after a new confirmation."""
    if not state.suppressed_by:
        return Decision(state, Reason.STEADY)
    if result.failing_parents:
        return Decision(replace(state, suppressed_by=result.failing_parents[0], free_failures=0), Reason.PARENT_FAILING)
    state = replace(state, free_failures=state.free_failures + 1)
    if state.free_failures < policy.failures:
        return _ask_again(state, Reason.CONFIRMING, policy)
    freed = replace(state, suppressed_by="", free_failures=0, reason=Reason.PARENT_BACK)
    return Decision(freed, Reason.PARENT_BACK, tell_again=True)


def _on_recovery(state: MonitorState, standing: State, now: float, policy: Policy) -> Decision:
    """A verdict that is not a failure, for a monitor that was down or degraded."""
    up = state.up_streak >= policy.successes
    if standing == "degraded":
        if not up:
            return _linger_degraded(state, now, policy)
        if state.flapping and policy.degraded_alerts:
            return Decision(state, Reason.RECOVERY_HELD)
        return _move(state, "up", now, Reason.RECOVERED)
    if state.working_streak < policy.successes:
        return _ask_again(replace(state, free_failures=0), Reason.RECOVERING, policy)
    if state.flapping:
        return Decision(state, Reason.RECOVERY_HELD)
    return _move(state, "up" if up else "degraded", now, Reason.RECOVERED)


def _linger_degraded(state: MonitorState, now: float, policy: Policy) -> Decision:
    if state.state == "unknown" and state.troubled_streak >= policy.failures:
        return _move(state, "degraded", now, Reason.STILL_DEGRADED)
    if state.up_streak or state.state == "unknown":
        return _ask_again(state, Reason.RECOVERING if state.up_streak else Reason.CONFIRMING, policy)
    return Decision(state, Reason.STEADY)


def _on_unknown(state: MonitorState, result: Result, now: float, policy: Policy) -> Decision:
    state = replace(state, unknown_streak=_one_more(state.unknown_streak), seen_at=max(result.at, state.seen_at))
    if state.state == "unknown" or (state.state == "maintenance" and state.window):
        return Decision(state, Reason.INCONCLUSIVE)
    if state.unknown_streak >= UNKNOWN_AFTER:
        return _on_excuse(state, Reason.RESULTS_UNKNOWN, now)
    if state.failed_streak and state.state != "down":
        return _ask_again(state, Reason.INCONCLUSIVE, policy)
    return Decision(state, Reason.INCONCLUSIVE)


def _ask_again(state: MonitorState, reason: Reason, policy: Policy) -> Decision:
    """No decision yet: check again soon, unless the schedule does so anyway."""
    return Decision(state, reason, recheck_after=policy.recheck if policy.recheck < policy.interval else None)


# -- everything that is no result ------------------------------------------------------------------


def _on_excuse(state: MonitorState, reason: Reason, now: float) -> Decision:
    if state.state == "paused":
        return Decision(state, Reason.PAUSED)
    counted = replace(state, **{**_NO_STREAKS, "unknown_streak": state.unknown_streak})
    if state.state == "maintenance" and state.window:
        return Decision(counted, Reason.IN_MAINTENANCE)
    if state.state == "unknown":
        return Decision(replace(counted, reason=reason), reason)
    return _move(counted, "unknown", now, reason)


def _on_restored(state: MonitorState, policy: Policy) -> Decision:
    if state.state in ("unknown", "pending"):
        return Decision(state, Reason.UPLINK_RESTORED, recheck_after=min(1.0, policy.recheck))
    return Decision(state, Reason.UPLINK_RESTORED)


def _on_order(
    state: MonitorState, signal: Paused | Resumed | WindowBegan | WindowEnded, now: float, policy: Policy
) -> Decision:
    if isinstance(signal, Paused):
        return _on_pause(state, signal.by, now)
    if isinstance(signal, Resumed):
        return _on_resume(state, now)
    if isinstance(signal, WindowBegan):
        return _on_window(state, signal.window, now)
    return _on_window_end(replace(state, window=""), now, policy)


def _on_pause(state: MonitorState, by: str, now: float) -> Decision:
    if state.state == "paused":
        return Decision(state, Reason.PAUSED)
    return _move(_quiet(replace(state, paused_by=by)), "paused", now, Reason.PAUSED, was=state)


def _on_resume(state: MonitorState, now: float) -> Decision:
    if state.state != "paused":
        return Decision(state, Reason.STEADY)
    free = _quiet(replace(state, paused_by=""))
    if state.window:
        return _move(free, "maintenance", now, Reason.WINDOW_BEGAN)
    return _move(free, "pending", now, Reason.RESUMED)


def _on_window(state: MonitorState, window: str, now: float) -> Decision:
    covered = replace(state, window=window)
    if state.state in ("paused", "maintenance"):
        return Decision(covered, Reason.PAUSED if state.state == "paused" else Reason.IN_MAINTENANCE)
    return _move(_quiet(covered), "maintenance", now, Reason.WINDOW_BEGAN, was=state)


def _on_window_end(state: MonitorState, now: float, policy: Policy) -> Decision:
    """Up if it works. What fails is confirmed anew, in maintenance until then: seconds, and no false word."""
    if state.state != "maintenance":
        return Decision(state, Reason.WINDOW_ENDED)
    if state.up_streak:
        return _move(state, "up", now, Reason.WINDOW_ENDED)
    if state.troubled_streak >= policy.failures and not state.failed_streak:
        return _move(state, "degraded", now, Reason.WINDOW_ENDED)
    state = replace(state, **_NO_STREAKS)
    return Decision(state, Reason.WINDOW_ENDED, recheck_after=min(1.0, policy.recheck))


def _quiet(state: MonitorState) -> MonitorState:
    """Nothing that came before counts: not its failures, its flapping or its parents."""
    return replace(
        state,
        **_NO_STREAKS,
        settled="pending",
        settled_since=0.0,
        falls=(),
        flapping=False,
        suppressed_by="",
        free_failures=0,
    )


# -- moving ----------------------------------------------------------------------------------------


def _move(state: MonitorState, to: State, now: float, reason: Reason, *, was: MonitorState | None = None) -> Decision:
    """The transition to another state. `was`: the state before it was made quiet, if it was."""
    since = max(0.0, min(_since(state, to, reason, now), now))
    downtime = None
    if to in ("up", "degraded") and _standing(state) == "down":
        began = state.since if state.state == "down" else state.settled_since
        downtime = max(0.0, since - began)
    changes: dict[str, Any] = {"state": to, "since": since, "reason": reason}
    if to == "unknown":
        if state.state != "maintenance":
            changes |= {"settled": state.state, "settled_since": state.since}
    elif to in ("up", "degraded", "down"):
        changes |= {"settled": to, "settled_since": since}
    if to in ("up", "degraded"):
        changes |= {"suppressed_by": "", "free_failures": 0, "waited": False}
    if to == "down":
        changes |= {"free_failures": 0, "waited": False}
    transition = Transition(state.state, to, since, reason, state.suppressed_by if to == "down" else "", downtime)
    flapping = False if was is not None and was.flapping else None
    return Decision(replace(state, **changes), reason, transition, flapping=flapping)


def _since(state: MonitorState, to: State, reason: Reason, now: float) -> float:
    if reason in (Reason.STILL_DOWN, Reason.STILL_DEGRADED):
        return state.settled_since
    if to == "down":
        return state.failing_from
    if to == "degraded":
        return state.working_from if _standing(state) == "down" else state.trouble_from
    if to == "up" and state.up_streak:
        return now if state.state == "maintenance" else state.up_from
    return now


def _renamed(decision: Decision, reason: Reason) -> Decision:
    transition = decision.transition
    if transition is None:
        return decision
    return replace(
        decision,
        state=replace(decision.state, reason=reason),
        reason=reason,
        transition=replace(transition, reason=reason),
    )
