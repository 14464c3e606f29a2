"""What one monitor of Uptime Kuma checks, by its type."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mainstay.importing.draft import Draft
from mainstay.importing.kuma_source import field as field_of
from mainstay.importing.kuma_source import row_of, text
from mainstay.importing.requests import KEPT_OUTSIDE, put_body, put_headers, put_method, put_url, shortened
from mainstay.importing.source import Node, carry
from mainstay.importing.values import expected, json_path, negated, statuses_of, written_statuses

# Fields that belong to some types only; a monitor of another type has them all the same, mostly empty.
OWN_FIELDS = (
    *("url", "method", "hostname", "port", "keyword", "invertKeyword", "expiryNotification", "ignoreTls", "body"),
    *("packetSize", "maxredirects", "accepted_statuscodes", "dns_resolve_type", "dns_resolve_server", "headers"),
    *("docker_container", "docker_host", "proxyId", "authMethod", "httpBodyEncoding", "jsonPath", "expectedValue"),
    *("jsonPathOperator", "gamedigGivenPortOnly", "kafkaProducerSsl", "kafkaProducerAllowAutoTopicCreation"),
    *("kafkaProducerBrokers", "kafkaProducerSaslOptions", "grpcEnableTls", "mqttCheckType", "cacheBust", "ipFamily"),
    *("ping_count", "ping_numeric", "ping_per_request_timeout", "conditions", "snmpVersion", "manual_status"),
    *("pushToken", "mqttTopic", "mqttSuccessMessage", "databaseQuery", "databaseConnectionString", "game"),
    *("domainExpiryNotification", "remote_browser", "smtpSecurity", "oauth_auth_method", "wsSubprotocol"),
    *("rabbitmqNodes", "kafkaProducerTopic", "kafkaProducerMessage", "retry_only_on_status_code_failure"),
)
_ENCODINGS = {"json": "application/json", "xml": "text/xml", "form": "application/x-www-form-urlencoded"}
_NO_KIND = {
    "steam": "Steam game servers",
    "gamedig": "game servers",
    "radius": "RADIUS",
    "kafka-producer": "Kafka",
    "rabbitmq": "RabbitMQ",
    "snmp": "SNMP",
    "sqlserver": "Microsoft SQL Server",
    "tailscale-ping": "Tailscale's own ping",
    "manual": "states set by hand",
    "globalping": "Globalping",
    "system-service": "services of the machine",
    "sip-options": "SIP",
    "nut": "uninterruptible power supplies",
}


@dataclass(slots=True)
class Target:
    """`kind` of check with its document; `has_timeout`: Kuma's `timeout` counts for this type."""

    kind: str
    target: Any
    expect: dict[str, Any] = field(default_factory=dict)
    alert_on: list[str] = field(default_factory=list)
    has_timeout: bool = True


def read_target(node: Node, draft: Draft, name: str, root: Node) -> Target | str:
    """The target, or why there is none."""
    written = text(node, "type")
    if written in _NO_KIND:
        return f"Mainstay has no check for {_NO_KIND[written]}"
    reader = _READERS.get(written)
    if reader is None:
        return f"Mainstay does not know monitors of the type `{written[:40]}`"
    kind, read = reader
    if kind not in draft.kinds:
        return f"needs the check kind `{kind}`, which this install does not have"
    return read(_Monitor(node, draft, name, root, f"monitors.{name}"))


@dataclass(frozen=True, slots=True)
class _Monitor:
    node: Node
    draft: Draft
    name: str
    root: Node
    to: str

    def get(self, name: str) -> Node | None:
        return field_of(self.node, name)

    def carry(self, name: str, to: str, why: str = "") -> None:
        found = self.get(name)
        if found is not None:
            found.carried(f"{self.to}.{to}" if to else "", why)

    def is_on(self, name: str) -> bool:
        found = self.get(name)
        return found is not None and found.is_on

    def endpoint(self, kind: str, default: int | None = None) -> str:
        host, port = text(self.node, "hostname"), text(self.node, "port").removesuffix(".0")
        self.carry("hostname", f"{kind}.address")
        self.carry("port", f"{kind}.address")
        if ":" in host and not host.startswith("["):
            host = f"[{host}]"
        number = port or (str(default) if default else "")
        return f"{host}:{number}" if number else host


