"""The check `http` against servers that misbehave: each way to fail has its own code and ends in time."""

from __future__ import annotations

import gzip
import socket
import ssl
import struct
import threading
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trustme
from tests.rigs.check_servers import context_with, free_port, tcp_server, until_closed
from tests.rigs.http_servers import Serve, always, answer, by_path, check, check_filled, checks, read_request, with_tls

from mainstay.integrations.addresses import Guard
from mainstay.integrations.lookup import Lookup
from mainstay.watch.prober.context import Context

SHORT = 0.4  # seconds; what a hanging server is given


def speaks_plainly(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(answer(b"plain", "400 Bad Request"))


def silent(connection: socket.socket) -> None:
    until_closed(connection)


def closes_at_once(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_WR)
    until_closed(connection)


def resets(connection: socket.socket) -> None:
    read_request(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def stalls_in_the_body(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegin")
    until_closed(connection)


def resets_in_the_body(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegin")
    time.sleep(0.05)  # the beginning must be read before the reset throws it away
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def drips_headers(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-A: b\r\n")
        time.sleep(0.02)


def endless_headers(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-A: " + b"b" * 1000 + b"\r\n")


def endless_body(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b"spam " * 10_000)


def endless_hundreds(connection: socket.socket) -> None:
    read_request(connection)
    while True:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


LONG_LINE = b"HTTP/1.1 200 OK\r\nX-A: " + b"b" * 200_000 + b"\r\n\r\n"


@pytest.mark.parametrize(
    ("serve", "code"),
    [
        (silent, "wait.timeout"),
        (closes_at_once, "wait.closed"),
        (resets, "wait.closed"),
        (stalls_in_the_body, "transfer.timeout"),
        (resets_in_the_body, "transfer.truncated"),
        (always(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegin"), "transfer.truncated"),
        (always(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegin\r\n"), "transfer.truncated"),
        (always(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nbegin\r\n"), "transfer.truncated"),
        (always(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"), "wait.malformed"),
        (always(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nbegin"), "wait.malformed"),
        (always(b"HTTP/9.9 200 OK\r\n\r\n"), "wait.malformed"),
        (always(b"HTTP/1.1 abc\r\n\r\n"), "wait.malformed"),
        (always(b"SSH-2.0-OpenSSH_9.2\r\n"), "wait.malformed"),
        (always(bytes(range(256)) * 20), "wait.malformed"),
        (always(b"HTTP/1.1 200 OK\r\nX-A: a\0b\r\n\r\n"), "wait.malformed"),
        (always(b"HTTP/1.1 200 OK\r\n"), "wait.closed"),
        (drips_headers, "transfer.timeout"),
        (endless_headers, "transfer.headers_too_large"),
        (always(LONG_LINE), "transfer.headers_too_large"),
        (endless_hundreds, "transfer.headers_too_large"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_servers_that_misbehave(serve: Serve, code: str) -> None:
    began = time.monotonic()
    with tcp_server(serve) as port:
        result = check(f"http://127.0.0.1:{port}/", limit=SHORT)
        took = time.monotonic() - began
    assert (result.verdict, result.code) == ("down", code), result.message
    assert result.message
    assert took < SHORT + 3
    assert result.duration <= SHORT + 0.3
    assert set(result.phases) <= {"connect", "wait", "transfer"}


def test_a_proxy_that_refuses() -> None:
    with tcp_server(always(answer(b"", "407 Proxy Authentication Required"))) as port:
        result = check({"url": "https://far.test/", "proxy": f"http://127.0.0.1:{port}"})
    assert (result.verdict, result.code) == ("down", "connect.proxy")


def test_an_address_of_the_other_ip_version() -> None:
    result = check({"url": "http://127.0.0.1/", "ip_version": 6})
    assert (result.verdict, result.code) == ("down", "lookup.not_found")


def test_nothing_listens() -> None:
    result = check(f"http://127.0.0.1:{free_port()}/")
    assert (result.verdict, result.code) == ("down", "connect.refused")


def test_a_connection_that_is_not_taken_up() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for connection in waiting:  # fill the queue of the listener
            connection.setblocking(False)
            connection.connect_ex(("127.0.0.1", port))
        result = check(f"http://127.0.0.1:{port}/", limit=SHORT)
        for connection in waiting:
            connection.close()
    assert (result.verdict, result.code) == ("down", "connect.timeout")


def test_an_endless_body_is_cut_and_reported() -> None:
    with tcp_server(endless_body) as port:
        target = {"url": f"http://127.0.0.1:{port}/", "max_read": 200_000}
        fine = check(target, {"contains": "spam"})
        large = check(target, {"max_bytes": 100_000})
        parsed = check({**target, "max_read": 2_000_000}, {"json": {"$.a": 1}})
    assert fine.verdict == "up"
    assert fine.evidence["cut"] is True
    assert 200_000 < fine.evidence["bytes"] < 400_000
    assert (large.verdict, large.code) == ("down", "expect.max_bytes")
    assert (parsed.verdict, parsed.code) == ("down", "expect.json")


@pytest.mark.parametrize("kind", ["gzip", "deflate"])
def test_a_bomb_is_cut_by_its_unpacked_size(kind: str) -> None:
    zeros = b"\0" * 50_000_000
    packed = gzip.compress(zeros) if kind == "gzip" else zlib.compress(zeros)
    with tcp_server(always(answer(packed, headers=(f"Content-Encoding: {kind}",)))) as port:
        result = check({"url": f"http://127.0.0.1:{port}/", "compressed": True, "max_read": 1_000_000})
    assert result.evidence["cut"] is True
    assert result.evidence["bytes"] < 2_000_000


def test_a_broken_compression() -> None:
    with tcp_server(always(answer(b"no gzip at all", headers=("Content-Encoding: gzip",)))) as port:
        result = check({"url": f"http://127.0.0.1:{port}/", "compressed": True})
    assert (result.verdict, result.code) == ("down", "transfer.encoding")


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("/", "more than 3 redirects"),
        ("file:///etc/passwd", "not an HTTP URL"),
        ("gopher://127.0.0.1/", "not an HTTP URL"),
        ("http://", "HTTP URL"),
        ("http://127.0.0.1:99999/", "HTTP URL"),
    ],
)
def test_redirects_that_lead_nowhere(location: str, words: str) -> None:
    with tcp_server(by_path({"/": answer(b"", "302 Found", (f"Location: {location}",))})) as port:
        result = check({"url": f"http://127.0.0.1:{port}/", "redirects": {"limit": 3}})
    assert (result.verdict, result.code) == ("down", "expect.redirects"), result.message
    assert words in result.message


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "[fd00:ec2::254]", "[::ffff:169.254.169.254]", "0xa9fea9fe", "2852039166", "meta.test"]
)
def test_guarded_addresses_are_not_reached_by_url_or_redirect(host: str) -> None:
    names = {"meta.test": ["169.254.169.254"], "0xa9fea9fe": ["169.254.169.254"], "2852039166": ["169.254.169.254"]}
    direct = check(f"http://{host}/", context=context_with(names))
    assert (direct.verdict, direct.code) == ("unknown", "check.address_refused")
    with tcp_server(by_path({"/": answer(b"", "302 Found", (f"Location: http://{host}/latest",))})) as port:
        redirected = check(f"http://127.0.0.1:{port}/", context=context_with(names))
    assert (redirected.verdict, redirected.code) == ("unknown", "check.address_refused")


def test_a_closed_install_does_not_reach_itself() -> None:
    reached: list[tuple[str, dict[str, str], bytes]] = []
    with tcp_server(by_path({"/": answer()}, reached)) as port:
        for url in (f"http://127.0.0.1:{port}/", f"http://app.test:{port}/", f"http://[::1]:{port}/"):
            result = check(url, context=context_with({"app.test": ["127.0.0.1"]}, allow=""))
            assert (result.verdict, result.code) == ("unknown", "check.address_refused")
    assert reached == []


def test_the_address_that_is_connected_counts() -> None:
    """Even if the guard is asked about one address and libcurl were to connect to another."""
    refused: list[str] = []

    class ChangesItsMind(Guard):
        def refuses(self, address: str) -> str:
            refused.append(address)
            return "" if len(refused) == 1 else "closed"

    def resolve(_host: str, _family: int) -> list[str]:
        return ["127.0.0.1"]

    with tcp_server(always(answer())) as port:
        result = check(f"http://app.test:{port}/", context=Context(ChangesItsMind(), Lookup(resolve)))
    assert (result.verdict, result.code) == ("unknown", "check.address_refused")
    assert refused == ["127.0.0.1", "127.0.0.1"]


def _resolver(outcome: Callable[[], list[str]]) -> Context:
    return Context(Guard(), Lookup(lambda _host, _family: outcome()))


def _fails_with(number: int) -> Callable[[], list[str]]:
    def fail() -> list[str]:
        raise socket.gaierror(number, "said the resolver")

    return fail


@pytest.mark.parametrize(
    ("number", "verdict", "code"),
    [
        (socket.EAI_NONAME, "down", "lookup.not_found"),
        (socket.EAI_AGAIN, "unknown", "lookup.failed"),
        (socket.EAI_FAIL, "unknown", "lookup.failed"),
    ],
)
def test_no_such_name_differs_from_no_answer(number: int, verdict: str, code: str) -> None:
    result = check("http://app.test/", context=_resolver(_fails_with(number)))
    assert (result.verdict, result.code) == (verdict, code)


def test_a_resolver_that_hangs() -> None:
    release = threading.Event()

    def hang() -> list[str]:
        release.wait(10)
        return []

    try:
        result = check("http://app.test/", limit=SHORT, context=_resolver(hang))
    finally:
        release.set()
    assert (result.verdict, result.code) == ("unknown", "lookup.timeout")
    assert result.phases["lookup"] == pytest.approx(SHORT, abs=0.3)


# TLS


class Authority:
    """A CA, a context for servers with a certificate of it, and the file to trust."""

    def __init__(self, folder: Any) -> None:
        self.ca = trustme.CA()
        self.file = str(folder / "ca.pem")
        self.ca.cert_pem.write_to_path(self.file)

    def server(self, *names: str, **options: Any) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(*names, **options).configure_cert(context)
        return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def test_https_with_all_phases_and_the_certificate(authority: Authority) -> None:
    with tcp_server(with_tls(always(answer()), authority.server("127.0.0.1"))) as port:
        first, second = checks(f"https://127.0.0.1:{port}/", context=context_with(ca_file=authority.file))
    assert (first.verdict, second.verdict) == ("up", "up"), first.message
    assert set(first.phases) == {"connect", "tls", "wait", "transfer"}
    assert "trustme" in first.evidence["certificate"]["issuer"]
    assert first.evidence["certificate"]["days_left"] > 100
    assert second.evidence["certificate"]["days_left"] > 100


def test_a_certificate_that_ends_soon_is_degraded(authority: Authority) -> None:
    soon = datetime.now(UTC) + timedelta(days=5)
    with tcp_server(with_tls(always(answer()), authority.server("127.0.0.1", not_after=soon))) as port:
        result = check(
            f"https://127.0.0.1:{port}/", {"certificate_days": 14}, context=context_with(ca_file=authority.file)
        )
    assert (result.verdict, result.code) == ("degraded", "expect.certificate_days")
    assert result.evidence["certificate"]["days_left"] == pytest.approx(5, abs=0.1)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"names": ("other.test",)}, "tls.name_mismatch"),
        ({"not_after": datetime(2020, 1, 1, tzinfo=UTC)}, "tls.expired"),
        ({"not_before": datetime(2090, 1, 1, tzinfo=UTC)}, "tls.not_yet_valid"),
    ],
)
def test_certificates_that_are_not_accepted(authority: Authority, options: dict[str, Any], code: str) -> None:
    options = {"names": ("127.0.0.1", "app.test"), **options}
    names = options.pop("names")
    with tcp_server(with_tls(always(answer()), authority.server(*names, **options))) as port:
        context = context_with({"app.test": ["127.0.0.1"]}, ca_file=authority.file)
        result = check(f"https://app.test:{port}/", context=context)
    assert (result.verdict, result.code) == ("down", code), result.message


def test_an_unknown_authority(authority: Authority, tmp_path: Any) -> None:
    with tcp_server(with_tls(always(answer()), Authority(tmp_path).server("127.0.0.1"))) as port:
        url = f"https://127.0.0.1:{port}/"
        trusted = context_with(ca_file=authority.file)
        result = check(url, context=trusted)
        unverified = check({"url": url, "tls": {"verify": False}}, context=context_with(ca_file=authority.file))
        own_ca = (tmp_path / "ca.pem").read_text()
        own = check_filled(
            {"url": "https://127.0.0.1:{port}/", "tls": {"ca": "${file:ca}"}},
            port,
            {"${file:ca}": own_ca},
            context=context_with(ca_file=authority.file),
        )
    assert (result.verdict, result.code) == ("down", "tls.untrusted"), result.message
    assert unverified.verdict == "up"
    assert own.verdict == "up", own.message


def test_another_server_name(authority: Authority) -> None:
    seen: list[tuple[str, dict[str, str], bytes]] = []
    with tcp_server(with_tls(by_path({"/": answer()}, seen), authority.server("inner.test"))) as port:
        url = f"https://127.0.0.1:{port}/"
        result = check({"url": url, "tls": {"server_name": "inner.test"}}, context=context_with(ca_file=authority.file))
    assert result.verdict == "up", result.message
    assert seen[0][1]["host"] == f"127.0.0.1:{port}"


def test_a_client_certificate(authority: Authority) -> None:
    server = authority.server("127.0.0.1")
    server.verify_mode = ssl.CERT_REQUIRED
    authority.ca.configure_trust(server)
    client = authority.ca.issue_cert("client@example.com")
    values = {
        "${file:cert}": b"".join(blob.bytes() for blob in client.cert_chain_pems).decode(),
        "${file:key}": client.private_key_pem.bytes().decode(),
    }
    tls = {"certificate": "${file:cert}", "key": "${file:key}"}
    with tcp_server(with_tls(always(answer()), server)) as port:
        without = check(f"https://127.0.0.1:{port}/", context=context_with(ca_file=authority.file))
        given = check_filled(
            {"url": "https://127.0.0.1:{port}/", "tls": tls}, port, values, context=context_with(ca_file=authority.file)
        )
        broken = check_filled(
            {"url": "https://127.0.0.1:{port}/", "tls": tls},
            port,
            {**values, "${file:key}": "no key"},
            context=context_with(ca_file=authority.file),
        )
    assert without.verdict == "down"
    assert without.code in ("tls.handshake", "wait.closed")  # TLS 1.3 refuses after the handshake
    assert given.verdict == "up", given.message
    assert (broken.verdict, broken.code) == ("unknown", "check.bad_tls_options"), broken.message


def test_an_old_version_of_tls(authority: Authority) -> None:
    server = authority.server("127.0.0.1")
    server.maximum_version = ssl.TLSVersion.TLSv1_2
    with tcp_server(with_tls(always(answer()), server)) as port:
        target = {"url": f"https://127.0.0.1:{port}/", "tls": {"min_version": "1.3"}}
        result = check(target, context=context_with(ca_file=authority.file))
    assert (result.verdict, result.code) == ("down", "tls.handshake")


@pytest.mark.parametrize(("serve", "code"), [(speaks_plainly, "tls.handshake"), (silent, "tls.timeout")])
def test_no_tls_behind_https(serve: Serve, code: str) -> None:
    with tcp_server(serve) as port:
        result = check(f"https://127.0.0.1:{port}/", limit=SHORT)
    assert (result.verdict, result.code) == ("down", code), result.message


def test_a_secret_without_a_value() -> None:
    result = check({"url": "http://127.0.0.1/", "headers": {"X-Api-Key": "${env:NOT_FILLED}"}})
    assert (result.verdict, result.code) == ("unknown", "check.secret_missing")
    assert "${env:NOT_FILLED}" in result.message
