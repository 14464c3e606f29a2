"""The one contract by which every capability says that something is wrong, or over.

An event that is a `Trouble` says what is wrong with its subject; one with an `over` ends the alert of its subject; one
with a field `aside` sets it aside, for that reason, until its next trouble or its end: nobody hears of it while
maintenance covers it.
Trouble with a subject that is known already makes it worse, milder or news, by its level and severity; news wakes
people once more only if `again` says why it should. Alerting knows subjects by this contract alone, and none of them
by name: what is declared has its page by its `Kind`, and what it said itself; what has to report in by a schedule has
that as `schedule` in its evidence, and as its address.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec

from mainstay.kernel.event import Event

TroubleLevel = Literal["unknown", "degraded", "down"]

Uid = Annotated[str, "of the resource that it is about; empty if it is none"]
Severity = Annotated[str, "P0 to P3"]
Labels = Annotated[dict[str, str], "declared labels, and others that alerts are routed by, such as the severity"]
Address = Annotated[str, "where the subject is"]
AlertOn = Annotated[list[str], "the levels that open an alert"]
Since = Annotated[float, "when it began"]
Reason = Annotated[str, "short code for why it was decided"]
Code = Annotated[str, "short code for what was found"]
Message = Annotated[str, "one sentence for a person"]
Evidence = Annotated[dict[str, Any], "what was seen"]
SuppressedBy = Annotated[str, "the subject that explains it, such as a parent that is failing too; empty if none does"]


class Trouble(Event, kw_only=True):
    """Something is wrong with the subject. A resource whose `uid` it has ends the alert when it is deleted."""

    heading: Annotated[str, "a short summary: `api is down`"] = msgspec.field(name="title")
    level: Annotated[TroubleLevel, "how bad it is"] = "down"
    severity: Severity = "P2"
    labels: Labels = {}
    since: Since
    uid: Uid = ""
    alert_on: AlertOn = msgspec.field(default_factory=lambda: ["down"])
    reason: Reason = ""
    code: Code = ""
    message: Message = ""
    evidence: Evidence = {}
    address: Address = ""
    suppressed_by: SuppressedBy = ""
    again: Annotated[str | None, "why people are notified once more, though it is known"] = None

    @property
    def data(self) -> dict[str, Any]:
        """The severity is a label too, so that routes can go by it; one that the sender wrote stays as it is."""
        labels = {"severity": self.severity, **self.labels}
        return super().data | {"labels": labels, "since": round(self.since, 3)}


@dataclass(frozen=True, slots=True)
class Said:
    """What a subject said itself when it failed. Kept by whoever heard it, not in the journal, and not for good."""

    text: str
    exit_status: int | None = None


def tells(event: type[Event]) -> Literal["", "trouble", "over", "aside"]:
    """What a kind of event says of its subject by this contract; nothing if it is only told."""
    if issubclass(event, Trouble):
        return "trouble"
    if event.over:
        return "over"
    return "aside" if "aside" in event.__struct_fields__ else ""
