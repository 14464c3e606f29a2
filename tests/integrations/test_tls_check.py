"""The check `tls` against real servers whose certificates are good, late, foreign, alone or incomplete."""

from __future__ import annotations

import datetime as dt
import hashlib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import ValidationError
from tests.rigs.check_servers import context_with, free_port, run_check, tcp_server, until_closed

from mainstay.integrations.checks.certificates import covers
from mainstay.integrations.checks.tls.spec import KIND

NOW = dt.datetime.now(dt.UTC)
NAMES = {name: ["127.0.0.1"] for name in ("good.test", "other.test", "host.wild.test")}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca(authority: trustme.CA) -> str:
    return authority.cert_pem.bytes().decode()


def leaf(authority: trustme.CA, *names: str, starts: float = -60, ends: float = 60, **extra: Any) -> ssl.SSLContext:
    """A server's context; `starts` and `ends` are days from now."""
    issued = authority.issue_cert(
        *names,
        not_before=NOW + dt.timedelta(days=starts),
        not_after=NOW + dt.timedelta(days=ends),
        **extra,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued.configure_cert(context)
    return context


def self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "alone.test")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW - dt.timedelta(days=1))
        .not_valid_after(NOW + dt.timedelta(days=200))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("good.test")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "alone.pem").write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "alone.pem")
    return context


@contextmanager
def tls_server(context: ssl.SSLContext) -> Iterator[int]:
    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(1)

    with tcp_server(serve) as port:
        yield port


def look(
    context: ssl.SSLContext, ca: str, expect: dict[str, Any] | None = None, host: str = "good.test", **target: Any
) -> Any:
    with tls_server(context) as port:
        document = {"address": f"{host}:{port}"} | ({"ca": ca} if ca else {}) | target
        return run_check("tls", document, expect, context=context_with(NAMES))


def test_a_good_certificate(authority: trustme.CA, ca: str) -> None:
    result = look(leaf(authority, "good.test", "127.0.0.1"), ca)
    assert (result.verdict, result.code) == ("up", ""), result.message
    assert set(result.phases) == {"lookup", "connect", "tls"}
    assert result.evidence["tls"] == {"version": "TLSv1.3", "cipher": "TLS_AES_256_GCM_SHA384", "verified": True}
    shown = result.evidence["certificates"][0]
    assert shown["names"] == ["good.test", "127.0.0.1"]
    assert 59 < shown["days_left"] < 60.1
    assert shown["not_after"] - shown["not_before"] == 120 * 86_400
    assert shown["key"] == "EC secp256r1"
    assert shown["signature"] == "ECDSA with SHA256"
    assert "trustme" in shown["issuer"]


def test_the_fingerprint_is_that_of_the_certificate(authority: trustme.CA, ca: str) -> None:
    context = leaf(authority, "good.test")
    with tls_server(context) as port:
        der = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port)))
        result = run_check("tls", {"address": f"good.test:{port}", "ca": ca}, context=context_with(NAMES))
    assert result.evidence["certificates"][0]["fingerprint_sha256"] == hashlib.sha256(der).hexdigest()


def test_the_whole_chain_is_shown(authority: trustme.CA, ca: str) -> None:
    middle = authority.create_child_ca()
    result = look(leaf(middle, "good.test"), ca)
    assert result.verdict == "up", result.message
    subjects = [fact["subject"] for fact in result.evidence["certificates"]]
    issuers = [fact["issuer"] for fact in result.evidence["certificates"]]
    assert issuers[0] == subjects[1]
    assert len(subjects) == 2


@pytest.mark.parametrize(
    ("given", "code", "says"),
    [
        ({"ends": -3}, "tls.expired", "expired 3 days ago"),
        ({"starts": 2, "ends": 60}, "tls.not_yet_valid", "is not valid for another"),
    ],
)
def test_out_of_its_time(authority: trustme.CA, ca: str, given: dict[str, float], code: str, says: str) -> None:
    for target in ({}, {"verify": False}):  # expiry counts without verification too
        result = look(leaf(authority, "good.test", **given), ca, **target)
        assert (result.verdict, result.code) == ("down", code)
        assert says in result.message
        assert result.evidence["certificates"][0]["names"] == ["good.test"]


def test_for_another_name(authority: trustme.CA, ca: str) -> None:
    result = look(leaf(authority, "good.test"), ca, host="other.test")
    assert (result.verdict, result.code) == ("down", "tls.name_mismatch")
    assert result.message == "the certificate is for good.test, not for other.test"
    assert result.evidence["certificates"][0]["names"] == ["good.test"]


def test_signed_by_itself(tmp_path: Path) -> None:
    result = look(self_signed(tmp_path), "")
    assert (result.verdict, result.code) == ("down", "tls.self_signed")
    assert "CN=alone.test" in result.message
    assert result.evidence["tls"]["verified"] is False
    assert look(self_signed(tmp_path), "", verify=False).verdict == "up"


