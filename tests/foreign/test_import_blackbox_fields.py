"""Every field of the blackbox exporter's modules: what becomes of it, as the report says, and that it is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.rigs.importing import import_file, tells_every_leaf

pytestmark = pytest.mark.usefixtures("store")
Capture = pytest.CaptureFixture[str]
CARRIED, NEARLY, LEFT = "carried", "approximated", "not carried"
_TARGETS = {
    "http": "https://example.org/",
    "tcp": "db:5432",
    "dns": "192.0.2.1",
    "icmp": "example.net",
    "grpc": "g:443",
}

# prober, its settings, what the report says of each, what stands in the file (path -> value).
FIELDS: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    ("http", {"method": "POST"}, CARRIED, {"http.method": "POST"}),
    ("http", {"method": "TRACE"}, LEFT, {"http": "https://example.org/"}),
    ("http", {"headers": {"Host": "a.example"}}, CARRIED, {"http.headers.Host": "a.example"}),
    ("http", {"headers": {"Authorization": "Basic x"}}, CARRIED, {"http.headers.Authorization": r"${env:.*}"}),
    ("http", {"http_headers": {"X-A": {"values": ["b"]}}}, CARRIED, {"http.headers.X-A": "b"}),
    ("http", {"http_headers": {"X-A": {"secrets": ["sesame"]}}}, CARRIED, {"http.headers.X-A": r"${env:.*}"}),
    ("http", {"http_headers": {"X-A": {"files": ["/run/x"]}}}, NEARLY, {"http.headers.X-A": "${file:/run/x}"}),
    ("http", {"http_headers": {"X-A": {"values": ["b", "c"]}}}, LEFT, {"http": "https://example.org/"}),
    ("http", {"body": "ping"}, CARRIED, {"http.body": "ping"}),
    ("http", {"body_file": "/etc/x"}, NEARLY, {"http.body": "${file:/etc/x}"}),
    ("http", {"valid_status_codes": [200, 201, 404]}, CARRIED, {"expect.status": ["200-201", 404]}),
    ("http", {"valid_http_versions": ["HTTP/1.1", "HTTP/2.0"]}, CARRIED,
     {"expect.protocol": ["1.1", "2"], "http.http_version": "2"}),
    ("http", {"valid_http_versions": ["HTTP/1.1"]}, CARRIED, {"expect.protocol": "1.1"}),
    ("http", {"valid_http_versions": []}, CARRIED, {"http": "https://example.org/"}),
    ("http", {"follow_redirects": False}, CARRIED, {"http.redirects.follow": False, "expect.status": "200-299"}),
    ("http", {"follow_redirects": True}, CARRIED, {"http": "https://example.org/"}),
    ("http", {"fail_if_ssl": True}, CARRIED, {"expect.tls": False}),
    ("http", {"fail_if_not_ssl": True}, CARRIED, {"expect.tls": True}),
    ("http", {"fail_if_ssl": False, "fail_if_not_ssl": False}, CARRIED, {"http": "https://example.org/"}),
    ("http", {"fail_if_body_matches_regexp": ["down", "(?i)broken"]}, CARRIED,
     {"expect.not_regex": ["down", "(?i)broken"]}),
    ("http", {"fail_if_body_not_matches_regexp": ["ok"]}, CARRIED, {"expect.regex": "ok"}),
    ("http", {"fail_if_body_not_matches_regexp": [r"\d+\z"]}, CARRIED, {"expect.regex": r"\d+\z"}),
    ("http", {"fail_if_body_not_matches_regexp": [r"a(?=b)"]}, LEFT, {"http": "https://example.org/"}),
    ("http", {"fail_if_header_matches": [{"header": "A", "regexp": "x", "allow_missing": True}]}, CARRIED,
     {"expect.header_patterns": [{"name": "A", "regex": "x", "found": False, "optional": True}]}),
    ("http", {"fail_if_header_not_matches": [{"header": "A", "regexp": "x"}, {"header": "A", "regexp": "y"}]}, CARRIED,
     {"expect.header_patterns": [{"name": "A", "regex": "x"}, {"name": "A", "regex": "y"}]}),
    ("http", {"fail_if_header_not_matches": [{"header": "A", "regexp": r"\C"}]}, LEFT, {"http": "https://example.org/"}),
    ("http", {"fail_if_body_json_matches_cel": "body.x == 1"}, LEFT, {"http": "https://example.org/"}),
    ("http", {"fail_if_body_json_not_matches_cel": "body.x == 1"}, LEFT, {"http": "https://example.org/"}),
    ("http", {"compression": "gzip"}, CARRIED, {"http.compressed": "gzip"}),
    ("http", {"compression": "zstd"}, LEFT, {"http": "https://example.org/"}),
    ("http", {"body_size_limit": "10MB"}, CARRIED,
     {"http.max_read": 10 * 1024**2, "expect.max_bytes": 10 * 1024**2}),
    ("http", {"body_size_limit": "100B"}, CARRIED, {"http.max_read": 1024, "expect.max_bytes": 100}),
    ("http", {"enable_http2": True}, CARRIED, {"http.http_version": "2"}),
    ("http", {"enable_http2": False}, CARRIED, {"http": "https://example.org/"}),
    ("http", {"enable_http3": True}, LEFT, {"http": "https://example.org/"}),
    ("http", {"proxy_url": "http://proxy:3128"}, CARRIED, {"http.proxy": "http://proxy:3128"}),
    ("http", {"no_proxy": "a.example"}, LEFT, {"http": "https://example.org/"}),
    ("http", {"proxy_from_environment": True}, LEFT, {"http": "https://example.org/"}),
    ("http", {"proxy_connect_header": {"A": ["b"]}}, LEFT, {"http": "https://example.org/"}),
    ("http", {"skip_resolve_phase_with_proxy": True}, CARRIED, {"http": "https://example.org/"}),
    ("http", {"basic_auth": {"username": "u", "password": "sesame"}}, CARRIED,
     {"http.auth.basic": {"username": "u", "password": r"${env:.*}"}}),
    ("http", {"basic_auth": {"username_file": "/run/u", "password_file": "/run/p"}}, NEARLY,
     {"http.auth.basic": {"username": "${file:/run/u}", "password": "${file:/run/p}"}}),
    ("http", {"basic_auth": {"username": "u"}}, LEFT, {"http": "https://example.org/"}),
    ("http", {"authorization": {"credentials": "sesame"}}, CARRIED, {"http.auth.bearer": r"${env:.*}"}),
    ("http", {"authorization": {"type": "Token", "credentials": "sesame"}}, CARRIED,
     {"http.headers.Authorization": r"Token ${env:.*}"}),
    ("http", {"authorization": {"credentials_file": "/run/t"}}, NEARLY, {"http.auth.bearer": "${file:/run/t}"}),
    ("http", {"bearer_token": "sesame"}, CARRIED, {"http.auth.bearer": r"${env:.*}"}),
    ("http", {"bearer_token_file": "/run/t"}, NEARLY, {"http.auth.bearer": "${file:/run/t}"}),
    ("http", {"oauth2": {"client_id": "a", "client_secret": "b", "token_url": "https://c"}}, LEFT,
     {"http": "https://example.org/"}),
    ("http", {"tls_config": {"insecure_skip_verify": True, "server_name": "a.example"}}, CARRIED,
     {"http.tls": {"verify": False, "server_name": "a.example"}}),
    ("http", {"tls_config": {"ca_file": "/a", "cert_file": "/b", "key_file": "/c"}}, NEARLY,
     {"http.tls": {"ca": "${file:/a}", "certificate": "${file:/b}", "key": "${file:/c}"}}),
    ("http", {"tls_config": {"ca": "pem-a", "cert": "pem-b", "key": "pem-c"}}, CARRIED,
     {"http.tls": {"ca": "pem-a", "certificate": "pem-b", "key": r"${env:.*}"}}),
    ("http", {"tls_config": {"min_version": "TLS12", "max_version": "TLS13"}}, CARRIED,
     {"http.tls": {"min_version": "1.2", "max_version": "1.3"}}),
    ("http", {"tls_config": {"min_version": "TLS10"}}, NEARLY, {}),
    ("http", {"tls_config": {"max_version": "TLS11"}}, LEFT, {}),
    ("http", {"preferred_ip_protocol": "ip4", "ip_protocol_fallback": False}, CARRIED, {"http.ip_version": 4}),
    ("http", {"preferred_ip_protocol": "ip4"}, NEARLY, {"http": "https://example.org/"}),
    ("http", {"source_ip_address": "192.0.2.9"}, LEFT, {"http": "https://example.org/"}),
    ("tcp", {"tls": True}, CARRIED, {"tcp.tls": True}),
    ("tcp", {"tls": True, "tls_config": {"server_name": "a.example", "insecure_skip_verify": True}}, CARRIED,
     {"tcp.server_name": "a.example", "tcp.verify": False}),
    ("tcp", {"tls_config": {"cert_file": "/b", "key_file": "/c", "min_version": "TLS12"}}, LEFT, {"tcp": "db:5432"}),
    ("tcp", {"query_response": [{"expect": "^220 (.*)", "send": "HI ${1}"}, {"starttls": True}]}, CARRIED,
     {"tcp.talk": [{"expect": "^220 (.*)", "send": "HI ${1}"}, {"starttls": True}]}),
    ("tcp", {"query_response": [{"expect": "^220-", "starttls": False}]}, CARRIED, {"tcp.talk": [{"expect": "^220-"}]}),
    ("tcp", {"query_response": [{"labels": [{"name": "a", "value": "b"}]}]}, LEFT, {"tcp": "db:5432"}),
    ("tcp", {"source_ip_address": "192.0.2.9"}, LEFT, {"tcp": "db:5432"}),
    ("tcp", {"preferred_ip_protocol": "ip4", "ip_protocol_fallback": False}, NEARLY, {"tcp": "db:5432"}),
    ("dns", {"query_name": "example.com", "query_type": "SOA"}, CARRIED,
     {"dns.name": "example.com", "dns.type": "SOA", "expect": {"min_answers": 0}}),
    ("dns", {"query_name": "version.bind", "query_type": "TXT", "query_class": "CH"}, CARRIED, {"dns.class": "CH"}),
    ("dns", {"query_name": "a.example", "recursion_desired": False}, CARRIED, {"dns.recursion": False}),
    ("dns", {"query_name": "a.example", "transport_protocol": "tcp"}, CARRIED, {"dns.protocol": "tcp"}),
    ("dns", {"query_name": "a.example", "transport_protocol": "tcp", "dns_over_tls": True,
             "tls_config": {"server_name": "dns.example"}}, CARRIED,
     {"dns.protocol": "tls", "dns.server_name": "dns.example"}),
    ("dns", {"query_name": "a.example", "valid_rcodes": ["NOERROR", "NXDOMAIN"]}, CARRIED,
     {"expect.rcode": ["NOERROR", "NXDOMAIN"]}),
    ("dns", {"query_name": "a.example", "validate_answer_rrs": {
        "fail_if_matches_regexp": ["a"], "fail_if_all_match_regexp": ["b"], "fail_if_not_matches_regexp": ["c"],
        "fail_if_none_matches_regexp": ["d"]}}, CARRIED,
     {"expect.answer": {"each": ["c", "b"], "some": ["d"], "none": ["a"]}}),
    ("dns", {"query_name": "a.example", "validate_authority_rrs": {"fail_if_matches_regexp": ["a"]}}, CARRIED,
     {"expect.authority": {"none": ["a"], "empty": True}}),
    ("dns", {"query_name": "a.example", "validate_additional_rrs": {"fail_if_not_matches_regexp": ["a"]}}, CARRIED,
     {"expect.additional": {"each": ["a"]}}),
    ("icmp", {"payload_size": 100, "dont_fragment": True, "ttl": 9}, CARRIED,
     {"icmp": {"host": "example.net", "size": 100, "dont_fragment": True, "ttl": 9}}),
    ("icmp", {"payload_size": 1}, NEARLY, {"icmp.size": 16}),
    ("icmp", {"source_ip_address": "192.0.2.9"}, LEFT, {"icmp": "example.net"}),
    ("grpc", {"service": "shop.Orders", "tls": True}, CARRIED, {"grpc.service": "shop.Orders", "grpc.tls": True}),
    ("grpc", {"tls_config": {"cert_file": "/b", "key_file": "/c"}}, NEARLY,
     {"grpc.certificate": "${file:/b}", "grpc.key": "${file:/c}"}),
    ("grpc", {"tls_config": {"min_version": "TLS13"}}, LEFT, {"grpc": "g:443"}),
    ("grpc", {"metadata": {"x-tenant": ["a"]}}, CARRIED, {"grpc.metadata.x-tenant": "a"}),
    ("grpc", {"metadata": {"x-tenant": ["a", "b"]}}, LEFT, {"grpc": "g:443"}),
    ("grpc", {"preferred_ip_protocol": "ip6", "ip_protocol_fallback": False}, CARRIED, {"grpc.ip_version": 6}),
]  # fmt: skip


@pytest.mark.parametrize(("prober", "settings", "status", "wanted"), FIELDS, ids=lambda one: str(one)[:60])
def test_what_becomes_of_a_field(
    tmp_path: Path, capfd: Capture, prober: str, settings: dict[str, Any], status: str, wanted: dict[str, Any]
) -> None:
    source = {"modules": {"one": {"prober": prober, prober: settings}}}
    if prober == "dns" and status != CARRIED:
        settings.setdefault("query_name", "a.example")
    path = tmp_path / "modules.yml"
    path.write_text(yaml.safe_dump(source))
    found = import_file(tmp_path, capfd, "blackbox", str(path), "--target", _TARGETS[prober])
    assert found.code == 0, found.told
    tells_every_leaf(found, source)
    rows = {name: row for name, row in found.rows().items() if name.startswith(f"modules.one.{prober}.")}
    assert {row["status"] for row in rows.values()} == {status}, rows
    (monitor,) = found.file["monitors"].values()
    for where, value in wanted.items():
        fits(at(monitor, where), value)
    assert "sesame" not in found.text + str(found.report)


def at(document: Any, path: str) -> Any:
    for step in path.split("."):
        document = document[step]
    return document


def fits(found: Any, wanted: Any) -> None:
    """Equal, where text may be a pattern."""
    if isinstance(wanted, dict):
        assert found.keys() == wanted.keys()
        for key, value in wanted.items():
            fits(found[key], value)
    elif isinstance(wanted, list):
        assert len(found) == len(wanted)
        for one, value in zip(found, wanted, strict=True):
            fits(one, value)
    elif isinstance(wanted, str) and isinstance(found, str) and found != wanted:
        assert re.fullmatch(wanted.replace("${", r"\$\{").replace("}", r"\}"), found), (found, wanted)
    else:
        assert found == wanted


def test_a_conversation_with_starttls_that_is_no_mail_is_held_as_it_is(tmp_path: Path, capfd: Capture) -> None:
    steps = [{"send": "<stream:stream>"}, {"expect": "starttls"}, {"send": "<starttls/>"}, {"starttls": True}]
    path = tmp_path / "modules.yml"
    path.write_text(yaml.safe_dump({"modules": {"xmpp": {"prober": "tcp", "tcp": {"query_response": steps}}}}))
    found = import_file(tmp_path, capfd, "blackbox", str(path), "--target", "chat:5222")
    assert found.file["monitors"]["chat-5222"] == {"tcp": {"address": "chat:5222", "talk": steps}}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"body_size_limit": "big"}, "is not a size such as 10MB"),
        ({"fail_if_ssl": True, "fail_if_not_ssl": True}, "together reject everything"),
        ({"fail_if_header_matches": [{"header": "A"}]}, "needs `header` and `regexp`"),
    ],
)
def test_what_makes_no_sense_is_a_mistake(tmp_path: Path, capfd: Capture, settings: dict[str, Any], words: str) -> None:
    path = tmp_path / "modules.yml"
    path.write_text(yaml.safe_dump({"modules": {"one": {"prober": "http", "http": settings}}}))
    found = import_file(tmp_path, capfd, "blackbox", str(path), "--target", "example.org")
    assert found.code == 2
    assert words in found.told
