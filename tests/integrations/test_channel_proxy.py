"""Channels through an HTTP proxy: each kind goes there and nowhere else, and the guard still holds."""

from __future__ import annotations

import base64
import select
import socket
import socketserver
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError
from tests.rigs.channel_rigs import SECRET, Mailbox, mail_server, notification
from tests.rigs.receivers import Receiver, declare, receiver
from tests.rigs.settings import having

from mainstay.alerting import verbs
from mainstay.frames.boot import current_settings
from mainstay.integrations.channels.apprise.deliver import deliver as apprise_deliver
from mainstay.integrations.channels.email.deliver import deliver as mail_deliver
from mainstay.integrations.channels.webhook.deliver import deliver as webhook_deliver
from mainstay.kernel.actor import system
from mainstay.kernel.errors import Refused, Unavailable
from mainstay.kernel.ports import DeliveryContext
from mainstay.kernel.resource import KINDS


class Proxy(socketserver.ThreadingTCPServer):
    """Leads whatever is asked for, by CONNECT or whole address, to this machine.

    `asked` are the places, `credentials` what came along.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Tunnel)
        self.asked: list[str] = []
        self.credentials: list[str] = []
        self.status = 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Tunnel(socketserver.BaseRequestHandler):
    server: Proxy

    def handle(self) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.request.recv(1)
        lines = head.decode().splitlines()
        method, place, _ = lines[0].split()
        place = place.removeprefix("http://").partition("/")[0]
        self.server.asked.append(place)
        self.server.credentials += [line for line in lines if line.lower().startswith("proxy-authorization")]
        if method == "CONNECT":
            self.request.sendall(f"HTTP/1.1 {self.server.status} so it is\r\n\r\n".encode())
        if self.server.status == 200:
            with socket.create_connection(("127.0.0.1", int(place.rpartition(":")[2]))) as target:
                if method != "CONNECT":  # plain HTTP of Apprise is asked for by its whole address
                    target.sendall(head)
                self._carry(target)

    def _carry(self, target: socket.socket) -> None:
        ends = {self.request: target, target: self.request}
        while True:
            for end in select.select(list(ends), [], [])[0]:
                data = end.recv(65536)
                if not data:
                    return
                ends[end].sendall(data)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


def _context(proxy: str, **settings: Any) -> DeliveryContext:
    chosen = having(current_settings(), **settings)
    return DeliveryContext(chosen, 1_800_000_000.0, 5.0, proxy)


def _port(hook: Receiver) -> str:
    return hook.url.rpartition(":")[2]


def test_a_webhook_goes_through_the_proxy_by_name(proxy: Proxy, hook: Receiver) -> None:
    url = proxy.url.replace("http://", f"http://user:{SECRET}@")
    webhook_deliver({"url": f"http://only-there.invalid:{_port(hook)}/x"}, notification(), _context(url))
    assert proxy.asked == [f"only-there.invalid:{_port(hook)}"]
    assert base64.b64decode(proxy.credentials[0].split()[-1]).decode() == f"user:{SECRET}"
    assert [request.path for request in hook.requests] == ["/x"]
    proxy.status = 403
    with pytest.raises(Unavailable) as caught:
        webhook_deliver({"url": f"http://only-there.invalid:{_port(hook)}/x"}, notification(), _context(url))
    assert SECRET not in str(caught.value)


def test_mail_goes_through_the_proxy(proxy: Proxy) -> None:
    box = Mailbox()
    with mail_server(box) as port:
        smtp = {"host": "mail.invalid", "port": port, "security": "none"}
        target = {"to": ["ops@example.com"], "from": "m@example.com", "smtp": smtp}
        mail_deliver(target, notification(), _context(proxy.url))
        assert proxy.asked == [f"mail.invalid:{port}"]
        proxy.status = 407
        with pytest.raises(Unavailable, match="the proxy answered 407"):
            mail_deliver(target, notification(), _context(proxy.url))
    assert len(box.mails) == 1


def test_apprise_goes_through_the_proxy_or_not_at_all(proxy: Proxy, hook: Receiver) -> None:
    apprise_deliver({"url": f"json://127.0.0.1:{_port(hook)}/x"}, notification(), _context(""))
    assert proxy.asked == []
    apprise_deliver({"url": f"json://only-there.invalid:{_port(hook)}/x"}, notification(), _context(proxy.url))
    assert len(hook.requests) == 2
    assert len(proxy.asked) == 1
    elsewhere = _context("http://[::1]:9")
    with pytest.raises(Refused, match="does not use the proxy"):  # by SMTP, past any proxy
        apprise_deliver({"url": "mailto://u:p@example.com?smtp=127.0.0.1&to=a@example.com"}, notification(), elsewhere)


def test_the_guard_holds_behind_and_before_a_proxy(proxy: Proxy) -> None:
    smtp = {"host": "169.254.169.254", "port": 25, "security": "none"}
    mail = {"to": ["ops@example.com"], "from": "m@example.com", "smtp": smtp}
    for deliver, target in (
        (webhook_deliver, {"url": "http://169.254.169.254/latest"}),
        (mail_deliver, mail),
        (apprise_deliver, {"url": "json://169.254.169.254/x"}),
    ):
        with pytest.raises(Refused, match="metadata"):
            deliver(target, notification(), _context(proxy.url))
    with pytest.raises(Refused, match="this machine"):
        webhook_deliver({"url": "http://far.invalid/"}, notification(), _context(proxy.url, probe_allow="link-local"))
    assert proxy.asked == []


@pytest.mark.usefixtures("store")
def test_a_channel_names_its_proxy(proxy: Proxy, hook: Receiver) -> None:
    target = {"webhook": {"url": f"http://only-there.invalid:{_port(hook)}/x"}}
    declare("channel", "hook", {**target, "proxy": proxy.url})
    assert verbs.test_channel(system("test"), "hook").detail.startswith("200")
    assert len(proxy.asked) == 1


@pytest.mark.parametrize("url", ["proxy.example.com:3128", "socks5://p:1", "http://p", "http://u:clear@p:3128"])
def test_mistakes_in_a_proxy_are_named(url: str) -> None:
    with pytest.raises(ValidationError, match="proxy"):
        KINDS["channel"].validate({"webhook": "https://a.example", "proxy": url})
