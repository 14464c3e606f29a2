"""What libraries connect to by themselves is held to the address guard, after redirects and other answers of a name."""

from __future__ import annotations

import smtplib
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
from django.conf import settings
from django.test import override_settings
from tests.rigs.accounts_browser import TEST, browser
from tests.rigs.channel_rigs import notification

from mainstay.accounts.sso import _BoundedSession
from mainstay.integrations.addresses import Guard
from mainstay.integrations.channels.apprise.deliver import deliver
from mainstay.integrations.guarded_sockets import AddressRefused, guarded
from mainstay.kernel.errors import Refused, Unavailable
from mainstay.kernel.ports import DeliveryContext
from mainstay.store.resources.apply import declare

OPEN, CLOSED = "127.0.0.1", "127.0.0.2"


class _Handler(BaseHTTPRequestHandler):
    """Redirects to where it is told; counts who came."""

    def do_GET(self) -> None:  # the standard library's name
        self._answer()

    def do_POST(self) -> None:  # likewise
        self._answer()

    def _answer(self) -> None:
        self.server.seen.append(self.path)  # type: ignore[attr-defined] # set below
        to = self.server.to  # type: ignore[attr-defined] # set below
        self.send_response(302 if to else 200)
        if to:
            self.send_header("Location", to)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


def _serving(address: str) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer((address, 0), _Handler)
    server.seen, server.to = [], ""  # type: ignore[attr-defined] # for the handler
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture
def servers() -> Iterator[dict[str, Any]]:
    """One that may be reached, and one that may not."""
    from pytest_socket import socket_allow_hosts

    socket_allow_hosts([OPEN, CLOSED, "::1"], allow_unix_socket=True)
    running = {address: _serving(address) for address in (OPEN, CLOSED)}
    yield running
    for server in running.values():
        server.shutdown()
        server.server_close()


def url_of(server: ThreadingHTTPServer, host: str = "") -> str:
    return f"http://{host or server.server_address[0]}:{server.server_address[1]}/"


def guard() -> Guard:
    return Guard(frozenset(), own=lambda address: str(address) == CLOSED)


def rebinding(monkeypatch: pytest.MonkeyPatch, *answers: str) -> None:
    """The name `rebind.test` stands for another address each time it is asked."""
    left = list(answers)
    system = socket.getaddrinfo

    def answer(host: Any, port: Any, *more: Any, **named: Any) -> Any:
        if host != "rebind.test":
            return system(host, port, *more, **named)
        return system(left.pop(0) if len(left) > 1 else left[0], port, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", answer)


def test_what_is_open_is_reached_and_what_is_closed_is_not(servers: dict[str, Any]) -> None:
    with guarded(guard()) as watch:
        assert requests.get(url_of(servers[OPEN]), timeout=5).status_code == 200
        assert not watch.refusal
        with pytest.raises(requests.ConnectionError):
            requests.get(url_of(servers[CLOSED]), timeout=5)
    assert "an address of this machine" in watch.refusal
    assert servers[CLOSED].seen == []
    assert requests.get(url_of(servers[CLOSED]), timeout=5).status_code == 200, "nothing is refused outside of it"


def test_a_redirect_does_not_get_past_it(servers: dict[str, Any]) -> None:
    servers[OPEN].to = url_of(servers[CLOSED])
    with guarded(guard()), pytest.raises(requests.ConnectionError):
        requests.get(url_of(servers[OPEN]), timeout=5)
    assert servers[OPEN].seen
    assert servers[CLOSED].seen == []


def test_a_name_that_changes_its_address_does_not_get_past_it(
    servers: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    rebinding(monkeypatch, OPEN, CLOSED)
    assert socket.getaddrinfo("rebind.test", 1)[0][4][0] == OPEN, "what a look beforehand would have seen"
    with guarded(guard()), pytest.raises(requests.ConnectionError):
        requests.get(url_of(servers[CLOSED], "rebind.test"), timeout=5)
    assert servers[CLOSED].seen == []


def test_it_holds_for_more_than_http(servers: dict[str, Any]) -> None:
    port = servers[CLOSED].server_address[1]
    with guarded(guard()):
        with pytest.raises(AddressRefused):
            smtplib.SMTP(CLOSED, port, timeout=5)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams, pytest.raises(AddressRefused):
            datagrams.sendto(b"x", (CLOSED, port))


def test_other_threads_are_left_alone(servers: dict[str, Any]) -> None:
    found: list[int] = []
    with guarded(guard()):
        other = threading.Thread(target=lambda: found.append(requests.get(url_of(servers[CLOSED])).status_code))
        other.start()
        other.join(10)
    assert found == [200]


# Apprise


def _context(**changes: Any) -> DeliveryContext:
    return DeliveryContext(settings=replace(settings.MAINSTAY, **changes), now=1.8e9, timeout=5.0)


def test_apprise_does_not_reach_a_name_that_changes_its_address(
    servers: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look beforehand sees a good address; the connection would go to a closed one."""
    rebinding(monkeypatch, "192.0.2.1", CLOSED)
    url = url_of(servers[CLOSED], "rebind.test").replace("http:", "json:")
    with pytest.raises(Refused, match="an address of this machine"):
        deliver({"url": url}, notification(), _context(probe_allow=""))
    assert servers[CLOSED].seen == []


def test_apprise_reaches_what_is_open(servers: dict[str, Any]) -> None:
    deliver({"url": url_of(servers[OPEN]).replace("http:", "json:")}, notification(), _context())
    assert servers[OPEN].seen
    servers[OPEN].to = url_of(servers[CLOSED])
    with pytest.raises((Refused, Unavailable)):
        deliver({"url": url_of(servers[OPEN]).replace("http:", "json:")}, notification(), _context())
    assert servers[CLOSED].seen == [], "redirects are off"


# Single sign-on


def test_calls_to_a_provider_are_guarded(servers: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    with override_settings(MAINSTAY=replace(settings.MAINSTAY, probe_allow="")):
        with pytest.raises(requests.ConnectionError):
            _BoundedSession().get(url_of(servers[OPEN]))
        rebinding(monkeypatch, OPEN)
        with pytest.raises(requests.ConnectionError):
            _BoundedSession().get(url_of(servers[OPEN], "rebind.test"))
    assert servers[OPEN].seen == []
    servers[OPEN].to = url_of(servers[CLOSED])
    assert _BoundedSession().get(url_of(servers[OPEN])).status_code == 302
    assert servers[CLOSED].seen == [], "redirects are not followed"


def test_a_proxy_of_the_environment_does_not_stand_in_for_the_guard(
    servers: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", url_of(servers[CLOSED]))
    assert _BoundedSession().get(url_of(servers[OPEN])).status_code == 200
    assert servers[CLOSED].seen == []


@pytest.mark.usefixtures("store")
def test_a_provider_at_a_closed_address_lets_nobody_in_and_says_so(servers: dict[str, Any]) -> None:
    (settings.MAINSTAY.data / "secrets" / "oidc").write_text("x")
    document = {"server": url_of(servers[OPEN]), "client_id": "m", "title": "T", "client_secret": "${file:oidc}"}
    document["default_role"] = "support"
    declare(TEST, "sign_in", "company", document, manager="page")
    with override_settings(MAINSTAY=replace(settings.MAINSTAY, probe_allow="")):
        answer = browser().get("/accounts/oidc/company/login/")
    assert answer.status_code == 403
    assert servers[OPEN].seen == []
