"""The words that decisions about monitors are made in: states, signals, policies, decisions and named reasons.

Plain values without behaviour beyond reading them; `rules.py` decides, `board.py` keeps them in memory.
Times are epoch seconds, lengths are seconds. A state is stored as JSON, so fields are only ever added.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

from mainstay.kernel.probing import Verdict

# `pending` waits for its first result; people see it as unknown.
State = Literal["pending", "up", "degraded", "down", "unknown", "paused", "maintenance"]
Shown = Literal["up", "degraded", "down", "unknown", "paused", "maintenance"]

# What a list shows first.
RANKS: dict[Shown, int] = {"down": 0, "degraded": 1, "unknown": 2, "up": 3, "maintenance": 4, "paused": 5}

STREAK_LIMIT = 21  # streaks stop counting here: nothing asks for more, and a calm monitor stays equal
UNKNOWN_AFTER = 3  # unknown verdicts in a row that make the state unknown


class Reason(StrEnum):
    """Why a decision came out as it did; stable names for the journal, pages and programs."""

    CREATED = "created"  # declared, no result yet
    STEADY = "steady"  # the result says what the state says
    FIRST_SUCCESS = "first_success"  # the first result of a new or resumed monitor is good
    CONFIRMING = "confirming"  # failed or degraded, not often enough yet; it is checked again soon
    CONFIRMED = "confirmed"  # failed or degraded as often in a row as `confirm.failures` asks
    RECOVERING = "recovering"  # good again, not often enough yet
    RECOVERED = "recovered"  # good as often in a row as `recover.successes` asks
    RECOVERY_HELD = "recovery_held"  # good again, but it flaps: the recovery waits until it is calm
    CALM_AGAIN = "calm_again"  # the recovery that flapping held back
    STILL_DOWN = "still_down"  # as before nothing was known; nobody is woken twice
    STILL_DEGRADED = "still_degraded"  # as before nothing was known
    RESULTS_AGAIN = "results_again"  # results after a time without any say what it is
    RESULTS_UNKNOWN = "results_unknown"  # the checker itself could not tell, several times in a row
    INCONCLUSIVE = "inconclusive"  # one result that says nothing; the state stays
    NO_RESULTS = "no_results"  # no result for three intervals and a timeout
    UPLINK_LOST = "uplink_lost"  # this machine has no network
    UPLINK_RESTORED = "uplink_restored"  # the network is back; results decide
    RESOLVER_DEAD = "resolver_dead"  # this machine's name resolver does not answer
    TOO_FEW_VOTES = "too_few_votes"  # fewer of its locations can be heard than its quorum asks for
    NOT_CHECKABLE = "not_checkable"  # a secret that its target refers to has no value
    WAITING_FOR_PARENTS = "waiting_for_parents"  # a parent has not been checked since this began to fail
    PARENT_FAILING = "parent_failing"  # confirmed, but a parent fails too: that one is the cause
    PARENT_BACK = "parent_back"  # the parent works again and this still fails
    PAUSED = "paused"  # by a person or by `enabled: false`
    RESUMED = "resumed"  # waits for its next result
    WINDOW_BEGAN = "window_began"  # a maintenance window covers it
    WINDOW_ENDED = "window_ended"  # the window is over and it works, or its next results decide
    IN_MAINTENANCE = "in_maintenance"  # checked and counted, decided when the window ends


class MonitorState(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that must be remembered of a monitor to decide about its next signal.

    Streaks count verdicts in a row: up; working (up or degraded); troubled (degraded or down); failed
    (down). Verdicts that are unknown end no streak and lengthen none; gaps and lost uplinks end them all.
    """

    state: State = "pending"
    since: float = 0.0
    reason: str = Reason.CREATED
    settled: State = "pending"  # the last of up, degraded and down before nothing was known; else pending
    settled_since: float = 0.0
    up_streak: int = 0
    working_streak: int = 0
    troubled_streak: int = 0
    failed_streak: int = 0
    unknown_streak: int = 0
    up_from: float = 0.0  # when the first check of the up streak began
    working_from: float = 0.0  # ... of the working streak
    trouble_from: float = 0.0  # ... of the troubled streak
    failing_from: float = 0.0  # ... of the failed streak
    seen_at: float = 0.0  # start of the newest check; 0: none yet
    falls: tuple[float, ...] = ()  # when it went down lately, oldest first
    flapping: bool = False
    suppressed_by: str = ""  # name of the parent that is failing too
    free_failures: int = 0  # failures since no parent failed any more, while suppressed
    waited: bool = False  # one extra recheck was granted to the parents
    paused_by: str = ""
    window: str = ""  # the window that covers it now; a maintenance without one waits for its next results

    @property
    def shown(self) -> Shown:
        return "unknown" if self.state == "pending" else self.state

    @property
    def failing(self) -> bool:
        """Down, or on the way there: children that fail now do so because of this."""
        return self.state == "down" or self.failed_streak > 0


