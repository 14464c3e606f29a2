"""What helps whoever is woken, besides the finding: the declared description, and what the subject itself said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainstay.kernel.capability import load
from mainstay.kernel.resource import KINDS
from mainstay.store.resources.queries import by_uid

if TYPE_CHECKING:
    from mainstay.alerting.models import AlertRow
    from mainstay.alerting.queries import Alert
    from mainstay.kernel.subject import Said

_OUTPUT = 3000  # characters of a job's output that a message carries: its end, where the error mostly stands


def description_of(uid: str) -> str:
    """Of the subject as it is declared now; empty if there is none."""
    found = by_uid(uid) if uid else None
    return "" if found is None else str(found.document.get("description") or "")


def said_of(alert: Alert | AlertRow) -> Said | None:
    """What the subject itself said when it failed; None if it said nothing, or that is no longer kept."""
    kind = KINDS.of(alert.subject)
    said: Said | None = load(kind.said)(alert.uid, alert.evidence) if kind is not None and kind.said else None
    return said


def told_besides(alert: AlertRow, status: str) -> dict[str, Any]:
    """What a message says besides the finding; read when it is delivered, as a ping is kept after it was judged."""
    besides: dict[str, Any] = {}
    if description := description_of(alert.uid):
        besides["description"] = description
    said = said_of(alert) if status == "firing" else None
    if said is not None and said.exit_status is not None:
        besides["exit_status"] = said.exit_status
    if said is not None and said.text:
        besides["output"] = said.text[-_OUTPUT:]
    return besides
