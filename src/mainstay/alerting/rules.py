"""Decisions of alerting: pure, with a named reason in every result.

An alert has a level, the worst of what is known: unknown < degraded < down.

| state of the subject      | no open alert                   | open alert                                            |
|---------------------------|---------------------------------|-------------------------------------------------------|
| down, degraded, alerted on| opens                           | worse: escalates, told again; else updated in silence |
| degraded, not alerted on  | nothing                         | resolves: it works again                              |
| unknown                   | opens if alerted on             | stays as it is: nobody can say that it works          |
| up                        | nothing                         | resolves (watch holds recoveries back while it flaps) |
| paused, gone              | nothing                         | resolves with that reason                             |
| maintenance               | nothing                         | stays as it is, and is judged when the window ends    |
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from mainstay.kernel.errors import MainstayError, Unavailable

Action = Literal["open", "escalate", "ease", "update", "resolve", "ignore"]
LEVELS = {"unknown": 0, "degraded": 1, "down": 2}

FIRST_PAUSE, LONGEST_PAUSE, LONGEST_RETRY_AFTER = 1.0, 300.0, 3600.0
# A message that never reached anybody needs no second one that says it is over.
REACHED, UNDER_WAY = frozenset({"delivered"}), frozenset({"pending", "delivering"})
LOST = frozenset({"refused", "expired", "cancelled"})
HEARD = REACHED | UNDER_WAY
FINAL = frozenset({"delivered", "refused", "expired", "suppressed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Decision:
    action: Action
    reason: str


def on_trouble(
    level: str, alert_on: Iterable[str], current: str | None, severities: tuple[str, str] | None = None
) -> Decision:
    """A subject is `level` now; `current` is the level of its open alert; `severities` are (before, now)."""
    if level == "unknown" and current not in (None, "unknown"):
        return Decision("ignore", "the state is unknown, so the alert stays as it is")
    if level not in alert_on:
        if current is not None and level == "degraded":
            return Decision("resolve", "it works again, though degraded")
        return Decision("ignore", f"it does not alert on {level}")
    if current is None:
        return Decision("open", f"{level} is confirmed")
    return _compared(level, current, severities or ("", ""))


def _compared(level: str, current: str, severities: tuple[str, str]) -> Decision:
    """P0 is the worst severity, so a smaller text is worse."""
    if LEVELS[level] > LEVELS[current]:
        return Decision("escalate", f"it went from {current} to {level}")
    if severities[1] < severities[0]:
        return Decision("escalate", f"its severity went from {severities[0]} to {severities[1]}")
    if LEVELS[level] < LEVELS[current]:
        return Decision("ease", f"it went from {current} to {level}")
    return Decision("update", "the alert is open already")


@dataclass(frozen=True, slots=True)
class Twin:
    """What becomes of the resolved message on one channel."""

    state: Literal["pending", "suppressed", "cancelled"]
    reason: str = ""


def resolved_twin(firing_states: Iterable[str], *, wanted: bool | None) -> Twin | None:
    """`firing_states`: of this alert's firing messages on the channel; `wanted`: its `resolved`, None if it is gone.

    None: the channel was never to be told, so there is nothing to explain either.
    """
    states = set(firing_states)
    if not states - {"suppressed"}:
        return None
    if wanted is None:
        return Twin("cancelled", "the channel was deleted")
    if not wanted:
        return Twin("suppressed", "the channel is not notified of resolved alerts")
    if states & HEARD:
        return Twin("pending")
    return Twin("cancelled", "the firing message never reached this channel")


@dataclass(frozen=True, slots=True)
class Failure:
    """`again_in`: seconds until the next attempt; None: never."""

    again_in: float | None
    reason: str


def after_failure(error: MainstayError, attempts: int, chance: float) -> Failure:
    """What a failed attempt means. `attempts` counts it; `chance` in 0..1 spreads repeats."""
    if not error.retryable:
        return Failure(None, "refused permanently")
    asked = error.retry_after if isinstance(error, Unavailable) else None
    pause = backoff(attempts, chance)
    if asked is not None and asked > pause:
        return Failure(min(asked, LONGEST_RETRY_AFTER), "the other side asked to wait")
    return Failure(pause, "worth a retry")


def backoff(attempts: int, chance: float) -> float:
    """1, 2, 4 ... 300 s, each between 75 % and 125 %, so that repeats do not come in step."""
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(max(attempts, 1) - 1, 30))
    return pause * (0.75 + chance / 2)
