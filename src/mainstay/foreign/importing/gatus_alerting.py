"""Gatus' alerting providers as channels, and an endpoint's alerts as thresholds and routes."""

from __future__ import annotations

from typing import Any

from mainstay.foreign.importing.draft import Draft
from mainstay.foreign.importing.senders import (
    OWN_WORDS,
    apprise_channel,
    email_channel,
    pagerduty_channel,
    slack_channel,
    webhook_channel,
)
from mainstay.foreign.importing.source import Node, carry, leave

_THRESHOLDS = {"failure-threshold": ("confirm.failures", 3), "success-threshold": ("recover.successes", 2)}
_WEBHOOKS = ("custom", "n8n", "zapier")
_OWN_SETTINGS = (
    "webhook-url",
    "url",
    "integration-key",
    "token",
    "id",
    "host",
    "port",
    "username",
    "password",
    "from",
    "to",
)
_WORDS = ("title", "body", "text", "client", "method", "headers", "placeholders", "severity", "priority", "tags")


class Alerting:
    """The section `alerting`; channels are made as endpoints ask for them."""

    def __init__(self, node: Node | None, draft: Draft) -> None:
        self.draft = draft
        self.providers = {provider.key: provider for provider in node.fields()} if node is not None else {}
        self._channels: dict[tuple[Any, ...], str] = {}
        self._resolved: dict[str, set[bool]] = {}
        self._documents: dict[str, dict[str, Any]] = {}

    def read(self, kind: str, name: str, endpoint: Node, document: dict[str, Any]) -> None:
        """The alerts of one endpoint: its thresholds, and which channels are notified."""
        thresholds: dict[str, list[tuple[float, Node | None]]] = {key: [] for key in _THRESHOLDS}
        for alert in endpoint.entries("alerts"):
            default = self._default(alert.text("type"))
            if self._is_off(alert, default):
                alert.left("the alert is switched off")
                continue
            channel = self._channel_for(alert, endpoint.text("group"), name)
            if channel:
                self.draft.tell(kind, name, [channel])
                resolved = _either(alert, default, "send-on-resolved")
                self._resolved[channel].add(resolved is not None and resolved.is_on)
                carry(alert.get("send-on-resolved"), f"channels.{channel}.resolved")
                carry(alert.get("type"), f"routes.to-{channel}")
            carry(alert.get("enabled"), f"{kind}s.{name}")
            leave(alert, "a notification is not repeated while nothing changes", "minimum-reminder-interval")
            self._description(alert, document, f"{kind}s.{name}")
            for key, found in thresholds.items():
                found.append(_threshold(alert, default, key))
        if thresholds["failure-threshold"]:
            self._thresholds(kind, name, document, thresholds)

    def also(self, kind: str, name: str, endpoint: Node) -> None:
        """A further monitor that was made of the same endpoint."""
        self.read(kind, name, endpoint, {})

    def _is_off(self, alert: Node, default: Node | None) -> bool:
        enabled = _either(alert, default, "enabled")
        return enabled is not None and not enabled.is_on

    def _default(self, kind: str) -> Node | None:
        provider = self.providers.get(kind)
        return provider.mapping("default-alert") if provider is not None and isinstance(provider.value, dict) else None

    def _thresholds(
        self, kind: str, name: str, document: dict[str, Any], found: dict[str, list[tuple[float, Node | None]]]
    ) -> None:
        if kind == "heartbeat":
            for _, given in (pair for listed in found.values() for pair in listed):
                if given is not None:
                    given.left("one missed or failed report is enough")
            return
        chosen: dict[str, int] = {}
        for key, listed in found.items():
            smallest = min(number for number, _ in listed)
            chosen[key] = int(min(max(smallest, 1), 20))
            for number, node in listed:
                _tell_threshold(node, f"monitors.{name}.{_THRESHOLDS[key][0]}", number, chosen[key])
        confirm: dict[str, Any] = {"failures": chosen["failure-threshold"]}
        if chosen["failure-threshold"] > 1:  # Gatus waits a whole interval between the failures that it counts
            confirm["recheck"] = document.get("every", "1m")
        document["confirm"] = confirm
        document["recover"] = {"successes": chosen["success-threshold"]}

    def _description(self, alert: Node, document: dict[str, Any], to: str) -> None:
        description = alert.get("description")
        if description is None:
            return
        if document.get("description", description.value) == description.value:
            document["description"] = description.as_text()
            description.carried(f"{to}.description")
        else:
            description.left("a monitor has one description, and another alert gave it")

    # channels

    def _channel_for(self, alert: Node, group: str, monitor: str) -> str:
        kind = alert.text("type")
        provider = self.providers.get(kind)
        if provider is None:
            (alert.get("type") or alert).left(
                "its provider is not configured under `alerting`, so Gatus ignores it too"
            )
            return ""
        override = alert.mapping("provider-override")
        if override is not None and override.value:
            return self._channel((kind, monitor), provider, override, f"{kind}-{monitor}")
        for entry in provider.entries("overrides") if isinstance(provider.value, dict) else ():
            if group and entry.text("group") == group:
                return self._channel((kind, "group", group), provider, entry, f"{kind}-{group}")
        return self._channel((kind,), provider, None, kind)

    def _channel(self, key: tuple[Any, ...], provider: Node, override: Node | None, wanted: str) -> str:
        if key not in self._channels:
            name = self.draft.name("channel", wanted)
            to = f"channels.{name}"
            document = self._made(provider.key, provider, override, name, to)
            self._channels[key] = name if document else ""
            if document:
                self._documents[name], self._resolved[name] = document, set()
                self.draft.add("channel", name, document, override or provider)
                if override is not None:
                    carry(override.get("group"), f"routes.to-{name}")
        return self._channels[key]

    def _made(self, kind: str, provider: Node, override: Node | None, name: str, to: str) -> dict[str, Any] | None:
        def field(*keys: str) -> Node | None:
            return (override.get(*keys) if override is not None else None) or provider.get(*keys)

        scope = override or provider
        if (url := field("webhook-url")) is not None and kind == "slack":
            found: dict[str, Any] | None = slack_channel(self.draft, url, name, to)
        elif kind == "pagerduty" and (key := field("integration-key")) is not None:
            found = pagerduty_channel(self.draft, key, name, to)
        elif kind in _WEBHOOKS and (url := field("url", "webhook-url")) is not None:
            found = webhook_channel(self.draft, url, name, to)
        elif kind == "email" and field("to") is not None:
            keys = {"to": "to", "sender": "from", "host": "host", "port": "port", "user": "username",
                    "password": "password"}  # fmt: skip
            found = email_channel(self.draft, {ours: field(theirs) for ours, theirs in keys.items()}, name, to)
        elif (url := field("webhook-url", "webhook")) is not None:
            found = apprise_channel(self.draft, kind, url, name, to)
        else:
            found = apprise_channel(self.draft, kind, scope, name, to)
        for node in (provider, override):
            leave(node, OWN_WORDS, *_WORDS)
        return found

    def finish(self) -> None:
        """What was configured and is used by nobody, and whether channels tell the end."""
        for name, wanted in self._resolved.items():
            if wanted == {False}:
                self._documents[name]["resolved"] = False
        used = {key[0] for key in self._channels}
        for kind, provider in self.providers.items():
            if kind not in used:
                provider.left("no endpoint alerts through it")
            elif isinstance(provider.value, dict):
                self._leftovers(kind, provider)

    def _leftovers(self, kind: str, provider: Node) -> None:
        default = provider.mapping("default-alert")
        for field in default.fields() if default is not None else ():
            if field.key in _THRESHOLDS:
                continue  # told where it is used
            if field.key == "minimum-reminder-interval":
                field.left("a notification is not repeated while nothing changes")
            elif field.key == "description":
                field.left("give each monitor its own description")
            else:
                field.carried(f"channels.{kind}", "where an alert does not set its own")
        if (kind,) not in self._channels:
            leave(provider, "every endpoint that alerts through it has its own settings", *_OWN_SETTINGS)
        groups = {key[2] for key in self._channels if len(key) == 3 and key[0] == kind}
        for entry in provider.entries("overrides"):
            if entry.text("group") not in groups:
                entry.left("no endpoint of this group alerts through it")


def _either(alert: Node, default: Node | None, key: str) -> Node | None:
    own = alert.get(key)
    return own if own is not None or default is None else default.get(key)


def _threshold(alert: Node, default: Node | None, key: str) -> tuple[float, Node | None]:
    node = _either(alert, default, key)
    number = node.as_number() if node is not None else None
    return (number if number is not None else _THRESHOLDS[key][1]), node


def _tell_threshold(node: Node | None, to: str, number: float, chosen: int) -> None:
    if node is None:
        return
    if number == chosen:
        node.carried(to)
    elif 1 <= number <= 20:
        node.approximated(to, "the smallest number among an endpoint's alerts applies to all of them")
    else:
        node.approximated(to, "it must be between 1 and 20")