def _http(own: _Monitor) -> Target | str:
    url = own.get("url")
    if url is None:
        return "it has no URL"
    target: dict[str, Any] = {}
    put_url(own.draft, url, target, f"{own.to}.http", own.name)
    _request(own, target)
    _credentials(own, target)
    _connection(own, target)
    expect: dict[str, Any] = {}
    _statuses(own, expect)
    _words(own, expect)
    found = Target("http", shortened(target, "url"), expect)
    if own.is_on("expiryNotification"):
        expect["certificate_days"] = 21
        found.alert_on = ["down", "degraded"]
        notification = own.get("expiryNotification")
        if notification is not None:
            how = "Kuma tells 21, 14 and 7 days before; here it is degraded from 21 days on"
            notification.approximated(f"{own.to}.expect.certificate_days", how)
    else:
        own.carry("expiryNotification", "expect.certificate_days")
    return found


def _request(own: _Monitor, target: dict[str, Any]) -> None:
    method, headers, body = own.get("method"), own.get("headers"), own.get("body")
    if method is not None:
        put_method(method, target, f"{own.to}.http")
    if headers is not None and isinstance(headers.value, dict):
        put_headers(own.draft, headers, target, f"{own.to}.http", own.name)
    elif headers is not None:
        headers.left("it is not a mapping in JSON")
    encoding = own.get("httpBodyEncoding")
    if body is not None:
        put_body(own.draft, body, target, f"{own.to}.http", own.name)
        kind = _ENCODINGS.get(encoding.as_text() if encoding is not None else "json")
        if kind and not any(key.lower() == "content-type" for key in target.get("headers", {})):
            target.setdefault("headers", {})["Content-Type"] = kind
    carry(encoding, f"{own.to}.http.headers.Content-Type" if body is not None else "")


def _credentials(own: _Monitor, target: dict[str, Any]) -> None:
    method = text(own.node, "authMethod")
    user, password = own.get("basic_auth_user"), own.get("basic_auth_pass")
    if method in ("", "basic") and user is not None and password is not None:
        basic = {"username": user.as_text(), "password": own.draft.secret(password, f"{own.name}_password")}
        target["auth"] = {"basic": basic}
        own.carry("basic_auth_user", "http.auth.basic.username")
        own.carry("basic_auth_pass", "http.auth.basic.password", KEPT_OUTSIDE)
        own.carry("authMethod", "http.auth")
    elif method == "mtls":
        for theirs, ours in (("tlsCert", "certificate"), ("tlsKey", "key"), ("tlsCa", "ca")):
            if (found := own.get(theirs)) is not None:
                how = "the PEM text as it stands there"
                target.setdefault("tls", {})[ours] = own.draft.secret(found, f"{own.name}_{ours}", how)
                own.carry(theirs, f"http.tls.{ours}", KEPT_OUTSIDE)
        own.carry("authMethod", "http.tls")
    elif method in ("oauth2-cc", "ntlm"):
        for name in ("authMethod", "authDomain", "authWorkstation", "basic_auth_user", "basic_auth_pass",
                     "oauth_client_id", "oauth_client_secret", "oauth_token_url", "oauth_scopes"):  # fmt: skip
            if (found := own.get(name)) is not None:
                found.left(f"Mainstay does not sign in by {'NTLM' if method == 'ntlm' else 'OAuth2'}")


def _connection(own: _Monitor, target: dict[str, Any]) -> None:
    if own.is_on("ignoreTls"):
        target.setdefault("tls", {})["verify"] = False
    own.carry("ignoreTls", "http.tls.verify")
    redirects = own.get("maxredirects")
    count = redirects.as_number() if redirects is not None else None
    if count == 0:
        target["redirects"] = {"follow": False}
    elif count is not None and count != 10:
        target["redirects"] = {"limit": int(min(max(count, 1), 50))}
    own.carry("maxredirects", "http.redirects")
    family = text(own.node, "ipFamily")
    if family in ("ipv4", "ipv6"):
        target["ip_version"] = int(family[-1])
        own.carry("ipFamily", "http.ip_version")
    _proxy(own, target)


def _proxy(own: _Monitor, target: dict[str, Any]) -> None:
    chosen = own.get("proxyId")
    if chosen is None:
        return
    identity = chosen.as_text().removesuffix(".0")
    proxy = row_of(own.root, "proxy", identity)
    if proxy is None:
        chosen.left("there is no such proxy")
        return
    protocol = {"socks5": "socks5h", "socks": "socks5h"}.get(text(proxy, "protocol"), text(proxy, "protocol"))
    user = ""
    if (auth := proxy.get("auth")) is not None and auth.is_on and (password := proxy.get("password")) is not None:
        user = f"{text(proxy, 'username')}:{own.draft.secret(password, f'proxy_{identity}_password')}@"
    target["proxy"] = f"{protocol}://{user}{text(proxy, 'host')}:{text(proxy, 'port')}"
    chosen.carried(f"{own.to}.http.proxy")
    for name in ("protocol", "host", "port", "auth", "username", "password"):
        carry(proxy.get(name), f"{own.to}.http.proxy")


