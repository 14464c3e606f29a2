"""What a result is called in the words of the Prometheus blackbox exporter. Pure.

Names, help texts and which of them are always there follow blackbox_exporter 0.23, `prober/*.go`, with what releases
since then have added: the timeout, the cipher, serial numbers, failures by bytes.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from mainstay.frames.exposition import Family, label_text
from mainstay.kernel.grpc_codes import GRPC_CODES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mainstay.kernel.probing import CheckResult

Labels = Mapping[str, str]
Row = tuple[str, Labels, float]  # name, labels, value

_GAUGES = {
    "probe_success": "Displays whether or not the probe was a success",
    "probe_duration_seconds": "Returns how long the probe took to complete in seconds",
    "probe_timeout_seconds": "Timeout of the probe in seconds",
    "probe_dns_lookup_time_seconds": "Returns the time taken for probe dns lookup in seconds",
    "probe_ip_protocol": "Specifies whether probe ip protocol is IP4 or IP6",
    "probe_ip_addr_hash": "Specifies the hash of IP address. It's useful to detect if the IP address changes.",
    "probe_failed_due_to_bytes": "Indicates if probe failed due to bytes",
    "probe_failed_due_to_regex": "Indicates if probe failed due to regex",
    "probe_http_content_length": "Length of http content response",
    "probe_http_duration_seconds": "Duration of http request by phase, summed over all redirects",
    "probe_http_last_modified_timestamp_seconds": "Returns the Last-Modified HTTP response header in unixtime",
    "probe_http_redirects": "The number of redirects",
    "probe_http_ssl": "Indicates if SSL was used for the final redirect",
    "probe_http_status_code": "Response HTTP status code",
    "probe_http_uncompressed_body_length": "Length of uncompressed response body",
    "probe_http_version": "Returns the version of HTTP of the probe response",
    "probe_ssl_earliest_cert_expiry": "Returns last SSL chain expiry in unixtime",
    "probe_ssl_last_chain_expiry_timestamp_seconds": "Returns last SSL chain expiry in timestamp",
    "probe_dns_additional_rrs": "Returns number of entries in the additional resource record list",
    "probe_dns_answer_rrs": "Returns number of entries in the answer resource record list",
    "probe_dns_authority_rrs": "Returns number of entries in the authority resource record list",
    "probe_dns_duration_seconds": "Duration of DNS request by phase",
    "probe_dns_query_succeeded": "Displays whether or not the query was executed successfully",
    "probe_dns_serial": "Returns the serial number of the zone",
    "probe_grpc_duration_seconds": "Duration of gRPC request by phase",
    "probe_grpc_healthcheck_response": "Response HealthCheck response",
    "probe_grpc_ssl": "Indicates if SSL was used for the connection",
    "probe_grpc_status_code": "Response gRPC status code",
    "probe_icmp_duration_seconds": "Duration of icmp request by phase",
    "probe_icmp_reply_hop_limit": "Replied packet hop limit (TTL for ipv4)",
}
_INFOS = {
    "probe_ssl_last_chain": "Contains SSL leaf certificate information",
    "probe_tls_cipher": "Returns the TLS cipher negotiated during handshake",
    "probe_tls_version": "Returns the TLS version used or NaN when unknown",
}
_VERSIONS = {"TLSv1": "TLS 1.0", "TLSv1.1": "TLS 1.1", "TLSv1.2": "TLS 1.2", "TLSv1.3": "TLS 1.3"}
# OpenSSL's name of a cipher of TLS 1.2: key exchange, signature, cipher, mode, hash.
_CIPHER = re.compile(r"(?:(ECDHE)-(ECDSA|RSA)-)?(AES128|AES256|CHACHA20-POLY1305)(-GCM)?(?:-(SHA\d*))?")
_WITHOUT_BODY = (204, 304)
# https://github.com/grpc/grpc/blob/master/doc/statuscodes.md, by number.
_LATE, _UNAVAILABLE = GRPC_CODES.index("DEADLINE_EXCEEDED"), GRPC_CODES.index("UNAVAILABLE")
# The exporter's value for a chain that was not verified: the zero time of its language, 0001-01-01.
_NEVER = -62_135_596_800.0


class ProbeFamilies:
    """Collects results into families, so that many monitors share one HELP and TYPE each."""

    def __init__(self) -> None:
        self._families: dict[str, Family] = {}

    def tell(self, name: str, value: float) -> None:
        """One value that no result holds."""
        self._family(name).add(value)

    def add(self, kind: str, result: CheckResult, labels: Labels | None = None) -> None:
        shared = label_text(labels or {})
        for name, own, value in rows(kind, result):
            joined = ",".join(filter(None, (shared, label_text(own)))) if own else shared
            self._family(name).add(value, joined)

    def families(self) -> list[Family]:
        return list(self._families.values())

    def _family(self, name: str) -> Family:
        family = self._families.get(name)
        if family is None:
            is_info = name in _INFOS
            text = _INFOS[name] if is_info else _GAUGES[name]
            family = self._families[name] = Family(name, text, "info" if is_info else "gauge")
        return family


def rows(kind: str, result: CheckResult) -> Iterator[Row]:
    """All values of one result; `degraded` counts as a success, as the exporter knows no such thing."""
    phases, evidence = result.phases, result.evidence
    yield "probe_success", {}, float(result.verdict in ("up", "degraded"))
    yield "probe_duration_seconds", {}, result.duration
    yield "probe_dns_lookup_time_seconds", {}, phases.get("lookup", 0.0)
    address = _address(evidence)
    yield "probe_ip_protocol", {}, float(address.version if address else 0)
    yield "probe_ip_addr_hash", {}, float(address_hash(address.packed) if address else 0)
    if kind == "http":
        yield from _http(phases, evidence, result.code)
    elif kind in ("tcp", "tls"):
        yield "probe_failed_due_to_regex", {}, float(result.code in ("expect.regex", "expect.contains"))
        yield "probe_failed_due_to_bytes", {}, 0.0
    elif kind == "dns":
        yield from _dns(phases, evidence)
    elif kind == "icmp":
        yield from _icmp(phases, evidence)
    elif kind == "grpc":
        yield from _grpc(phases, evidence, result.code)
    tls = evidence.get("tls")
    if kind == "http" and isinstance(tls, Mapping) and tls.get("cipher"):
        yield "probe_tls_cipher", {"cipher": cipher_name(str(tls["cipher"]))}, 1.0
    if kind == "grpc":
        yield from _grpc_certificates(evidence)
    elif kind != "dns":
        yield from _certificates(evidence)


def cipher_name(of: str) -> str:
    """The registered name (RFC 5246, appendix C) for OpenSSL's; those of TLS 1.3 are the same."""
    found = _CIPHER.fullmatch(of)
    if found is None:
        return of
    exchange, signature, cipher, mode, digest = found.groups()
    keys = f"{exchange}_{signature}" if exchange else "RSA"
    if cipher.startswith("AES"):
        cipher = f"AES_{cipher[3:]}_{'GCM' if mode else 'CBC'}"
    return f"TLS_{keys}_WITH_{cipher.replace('-', '_')}_{digest or 'SHA256'}"


