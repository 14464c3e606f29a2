"""What a blackbox module means in the options of our checks.

Fields: https://github.com/prometheus/blackbox_exporter/blob/master/CONFIGURATION.md. What is said there and cannot
be done here is noted by `Fields.cannot`, so that nothing is ignored.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from mainstay.foreign.compat.probe_fields import Fields

_MOST = 1024**3  # bytes of a body that are read where the module sets no limit; the time is limited as well
_VERSIONS = {"HTTP/1.0": "1.0", "HTTP/1.1": "1.1", "HTTP/2.0": "2"}
_TLS = {"": "", "TLS12": "1.2", "TLS13": "1.3"}
_OLD_TLS = {"TLS10", "TLS11"}
_METHOD = re.compile(r"[A-Z]{1,20}", re.IGNORECASE)
_COMPRESSIONS = ("", "gzip", "br", "deflate", "identity")


class Meant(NamedTuple):
    """One module in our words."""

    fills: str  # the field of the target that a scrape's target fills
    target: dict[str, Any]
    expect: dict[str, Any]


def addresses(fields: Fields) -> dict[str, Any]:
    """Which version of IP is preferred: 6 unless it is said, as in the exporter."""
    written = fields.text("preferred_ip_protocol", "ip6") or "ip6"
    if written not in ("ip4", "ip6"):
        fields.mistake("`preferred_ip_protocol` is ip4 or ip6", "preferred_ip_protocol")
    return {"prefer": 4 if written == "ip4" else 6, "fallback": fields.flag("ip_protocol_fallback", True)}


def http(fields: Fields) -> Meant:
    follow = fields.flag("follow_redirects", True) and not fields.flag("no_follow_redirects")
    target: dict[str, Any] = {
        "method": _method(fields),
        "headers": fields.mapping("headers"),
        "redirects": {"follow": follow},
        "tls": tls(fields.within("tls_config")),
        "http_version": "2" if fields.flag("enable_http2", True) else "1.1",
        "max_read": _MOST,
    }
    expect: dict[str, Any] = {"status": _statuses(fields) or "200-299"}
    limit = fields.size("body_size_limit")
    if limit:
        target["max_read"] = expect["max_bytes"] = limit
    if fields.has("body") and fields.has("body_file"):
        fields.mistake("give either `body` or `body_file`, not both", "body_file")
    if body := fields.text("body") or fields.file("body_file"):
        target["body"] = body
    if proxy := fields.text("proxy_url"):
        target["proxy"] = proxy
    fields.flag("skip_resolve_phase_with_proxy")  # here a proxy always looks the name up
    _compression(fields, target)
    _authorization(fields, target)
    _http_expect(fields, expect)
    fields.cannot("tokens are not fetched for a probe; use `authorization`", "oauth2")
    fields.cannot("write the proxy into `proxy_url`", "proxy_from_environment", "no_proxy", "proxy_connect_header")
    fields.cannot("write headers into `headers`", "http_headers")
    fields.cannot(
        "CEL expressions are not evaluated", "fail_if_body_json_matches_cel", "fail_if_body_json_not_matches_cel"
    )
    fields.cannot("HTTP/3 is not supported", "enable_http3")
    return Meant("url", target, expect)


def _method(fields: Fields) -> str:
    method = fields.text("method", "GET") or "GET"
    if not _METHOD.fullmatch(method):
        fields.mistake(f"`{method[:40]}` is not a method such as GET", "method")
    return method.upper()


def _statuses(fields: Fields) -> list[int]:
    codes = fields.items("valid_status_codes")
    for code in codes:
        if isinstance(code, bool) or not isinstance(code, int) or not 100 <= code <= 599:
            fields.mistake(f"`{str(code)[:20]}` is not a status code", "valid_status_codes")
            return []
    return codes


def _compression(fields: Fields, target: dict[str, Any]) -> None:
    written = fields.text("compression")
    if written not in _COMPRESSIONS:
        fields.mistake(f"`{written[:40]}` is not gzip, br, deflate or identity", "compression")
    elif written:
        target["compressed"] = written


def _authorization(fields: Fields, target: dict[str, Any]) -> None:
    given = [name for name in ("basic_auth", "authorization", "bearer_token", "bearer_token_file") if fields.has(name)]
    if len(given) > 1:
        fields.mistake(f"give one of {' and '.join(given)}, not several", given[1])
    basic, other = fields.within("basic_auth"), fields.within("authorization")
    if fields.has("basic_auth"):
        user = basic.text("username") or basic.file("username_file").strip()
        password = basic.secret("password") or basic.file("password_file", secret=True)
        target["auth"] = {"basic": {"username": user, "password": password}}
        basic.finish()
    token = fields.secret("bearer_token") or fields.file("bearer_token_file", secret=True)
    scheme = other.text("type", "Bearer").strip() or "Bearer"
    token = token or other.secret("credentials") or other.file("credentials_file", secret=True)
    other.finish()
    if token:
        if any(name.lower() == "authorization" for name in target["headers"]):
            fields.mistake("the header Authorization is given twice", given[0])
        target["headers"] = {**target["headers"], "Authorization": f"{scheme} {token}"}


def _http_expect(fields: Fields, expect: dict[str, Any]) -> None:
    versions = fields.texts("valid_http_versions")
    if unknown := [version for version in versions if version not in _VERSIONS]:
        known = ", ".join(_VERSIONS)
        fields.mistake(f"`{unknown[0][:20]}` is not one of {known}", "valid_http_versions")
    if versions:
        expect["protocol"] = [_VERSIONS[version] for version in versions if version in _VERSIONS]
    refused, wanted = fields.flag("fail_if_ssl"), fields.flag("fail_if_not_ssl")
    if refused and wanted:
        fields.mistake("`fail_if_ssl` and `fail_if_not_ssl` together reject everything", "fail_if_not_ssl")
    if refused or wanted:
        expect["tls"] = wanted
    if patterns := fields.patterns("fail_if_body_matches_regexp"):
        expect["not_regex"] = patterns
    if patterns := fields.patterns("fail_if_body_not_matches_regexp"):
        expect["regex"] = patterns
    headers = _header_patterns(fields, "fail_if_header_matches", found=False)
    headers += _header_patterns(fields, "fail_if_header_not_matches", found=True)
    if headers:
        expect["header_patterns"] = headers


def _header_patterns(fields: Fields, name: str, *, found: bool) -> list[dict[str, Any]]:
    patterns = []
    for entry in fields.entries(name):
        header, regex = entry.text("header"), entry.pattern("regexp")
        if not header:
            entry.mistake("`header` is missing")
        if not entry.has("regexp"):
            entry.mistake("`regexp` is missing")
        patterns.append(
            {"name": header, "regex": regex, "found": found, "optional": entry.flag("allow_missing")},
        )
        entry.finish()
    return patterns


def tls(fields: Fields) -> dict[str, Any]:
    """`tls_config` as the checks' options of TLS."""
    found: dict[str, Any] = {"verify": not fields.flag("insecure_skip_verify")}
    texts = {
        "ca": fields.text("ca") or fields.file("ca_file"),
        "certificate": fields.text("cert") or fields.file("cert_file"),
        "key": fields.secret("key") or fields.file("key_file", secret=True),
        "server_name": fields.text("server_name"),
        "min_version": _tls_version(fields, "min_version"),
        "max_version": _tls_version(fields, "max_version"),
    }
    if bool(texts["certificate"]) != bool(texts["key"]):
        fields.mistake("a client certificate needs both `cert_file` and `key_file`")
    fields.finish()
    return found | {name: text for name, text in texts.items() if text}