class Policy(msgspec.Struct, frozen=True):
    """What the declared monitor says about decisions."""

    interval: float = 60.0
    timeout: float = 10.0
    failures: int = 2
    recheck: float = 5.0
    successes: int = 2
    flap_falls: int = 3
    flap_within: float = 1800.0
    degraded_alerts: bool = False  # changes between up and degraded count as flapping only if they wake somebody
    parents: bool = False

    @property
    def gap(self) -> float:
        """Results further apart than this are not consecutive."""
        return 2 * max(self.interval, self.recheck) + self.timeout

    @property
    def flap_span(self) -> float:
        """Falls within this time are counted together; calm is half of it without a change."""
        return max(self.flap_within, 20 * self.interval)

    @property
    def silence(self) -> float:
        """Nothing known after this long without a result."""
        return 3 * self.interval + self.timeout


class Result(msgspec.Struct, frozen=True):
    """A check's verdict. `failing_parents` and `unchecked_parents` are looked at for failures only."""

    at: float
    verdict: Verdict
    failing_parents: tuple[str, ...] = ()
    unchecked_parents: bool = False  # a parent has not been checked since this monitor began to fail


class Excused(msgspec.Struct, frozen=True):
    """Nothing can be said for a reason that lies on this side: uplink, resolver, secret, silence."""

    reason: Reason


class Restored(msgspec.Struct, frozen=True):
    """The uplink or the resolver is back."""


class Paused(msgspec.Struct, frozen=True):
    by: str


class Resumed(msgspec.Struct, frozen=True):
    pass


class WindowBegan(msgspec.Struct, frozen=True):
    window: str


class WindowEnded(msgspec.Struct, frozen=True):
    pass


Signal = Result | Excused | Restored | Paused | Resumed | WindowBegan | WindowEnded


class Transition(msgspec.Struct, frozen=True):
    """`since` is when the new state began (of down: the first failed check); `downtime` is set for recoveries."""

    previous: State
    to: State
    since: float
    reason: Reason
    suppressed_by: str = ""
    downtime: float | None = None


class Decision(msgspec.Struct, frozen=True):
    """What follows from one signal. `recheck_after` asks for one more check in so many seconds.

    `flapping` is True when flapping starts, False when it ends, None when nothing changes about it; `flapped` says
    how often it went down within how many seconds. `tell_again`: its state is what it was, and people are told so
    now: a parent had suppressed it, or it flapped.
    """

    state: MonitorState
    reason: Reason
    transition: Transition | None = None
    recheck_after: float | None = None
    recheck_parents: bool = False
    flapping: bool | None = None
    flapped: tuple[int, float] | None = None
    tell_again: bool = False


def to_json(state: MonitorState) -> str:
    return msgspec.json.encode(state).decode()


def from_json(text: str) -> MonitorState:
    """Unknown keys of later versions are ignored; ValueError (msgspec's) if it is no state at all."""
    return msgspec.json.decode(text, type=MonitorState)
