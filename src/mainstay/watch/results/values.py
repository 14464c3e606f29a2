"""What goes into the history of results and comes out of it.

Times are epoch seconds, lengths are seconds, shares are 0..1; "no data" is None and never 0 or 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

# The states time is charged to. Only `down` lowers uptime; unknown, paused and maintenance count as no data.
Charge = Literal["up", "degraded", "down", "unknown", "paused", "maintenance"]


class Sample(msgspec.Struct, kw_only=True):
    """One result. `charged` seconds before `at` were spent in state `charge` (0 for the first result).

    `location` is empty for what counts for the monitor: its only result, or what several locations voted. A result
    of a single location carries the location's name, and is in no uptime, bar or series that does not name it.
    """

    uid: str
    at: float
    verdict: str
    duration: float
    charge: Charge
    charged: float
    lag: float = 0.0
    phases: Mapping[str, float] = msgspec.field(default_factory=dict)  # lookup connect tls wait transfer
    code: str = ""
    message: str = ""
    evidence: Mapping[str, Any] = msgspec.field(default_factory=dict)
    location: str = ""


class Uptime(msgspec.Struct, frozen=True, gc=False):
    """Seconds charged per state over a period; `share` is (up + degraded) / (up + degraded + down).

    A page of history makes them by the ten thousand, which is why this is no dataclass.
    mean: seconds that a check took which was not a failure; None where none was measured.
    """

    seconds: Mapping[str, float] = msgspec.field(default_factory=dict)
    checks: int = 0
    failures: int = 0
    mean: float | None = None

    @property
    def share(self) -> float | None:
        good = self.seconds.get("up", 0.0) + self.seconds.get("degraded", 0.0)
        total = good + self.seconds.get("down", 0.0)
        return good / total if total > 0 else None


class Bar(msgspec.Struct, frozen=True, gc=False):
    """One bucket of a history bar (a day, an hour): its start and what it was like."""

    at: float
    uptime: Uptime


@dataclass(frozen=True, slots=True)
class Point:
    """One bucket of a latency chart. Phases are means; None where nothing was measured."""

    at: float
    checks: int
    failures: int
    mean: float | None
    p50: float | None
    p95: float | None
    maximum: float | None
    phases: Mapping[str, float] = field(default_factory=dict)
