"""CloudEvents 1.0 over HTTP: structured, a batch, or binary, where the attributes are headers (`ce-id`).

An event is an alert, known by its source and subject, or else by its type; it is over if the last word of its type, or
`status` in its data, says so. CDEvents of something that was deployed are changes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from mainstay.sources.formats.reading import (
    ALERTS_LIMIT,
    MESSAGE_LIMIT,
    TITLE_LIMIT,
    Batch,
    Change,
    Malformed,
    decoded,
    end_of,
    fitted,
    is_over,
    mapping,
    moment,
    notes,
    plain,
    report_of,
)
from mainstay.sources.rules import Order, text

if TYPE_CHECKING:
    from mainstay.sources.spec import Target

_ONE, _MANY = "application/cloudevents+json", "application/cloudevents-batch+json"
_CHANGE = re.compile(r"dev\.cdevents\.\w+\.(?:deployed|upgraded|rolledback|published|removed)\b")
_ENDINGS = ("resolved", "recovered", "closed", "ended", "over", "ok", "up")


def read(body: bytes, headers: Mapping[str, str], target: Target, now: float) -> Batch:
    media = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media == _MANY:
        events = decoded(body)
        if not isinstance(events, list):
            raise Malformed("a batch of CloudEvents is a list")
    elif media == _ONE:
        events = [decoded(body)]
    else:
        attributes = {name[3:]: unquote(value) for name, value in headers.items() if name.startswith("ce-")}
        events = [attributes | {"data": decoded(body) if body else None}]
    batch = Batch()
    for event in events[:ALERTS_LIMIT]:
        _add(batch, mapping(event), target, now)
    return batch


def _add(batch: Batch, event: dict[str, Any], target: Target, now: float) -> None:
    missing = [name for name in ("id", "source", "specversion", "type") if not plain(event.get(name), 500)]
    if missing:
        raise Malformed(f"a CloudEvent needs {', '.join(missing)}")
    if text(event["specversion"]) not in ("1.0", "0.3"):
        raise Malformed(f"specversion {plain(event['specversion'], 20)} is not known; 1.0 is")
    kind, data = plain(event["type"], 500), mapping(event.get("data"))
    at = moment(event.get("time"))
    at = now if at is None else min(at, now)
    subject = plain(event.get("subject"), 500)
    labels = {"alertname": kind, "source": event["source"], "subject": subject}
    if _CHANGE.match(kind):
        about = fitted({"source": event["source"], "subject": subject, "service": data.get("service")})
        summary = plain(data.get("summary") or f"{kind.split('.')[2]} {kind.split('.')[3]}: {subject}", 1024)
        batch.changes.append(Change(summary, at, "deploy", about, details=notes(data)))
        return
    stem, _, last = kind.rpartition(".")
    key = f"{event['source']} {subject or (stem if last in _ENDINGS else kind)}"[:500]
    if last in _ENDINGS or is_over(data.get("status"), now):
        batch.reports.append(Order(key, "resolve"))
        return
    ends_at, guessed = end_of(target, None, now)
    said = plain(data.get("summary") or data.get("title"), TITLE_LIMIT) or f"{kind}: {subject or event['source']}"
    report = report_of(
        target,
        event,
        labels,
        data.get("severity") or event.get("severity"),
        starts_at=at,
        ends_at=ends_at,
        guessed=guessed,
        key=key,
        title=said[:TITLE_LIMIT],
        message=plain(data.get("message") or data.get("description"), MESSAGE_LIMIT),
        annotations=notes(data),
    )
    batch.reports.append(report)
