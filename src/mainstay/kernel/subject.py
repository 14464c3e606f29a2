"""The one contract by which every capability says that something is wrong, or over.

An event kind that `tells` trouble carries `Trouble` in its data; one that tells `over` ends the alert of its subject;
one that tells `aside` sets it aside, for the reason under that name in its data, until its next trouble or its end:
nobody hears of it while maintenance covers it.
Trouble with a subject that is known already makes it worse, milder or news, by its level and severity; news wakes
people once more only if `again` in the data says why it should. Alerting knows subjects by this contract alone, and
none of them by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

TroubleLevel = Literal["unknown", "degraded", "down"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What is wrong with the subject of an event.

    title: a heading that says it all: `api is down`. since: epoch seconds. uid: of the resource, if it is one; deleting
    that ends the alert. alert_on: the levels that wake somebody. reason, code: short words of the decision; message and
    evidence: what was seen. address: where it is. suppressed_by: the subject or parent that explains it, empty if none.
    """

    title: str
    since: float
    level: TroubleLevel = "down"
    severity: str = "P2"
    labels: Mapping[str, str] = field(default_factory=dict)
    uid: str = ""
    alert_on: Sequence[str] = ("down",)
    reason: str = ""
    code: str = ""
    message: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    address: str = ""
    suppressed_by: str = ""

    def as_data(self) -> dict[str, Any]:
        """For the data of an event; the severity is a label too, so that routes can go by it."""
        return {
            "title": self.title,
            "level": self.level,
            "severity": self.severity,
            "labels": {**self.labels, "severity": self.severity},
            "since": round(self.since, 3),
            "uid": self.uid,
            "alert_on": list(self.alert_on),
            "reason": self.reason,
            "code": self.code,
            "message": self.message,
            "evidence": dict(self.evidence),
            "address": self.address,
            "suppressed_by": self.suppressed_by,
        }
