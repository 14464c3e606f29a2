"""Which fields of a monitor Uptime Kuma uses for which types: every monitor has them all, whatever its type.

Taken from `server/model/monitor.js` and `server/monitor-types/` of 2.x.
"""

from __future__ import annotations

from mainstay.foreign.importing.kuma_source import field, text
from mainstay.foreign.importing.source import Node

_HTTP = frozenset({"http", "keyword", "json-query"})
_TLS = _HTTP | {"redis"}
_NAMED = _HTTP | {"websocket-upgrade", "port", "ping", "dns", "smtp", "mqtt", "grpc-keyword", "real-browser"}
_BY_URL = _HTTP | {"websocket-upgrade", "real-browser"}
_NO_DOMAIN = "which part of the name is registered is unknown; declare a monitor of the kind `domain` for it"
_NO_LIKE = "Mainstay has nothing like it for this check"
_KEPT = "what an answer held is kept as evidence of a failure, within the limits of Mainstay"

# field -> (types that use it, why it is not carried where no reader has said something else)
_USED: dict[str, tuple[frozenset[str], str]] = {
    "ignoreTls": (_TLS, _NO_LIKE),
    "cacheBust": (_HTTP, _NO_LIKE),
    "ipFamily": (_HTTP, _NO_LIKE),
    "domainExpiryNotification": (_NAMED, _NO_DOMAIN),
    "expiryNotification": (_HTTP | {"port"}, _NO_LIKE),
    "retryOnlyOnStatusCodeFailure": (frozenset({"json-query"}), "every failure is confirmed before it counts"),
    "wsIgnoreSecWebsocketAcceptHeader": (frozenset({"websocket-upgrade"}), "a wrong answer to the upgrade fails"),
    "saveResponse": (_HTTP, _KEPT),
    "saveErrorResponse": (_HTTP, _KEPT),
    "responseMaxLength": (_HTTP, _KEPT),
    "keyword": (frozenset({"keyword", "grpc-keyword"}), _NO_LIKE),
    "invertKeyword": (frozenset({"keyword", "grpc-keyword"}), _NO_LIKE),
    "conditions": (frozenset({"dns", "postgres", "mysql", "mqtt"}), _NO_LIKE),
    "mqttWebsocketPath": (frozenset({"mqtt"}), _NO_LIKE),
    "ping_per_request_timeout": (frozenset({"ping"}), "the timeout covers all requests together"),
    "groupNotifications": (frozenset({"group"}), _NO_LIKE),
}
# Where nothing but these types uses a field.
_ELSEWHERE: dict[str, frozenset[str]] = {
    **dict.fromkeys(("url",), _HTTP | {"websocket-upgrade", "real-browser"}),
    **dict.fromkeys(("method", "body", "headers", "httpBodyEncoding", "maxredirects", "proxyId", "authMethod"), _HTTP),
    **dict.fromkeys(("basic_auth_user", "basic_auth_pass", "bearer_token", "oauth_auth_method"), _HTTP),
    **dict.fromkeys(("oauth_client_id", "oauth_client_secret", "oauth_token_url"), _HTTP),
    **dict.fromkeys(("oauth_scopes", "oauth_audience"), _HTTP),
    **dict.fromkeys(("authDomain", "authWorkstation", "tlsCert", "tlsKey", "tlsCa"), _HTTP),
    "accepted_statuscodes": _HTTP | {"websocket-upgrade"},
    **dict.fromkeys(
        ("hostname", "port"), frozenset({"port", "ping", "dns", "smtp", "mqtt", "ntp", "steam", "gamedig", "radius"})
    ),
    "smtpSecurity": frozenset({"smtp", "port"}),
    **dict.fromkeys(("packetSize", "ping_count", "ping_numeric"), frozenset({"ping"})),
    **dict.fromkeys(("dns_resolve_type", "dns_resolve_server"), frozenset({"dns"})),
    **dict.fromkeys(("docker_container", "docker_host"), frozenset({"docker"})),
    **dict.fromkeys(("jsonPath", "expectedValue"), frozenset({"json-query", "mqtt", "mongodb", "snmp"})),
    "jsonPathOperator": frozenset({"json-query", "snmp"}),
    **dict.fromkeys(
        ("mqttTopic", "mqttSuccessMessage", "mqttCheckType", "mqttUsername", "mqttPassword"), frozenset({"mqtt"})
    ),
    "databaseQuery": frozenset({"postgres", "mysql", "mongodb", "sqlserver", "oracledb"}),
    "databaseConnectionString": frozenset({"postgres", "mysql", "mongodb", "redis", "sqlserver", "oracledb"}),
    "wsSubprotocol": frozenset({"websocket-upgrade"}),
    **dict.fromkeys(
        ("ntpStratumThreshold", "ntpTimeOffsetThreshold", "ntpRootDispersionThreshold"), frozenset({"ntp"})
    ),
    **dict.fromkeys(("remote_browser", "screenshot_delay"), frozenset({"real-browser"})),
    **dict.fromkeys(
        ("grpcUrl", "grpcProtobuf", "grpcMethod", "grpcServiceName", "grpcBody", "grpcMetadata", "grpcEnableTls"),
        frozenset({"grpc-keyword"}),
    ),
    **dict.fromkeys(("radiusUsername", "radiusSecret"), frozenset({"radius"})),
    **dict.fromkeys(("radiusCalledStationId", "radiusCallingStationId"), frozenset({"radius"})),
    "radiusPassword": frozenset({"radius", "mysql"}),
    **dict.fromkeys(("game", "gamedigGivenPortOnly", "gamedigToken"), frozenset({"gamedig", "steam"})),
    **dict.fromkeys(
        ("kafkaProducerTopic", "kafkaProducerMessage", "kafkaProducerBrokers", "kafkaProducerSsl",
         "kafkaProducerSaslOptions", "kafkaProducerAllowAutoTopicCreation"),
        frozenset({"kafka-producer"}),
    ),
    **dict.fromkeys(("rabbitmqNodes", "rabbitmqUsername", "rabbitmqPassword"), frozenset({"rabbitmq"})),
    **dict.fromkeys(("snmpVersion", "snmpOid", "snmpV3Username"), frozenset({"snmp"})),
    "manual_status": frozenset({"manual"}),
    "system_service_name": frozenset({"system-service"}),
    **dict.fromkeys(("subtype", "location", "protocol"), frozenset({"globalping"})),
    "expectedTlsAlert": frozenset({"port"}),
    "pushToken": frozenset({"push"}),
}  # fmt: skip