def _tls_version(fields: Fields, name: str) -> str:
    written = fields.text(name)
    if written in _OLD_TLS:
        fields.mistake(f"`{name}` is not supported with {written}: TLS before 1.2 is not supported", name)
    elif written not in _TLS:
        fields.mistake(f"`{written[:20]}` is not TLS12 or TLS13", name)
    return _TLS.get(written, "")


def tcp(fields: Fields) -> Meant:
    target: dict[str, Any] = {"tls": fields.flag("tls"), **tls(fields.within("tls_config"))}
    talk = []
    for entry in fields.entries("query_response"):
        turn = {"expect": entry.pattern("expect"), "send": entry.text("send"), "starttls": entry.flag("starttls")}
        entry.cannot("text from the target does not become labels", "labels")
        entry.cannot("lines are matched, not bytes; use `expect`", "expect_bytes")
        entry.finish()
        talk.append({name: value for name, value in turn.items() if value})
    if talk:
        target["talk"] = talk
    _source(fields)
    return Meant("address", target, {})


def _source(fields: Fields) -> None:
    fields.cannot("the system chooses the source address of probes", "source_ip_address")


def dns(fields: Fields) -> Meant:
    name = fields.text("query_name")
    if not name:
        fields.mistake("`query_name` is missing")
    protocol = fields.text("transport_protocol", "udp") or "udp"
    if protocol not in ("udp", "tcp"):
        fields.mistake(f"`{protocol[:20]}` is not udp or tcp", "transport_protocol")
    if secured := fields.flag("dns_over_tls"):
        if protocol != "tcp":
            fields.mistake("`dns_over_tls` needs `transport_protocol: tcp`", "dns_over_tls")
        protocol = "tls"
    config = tls(fields.within("tls_config"))
    target = {
        "name": name,
        "type": _known(fields, "query_type", "rdatatype", "ANY"),
        "class": _known(fields, "query_class", "rdataclass", "IN"),
        "recursion": fields.flag("recursion_desired", True),
        "protocol": protocol,
        "edns": False,  # the exporter asks without
        **(config if secured else {}),
    }
    _source(fields)
    return Meant("resolver", target, _dns_expect(fields))


