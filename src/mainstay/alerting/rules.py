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

Routes are asked in order; each that fits adds its channels, `stop` ends the asking. Without any declared
route every channel is told. With routes of which none fits, nobody is, and the alert says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from mainstay.alerting.spec import RouteSpec
from mainstay.kernel.errors import MainstayError, Unavailable
from mainstay.kernel.matchers import all_match, is_broken

Action = Literal["open", "escalate", "ease", "update", "resolve", "ignore"]
LEVELS = {"unknown": 0, "degraded": 1, "down": 2}

FIRST_PAUSE, LONGEST_PAUSE, LONGEST_RETRY_AFTER = 1.0, 300.0, 3600.0
# A message that never reached anybody needs no second one that says it is over.
REACHED, UNDER_WAY = frozenset({"delivered"}), frozenset({"pending", "delivering"})
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


NO_CHANNEL = "no channel is declared"


@dataclass(frozen=True, slots=True)
class Routing:
    """Channels in order, each with why it was chosen; `untold` says why there is none."""

    channels: Mapping[str, str] = field(default_factory=dict)
    untold: str = ""


def choose_channels(
    routes: Sequence[tuple[str, RouteSpec]], channels: Sequence[str], labels: Mapping[str, str]
) -> Routing:
    """routes: (name, spec) in their order; channels: names of all that are declared."""
    if not channels:
        return Routing(untold=NO_CHANNEL)
    if not routes:
        return Routing(dict.fromkeys(channels, "no route is declared, so every channel is notified"))
    chosen: dict[str, str] = {}
    for name, route in routes:
        broken = is_broken(route.match)
        if broken or all_match(route.match, labels):  # rather one message too many than nobody who hears of it
            for channel in route.to:
                if channel in channels:
                    chosen.setdefault(channel, f"route {name}{', whose matchers cannot be read' if broken else ''}")
            if route.stop and not broken:
                break
    return Routing(chosen) if chosen else Routing(untold="no route matches its labels")


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
