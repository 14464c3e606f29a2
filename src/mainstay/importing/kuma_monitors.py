"""What one monitor of Uptime Kuma checks, by its type."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from mainstay.importing.draft import Draft
from mainstay.importing.kuma_http import read_http
from mainstay.importing.kuma_source import text
from mainstay.importing.kuma_target import Monitor, Target
from mainstay.importing.requests import KEPT_OUTSIDE, put_url, shortened
from mainstay.importing.source import Node

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
    return Target("tcp", own.endpoint("tcp"))


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
    return Target("icmp", shortened(target, "host"), has_timeout=False)


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
            resolver.approximated(f"{own.to}.dns.resolver", "one resolver is asked, the first of them")
    own.carry("port", "dns.resolver")
    return Target("dns", shortened(target, "name"), has_timeout=False)


def _docker(own: Monitor) -> Target | str:
    own.carry("docker_container", "docker.container")
    host = own.get("docker_host")
    if host is not None:
        host.approximated(f"{own.to}.docker", "the socket of this machine is asked")
    return Target("docker", text(own.node, "docker_container"))


def _database(kind: str) -> Callable[[Monitor], Target | str]:
    def read(own: Monitor) -> Target | str:
        connection, query = own.get("databaseConnectionString"), own.get("databaseQuery")
        if connection is None:
            return "it has no connection string"
        target = _dissected(own, connection, kind)
        if target is None:
            return "its connection string is not a URL; write address, user and database by hand"
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
    node.approximated(f"{own.to}.{kind}", "taken apart; parameters after `?` are left out")
    return target


def _grpc(own: Monitor) -> Target | str:
    url = own.get("grpcUrl")
    if url is None:
        return "it has no URL"
    target: dict[str, Any] = {"address": url.as_text().rpartition("://")[2]}
    url.approximated(f"{own.to}.grpc.address", "asked by the health protocol, not by a method of its own")
    for name in ("grpcServiceName", "grpcMethod", "grpcProtobuf", "grpcBody", "grpcMetadata", "keyword"):
        if (found := own.get(name)) is not None:
            found.left("the health protocol has a service, a question and an answer of its own")
    if own.is_on("grpcEnableTls"):
        target["tls"] = True
    own.carry("grpcEnableTls", "grpc.tls")
    return Target("grpc", shortened(target, "address"))


def _websocket(own: Monitor) -> Target | str:
    url = own.get("url")
    if url is None:
        return "it has no URL"
    target: dict[str, Any] = {}
    put_url(own.draft, url, target, f"{own.to}.websocket", own.name)
    target.pop("auth", None)
    return Target("websocket", shortened(target, "url"))


def _smtp(own: Monitor) -> Target | str:
    target: dict[str, Any] = {"address": own.endpoint("smtp", 25)}
    security = {"secure": "tls", "nostarttls": "none", "starttls": "starttls"}.get(text(own.node, "smtpSecurity"))
    if security:
        target["security"] = security
        own.carry("smtpSecurity", "smtp.security")
    return Target("smtp", shortened(target, "address"))


def _mqtt(own: Monitor) -> Target | str:
    target: dict[str, Any] = {"address": own.endpoint("mqtt", 1883)}
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
    "mqtt": ("mqtt", _mqtt),
}
