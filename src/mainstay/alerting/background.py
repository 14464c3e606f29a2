"""What helps whoever is woken, besides the finding itself: the declared description, and what a failed job said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainstay.heartbeats.queries import ping
from mainstay.kernel.errors import NotFound
from mainstay.store.resources.queries import by_uid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mainstay.alerting.models import AlertRow
    from mainstay.heartbeats.queries import PingView

_OUTPUT = 3000  # characters of a job's output that a message carries: its end, where the error mostly stands


def description_of(uid: str) -> str:
    """Of the monitor or heartbeat as it is declared now; empty if there is none."""
    found = by_uid(uid) if uid else None
    return "" if found is None else str(found.document.get("description") or "")


def ping_of(kind: str, uid: str, evidence: Mapping[str, Any]) -> PingView | None:
    """The ping by which a job reported its failure, with its output; None if it did not, or it is no longer kept."""
    number = evidence.get("ping")
    if kind != "heartbeat" or not isinstance(number, int):
        return None
    try:
        return ping(uid, number)
    except NotFound:
        return None


def told_besides(alert: AlertRow, status: str) -> dict[str, Any]:
    """What a message says besides the finding; read when it is delivered, as a ping is kept after it was judged."""
    besides: dict[str, Any] = {}
    if description := description_of(alert.uid):
        besides["description"] = description
    said = ping_of(alert.subject.partition("/")[0], alert.uid, alert.evidence) if status == "firing" else None
    if said is not None and said.exit_status is not None:
        besides["exit_status"] = said.exit_status
    if said is not None and said.text.strip():
        besides["output"] = said.text.strip()[-_OUTPUT:]
    return besides