def test_an_authority_that_nobody_knows(authority: trustme.CA) -> None:
    result = look(leaf(authority, "good.test"), trustme.CA().cert_pem.bytes().decode())
    assert (result.verdict, result.code) == ("down", "tls.untrusted")
    assert "the authority is private" in result.message
    assert result.evidence["certificates"][0]["names"] == ["good.test"]


def test_an_incomplete_chain(authority: trustme.CA, ca: str) -> None:
    issued = authority.create_child_ca().issue_cert("good.test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    alone = issued.private_key_pem.bytes() + issued.cert_chain_pems[0].bytes()
    with trustme.Blob(alone).tempfile() as path:
        context.load_cert_chain(path)
    result = look(context, ca)
    assert (result.verdict, result.code) == ("down", "tls.untrusted")
    assert "an intermediate certificate is missing" in result.message
    assert len(result.evidence["certificates"]) == 1


@pytest.mark.parametrize(
    ("expect", "given", "verdict", "code"),
    [
        ({}, {"starts": -80, "ends": 10}, "degraded", "expect.days"),  # under a third of 90 days
        ({}, {"starts": -55, "ends": 35}, "up", ""),
        ({"days": 5}, {"starts": -80, "ends": 10}, "up", ""),
        ({"days": 14}, {"starts": -80, "ends": 10}, "degraded", "expect.days"),
        ({"names": ["good.test"]}, {}, "up", ""),
        ({"names": ["good.test", "www.good.test"]}, {}, "down", "expect.names"),
        ({"issuer": "TRUSTME"}, {}, "up", ""),
        ({"issuer": "Let's Encrypt"}, {}, "down", "expect.issuer"),
        ({"min_version": "1.3"}, {}, "up", ""),
        ({"down_after": "0ms"}, {}, "down", "expect.latency"),
    ],
)
def test_expectations(
    authority: trustme.CA, ca: str, expect: dict[str, Any], given: dict[str, float], verdict: str, code: str
) -> None:
    result = look(leaf(authority, "good.test", **given), ca, expect)
    assert (result.verdict, result.code) == (verdict, code), result.message


def test_an_old_version(authority: trustme.CA, ca: str) -> None:
    context = leaf(authority, "good.test")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    result = look(context, ca, {"min_version": "1.3"})
    assert (result.verdict, result.code) == ("down", "expect.version")
    assert result.message == "the server negotiated TLSv1.2, older than TLS 1.3"


def test_the_certificate_is_shown_with_tls_1_2_too(authority: trustme.CA) -> None:
    context = leaf(authority, "good.test")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    result = look(context, "")
    assert result.code == "tls.untrusted"
    assert result.evidence["certificates"][0]["names"] == ["good.test"]


def plain(connection: socket.socket) -> None:
    connection.sendall(b"220 ready\r\n")
    until_closed(connection)


def hangs_up(connection: socket.socket) -> None:
    connection.recv(100)


@pytest.mark.parametrize(
    ("serve", "code", "says"),
    [
        (plain, "tls.handshake", "does not speak TLS"),
        (hangs_up, "tls.", ""),
        (until_closed, "tls.timeout", "not finished within 300 ms"),
    ],
)
def test_servers_that_do_not_shake_hands(serve: Any, code: str, says: str) -> None:
    with tcp_server(serve) as port:
        result = run_check("tls", f"127.0.0.1:{port}", limit=0.3)
    assert result.verdict == "down"
    assert result.code.startswith(code)
    assert says in result.message


def test_refused_and_bad_authority() -> None:
    assert run_check("tls", f"127.0.0.1:{free_port()}").code == "connect.refused"
    with tcp_server(until_closed) as port:
        result = run_check("tls", {"address": f"127.0.0.1:{port}", "ca": "no certificate"})
    assert (result.verdict, result.code) == ("unknown", "check.bad_ca")


@pytest.mark.parametrize(
    ("names", "host", "good"),
    [
        (["a.test"], "a.test", True),
        (["A.test"], "a.TEST.", True),
        (["*.wild.test"], "host.wild.test", True),
        (["*.wild.test"], "wild.test", False),
        (["*.wild.test"], "a.b.wild.test", False),
        (["127.0.0.1"], "127.0.0.1", True),
        (["2001:db8:0::1"], "2001:db8::1", True),
        (["*.0.0.1"], "127.0.0.1", False),
        ([], "a.test", False),
    ],
)
def test_names_cover_hosts(names: list[str], host: str, good: bool) -> None:
    assert covers(names, host) is good


def test_the_port_is_443_unless_given() -> None:
    assert KIND.target.model_validate({"address": "example.com"}).to_document() == {"address": "example.com"}
    with pytest.raises(ValidationError, match="is a URL"):
        KIND.target.model_validate({"address": "https://example.com"})
