"""Delivery by Slack's incoming webhooks: one attachment for the colour, Block Kit inside it.

Limits (docs.slack.dev/reference/block-kit): header 150 characters, section 3,000, 10 fields of 2,000, button URL
3,000. Success is 200 with the body `ok`; 400, 403, 404 and 410 are final, 429 carries Retry-After.
Slack knows no idempotency key: a repeat after a crash shows the message twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mainstay.integrations.http_client import accepted, post
from mainstay.kernel.ports import DeliveryContext, Notification, Receipt
from mainstay.kernel.wording import facts, heading, link_name, one_line

_COLOURS = {"firing": "#c62828", "resolved": "#2e7d32", "test": "#1565c0", "report": "#546e7a"}
_MILDER = {"P2": "#e08600", "P3": "#5c6bc0"}
_SHORT = ("Since", "Until", "Lasted", "Severity", "Exit status", "Phase", "Code")


def deliver(target: Mapping[str, Any], message: Notification, context: DeliveryContext) -> Receipt:
    body = json.dumps(document_of(message, context.now), ensure_ascii=False).encode()
    answer = accepted(post(target["url"], body, {"Content-Type": "application/json"}, context), context.now)
    return Receipt(f"{answer.status} {answer.excerpt}".strip(), {"status": answer.status})


def document_of(message: Notification, now: float) -> dict[str, Any]:
    colour = _COLOURS[message.status]
    if message.status == "firing":
        colour = _MILDER.get(str(message.alert.get("severity")), colour)
    # `text` is what notifications on a phone and screen readers say.
    fallback = _escaped(f"{heading(message)}: {message.alert.get('summary', '')}".rstrip(": "))[:3000]
    return {"text": fallback, "attachments": [{"color": colour, "blocks": _blocks(message, now)}]}


def _blocks(message: Notification, now: float) -> list[dict[str, Any]]:
    known = dict(facts(message, now))
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": one_line(heading(message), 150)}}
    ]
    long = {question: answer for question, answer in known.items() if question not in (*_SHORT, "Output")}
    text = "\n".join(f"*{question}:* {_escaped(answer)}" for question, answer in long.items())
    if text:
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": text[:3000]}})
    if output := _escaped(known.get("Output", "")).replace("```", "'" * 3):  # which would end the block
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": f"*Output:*\n```{output[-2900:]}```"}})
    fields = [
        {"type": "mrkdwn", "text": f"*{question}*\n{_escaped(known[question])}"[:2000]}
        for question in _SHORT
        if question in known
    ]
    if fields:
        blocks.append({"type": "section", "fields": fields[:10]})
    buttons = [
        {
            "type": "button",
            "text": {"type": "plain_text", "text": link_name(name)[:75]},
            "url": url,
            "action_id": f"mainstay_{name}",
            **({"style": "primary"} if name == "acknowledge" else {}),
        }
        for name, url in list(message.links.items())[:25]
        if len(url) <= 3000
    ]
    if buttons:
        blocks.append({"type": "actions", "elements": buttons})
    return blocks


def _escaped(text: str) -> str:
    """Slack's three control characters; nothing that a target answers becomes a link or a mention."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