# Names that no registry gives (RFC 6761, 6762 and 8375, and .internal).
_UNREGISTERED = frozenset({"arpa", "corp", "example", "home", "internal", "invalid", "lan", "local", "localdomain",
                           "localhost", "onion", "test"})  # fmt: skip


def domain_of(node: Node, kind: str) -> str:
    """The domain that a monitor's host is in, where that is certain without a list of registries; else empty."""
    if kind not in _NAMED:
        return ""
    address = text(node, "grpcUrl" if kind == "grpc-keyword" else "url" if kind in _BY_URL else "hostname")
    host = address.rpartition("://")[2].partition("/")[0].rpartition("@")[2].partition(":")[0].lower()
    labels = host.removeprefix("www.").rstrip(".").split(".")
    return ".".join(labels) if len(labels) == 2 and labels[1] not in _UNREGISTERED else ""


def tell_the_rest(node: Node, kind: str) -> None:
    """What no reader has spoken of: without effect where Kuma does not use it, else not carried."""
    for name in (*_USED, *_ELSEWHERE):
        found = field(node, name)
        if found is None or node.report.is_noted(found.path):
            continue
        types, why = _USED.get(name) or (_ELSEWHERE[name], _NO_LIKE)
        if kind not in types:
            found.idle(f"Kuma does not use it for the type {kind or '?'}")
        elif found.value in (False, 0, "", [], {}, "0"):
            found.idle("it is switched off")
        else:
            found.left(why)