def _statuses(own: _Monitor, expect: dict[str, Any]) -> None:
    accepted = own.get("accepted_statuscodes")
    if accepted is None or not isinstance(accepted.value, list):
        return
    codes: set[int] = set()
    for index, value in enumerate(accepted.value):
        found = statuses_of(str(value))
        if found is None:
            Node(value, (*accepted.path, index), accepted.report).left("it is no status and no range of them")
        codes |= found or set()
    written = written_statuses(codes)
    # Where redirects are not followed, ours takes 200-399 unless it is told.
    if codes and (written != ["200-299"] or text(own.node, "maxredirects") == "0"):
        expect["status"] = written[0] if len(written) == 1 else written
    accepted.carried(f"{own.to}.expect.status")


def _words(own: _Monitor, expect: dict[str, Any]) -> None:
    kind, keyword = text(own.node, "type"), own.get("keyword")
    if kind == "keyword" and keyword is not None:
        name = "not_contains" if own.is_on("invertKeyword") else "contains"
        expect[name] = keyword.as_text()
        keyword.carried(f"{own.to}.expect.{name}")
        own.carry("invertKeyword", f"expect.{name}")
    if kind == "json-query":
        _json_query(own, expect)


def _json_query(own: _Monitor, expect: dict[str, Any]) -> None:
    query, value, sign = own.get("jsonPath"), own.get("expectedValue"), own.get("jsonPathOperator")
    written = query.as_text() if query is not None else "$"
    path = json_path(written if written.startswith(("$", "[")) else f".{written}")
    comparison, doubt = _comparison(sign.as_text() if sign is not None else "==", value.as_text() if value else "")
    used = [one for one in (query, value, sign) if one is not None]
    if path is None or comparison is None:
        for one in used:
            one.left("only paths of names and indexes are read, and compared with a value")
        return
    expect["json"] = {path: comparison}
    for one in used:
        if doubt:
            one.approximated(f"{own.to}.expect.json", doubt)
        else:
            one.carried(f"{own.to}.expect.json")


def _comparison(operator: str, wanted: str) -> tuple[Any, str]:
    if operator == "==":
        return expected(wanted)
    if operator == "!=":
        return negated(wanted)
    if operator in (">", ">=", "<", "<="):
        return f"{operator} {wanted}", ""
    return (f"=~ {re.escape(wanted)}", "") if operator == "contains" else (None, "")


def _port(own: _Monitor) -> Target | str:
    return Target("tcp", own.endpoint("tcp"))


def _ping(own: _Monitor) -> Target | str:
    target: dict[str, Any] = {"host": text(own.node, "hostname")}
    own.carry("hostname", "icmp.host")
    size, count = own.get("packetSize"), own.get("ping_count")
    if size is not None and size.value != 56:
        target["size"] = int(size.as_number() or 56)
    own.carry("packetSize", "icmp.size")
    if count is not None:
        target["count"] = int(count.as_number() or 1)
        own.carry("ping_count", "icmp.count")
    return Target("icmp", shortened(target, "host"), has_timeout=False)


def _dns(own: _Monitor) -> Target | str:
    kind = text(own.node, "dns_resolve_type").upper() or "A"
    target: dict[str, Any] = {"name": text(own.node, "hostname")} | ({"type": kind} if kind != "A" else {})
    own.carry("hostname", "dns.name")
    own.carry("dns_resolve_type", "dns.type")
    resolver, port = own.get("dns_resolve_server"), text(own.node, "port").removesuffix(".0")
    if resolver is not None:
        first, *others = [part.strip() for part in resolver.as_text().split(",")]
        written = f"[{first}]" if ":" in first and port not in ("", "53") else first
        target["resolver"] = f"{written}:{port}" if port not in ("", "53") else written
        own.carry("dns_resolve_server", "dns.resolver")
        if others:
            resolver.approximated(f"{own.to}.dns.resolver", "one resolver is asked, the first of them")
    own.carry("port", "dns.resolver")
    return Target("dns", shortened(target, "name"), has_timeout=False)


def _docker(own: _Monitor) -> Target | str:
    own.carry("docker_container", "docker.container")
    host = own.get("docker_host")
    if host is not None:
        host.approximated(f"{own.to}.docker", "the socket of this machine is asked")
    return Target("docker", text(own.node, "docker_container"))


def _database(kind: str) -> Callable[[_Monitor], Target | str]:
    def read(own: _Monitor) -> Target | str:
        connection, query = own.get("databaseConnectionString"), own.get("databaseQuery")
        if connection is None:
            return "it has no connection string"
        target: dict[str, Any] = _dissected(own, connection, kind)
        if query is not None and kind in ("postgres", "mysql"):
            target["query"] = query.as_text()
            query.carried(f"{own.to}.{kind}.query")
        return Target(kind, target)

    return read