def address_hash(packed: bytes) -> int:
    """FNV-1a with 32 bits over the address in network order."""
    value = 0x811C9DC5
    for byte in packed:
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def _address(evidence: Mapping[str, Any]) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Of `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1` or `[2001:db8::1]:443`."""
    written = str(evidence.get("address") or "")
    host = written[1:].partition("]")[0] if written.startswith("[") else written
    if host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _http(phases: Mapping[str, float], evidence: Mapping[str, Any], code: str) -> Iterator[Row]:
    answered = "status" in evidence
    headers = evidence.get("headers") or {}
    size = float(evidence.get("bytes", 0))
    yield "probe_http_status_code", {}, float(evidence.get("status", 0))
    yield "probe_http_version", {}, _number(evidence.get("http_version"), 0.0)
    yield "probe_http_redirects", {}, float(evidence.get("redirects", 0))
    # Without a Content-Length the exporter says -1, and 0 where there can be no body.
    otherwise = 0.0 if evidence.get("status") in _WITHOUT_BODY else -1.0
    yield "probe_http_content_length", {}, _number(headers.get("content-length"), otherwise) if answered else 0.0
    yield "probe_http_uncompressed_body_length", {}, size
    yield "probe_http_ssl", {}, float(answered and phases.get("tls", 0.0) > 0)
    regexes = ("expect.regex", "expect.contains", "expect.not_contains", "expect.header")
    yield "probe_failed_due_to_regex", {}, float(code in regexes)
    modified = _http_date(headers.get("last-modified"))
    if modified is not None:
        yield "probe_http_last_modified_timestamp_seconds", {}, modified
    yield "probe_http_duration_seconds", {"phase": "resolve"}, phases.get("lookup", 0.0)
    if "connect" in phases:
        yield "probe_http_duration_seconds", {"phase": "connect"}, phases["connect"]
        yield "probe_http_duration_seconds", {"phase": "tls"}, phases.get("tls", 0.0)
        yield "probe_http_duration_seconds", {"phase": "processing"}, phases.get("wait", 0.0)
        yield "probe_http_duration_seconds", {"phase": "transfer"}, phases.get("transfer", 0.0)


def _dns(phases: Mapping[str, float], evidence: Mapping[str, Any]) -> Iterator[Row]:
    for part in ("answer", "authority", "additional"):
        yield f"probe_dns_{part}_rrs", {}, float(evidence.get(f"{part}_rrs", 0))
    yield "probe_dns_query_succeeded", {}, float("rcode" in evidence)
    if "serial" in evidence:
        yield "probe_dns_serial", {}, float(evidence["serial"])
    yield "probe_dns_duration_seconds", {"phase": "resolve"}, phases.get("lookup", 0.0)
    yield "probe_dns_duration_seconds", {"phase": "connect"}, phases.get("connect", 0.0) + phases.get("tls", 0.0)
    yield "probe_dns_duration_seconds", {"phase": "request"}, phases.get("wait", 0.0)


def _icmp(phases: Mapping[str, float], evidence: Mapping[str, Any]) -> Iterator[Row]:
    if "hop_limit" in evidence:
        yield "probe_icmp_reply_hop_limit", {}, float(evidence["hop_limit"])
    trip = phases.get("wait", 0.0) if evidence.get("received") else 0.0
    yield "probe_icmp_duration_seconds", {"phase": "resolve"}, phases.get("lookup", 0.0)
    yield "probe_icmp_duration_seconds", {"phase": "setup"}, phases.get("connect", 0.0)
    yield "probe_icmp_duration_seconds", {"phase": "rtt"}, trip


def _grpc(phases: Mapping[str, float], evidence: Mapping[str, Any], code: str) -> Iterator[Row]:
    yield "probe_grpc_duration_seconds", {"phase": "resolve"}, phases.get("lookup", 0.0)
    said = str(evidence.get("grpc_status") or "")
    yield "probe_grpc_ssl", {}, float(said == "OK" and phases.get("tls", 0.0) > 0)
    if code.startswith(("lookup.", "check.")):  # nobody was asked
        yield "probe_grpc_status_code", {}, 0.0
        return
    otherwise = _LATE if code.endswith(".timeout") else _UNAVAILABLE
    number = GRPC_CODES.index(said) if said in GRPC_CODES else otherwise
    yield "probe_grpc_duration_seconds", {"phase": "check"}, sum(phases.values()) - phases.get("lookup", 0.0)
    yield "probe_grpc_status_code", {}, float(number)
    serving = evidence.get("serving_status") if said == "OK" else ""
    for status in ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"):
        yield "probe_grpc_healthcheck_response", {"serving_status": status}, float(status == serving)


def _grpc_certificates(evidence: Mapping[str, Any]) -> Iterator[Row]:
    """As of other kinds, but the exporter says no end of the chain here, and 0 where there is no certificate."""
    found = [row for row in _certificates(evidence) if row[0] != "probe_ssl_last_chain_expiry_timestamp_seconds"]
    yield from found or [("probe_ssl_earliest_cert_expiry", {}, 0.0)]


def _certificates(evidence: Mapping[str, Any]) -> Iterator[Row]:
    one = evidence.get("certificate") or {}
    short = [one, one.get("first_to_end") or {}]
    chain = [fact for fact in evidence.get("certificates") or short if "not_after" in fact]
    if not chain:
        return
    tls = evidence.get("tls")
    earliest = min(float(fact["not_after"]) for fact in chain)
    yield "probe_ssl_earliest_cert_expiry", {}, earliest
    if not isinstance(tls, Mapping):
        return
    yield "probe_ssl_last_chain_expiry_timestamp_seconds", {}, earliest if tls.get("verified") else _NEVER
    if tls.get("version"):
        yield "probe_tls_version", {"version": _VERSIONS.get(tls["version"], "unknown")}, 1.0
    leaf = chain[0]
    labels = {
        "fingerprint_sha256": str(leaf.get("fingerprint_sha256", "")),
        "issuer": str(leaf.get("issuer", "")),
        "serialnumber": _whole_bytes(str(leaf.get("serial", ""))),
        "subject": str(leaf.get("subject", "")),
        # Addresses are no DNS names; the exporter lists the latter only.
        "subjectalternative": ",".join(name for name in leaf.get("names", []) if not _is_address(name)),
    }
    yield "probe_ssl_last_chain", labels, 1.0


def _whole_bytes(digits: str) -> str:
    """With the leading zero that a number drops."""
    return f"0{digits}" if len(digits) % 2 else digits


def _is_address(name: str) -> bool:
    return _address({"address": name}) is not None


def _number(written: Any, otherwise: float) -> float:
    try:
        return float(written)
    except (TypeError, ValueError):
        return otherwise


def _http_date(written: Any) -> float | None:
    try:
        return parsedate_to_datetime(str(written)).timestamp() if written else None
    except ValueError:
        return None