def _known(fields: Fields, name: str, table: str, default: str) -> str:
    written = fields.text(name, default) or default
    return written if _is_known(fields, name, table, written) else default


def _is_known(fields: Fields, name: str, table: str, written: str) -> bool:
    """Whether DNS has a type, class or code of this name; its library is imported where a module asks."""
    try:
        importlib.import_module(f"dns.{table}").from_text(written)
    except ValueError:
        known = False
    except importlib.import_module("dns.exception").DNSException:
        known = False
    else:
        known = True
    if not known:
        fields.mistake(f"`{written[:20]}` is not known to DNS", name)
    return known


def _dns_expect(fields: Fields) -> dict[str, Any]:
    codes = fields.texts("valid_rcodes")
    expect: dict[str, Any] = {"min_answers": 0, "rcode": codes or ["NOERROR"]}
    for code in codes:
        _is_known(fields, "valid_rcodes", "rcode", code)
    for section in ("answer", "authority", "additional"):
        inner = fields.within(f"validate_{section}_rrs")
        each = inner.patterns("fail_if_not_matches_regexp")
        # What the exporter does (all records have to match, prober/dns.go) is not what the name of this field says.
        every = inner.patterns("fail_if_all_match_regexp")
        patterns = {
            "none": inner.patterns("fail_if_matches_regexp"),
            "some": inner.patterns("fail_if_none_matches_regexp"),
            "each": [*each, *every],
        }
        inner.finish()
        if any(patterns.values()):
            expect[section] = {**patterns, "empty": not each}
    return expect


def icmp(fields: Fields) -> Meant:
    target: dict[str, Any] = {"count": 1}
    if size := fields.whole("payload_size", 1, 65_000):
        if size < 8:
            fields.mistake("`payload_size` is not supported below 8: a packet carries 8 bytes that tell it apart")
        target["size"] = size
    if ttl := fields.whole("ttl", 1, 255):
        target["ttl"] = ttl
    if fields.flag("dont_fragment"):
        target["dont_fragment"] = True
    _source(fields)
    return Meant("host", target, {})


def grpc(fields: Fields) -> Meant:
    config = tls(fields.within("tls_config"))
    secured = fields.flag("tls")
    target = {"service": fields.text("service"), "tls": secured, **(config if secured else {})}
    fields.cannot("custom metadata is not sent", "metadata")
    return Meant("address", target, {})


PROBERS: dict[str, Callable[[Fields], Meant]] = {"http": http, "tcp": tcp, "dns": dns, "icmp": icmp, "grpc": grpc}