_DEFAULT_PORTS = {"postgres": 5432, "mysql": 3306, "redis": 6379, "mongodb": 27017}
_CONNECTION = re.compile(
    r"[a-z0-9+]+://(?:(?P<user>[^:@/]*)(?::(?P<password>[^@]*))?@)?(?P<host>\[[^\]]+\]|[^:/?,]+)(?::(?P<port>\d+))?"
    r"(?:/(?P<database>[^?]*))?"
)


def _dissected(own: _Monitor, node: Node, kind: str) -> dict[str, Any]:
    """`postgres://user:password@host:5432/name` in parts; what cannot be told apart is one reference."""
    found = _CONNECTION.match(node.as_text().strip())
    if found is None:
        node.approximated(f"{own.to}.{kind}", "it is not a URL, so all of it is one secret")
        return {"address": own.draft.secret(node, f"{own.name}_connection")}
    target: dict[str, Any] = {"address": f"{found['host']}:{found['port'] or _DEFAULT_PORTS[kind]}"}
    if found["user"]:
        target["username"] = found["user"]
    if found["password"]:
        how = "the password in the connection string"
        target["password"] = own.draft.secret(node, f"{own.name}_password", how, found["password"])
    if found["database"]:
        target["database"] = int(found["database"]) if found["database"].isdigit() else found["database"]
    if node.as_text().strip().startswith("rediss://"):
        target["tls"] = True
    node.approximated(f"{own.to}.{kind}", "taken apart; parameters after `?` are left out")
    return target


def _grpc(own: _Monitor) -> Target | str:
    url = own.get("grpcUrl")
    if url is None:
        return "it has no URL"
    target: dict[str, Any] = {"address": url.as_text().rpartition("://")[2]}
    url.approximated(f"{own.to}.grpc.address", "asked by the health protocol, not by a method of its own")
    if own.is_on("grpcEnableTls"):
        target["tls"] = True
    own.carry("grpcEnableTls", "grpc.tls")
    return Target("grpc", shortened(target, "address"))


def _websocket(own: _Monitor) -> Target | str:
    url = own.get("url")
    if url is None:
        return "it has no URL"
    target: dict[str, Any] = {}
    put_url(own.draft, url, target, f"{own.to}.websocket", own.name)
    target.pop("auth", None)
    return Target("websocket", shortened(target, "url"))


def _smtp(own: _Monitor) -> Target | str:
    target: dict[str, Any] = {"address": own.endpoint("smtp", 25)}
    security = {"secure": "tls", "nostarttls": "none", "starttls": "starttls"}.get(text(own.node, "smtpSecurity"))
    if security:
        target["security"] = security
        own.carry("smtpSecurity", "smtp.security")
    return Target("smtp", shortened(target, "address"))


def _mqtt(own: _Monitor) -> Target | str:
    target: dict[str, Any] = {"address": own.endpoint("mqtt", 1883).rpartition("://")[2]}
    for theirs, ours in (("mqttUsername", "username"), ("mqttTopic", "topic")):
        if (found := own.get(theirs)) is not None:
            target[ours] = found.as_text()
            own.carry(theirs, f"mqtt.{ours}")
    if (password := own.get("mqttPassword")) is not None:
        target["password"] = own.draft.secret(password, f"{own.name}_password")
        own.carry("mqttPassword", "mqtt.password", KEPT_OUTSIDE)
    expect: dict[str, Any] = {}
    if (message := own.get("mqttSuccessMessage")) is not None:
        expect["contains"] = message.as_text()
        own.carry("mqttSuccessMessage", "expect.contains")
    return Target("mqtt", shortened(target, "address"), expect)


_READERS: dict[str, tuple[str, Callable[[_Monitor], Target | str]]] = {
    "http": ("http", _http),
    "keyword": ("http", _http),
    "json-query": ("http", _http),
    "port": ("tcp", _port),
    "ping": ("icmp", _ping),
    "dns": ("dns", _dns),
    "docker": ("docker", _docker),
    "postgres": ("postgres", _database("postgres")),
    "mysql": ("mysql", _database("mysql")),
    "redis": ("redis", _database("redis")),
    "mongodb": ("mongodb", _database("mongodb")),
    "grpc-keyword": ("grpc", _grpc),
    "websocket-upgrade": ("websocket", _websocket),
    "smtp": ("smtp", _smtp),
    "mqtt": ("mqtt", _mqtt),
}
