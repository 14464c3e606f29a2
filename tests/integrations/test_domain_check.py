"""The check `domain` against RDAP and WHOIS servers on loopback, well-behaved and not."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import ValidationError
from tests.rigs.check_servers import free_port, run_check, tcp_server, until_closed
from tests.rigs.real_servers import Certificates

from mainstay.integrations.checks.domain import whois
from mainstay.integrations.checks.domain.registration import instant
from mainstay.integrations.checks.domain.spec import KIND

Pages = dict[str, tuple[int, Any]]


@contextmanager
def rdap_server(pages: Pages, certificates: Certificates | None = None) -> Iterator[tuple[str, list[str]]]:
    """Its URL, and the paths that were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            status, body = pages.get(self.path, (404, {"errorCode": 404}))
            if status == 0:
                until_closed(self.connection)
                return
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            if status in (301, 302):
                self.send_header("Location", body)
            self.send_header("Content-Type", "application/rdap+json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(data)

        def log_message(self, *_args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificates is not None:
        server.socket = certificates.server.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    scheme = "http" if certificates is None else "https"
    host = "127.0.0.1" if certificates is None else "localhost"
    try:
        yield f"{scheme}://{host}:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def in_days(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


CARD = [["version", {}, "text", "4.0"], ["fn", {}, "text", "Names Ltd"]]


def registration(days: float | None = 200, **more: Any) -> dict[str, Any]:
    """A domain as RFC 9083 has it."""
    events = [{"eventAction": "registration", "eventDate": "1999-01-02T03:04:05Z"}]
    if days is not None:
        events.append({"eventAction": "expiration", "eventDate": in_days(days)})
    return {
        "objectClassName": "domain",
        "ldhName": "EXAMPLE.COM",
        "status": ["client transfer prohibited"],
        "events": events,
        "nameservers": [{"ldhName": "NS1.EXAMPLE.NET."}, {"ldhName": "ns2.example.net"}],
        "entities": [{"roles": ["abuse"]}, {"roles": ["registrar"], "vcardArray": ["vcard", CARD]}],
        **more,
    }


@pytest.fixture(autouse=True)
def _no_way_to_the_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whois, "ROOT", f"127.0.0.1:{free_port()}")


def test_the_list_names_the_server_and_is_read_once() -> None:
    import asyncio

    from tests.rigs.check_servers import order_for

    from mainstay.watch.prober.context import Context
    from mainstay.watch.prober.dispatch import prepare

    with rdap_server({"/domain/example.co.uk": (200, registration())}) as (url, asked):
        services = [[["uk", "test"], ["http://127.0.0.1:1/"]], [["CO.UK"], ["ftp://x", f"{url}/"]], "odd", [[], []]]
        with rdap_server({"/dns.json": (200, {"services": services})}) as (listed, lists):
            order = order_for("domain", {"name": "example.co.uk", "bootstrap": f"{listed}/dns.json"})

            async def twice() -> list[Any]:
                context = Context()
                found = [await prepare(order).run(context) for _ in range(2)]
                context.close()
                return found

            first, second = asyncio.run(twice())
    assert (first.verdict, first.message) == ("up", "")
    assert second.verdict == "up"
    assert (len(asked), len(lists)) == (2, 1)
    assert first.evidence["source"] == "rdap"
    assert 199 < first.evidence["days_left"] <= 200
    assert first.evidence["registrar"] == "Names Ltd"
    assert first.evidence["nameservers"] == ["ns1.example.net", "ns2.example.net"]
    assert first.evidence["statuses"] == ["client transfer prohibited"]


@pytest.mark.parametrize(
    ("page", "expect", "verdict", "code", "says"),
    [
        (registration(), {"registrar": "names", "nameservers": "NS1.example.net."}, "up", "", ""),
        (registration(20), {}, "degraded", "expect.days", "under 30; renew it"),
        (registration(20), {"days": 10}, "up", "", ""),
        (registration(3), {}, "down", "expect.days", "under 7; renew it"),
        (registration(-3), {}, "down", "expect.expired", "ended 3 days ago"),
        (registration(status=["client hold"]), {}, "down", "expect.held", "not published: client hold"),
        (registration(status=["redemption period"]), {}, "down", "expect.registered", "about to be released"),
        (registration(), {"registrar": "Other"}, "down", "expect.registrar", "which is Names Ltd"),
        (registration(), {"nameservers": ["ns9.example.net"]}, "down", "expect.nameservers", "ns9.example.net is not"),
        (registration(None), {}, "unknown", "expect.no_date", "RDAP server"),
        (registration(None), {"registrar": "Other"}, "down", "expect.registrar", "Names Ltd"),
        (registration(), {"degraded_after": "0ms"}, "degraded", "expect.latency", "more than the 0 ms allowed"),
    ],
)
def test_what_a_registration_means(
    page: dict[str, Any], expect: dict[str, Any], verdict: str, code: str, says: str
) -> None:
    with rdap_server({"/domain/example.com": (200, page)}) as (url, _):
        result = run_check("domain", {"name": "example.com", "rdap": url, "method": "rdap"}, expect)
    assert (result.verdict, result.code) == (verdict, code), result.message
    assert says in result.message


ODD = {
    "events": [7, {"eventAction": []}],
    "entities": [{"roles": 1}, {"roles": ["registrar"], "vcardArray": [[], [1]]}, 2],
    "nameservers": [3, {"ldhName": {}}],
    "status": [4],
}


def test_an_answer_of_odd_shapes_is_read_as_far_as_it_goes() -> None:
    with rdap_server({"/domain/example.com": (200, {"objectClassName": "domain", **ODD})}) as (url, _):
        result = run_check("domain", {"name": "example.com", "rdap": url, "method": "rdap"})
    assert (result.verdict, result.code) == ("unknown", "expect.no_date")


def test_a_name_of_other_letters_and_a_redirect() -> None:
    pages: Pages = {
        "/domain/xn--bcher-kva.example": (302, "/moved"),
        "/moved": (200, registration()),
    }
    with rdap_server(pages) as (url, _):
        result = run_check("domain", {"name": "Bücher.Example", "rdap": url})
    assert result.verdict == "up", result.message


def test_rdap_over_tls(tmp_path: Any) -> None:
    certificates = Certificates(tmp_path)
    with rdap_server({"/domain/example.com": (200, registration())}, certificates) as (url, _):
        target = {"name": "example.com", "rdap": url, "method": "rdap"}
        trusted = run_check("domain", target | {"ca": certificates.ca})
        stranger = run_check("domain", target)
    assert trusted.verdict == "up", trusted.message
    assert "tls" in trusted.phases
    assert (stranger.verdict, stranger.code) == ("unknown", "tls.untrusted")


@pytest.mark.parametrize(
    ("page", "verdict", "code", "says"),
    [
        ((404, {"errorCode": 404}), "down", "expect.registered", "example.com is not registered"),
        ((429, {}), "unknown", "wait.refused", "the RDAP server answers 429"),
        ((500, {}), "unknown", "wait.refused", "answers 500"),
        ((200, b"<html>"), "unknown", "wait.malformed", "it begins with `<html>`"),
        ((200, b"[" * 100_000), "unknown", "wait.malformed", "cannot be read"),
        ((200, {"objectClassName": "entity"}), "unknown", "wait.malformed", "is not about a domain"),
        ((200, b"{" + b" " * 1_100_000), "unknown", "wait.malformed", "cannot be read"),
        ((0, b""), "unknown", "wait.timeout", ""),
    ],
)
def test_each_way_rdap_fails(page: tuple[int, Any], verdict: str, code: str, says: str) -> None:
    with rdap_server({"/domain/example.com": page}) as (url, _):
        result = run_check("domain", {"name": "example.com", "rdap": url, "method": "rdap"}, limit=0.5)
    assert (result.verdict, result.code) == (verdict, code), result.message
    assert says in result.message


def test_a_refused_server_and_an_ending_without_one() -> None:
    target = {"name": "example.com", "rdap": f"http://127.0.0.1:{free_port()}", "method": "rdap"}
    assert run_check("domain", target).code == "connect.refused"
    with rdap_server({"/dns.json": (200, {"services": []})}) as (url, _):
        target = {"name": "example.zz", "bootstrap": f"{url}/dns.json", "method": "rdap"}
        result = run_check("domain", target)
    assert (result.verdict, result.code) == ("unknown", "lookup.no_rdap")
    assert ".zz" in result.message


def whois_answers(*texts: str) -> Callable[[socket.socket], None]:
    """One text for each connection, the last for all further ones."""
    left = list(texts)

    def serve(connection: socket.socket) -> None:
        while not connection.recv(1024).endswith(b"\n"):
            pass
        connection.sendall((left.pop(0) if len(left) > 1 else left[0]).encode())

    return serve


COM = """\
   Domain Name: EXAMPLE.COM
   Registrar WHOIS Server: whois.names.example
   Registrar: Names Ltd
   Registry Expiry Date: {date}T04:00:00Z
   Domain Status: clientTransferProhibited https://icann.org/epp#clientTransferProhibited
   Name Server: NS1.EXAMPLE.NET
"""
SHORT = {
    "ru": "domain:        EXAMPLE.RU\nnserver:       ns1.example.net.\npaid-till:     {date}T21:00:00Z\n",
    "uk": "    Domain name:\n        example.co.uk\n    Expiry date:  {uk}\n",
    "jp": "[Domain Name]     EXAMPLE.JP\n[Expires on]      {slashes}\n",
    "fi": "domain.............: example.fi\nexpires............: {finnish} 10:00:00\n",
    "cz": "domain: example.cz\nexpire:       {finnish}\nnsset: X\n",
}


@pytest.mark.parametrize("text", [COM, *SHORT.values()])
def test_dates_as_registries_write_them(text: str) -> None:
    date = datetime.now(UTC) + timedelta(days=100)
    filled = text.format(
        date=f"{date:%Y-%m-%d}", uk=f"{date:%d-%b-%Y}", slashes=f"{date:%Y/%m/%d}", finnish=f"{date:%d.%m.%Y}"
    )
    with tcp_server(whois_answers(filled)) as port:
        result = run_check("domain", {"name": "example.test", "method": "whois", "whois": f"127.0.0.1:{port}"})
    assert (result.verdict, result.message) == ("up", "")
    assert 98 < result.evidence["days_left"] < 101
    assert result.evidence["source"] == "whois"
    if text is COM:
        assert result.evidence["registrar"] == "Names Ltd"
        assert result.evidence["statuses"] == ["clientTransferProhibited"]
        assert result.evidence["nameservers"] == ["ns1.example.net"]


def test_whois_follows_where_rdap_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    date = (datetime.now(UTC) + timedelta(days=5)).strftime("%Y-%m-%d")
    with (
        rdap_server({"/domain/example.com": (200, registration(None))}) as (url, _),
        tcp_server(whois_answers(COM.format(date=date))) as registry,
        tcp_server(whois_answers(f"% IANA\nrefer:        127.0.0.1:{registry}\n")) as root,
    ):
        monkeypatch.setattr(whois, "ROOT", f"127.0.0.1:{root}")
        result = run_check("domain", {"name": "example.com", "rdap": url})
        silent = run_check("domain", {"name": "example.com", "rdap": f"http://127.0.0.1:{free_port()}"})
    assert (result.verdict, result.code) == ("down", "expect.days")
    assert result.evidence["source"] == "whois"
    assert "does not say when" in result.evidence["rdap"]
    assert (silent.verdict, silent.code) == ("down", "expect.days")
    assert "could not be reached" in silent.evidence["rdap"]


def endless(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"x" * 65_536)


@pytest.mark.parametrize(
    ("serve", "verdict", "code", "says"),
    [
        (whois_answers("No match for domain EXAMPLE.TEST\n"), "down", "expect.registered", "is not registered"),
        (whois_answers("% NOT FOUND\n"), "down", "expect.registered", "is not registered"),
        (whois_answers("Domain: example.test\nStatus: free\n"), "down", "expect.registered", "is not registered"),
        (whois_answers("Registrar: Names Ltd\n"), "unknown", "expect.no_date", "does not say when"),
        (whois_answers("Limit exceeded, come back later\n"), "unknown", "wait.malformed", "Limit exceeded"),
        (whois_answers(""), "unknown", "wait.closed", "without sending anything"),
        (until_closed, "unknown", "wait.timeout", "the registry did not answer within 300 ms"),
        (endless, "unknown", "wait.too_large", "more than 65536 bytes"),
    ],
)
def test_each_way_whois_fails(serve: Any, verdict: str, code: str, says: str) -> None:
    with tcp_server(serve) as port:
        target = {"name": "example.test", "method": "whois", "whois": f"127.0.0.1:{port}"}
        result = run_check("domain", target, limit=0.3)
    assert (result.verdict, result.code) == (verdict, code), result.message
    assert says in result.message


def test_when_nobody_can_be_asked_both_reasons_are_told() -> None:
    target = {"name": "example.com", "rdap": f"http://127.0.0.1:{free_port()}"}
    result = run_check("domain", target)
    assert (result.verdict, result.code) == ("unknown", "connect.refused")
    assert "the RDAP server could not be reached" in result.message
    assert "the WHOIS server" in result.message


@pytest.mark.parametrize(
    "text",
    [
        "2030-05-06T00:00:00Z", "2030-05-06T00:00:00.123Z", "2030-05-06T02:00:00+02:00", "2030-05-06", "06-May-2030",
        "2030-05-06 00:00:00 UTC", "2030-05-06 00:00:00 (UTC)", "06.05.2030", "2030/05/06", "2030.05.06", "20300506",
        "06 May 2030", "06/05/2030", "May 06 2030", "2030-05-06 00:00:00", "Mon May 06 00:00:00 2030",
        "2030-05-06 (YYYY-MM-DD)",
    ],
)  # fmt: skip
def test_forms_of_dates(text: str) -> None:
    assert instant(text) == datetime(2030, 5, 6, tzinfo=UTC).timestamp()


def test_what_is_no_date() -> None:
    for text in ("", "never", "2030-13-01", "1" * 500):
        assert instant(text) is None


def test_what_cannot_be_meant_is_refused() -> None:
    for target, says in (
        ({"name": "localhost"}, "not a domain name"),
        ({"name": "a b.com"}, "not a domain name"),
        ({"name": "example.com", "rdap": "ftp://x"}, "is not a URL"),
        ({"name": "example.com", "whois": "a/b"}, "URL or a path"),
    ):
        with pytest.raises(ValidationError, match=says):
            KIND.target.model_validate(target)
    with pytest.raises(ValidationError, match="above days"):
        KIND.expect.model_validate({"days": 3})
