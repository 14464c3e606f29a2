"""What the public is told: the state of a component, of the page, and the words for both.

Unknown is a result of its own: a component that nobody can measure is neither called working nor broken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

Condition = Literal["operational", "degraded", "partial", "outage", "maintenance", "unknown"]
Indicator = Literal["none", "minor", "major", "critical", "maintenance", "unknown"]

WORDS: dict[Condition, str] = {
    "operational": "Operational",
    "degraded": "Degraded performance",
    "partial": "Partial outage",
    "outage": "Outage",
    "maintenance": "Under maintenance",
    "unknown": "No current data",
}
SENTENCES: dict[Indicator, str] = {
    "none": "All systems operational",
    "minor": "Some systems are slower than usual",
    "major": "Some systems are disrupted",
    "critical": "Major outage",
    "maintenance": "Maintenance in progress",
    "unknown": "Some systems are not being measured right now",
}


def component_condition(states: Sequence[str]) -> Condition:
    """From the states of what stands behind it; paused monitors say nothing."""
    told = [state for state in states if state not in ("paused", "unknown")]
    if not told:
        return "unknown"
    down = told.count("down")
    if down:
        return "outage" if down == len(told) else "partial"
    if "degraded" in told:
        return "degraded"
    if "maintenance" in told:
        return "maintenance"
    return "unknown" if "unknown" in states else "operational"


def page_indicator(conditions: Sequence[Condition]) -> Indicator:
    """From the conditions of all components: critical if everything that can be measured is out."""
    known = [condition for condition in conditions if condition != "unknown"]
    if known and all(condition == "outage" for condition in known):
        return "critical"
    for condition, indicator in (("outage", "major"), ("partial", "major"), ("degraded", "minor")):
        if condition in known:
            return "major" if indicator == "major" else "minor"
    if "maintenance" in known:
        return "maintenance"
    return "unknown" if "unknown" in conditions else "none"
