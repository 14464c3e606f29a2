"""Gatus: `endpoints`, `external-endpoints`, `alerting` and `maintenance` of its configuration.

Fields and defaults: https://github.com/TwiN/gatus#configuration.
"""

from __future__ import annotations

import re
from typing import Any

from mainstay.foreign.importing.draft import Draft, label_name
from mainstay.foreign.importing.gatus_alerting import Alerting
from mainstay.foreign.importing.gatus_conditions import Conditions
from mainstay.foreign.importing.gatus_windows import read_window
from mainstay.foreign.importing.requests import (
    KEPT_OUTSIDE,
    put_body,
    put_headers,
    put_method,
    put_url,
    shortened,
    split_user,
)
from mainstay.foreign.importing.source import Node, bounded, carry, leave
from mainstay.foreign.importing.values import go_duration, is_address

_VARIABLE = re.compile(r"\$(?:\$|\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
_ELSEWHERE = {
    "ui": "Mainstay has its own pages; a status page has a title, a description and a link",
    "web": "where Mainstay listens is a setting, MAINSTAY_LISTEN",
    "storage": "Mainstay keeps its data in its own folder, or in the database of MAINSTAY_DATABASE",
    "security": "who may sign in is kept with the users of Mainstay",
    "metrics": "Mainstay always serves /api/metrics",
    "concurrency": "Mainstay checks as many targets at a time as it needs",
    "disable-monitoring-lock": "Mainstay checks as many targets at a time as it needs",
    "skip-invalid-config-update": "an invalid file never changes anything in Mainstay",
    "connectivity": "Mainstay has a guard of its own for its network, MAINSTAY_UPLINK_TARGETS",
    "remote": "pages of other instances are not shown",
    "announcements": "announcements stay with the old page",
    "suites": "several requests in a row need the check kind `steps`; write it yourself",
    "tunneling": "checks do not go through SSH tunnels",
    "debug": "the log level is a setting, MAINSTAY_LOG_LEVEL",
}
_CLIENT_LEFT = {
    "dns-resolver": "names are resolved by the machine's resolver",
    "oauth2": "Mainstay does not fetch OAuth2 tokens",
    "identity-aware-proxy": "Mainstay does not fetch Google tokens",
    "tunnel": "checks do not go through SSH tunnels",
    "store-cookies": "no cookies are kept between checks",
}
_KEPT_FILE = "the file must be in a folder for secrets, MAINSTAY_SECRET_DIRS"
_STREAMS = {"tcp": "tcp", "udp": "udp", "tls": "tls", "starttls": "smtp", "ssh": "ssh", "grpc": "grpc", "grpcs": "grpc"}


def import_gatus(root: Node, draft: Draft) -> None:
    """Fill the draft from a configuration; mistakes go to the report's diagnostics."""
    root.expect("a configuration of Gatus", "endpoints", "services", "external-endpoints", "suites")
    _expand(root.value)
    alerting = Alerting(root.mapping("alerting"), draft)
    for endpoint in root.entries("endpoints", "services"):
        _Endpoint(endpoint, draft, alerting).read()
    for endpoint in root.entries("external-endpoints"):
        _external(endpoint, draft, alerting)
    alerting.finish()
    if (window := root.mapping("maintenance")) is not None:
        read_window(window, draft, "maintenance", [])
    for key, why in _ELSEWHERE.items():
        leave(root, why, key)


def _expand(value: Any) -> None:
    """Variables of the environment, as Gatus replaces them, become references; in place, so that places stay known."""
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        if isinstance(inner, str) and "$" in inner:
            value[key] = _VARIABLE.sub(_reference, inner)
        else:
            _expand(inner)


def _reference(found: re.Match[str]) -> str:
    name = found[1] or found[2]
    return f"${{env:{name}}}" if name else "$"


def duration_of(node: Node) -> float | None:
    """Seconds; a mistake is noted if it is none, unless it comes from the environment."""
    if "${env:" in str(node.value):
        node.left("it comes from the environment, which only text fields and secrets may in Mainstay")
        return None
    seconds = go_duration(node.value)
    if seconds is None:
        node.mistake(f"`{str(node.value)[:40]}` is not a duration such as 30s or 5m")
    return seconds


class _Endpoint:
    """One endpoint on its way to a monitor."""

    def __init__(self, node: Node, draft: Draft, alerting: Alerting) -> None:
        self.node, self.draft, self.alerting = node, draft, alerting
        self.document: dict[str, Any] = {}

    def read(self) -> None:
        name, group, url = self.node.text("name"), self.node.text("group"), self.node.text("url").strip()
        if not name or not url:
            self.node.mistake(f"an endpoint needs a `{'url' if name else 'name'}`")
            return
        kind = self._kind(url)
        if kind not in self.draft.kinds:
            self.node.left(f"needs the check kind `{kind}`, which this install does not have")
            return
        if kind == "dns" and not is_address(url.rpartition("://")[2]):
            self.node.left("a resolver must be given by its address, and this is a name")
            return
        self.name = self.draft.name("monitor", name, f"{group}-{name}" if group else name)
        self.to = f"monitors.{self.name}"
        self._called(name)
        target: dict[str, Any] = {}
        self.document[kind] = target
        main = self._target(kind, url, target)
        self._client(kind, target)
        self._times(kind)
        self._expectations(kind, url)
        self._labels(group)
        leave(self.node, "the look of the page is not declared in Mainstay", "ui")
        leave(self.node, "needs the check kind `steps`", "store", "always-run")
        self.draft.add("monitor", self.name, self.document, self.node)
        self.alerting.read("monitor", self.name, self.node, self.document)
        for window in self.node.entries("maintenance-windows"):
            read_window(window, self.draft, f"{self.name}-maintenance", [f'monitor="{self.name}"'])
        self.document[kind] = shortened(target, main)

    def _kind(self, url: str) -> str:
        if self.node.get("dns") is not None:
            return "dns"
        scheme = url.partition("://")[0].lower()
        if scheme in ("http", "https", "icmp"):
            return "http" if scheme != "icmp" else "icmp"
        return "websocket" if scheme in ("ws", "wss") else _STREAMS.get(scheme, scheme if "://" in url else "http")

    def _called(self, name: str) -> None:
        node = self.node.get("name")
        if node is not None and name == self.name:
            node.carried(self.to)
        elif node is not None:
            node.approximated(
                self.to, f"names may hold only letters, digits and . _ - and must be unique: `{self.name}`"
            )

    def _target(self, kind: str, url: str, target: dict[str, Any]) -> str:
        """Fill the target; its main field."""
        node = self.node.get("url")
        if node is None:
            return ""
        to = f"{self.to}.{kind}"
        if kind == "http":
            put_url(self.draft, node, target, to, self.name)
            self._request(target, to)
            return "url"
        if kind == "dns":
            return self._dns(node, url, target, to)
        if kind == "websocket":
            put_url(self.draft, node, target, to, self.name)
            return "url"
        rest, user = split_user(url)
        host = rest.partition("://")[2].partition("/")[0]
        main = "host" if kind == "icmp" else "address"
        target[main] = host
        node.carried(f"{to}.{main}", "without the user" if user else "")
        if kind == "smtp":
            target["security"] = "starttls"
        if kind in ("tcp", "udp") and (body := self.node.get("body")) is not None:
            put_body(self.draft, body, target, to, self.name)
            target["send"] = target.pop("body", "")
        leave(self.node.mapping("ssh"), "signing in over SSH is not imported; the banner is checked", "username",
              "password", "private-key")  # fmt: skip
        bodiless = () if kind in ("tcp", "udp") else ("body",)
        leave(self.node, f"a {kind} check sends no request", "method", "headers", "graphql", *bodiless)
        return main

    def _request(self, target: dict[str, Any], to: str) -> None:
        if (method := self.node.get("method")) is not None:
            put_method(method, target, to)
        if (headers := self.node.mapping("headers")) is not None:
            put_headers(self.draft, headers, target, to, self.name)
        if (body := self.node.get("body")) is not None:
            put_body(self.draft, body, target, to, self.name)
            if re.search(r"\[(ENDPOINT_(NAME|GROUP|URL)|RANDOM_STRING_\d+|LOCAL_ADDRESS)\]", body.as_text()):
                body.approximated(f"{to}.body", "placeholders are sent as they are written")
        graphql = self.node.get("graphql")
        if graphql is not None:
            if graphql.is_on and "body" in target:
                target["json"] = {"query": target.pop("body")}
            graphql.carried(f"{to}.json" if graphql.is_on else "")

    def _dns(self, node: Node, url: str, target: dict[str, Any], to: str) -> str:
        dns = self.node.mapping("dns")
        target["name"] = dns.text("query-name").rstrip(".") if dns else ""
        carry(dns.get("query-name") if dns else None, f"{to}.name")
        kind = dns.text("query-type").upper() if dns else ""
        if kind and kind != "A":
            target["type"] = kind
        carry(dns.get("query-type") if dns else None, f"{to}.type")
        target["resolver"] = url.rpartition("://")[2].removesuffix(":53")
        node.carried(f"{to}.resolver")
        leave(self.node, "a dns check sends no request", "method", "headers", "graphql", "body")
        return "name"

    def _client(self, kind: str, target: dict[str, Any]) -> None:
        client = self.node.mapping("client")
        if client is None:
            return
        to = f"{self.to}.{kind}"
        if (insecure := client.get("insecure")) is not None:
            trust = target.setdefault("tls", {}) if kind == "http" and insecure.is_on else target
            if insecure.is_on and kind in ("http", "tls", "smtp", "websocket", "grpc"):
                trust["verify"] = False
                insecure.carried(f"{to}.tls.verify" if kind == "http" else f"{to}.verify")
            else:
                insecure.idle("it is switched off, or nothing of the check speaks TLS")
        if (ignore := client.get("ignore-redirect")) is not None:
            if ignore.is_on and kind == "http":
                target["redirects"] = {"follow": False}
                ignore.carried(f"{to}.redirects.follow")
            else:
                ignore.idle("it is switched off, or there are no redirects")
        if (timeout := client.get("timeout")) is not None and (seconds := duration_of(timeout)) is not None:
            self.document["timeout"] = bounded(timeout, seconds, 0.1, 120, f"{self.to}.timeout")
        self._client_http(client, kind, target, to)
        for key, why in _CLIENT_LEFT.items():
            leave(client, why, key)

    def _client_http(self, client: Node, kind: str, target: dict[str, Any], to: str) -> None:
        network, proxy, tls = client.get("network"), client.get("proxy-url"), client.mapping("tls")
        if network is not None:
            version = {"ip4": 4, "ip6": 6}.get(network.as_text())
            if version is not None and kind == "http":
                target["ip_version"] = version
                network.carried(f"{to}.ip_version")
            elif network.value == "ip":
                network.idle("both IP versions are used")
            else:
                network.left(f"a {kind} check uses addresses in the resolver's order")
        if proxy is not None and kind == "http":
            target["proxy"] = self.draft.secret(proxy, f"{self.name}_proxy") if "@" in proxy.as_text() else proxy.value
            proxy.carried(f"{to}.proxy", KEPT_OUTSIDE if "@" in proxy.as_text() else "")
        if tls is None or kind != "http":
            return
        for key, name in (("certificate-file", "certificate"), ("private-key-file", "key")):
            if (file := tls.get(key)) is not None:
                target.setdefault("tls", {})[name] = f"${{file:{file.as_text()}}}"
                file.approximated(f"{to}.tls.{name}", "the file must be in a folder for secrets, MAINSTAY_SECRET_DIRS")
        leave(tls, "TLS is not renegotiated", "renegotiation")

    def _times(self, kind: str) -> None:
        interval, enabled = self.node.get("interval"), self.node.get("enabled")
        if interval is not None and (seconds := duration_of(interval)) is not None:
            self.document["every"] = bounded(interval, seconds, 1, 86_400, f"{self.to}.every")
        elif kind == "tls":
            self.document["every"] = "1m"  # as Gatus checks without an interval; ours is an hour
        if enabled is not None:
            if not enabled.is_on:
                self.document["enabled"] = False
            enabled.carried(f"{self.to}.enabled")

    def _expectations(self, kind: str, url: str) -> None:
        found = Conditions(kind, f"{self.to}.expect", plain=url.lower().startswith("http:"))
        listed = self.node.get("conditions")
        if listed is not None and not isinstance(listed.value, list):
            listed.mistake("`conditions` must be a list")
        elif listed is not None:
            for index, value in enumerate(listed.value):
                found.read(Node(value, (*listed.path, index), listed.report))
        expect = found.expect()
        if expect:
            self.document["expect"] = expect
        if found.certificate is not None:
            self.document["alert_on"] = ["down", "degraded"]
        if found.domain is not None:
            self._domain(url, *found.domain)

    def _domain(self, url: str, seconds: float, node: Node) -> None:
        """The expiry of the domain becomes a monitor of its own."""
        if "domain" not in self.draft.kinds:
            node.left("needs the check kind `domain`, which this install does not have")
            return
        host = split_user(url)[0].partition("://")[2].partition("/")[0].partition(":")[0]
        name = self.draft.name("monitor", f"{self.name}-domain")
        days = round(seconds / 86_400, 3)
        document = {"domain": host, "expect": {"days": max(days, 30), "down_days": days}}
        how = "a separate monitor checks the domain; write it as it is registered, without `www.`"
        node.approximated(self.draft.add("monitor", name, document, node), how)
        self.alerting.also("monitor", name, self.node)

    def _labels(self, group: str) -> None:
        labels: dict[str, str] = {}
        if group:
            labels["group"] = group
            carry(self.node.get("group"), f"{self.to}.labels.group")
        extra = self.node.mapping("extra-labels")
        for label in extra.fields() if extra is not None else ():
            name = label_name(label.key)
            if not name or name in labels:
                label.left("a label's name holds letters, digits and _, and is unique")
                continue
            labels[name] = label.as_text()
            label.carried(f"{self.to}.labels.{name}")
        if labels:
            self.document["labels"] = labels


def _external(node: Node, draft: Draft, alerting: Alerting) -> None:
    """An external endpoint becomes a heartbeat that keeps its token."""
    written, group = node.text("name"), node.text("group")
    if not written:
        node.mistake("an external endpoint needs a `name`")
        return
    name = draft.name("heartbeat", written, f"{group}-{written}" if group else written)
    to = f"heartbeats.{name}"
    document: dict[str, Any] = {"title": written} if written != name else {}
    carry(node.get("name"), f"{to}.title" if document else to)
    _external_rhythm(node, document, to)
    if group:
        document["labels"] = {"group": group}
        carry(node.get("group"), f"{to}.labels.group")
    if (token := node.get("token")) is not None:
        document["push_token"] = draft.secret(token, f"{name}_token", "the bearer token as it stands there")
        token.carried(f"{to}.push_token", KEPT_OUTSIDE)
    if (enabled := node.get("enabled")) is not None:
        document |= {} if enabled.is_on else {"enabled": False}
        enabled.carried(f"{to}.enabled")
    draft.add("heartbeat", name, document, node)
    alerting.read("heartbeat", name, node, document)


def _external_rhythm(node: Node, document: dict[str, Any], to: str) -> None:
    heartbeat = node.mapping("heartbeat")
    interval = heartbeat.get("interval") if heartbeat is not None else None
    seconds = duration_of(interval) if interval is not None else None
    if interval is None or not seconds:
        document |= {"every": "365d", "grace": "1d"}
        node.report.note(node.path, "approximated", to, "silence was not a failure; now it is, after a year")
        carry(interval, f"{to}.every")
        return
    document |= {"every": bounded(interval, seconds, 1, 366 * 86_400, f"{to}.every"), "grace": "1s"}
