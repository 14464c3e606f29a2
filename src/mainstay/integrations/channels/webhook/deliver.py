"""Delivery by webhook. The body:

    {"status": "firing" | "resolved" | "test" | "report",
     "alert": {"id", "monitor", "severity", "labels", "since", "until"},   times RFC 3339, until null while firing
     "evidence": {"title", "reason", "code", "message", ..., "changes": [...]},
     "links": {"monitor", "alert", "acknowledge", and labels that are addresses, such as "runbook"},
     "group": {"id", "route", "labels", "firing", "resolved", "alerts": [...], "truncated"}}   of alerts told together

`alert` is then the worst of those that fire, with the title of all; the others stand in `group.alerts`, 50 at most.

`evidence` also holds the declared `description`, and of a job that reported its failure `exit_status` and `output`.

Headers: `Idempotency-Key` is the same on a repeat; `X-Mainstay-Signature: v1=<hex HMAC-SHA256 of the body>`
when a secret is given. A test has the status `test`, an alert whose id begins with `test-`, and no monitor;
a report likewise, with `report-`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from mainstay.integrations.http_client import accepted, post
from mainstay.kernel.errors import Refused
from mainstay.kernel.ports import DeliveryContext, Notification, Receipt

_ALERT_KEYS = ("id", "monitor", "severity", "labels", "since", "until")


def body_of(message: Notification) -> bytes:
    """The exact bytes that are sent and signed; the same on a repeat."""
    evidence = {"title": message.alert.get("title", ""), **message.evidence, "changes": list(message.changes)}
    document = {
        "status": message.status,
        "alert": {key: message.alert.get(key) for key in _ALERT_KEYS},
        "evidence": evidence,
        "links": dict(message.links),
    }
    if message.group is not None:
        document["group"] = dict(message.group)
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def signature(secret: str, body: bytes) -> str:
    return "v1=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def deliver(target: Mapping[str, Any], message: Notification, context: DeliveryContext) -> Receipt:
    body = body_of(message)
    headers = {"Content-Type": "application/json", "Idempotency-Key": message.id}
    if target.get("secret"):
        headers["X-Mainstay-Signature"] = signature(target["secret"], body)
    for name, value in (target.get("headers") or {}).items():
        if not value.isprintable():  # a secret with a line break would add headers
            raise Refused(f"the header {name} is not one line of text")
        headers[name] = value
    answer = accepted(post(target["url"], body, headers, context), context.now)
    return Receipt(f"{answer.status} {answer.excerpt}".strip(), {"status": answer.status})
