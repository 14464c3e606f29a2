"""What one monitor of Uptime Kuma checks, by its type."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from mainstay.foreign.importing.draft import Draft
from mainstay.foreign.importing.kuma_conditions import has_conditions, put_json, put_message, put_records, put_value
from mainstay.foreign.importing.kuma_http import certificate, idle, read_http
from mainstay.foreign.importing.kuma_source import text
from mainstay.foreign.importing.kuma_target import Monitor, Target
from mainstay.foreign.importing.requests import KEPT_OUTSIDE, put_url, shortened
from mainstay.foreign.importing.source import Node
from mainstay.foreign.importing.values import expected
from mainstay.kernel.timespan import format_duration

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
    return read(Monitor(node, draft, name, root, f"monitors.{name}"))


def _port(own: Monitor) -> Target | str:
    """A port; with `smtpSecurity` Kuma also speaks TLS there and looks at the certificate, if that is to be told."""
    security = text(own.node, "smtpSecurity")
    mail = {"25": "smtp", "587": "smtp", "110": "pop3", "143": "imap"}.get(text(own.node, "port").removesuffix(".0"))
    if security == "secure" and own.is_on("expiryNotification"):
        found = Target("tls", own.endpoint("tls"))
        own.carry("smtpSecurity", "tls")
        certificate(own, found, "days")
    elif security == "starttls" and mail:
        found = Target(mail, {"address": own.endpoint(mail), "security": "starttls"})
        own.carry("smtpSecurity", f"{mail}.security")
        certificate(own, found, "certificate_days")
    else:
        found = Target("tcp", own.endpoint("tcp"))
        if security == "starttls":
            own.leave(
                "which protocol starts TLS there is not known; write it as `talk` of the kind tcp", "smtpSecurity"
            )
        elif security:
            idle(own, "smtpSecurity", "Kuma uses TLS only where it notifies of expiry")
        if security != "starttls":
            idle(own, "expiryNotification", "Kuma checks the certificate only where TLS is requested")
    if text(own.node, "expectedTlsAlert") not in ("", "none"):
        own.leave("Mainstay cannot expect a TLS alert", "expectedTlsAlert")
    return found


def _ping(own: Monitor) -> Target | str:
    target: dict[str, Any] = {"host": text(own.node, "hostname")}
    own.carry("hostname", "icmp.host")
    size, count = own.get("packetSize"), own.get("ping_count")
    if size is not None and size.value != 56:
        target["size"] = int(size.as_number() or 56)
    own.carry("packetSize", "icmp.size")
    if count is not None:
        target["count"] = int(count.as_number() or 1)
        own.carry("ping_count", "icmp.count")
    idle(own, "ping_numeric", "addresses are never resolved to names")
    return Target("icmp", shortened(target, "host"))


def _dns(own: Monitor) -> Target | str:
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
            resolver.approximated(f"{own.to}.dns.resolver", "only the first resolver is queried")
    own.carry("port", "dns.resolver")
    found = Target("dns", shortened(target, "name"))
    if has_conditions(own):
        put_records(own, found.expect, kind)
    return found


def _docker(own: Monitor) -> Target | str:
    own.carry("docker_container", "docker.container")
    host = own.get("docker_host")
    if host is not None:
        host.left("this machine's socket is used; `socket` names another")
    return Target("docker", text(own.node, "docker_container"))


def _database(kind: str) -> Callable[[Monitor], Target | str]:
    def read(own: Monitor) -> Target | str:
        connection, query = own.get("databaseConnectionString"), own.get("databaseQuery")
        if connection is None:
            return "it has no connection string"
        target = _dissected(own, connection, kind)
        if target is None:
            return "its connection string is not a URL; write address, user and database by hand"
        found = Target(kind, target)
        if query is not None and kind in ("postgres", "mysql"):
            target["query"] = query.as_text()
            query.carried(f"{own.to}.{kind}.query")
        if kind == "mysql" and "password" not in target and (password := own.get("radiusPassword")) is not None:
            target["password"] = own.draft.secret(password, f"{own.name}_password")
            own.carry("radiusPassword", "mysql.password", KEPT_OUTSIDE)
        if kind in ("postgres", "mysql") and has_conditions(own):
            put_value(own, found.expect)
        if kind == "redis" and target.get("tls") and own.is_on("ignoreTls"):
            target["verify"] = False
            own.carry("ignoreTls", "redis.verify")
        if kind == "mongodb":
            _command(own, found)
        return found

    return read


def _command(own: Monitor, found: Target) -> None:
    """MongoDB: a command as JSON, and a JSONata path in its answer that must give something, or this."""
    query, path = own.get("databaseQuery"), own.get("jsonPath")
    try:
        command = json.loads(query.as_text()) if query is not None else None
    except ValueError:
        command = None
    if query is not None and isinstance(command, dict) and command:
        found.target["command"] = command
        query.carried(f"{own.to}.mongodb.command")
    elif query is not None:
        query.left("it is not a command in JSON")
    if path is None:
        if own.get("expectedValue") is not None:
            own.leave("Mainstay expects values at a JSON path, and there is none", "expectedValue")
        return
    wanted = own.get("expectedValue")
    value = expected(wanted.as_text()) if wanted is not None else ("!= null", "anything but null is accepted")
    put_json(own, found.expect, value, "jsonPath", "expectedValue")


_CLOSING = re.compile(r"[1-4]\d{3}")
_DEFAULT_PORTS = {"postgres": 5432, "mysql": 3306, "redis": 6379, "mongodb": 27017}
_CONNECTION = re.compile(
    r"[a-z0-9+]+://(?:(?P<user>[^:@/]*)(?::(?P<password>[^@]*))?@)?(?P<host>\[[^\]]+\]|[^:/?,]+)(?::(?P<port>\d+))?"
    r"(?:/(?P<database>[^?]*))?"
)


def _dissected(own: Monitor, node: Node, kind: str) -> dict[str, Any] | None:
    """`postgres://user:password@host:5432/name` in parts; None if it is not of this form."""
    found = _CONNECTION.match(node.as_text().strip())
    if found is None:
        return None
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
    node.approximated(f"{own.to}.{kind}", "split into fields; parameters after `?` are left out")
    return target


def _grpc(own: Monitor) -> Target | str:
    url = own.get("grpcUrl")
    if url is None:
        return "it has no URL"
    target: dict[str, Any] = {"address": url.as_text().rpartition("://")[2]}
    url.approximated(f"{own.to}.grpc.address", "checked by the health protocol, not by a custom method")
    for name in ("grpcServiceName", "grpcMethod", "grpcProtobuf", "grpcBody", "grpcMetadata", "keyword"):
        if (found := own.get(name)) is not None:
            found.left("the health protocol defines its own service, request and response")
    if own.is_on("grpcEnableTls"):
        target["tls"] = True
    own.carry("grpcEnableTls", "grpc.tls")
    return Target("grpc", shortened(target, "address"))


def _websocket(own: Monitor) -> Target | str:
    url = own.get("url")
    if url is None:
        return "it has no URL"
    target: dict[str, Any] = {}
    expect: dict[str, Any] = {}
    put_url(own.draft, url, target, f"{own.to}.websocket", own.name)
    target.pop("auth", None)
    if (offered := own.get("wsSubprotocol")) is not None:
        target["subprotocols"] = [part for part in re.sub(r"\s", "", offered.as_text()).split(",") if part]
        own.carry("wsSubprotocol", "websocket.subprotocols")
    codes = own.get("accepted_statuscodes")
    if codes is not None and isinstance(codes.value, list) and all(_CLOSING.fullmatch(str(one)) for one in codes.value):
        expect["close"] = [int(str(code)) for code in codes.value]
        codes.carried(f"{own.to}.expect.close")
    elif codes is not None:
        codes.left("a close code is a number from 1000 to 4999")
    return Target("websocket", shortened(target, "url"), expect)


def _smtp(own: Monitor) -> Target | str:
    target: dict[str, Any] = {"address": own.endpoint("smtp", 25)}
    security = {"secure": "tls", "nostarttls": "none", "starttls": "starttls"}.get(text(own.node, "smtpSecurity"))
    if security:
        target["security"] = security
        own.carry("smtpSecurity", "smtp.security")
    else:  # Kuma takes TLS where it is offered; to insist on it would turn a server without it down
        target["security"] = "tls" if text(own.node, "port").removesuffix(".0") == "465" else "none"
    return Target("smtp", shortened(target, "address"))


def _ntp(own: Monitor) -> Target | str:
    """Kuma takes strata below its threshold, and offsets in milliseconds."""
    found = Target("ntp", own.endpoint("ntp", 123))
    stratum, offset = own.get("ntpStratumThreshold"), own.get("ntpTimeOffsetThreshold")
    found.expect["stratum"] = int(min(max(((stratum.as_number() if stratum else None) or 5) - 1, 1), 15))
    own.carry("ntpStratumThreshold", "expect.stratum")
    if offset is not None and (milliseconds := offset.as_number()):
        found.expect["offset"] = format_duration(milliseconds / 1000)
        offset.carried(f"{own.to}.expect.offset")
    own.leave("Mainstay evaluates the offset and the stratum", "ntpRootDispersionThreshold")
    return found


def _browser(own: Monitor) -> Target | str:
    url = own.get("url")
    if url is None:
        return "it has no URL"
    url.approximated(f"{own.to}.browser.url", "errors in the page's own scripts make it degraded here")
    own.leave("the prober's browser is used", "remote_browser")
    own.leave("a screenshot is taken at once when something is wrong", "screenshot_delay")
    return Target("browser", url.as_text().strip())


def _mqtt(own: Monitor) -> Target | str:
    scheme = text(own.node, "hostname").rpartition("://")[0].lower()
    if scheme.startswith("ws"):
        return "Mainstay speaks MQTT over TCP and TLS, not over WebSocket"
    target: dict[str, Any] = {"address": own.endpoint("mqtt", 1883)} | ({"tls": True} if scheme == "mqtts" else {})
    for theirs, ours in (("mqttUsername", "username"), ("mqttTopic", "topic")):
        if (found := own.get(theirs)) is not None:
            target[ours] = found.as_text()
            own.carry(theirs, f"mqtt.{ours}")
    if (password := own.get("mqttPassword")) is not None:
        target["password"] = own.draft.secret(password, f"{own.name}_password")
        own.carry("mqttPassword", "mqtt.password", KEPT_OUTSIDE)
    expect: dict[str, Any] = {}
    message = own.get("mqttSuccessMessage")
    if has_conditions(own):
        put_message(own, expect)
    elif text(own.node, "mqttCheckType") == "json-query":
        wanted = expected(text(own.node, "expectedValue"))
        put_json(own, expect, wanted, "mqttCheckType", "jsonPath", "expectedValue")
    elif message is not None:
        own.carry("mqttCheckType", "expect.contains")
        expect["contains"] = message.as_text()
        own.carry("mqttSuccessMessage", "expect.contains")
    return Target("mqtt", shortened(target, "address"), expect)


_READERS: dict[str, tuple[str, Callable[[Monitor], Target | str]]] = {
    "http": ("http", read_http),
    "keyword": ("http", read_http),
    "json-query": ("http", read_http),
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
    "ntp": ("ntp", _ntp),
    "real-browser": ("browser", _browser),
    "mqtt": ("mqtt", _mqtt),
}
