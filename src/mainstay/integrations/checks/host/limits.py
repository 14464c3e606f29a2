"""Limits of measures, and what a value means by them. Pure; the spec takes its defaults from here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mainstay.kernel.probing import Verdict

# measure -> (warn, critical) where nothing is declared; None: no limit.
DEFAULTS: dict[str, tuple[float | None, float | None]] = {
    "cpu": (None, None),
    "memory": (80.0, None),
    "swap": (None, None),
    "load": (None, None),
    "temperature": (None, None),
    "disk": (80.0, 90.0),
}


@dataclass(frozen=True, slots=True)
class Limits:
    """At `warn` and above a value is degraded, at `critical` and above it is down."""

    warn: float | None = None
    critical: float | None = None

    @property
    def given(self) -> bool:
        return self.warn is not None or self.critical is not None

    def judge(self, value: float) -> tuple[Verdict, str]:
        """The verdict, and the limit that it comes from as people read it (empty when up)."""
        if self.critical is not None and value >= self.critical:
            return "down", f"critical from {self.critical:g}"
        if self.warn is not None and value >= self.warn:
            return "degraded", f"warning from {self.warn:g}"
        return "up", ""


def limits_of(measure: str, document: Mapping[str, Any] | None) -> Limits:
    """The limits as declared, the defaults of the measure where nothing is said."""
    warn, critical = DEFAULTS[measure]
    found = document or {}
    return Limits(found.get("warn", warn), found.get("critical", critical))
