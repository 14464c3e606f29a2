"""Uptime Kuma's notifications as channels. Their settings are one JSON document.

Names of its fields: https://github.com/louislam/uptime-kuma/tree/master/server/notification-providers.
"""

from __future__ import annotations

from typing import Any

from mainstay.foreign.importing.draft import Draft
from mainstay.foreign.importing.kuma_source import field, text
from mainstay.foreign.importing.senders import (
    OWN_WORDS,
    addresses,
    apprise_channel,
    email_channel,
    pagerduty_channel,
    slack_channel,
    webhook_channel,
)
from mainstay.foreign.importing.source import Node, carry, leave

_SMTP = {
    "to": "smtpTo",
    "sender": "smtpFrom",
    "host": "smtpHost",
    "port": "smtpPort",
    "user": "smtpUsername",
    "password": "smtpPassword",
}


def read_notification(node: Node, draft: Draft) -> str | None:
    """The name of the channel, or None if there is none."""
    config = node.mapping("config")
    leave(node, "Mainstay assigns its own", "id", "user_id", "userId")
    leave(node, "every monitor names its notifications", "is_default", "isDefault")
    active = field(node, "active")
    if active is not None and not active.is_on:
        node.left("it is switched off")
        return None
    if config is None:
        node.left("its settings cannot be read")
        return None
    kind, written = text(config, "type"), text(node, "name") or text(config, "name")
    name = draft.name("channel", written, f"{kind}-{node.key}")
    to = f"channels.{name}"
    document = _made(kind, config, draft, name, to)
    if document is None:
        node.report.drop(
            node.path, f"Mainstay has no channel for {kind[:40] or 'it'}; a webhook or Apprise may reach it"
        )
        return None
    for one in (node.get("name"), config.get("name")):
        carry(one, to)
    carry(config.get("type"), to)
    carry(active, to)
    leave(config, "every monitor names its notifications", "isDefault", "applyExisting")
    draft.add("channel", name, document, node)
    return name


def _made(kind: str, config: Node, draft: Draft, name: str, to: str) -> dict[str, Any] | None:
    if kind == "slack" and (url := config.get("slackwebhookURL")) is not None:
        _other(config, "slack")
        return slack_channel(draft, url, name, to)
    if kind in ("PagerDuty", "pagerduty") and (key := config.get("pagerdutyIntegrationKey")) is not None:
        _other(config, "pagerduty")
        return pagerduty_channel(draft, key, name, to)
    if kind == "webhook" and (url := config.get("webhookURL")) is not None:
        _other(config, "webhook")
        return webhook_channel(draft, url, name, to)
    if kind == "smtp":
        found = _mail(config, draft, name, to)
        _other(config, "smtp")
        return found
    if kind == "apprise" and (url := config.get("appriseURL")) is not None:
        url.carried(f"{to}.apprise", "the value is kept outside the file, see `secrets`")
        return {"apprise": draft.secret(url, f"{name}_url", "the URL of Apprise as it stands there")}
    hook = next((one for one in config.fields() if one.key.lower().endswith(("webhookurl", "webhook"))), None)
    return apprise_channel(draft, kind, hook if hook is not None else config, name, to)


def _mail(config: Node, draft: Draft, name: str, to: str) -> dict[str, Any] | None:
    """Kuma takes TLS where the server offers it, unless it is told to begin with it (`smtpSecure`) or to do without."""
    found = email_channel(draft, {ours: config.get(theirs) for ours, theirs in _SMTP.items()}, name, to)
    if found is None:
        return None
    smtp = found["email"].get("smtp", {})
    secure, plain = config.get("smtpSecure"), config.get("smtpIgnoreSTARTTLS")
    if secure is not None and secure.is_on:
        smtp |= {"security": "tls"} | ({} if config.get("smtpPort") else {"port": 465})
    elif plain is not None and plain.is_on:
        smtp["security"] = "none"
    for one in (secure, plain):
        carry(one, f"{to}.email.smtp.security")
    for others in (config.get("smtpCC"), config.get("smtpBCC")):
        if others is not None:
            found["email"]["to"] += addresses(others)
            others.approximated(f"{to}.email.to", "all recipients are listed in the message")
    return found


def _other(config: Node, prefix: str) -> None:
    """The rest of the settings is mostly about words and looks."""
    for one in config.fields():
        if one.key.lower().startswith(prefix) and not config.report.is_noted(one.path):
            one.left(OWN_WORDS)
