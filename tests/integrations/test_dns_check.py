"""The check `dns` against a real responder on loopback, over UDP, TCP and TLS."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
import trustme
from pydantic import ValidationError
from tests.rigs.check_servers import context_with, free_port, run_check
from tests.rigs.dns_server import Answer, answer, responder

from mainstay.integrations.checks.dns import run as dns_run
from mainstay.integrations.checks.dns.answers import comparable
from mainstay.integrations.checks.dns.run import system_servers
from mainstay.integrations.checks.dns.spec import KIND


@pytest.fixture(scope="module")
def resolver() -> Iterator[str]:
    with responder() as address:
        yield address


def ask(resolver: str, name: str, kind: str = "A", expect: dict[str, Any] | None = None, **more: Any) -> Any:
    limit = more.pop("limit", 5.0)
    return run_check("dns", {"name": name, "type": kind, "resolver": resolver} | more, expect, limit=limit)


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_an_answer_is_up(resolver: str, protocol: str) -> None:
    result = ask(resolver, "www.example.test", protocol=protocol)
    assert (result.verdict, result.code) == ("up", ""), result.message
    assert result.evidence["answers"] == ["192.0.2.10", "192.0.2.11"]
    assert (result.evidence["rcode"], result.evidence["ttl"]) == ("NOERROR", 300)
    assert result.evidence["answer_rrs"] == 2
    assert result.evidence["resolver"] == resolver
    assert result.evidence["protocol"] == protocol
    assert set(result.phases) == ({"wait"} if protocol == "udp" else {"connect", "wait"})


@pytest.mark.parametrize(
    ("name", "kind", "values"),
    [
        ("www.example.test", "A", ["192.0.2.11", "192.0.2.10"]),
        ("WWW.example.test.", "AAAA", ["2001:DB8:0:0::10"]),
        ("alias.example.test", "A", ["192.0.2.10"]),
        ("alias.example.test", "CNAME", None),
        ("example.test", "MX", ["20 Backup.example.test", "10 mail.example.test."]),
        ("example.test", "TXT", ["v=spf1 -all"]),
        ("example.test", "TXT", ['"two parts"']),
        ("example.test", "NS", ["ns1.example.test"]),
        ("example.test", "CAA", ['0 issue "letsencrypt.org"']),
        ("_imap._tcp.example.test", "SRV", ["0 1 993 mail.example.test"]),
        ("192.0.2.10", "PTR", ["www.example.test"]),
    ],
)
def test_records_in_any_order_and_notation(resolver: str, name: str, kind: str, values: list[str] | None) -> None:
    expect = {"values": values} if values else {"values": "www.example.test"}
    result = ask(resolver, name, kind, expect)
    if kind == "CNAME":  # our responder follows the alias, so that nothing of the type itself is left to compare
        assert result.evidence["answers"] == ["www.example.test"]
    assert result.verdict == "up", result.message


def test_the_serial_of_a_zone(resolver: str) -> None:
    assert ask(resolver, "example.test", "SOA").evidence["serial"] == 2026010203


def test_a_long_answer_is_fetched_over_tcp(resolver: str) -> None:
    result = ask(resolver, "big.example.test", "TXT", {"min_answers": 20})
    assert result.verdict == "up", result.message
    assert result.evidence["protocol"] == "tcp"


@pytest.mark.parametrize(
    ("name", "expect", "verdict", "code", "says"),
    [
        ("gone.example.test", {}, "down", "expect.rcode", "the name does not exist"),
        ("gone.example.test", {"rcode": "NXDOMAIN"}, "up", "", ""),
        ("www.example.test", {"rcode": "NXDOMAIN"}, "down", "expect.rcode", "NOERROR, not NXDOMAIN"),
        ("broken.example.test", {}, "down", "expect.rcode", "the resolver failed"),
        ("example.test", {}, "down", "expect.answers", "0 arrived where 1 A record"),
        ("example.test", {"min_answers": 0}, "up", "", ""),
        ("www.example.test", {"min_answers": 3}, "down", "expect.answers", "2 arrived where 3 A records"),
        ("www.example.test", {"values": ["192.0.2.10", "192.0.2.12"]}, "down", "expect.values", "192.0.2.12 did not"),
        ("www.example.test", {"values": ["192.0.2.10", "192.0.2.12"], "match": "any"}, "up", "", ""),
        ("www.example.test", {"values": ["192.0.2.12"], "match": "any"}, "down", "expect.values", "none of"),
        ("www.example.test", {"values": ["192.0.2.10"], "match": "exact"}, "down", "expect.values", "192.0.2.11 came"),
        ("www.example.test", {"values": ["192.0.2.11", "192.0.2.10"], "match": "exact"}, "up", "", ""),
        ("www.example.test", {"dnssec": True}, "up", "", ""),
        ("example.test", {"dnssec": True, "min_answers": 0}, "down", "expect.dnssec", "no AD flag"),
        ("www.example.test", {"down_after": "0ms"}, "down", "expect.latency", "allowed"),
        ("www.example.test", {"degraded_after": "0ms"}, "degraded", "expect.latency", "allowed"),
    ],
)
def test_expectations(resolver: str, name: str, expect: dict[str, Any], verdict: str, code: str, says: str) -> None:
    result = ask(resolver, name, "A", expect)
    assert (result.verdict, result.code) == (verdict, code), result.message
    assert says in result.message


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_nothing_listens(protocol: str) -> None:
    result = ask(f"127.0.0.1:{free_port()}", "www.example.test", protocol=protocol)
    assert (result.verdict, result.code) == ("down", "connect.refused")


def test_silence_runs_into_the_limit_after_repeats() -> None:
    with responder(lambda query: None) as resolver:
        result = ask(resolver, "www.example.test", limit=0.4)
    assert (result.verdict, result.code) == ("down", "wait.timeout")
    assert result.evidence["packets"] >= 2


def test_a_lost_packet_is_no_failure() -> None:
    seen: list[int] = []

    def second_time(query: dns.message.Message) -> dns.message.Message | None:
        seen.append(query.id)
        return answer(query) if len(seen) > 1 else None

    with responder(second_time) as resolver:
        result = ask(resolver, "www.example.test", limit=1.5)
    assert result.verdict == "up", result.message
    assert result.evidence["packets"] == 2


def other_question(query: dns.message.Message) -> dns.message.Message:
    return answer(dns.message.make_query("other.example.test", "A", id=query.id))


def other_id(query: dns.message.Message) -> dns.message.Message:
    response = answer(query)
    response.id = query.id ^ 1
    return response


@pytest.mark.parametrize(
    ("respond", "says"),
    [
        (lambda query: b"\x00garbage", "not a DNS message"),
        (lambda query: b"", "not a DNS message"),
        (other_question, "another query"),
        (other_id, "another query"),
    ],
)
@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_answers_that_are_none(respond: Answer, says: str, protocol: str) -> None:
    with responder(respond) as resolver:
        result = ask(resolver, "www.example.test", protocol=protocol, limit=0.3)
    assert result.verdict == "down"
    if protocol == "tcp" and result.code == "wait.closed":
        return  # a message of length zero
    assert result.code == "wait.malformed"
    assert says in result.message


def test_a_connection_closed_without_an_answer() -> None:
    with responder(lambda query: None) as resolver:
        result = ask(resolver, "www.example.test", protocol="tcp")
    assert (result.verdict, result.code) == ("down", "wait.closed")


def test_over_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    secured = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "dns.test").configure_cert(secured)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = context_with(ca_file=str(tmp_path / "ca.pem"))
    with responder(secured=secured) as resolver:
        target = {"name": "www.example.test", "resolver": resolver, "protocol": "tls"}
        trusted = run_check("dns", target, context=context)
        named = run_check("dns", target | {"server_name": "wrong.test"}, context=context)
    assert trusted.verdict == "up", trusted.message
    assert set(trusted.phases) == {"connect", "tls", "wait"}
    assert (named.verdict, named.code) == ("down", "tls.name_mismatch")


def test_a_closed_resolver_is_not_asked() -> None:
    with responder() as resolver:
        result = run_check("dns", {"name": "www.example.test", "resolver": resolver}, context=context_with(allow=""))
    assert (result.verdict, result.code) == ("unknown", "check.address_refused")


def test_the_systems_resolvers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = tmp_path / "resolv.conf"
    configuration.write_text(
        "# made here\nsearch example.test\nnameserver ::1\nnameserver nonsense\nnameserver 127.0.0.1\n"
    )
    assert system_servers(configuration) == ["::1", "127.0.0.1"]
    assert system_servers(tmp_path / "missing") == []
    monkeypatch.setattr(dns_run, "_RESOLV_CONF", tmp_path / "missing")
    result = run_check("dns", "www.example.test")
    assert (result.verdict, result.code) == ("unknown", "check.no_resolver")


def test_a_dead_system_resolver_says_nothing_about_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    monkeypatch.setattr(dns_run, "_RESOLV_CONF", tmp_path / "resolv.conf")
    monkeypatch.setattr(dns_run, "_PORT", free_port())
    result = run_check("dns", "www.example.test", context=context_with(allow=""))
    assert (result.verdict, result.code) == ("unknown", "connect.refused")
    with responder(lambda query: None) as resolver:
        monkeypatch.setattr(dns_run, "_PORT", int(resolver.partition(":")[2]))
        result = run_check("dns", "www.example.test", limit=0.3)
    assert (result.verdict, result.code) == ("unknown", "wait.timeout")
    with responder() as resolver:
        monkeypatch.setattr(dns_run, "_PORT", int(resolver.partition(":")[2]))
        assert run_check("dns", "www.example.test", {"values": ["192.0.2.10"]}).verdict == "up"


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ({"name": "example.com", "resolver": "dns.google"}, "is a name"),
        ({"name": "example.com", "resolver": "1.1.1.1:99999"}, "is not a port"),
        ({"name": "example.com", "protocol": "tls"}, "needs a `resolver`"),
        ({"name": "a..b"}, "not a domain name"),
        ({"name": "x" * 64 + ".test"}, "not a domain name"),
        ({"name": "a b"}, "not a domain name"),
        ({"name": "example.com", "type": "BOGUS"}, "Input should be"),
        ({"name": ""}, "at least 1"),
    ],
)
def test_wrong_targets_are_refused_with_a_reason(target: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        KIND.target.model_validate(target)


@pytest.mark.parametrize(
    ("left", "right", "kind"),
    [
        ("Mail.Example.test.", "mail.example.test", "CNAME"),
        ("10   mail.example.test.", "10 MAIL.example.test", "MX"),
        ("2001:db8:0:0::1", "2001:DB8::1", "AAAA"),
        ('"text"', "text", "TXT"),
    ],
)
def test_notations_with_the_same_meaning(left: str, right: str, kind: str) -> None:
    assert comparable(left, kind) == comparable(right, kind)


def test_texts_keep_their_case() -> None:
    assert comparable("Token=ABC", "TXT") != comparable("token=abc", "TXT")
