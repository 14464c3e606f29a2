"""Delivery by PagerDuty's Events API v2 (developer.pagerduty.com/docs/events-api-v2).

The alert's id is the `dedup_key`, so a repeat, an escalation and the end all belong to one PagerDuty alert.
202 is accepted, 400 final, 429 and 5xx come again. A test is triggered and resolved at once, so that nobody
has to close it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mainstay.integrations.http_client import Answer, accepted, post
from mainstay.kernel.ports import DeliveryContext, Notification, Receipt
from mainstay.kernel.wording import facts, heading, link_name, one_line, schedule_of

_SEVERITIES = {"P0": "critical", "P1": "error", "P2": "warning", "P3": "info"}


def deliver(target: Mapping[str, Any], message: Notification, context: DeliveryContext) -> Receipt:
    answer = _send(target, document_of(message, context.now), context)
    if message.status in ("test", "report"):  # nothing that somebody must take
        answer = _send(target, _end(message), context)
    return Receipt(f"{answer.status} {answer.excerpt}".strip(), {"status": answer.status})


def _send(target: Mapping[str, Any], document: dict[str, Any], context: DeliveryContext) -> Answer:
    body = json.dumps({"routing_key": target["routing_key"], **document}, ensure_ascii=False).encode()
    return accepted(post(target["url"], body, {"Content-Type": "application/json"}, context), context.now)


def document_of(message: Notification, now: float) -> dict[str, Any]:
    """The event without its routing key."""
    if message.status == "resolved":
        return _end(message)
    alert = message.alert
    scheduled = schedule_of(message.evidence.get("details", {}))  # which stands where others have their address
    place = "" if scheduled else message.evidence.get("address")
    payload = {
        "summary": one_line(f"{heading(message)}: {alert.get('summary', '')}".rstrip(": "), 1024),
        "source": one_line(place or alert.get("monitor") or "mainstay", 255),
        "severity": _SEVERITIES.get(str(alert.get("severity")), "error"),
        "timestamp": alert.get("since"),
        "component": alert.get("monitor") or "mainstay",
        "class": message.evidence.get("code") or alert.get("kind"),
        "custom_details": {**dict(facts(message, now)), "labels": dict(alert.get("labels", {}))},
    }
    links = [{"href": url, "text": link_name(name)} for name, url in message.links.items()]
    return {
        "event_action": "trigger",
        "dedup_key": alert["id"],
        "client": "Mainstay",
        "client_url": message.links.get("monitor") or message.links.get("alert", ""),
        "payload": payload,
        "links": links,
    }


def _end(message: Notification) -> dict[str, Any]:
    return {"event_action": "resolve", "dedup_key": message.alert["id"]}
