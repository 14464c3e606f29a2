"""Certificates are judged alike by every kind of check: the verified path, all of it, and nothing beside it."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.rigs.check_servers import Serve, context_with, run_check, tcp_server
from tests.rigs.http_servers import always, answer

from mainstay.integrations.checks.certificate_paths import path_of
from mainstay.kernel.probing import CheckResult
from mainstay.watch.prober.trust import default_ca_file

NOW = dt.datetime.now(dt.UTC)
PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER


@dataclass
class Issued:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(PEM).decode()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(DER)


def issue(
    name: str, by: Issued | None, *, days: float, key: Any = None, ca: bool = True, names: tuple[str, ...] = ()
) -> Issued:
    """A certificate that ends in `days`; without an issuer it is signed by itself."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - dt.timedelta(days=400))
        .not_valid_after(NOW + dt.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key((by.key if by else key).public_key())
    builder = builder.add_extension(signer, critical=False)
    if names:
        found = x509.SubjectAlternativeName([x509.DNSName(one) for one in names])
        builder = builder.add_extension(found, critical=False)
    return Issued(builder.sign(by.key if by else key, hashes.SHA256()), key)


def speaks_pop3(connection: socket.socket) -> None:
    connection.sendall(b"+OK hello\r\n")
    while said := connection.recv(1000):
        connection.sendall(b"+OK\r\n.\r\n" if said.startswith(b"CAPA") else b"+OK\r\n")


def silent(connection: socket.socket) -> None:
    connection.recv(1)


KINDS: dict[str, Serve] = {"http": always(answer()), "tls": silent, "pop3": speaks_pop3}


@pytest.fixture
def look(tmp_path: Path) -> Callable[..., CheckResult]:
    """Check a server that sends these certificates, the first one its own, by one kind."""

    def run(kind: str, chain: list[Issued], ca: list[Issued], *, days: float | None = None, **more: Any) -> CheckResult:
        key = chain[0].key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (tmp_path / "chain.pem").write_text("".join(one.pem for one in chain) + key.decode())
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(tmp_path / "chain.pem")

        def secured(connection: socket.socket) -> None:
            with server.wrap_socket(connection, server_side=True) as inside:
                KINDS[kind](inside)

        trust = {"ca": "".join(one.pem for one in ca), **more}
        expect = {} if days is None else {"days" if kind == "tls" else "certificate_days": days}
        with tcp_server(secured) as port:
            target = {
                "http": {"url": f"https://good.test:{port}/", "tls": trust},
                "tls": {"address": f"good.test:{port}", **trust},
                "pop3": {"address": f"good.test:{port}", "security": "tls", **trust},
            }[kind]
            return run_check(kind, target, expect, context=context_with({"good.test": ["127.0.0.1"]}))

    return run


@pytest.mark.parametrize("kind", KINDS)
def test_a_surplus_certificate_that_has_expired_harms_nobody(kind: str, look: Callable[..., CheckResult]) -> None:
    root, old = issue("root", None, days=900), issue("old root", None, days=-30)
    crossed = issue("root", old, days=-20, key=root.key)
    middle = issue("middle", root, days=300)
    leaf = issue("leaf", middle, days=200, ca=False, names=("good.test",))
    result = look(kind, [leaf, middle, crossed], [root], days=30)
    assert result.verdict == "up", result.message
    if kind != "http":
        assert [fact.get("surplus") for fact in result.evidence["certificates"]] == [None, None, True]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ends", ["middle", "root"])
def test_a_certificate_above_the_servers_own_that_ends_soon_is_told(
    kind: str, ends: str, look: Callable[..., CheckResult]
) -> None:
    root = issue("root", None, days=5 if ends == "root" else 900)
    middle = issue("middle", root, days=5 if ends == "middle" else 300)
    leaf = issue("leaf", middle, days=200, ca=False, names=("good.test",))
    result = look(kind, [leaf, middle], [root], days=14)
    assert (result.verdict, result.code) == (
        "degraded",
        "expect.certificate_days" if kind == "http" else "expect.days",
    ), result.message
    assert result.message.startswith(f"the certificate above it, CN={ends}, ends in 5.0 days")
    if kind == "http":
        assert result.evidence["certificate"]["subject"] == "CN=leaf"
        assert result.evidence["certificate"]["first_to_end"]["subject"] == f"CN={ends}"


@pytest.mark.parametrize("kind", KINDS)
def test_a_common_name_alone_is_no_name(kind: str, look: Callable[..., CheckResult]) -> None:
    root = issue("root", None, days=900)
    leaf = issue("good.test", root, days=300, ca=False)
    result = look(kind, [leaf], [root])
    assert (result.verdict, result.code) == ("down", "tls.name_mismatch")
    assert "a common name does not count (RFC 9525), not for good.test" in result.message
    assert look(kind, [leaf], [root], verify=False).verdict == "up"


@pytest.mark.parametrize("kind", ["tls", "pop3"])
def test_a_name_outside_ascii_is_asked_for_as_browsers_do(kind: str, look: Callable[..., CheckResult]) -> None:
    root = issue("root", None, days=900)
    leaf = issue("leaf", root, days=200, ca=False, names=("xn--strae-oqa.test",))
    assert look(kind, [leaf], [root], server_name="straße.test", days=30).verdict == "up"


@pytest.mark.parametrize("kind", KINDS)
def test_an_intermediate_certificate_may_be_what_is_trusted(kind: str, look: Callable[..., CheckResult]) -> None:
    root = issue("root", None, days=3)
    middle = issue("middle", root, days=300)
    leaf = issue("leaf", middle, days=200, ca=False, names=("good.test",))
    result = look(kind, [leaf, middle, root], [middle], days=30)  # the path ends there: what is above does not count
    assert result.verdict == "up", result.message


@pytest.mark.parametrize("kind", KINDS)
def test_the_servers_own_certificate_may_be_what_is_trusted(kind: str, look: Callable[..., CheckResult]) -> None:
    alone = issue("alone", None, days=200, ca=False, names=("good.test",))
    assert look(kind, [alone], [alone], days=30).verdict == "up"


def chains() -> dict[str, tuple[list[Issued], list[Issued]]]:
    """What is sent and what is trusted."""
    root, old = issue("root", None, days=900), issue("old", None, days=50)
    crossed, middle = issue("root", old, days=40, key=root.key), issue("middle", root, days=300)
    again = issue("middle", root, days=-1, key=middle.key)
    other = issue("middle", old, days=300)  # the same name with another key
    leaf = issue("leaf", middle, days=200, ca=False, names=("good.test",))
    return {
        "plain": ([leaf, middle], [root]),
        "root sent": ([leaf, middle, root], [root]),
        "both roots trusted": ([leaf, middle, crossed], [old, root]),
        "old root only": ([leaf, middle, crossed], [old]),
        "out of order": ([leaf, crossed, middle], [old]),
        "an expired one first": ([leaf, again, middle], [root]),
        "a namesake first": ([leaf, other, middle], [root]),
        "a namesake trusted": ([leaf, middle], [other, root]),
        "intermediate trusted": ([leaf, middle, root], [middle]),
        "own trusted": ([leaf, middle], [leaf]),
    }


@pytest.mark.parametrize("name", chains())
def test_the_path_is_the_one_that_openssl_verifies(name: str, tmp_path: Path) -> None:
    sent, trusted = chains()[name]
    key = sent[0].key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "chain.pem").write_text("".join(one.pem for one in sent) + key.decode())
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "chain.pem")
    ca = "".join(one.pem for one in trusted)
    client = ssl.create_default_context(cadata=ca)
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client.verify_flags &= ~ssl.VERIFY_X509_STRICT
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(down, up, server_hostname="good.test")
    theirs = server.wrap_bio(up, down, server_side=True)
    for side in (ours, theirs, ours, theirs):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    verified = [bytes(one.public_bytes(2)) for one in ours._sslobj.get_verified_chain()]  # type: ignore[attr-defined]
    assert list(path_of([one.der for one in sent], ca, "", time.time())) == verified


def test_the_systems_own_certificates_are_read_without_a_word() -> None:
    """Some have been trusted for so long that they break rules, such as a serial number of 0."""
    found = default_ca_file() or certifi.where()
    leaf = issue("leaf", None, days=200)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert path_of([leaf.der], "", found, time.time()) == (leaf.der,)


def test_what_cannot_be_read_ends_the_path(tmp_path: Path) -> None:
    root = issue("root", None, days=900)
    leaf = issue("leaf", root, days=200)
    assert path_of([], "", "", time.time()) == ()
    assert path_of([b"junk", leaf.der], "", "", time.time()) == (b"junk",)
    assert path_of([leaf.der, b"junk"], "", str(tmp_path / "none.pem"), time.time()) == (leaf.der,)
    (tmp_path / "some.pem").write_text("# a comment\n" + root.pem.replace("M", "!") + root.pem)
    assert path_of([leaf.der, b"junk"], "", str(tmp_path / "some.pem"), time.time()) == (leaf.der, root.der)
