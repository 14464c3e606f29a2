"""One bounded HTTP request, for deliveries: guarded addresses, hard time limit, cut response, no redirects.

Checks have an HTTP client of their own in the probers; this one runs on a thread that may block.
"""

from __future__ import annotations

import contextlib
import email.utils
import os
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import urlsplit

import certifi
import pycurl

from mainstay import __version__
from mainstay.integrations.addresses import Guard
from mainstay.integrations.idn import ascii_url
from mainstay.integrations.proxied import check_proxy, refuse_closed
from mainstay.kernel.errors import Refused, Unavailable
from mainstay.kernel.ports import DeliveryContext

BODY_LIMIT = 16 * 1024  # of the answer; the rest is not read
EXCERPT = 300
_RETRY_STATUSES = frozenset({408, 425, 429})


@dataclass(slots=True)
class Answer:
    """What the other side said. `body` is cut at BODY_LIMIT."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)  # names in lower case
    body: bytes = b""

    @property
    def excerpt(self) -> str:
        """The start of the body as one line of printable text."""
        text = self.body[: EXCERPT * 4].decode("utf-8", "replace")
        return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:EXCERPT]

    def retry_after(self, now: float) -> float | None:
        """Seconds, from either form of Retry-After (RFC 9110, 10.2.3)."""
        value = self.headers.get("retry-after", "").strip()
        if value.isascii() and value.isdigit():
            return float(value[:9])
        try:
            return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - now) if value else None
        except (ValueError, TypeError, OverflowError):
            return None


def post(url: str, body: bytes, headers: Mapping[str, str], context: DeliveryContext) -> Answer:
    """POST and return the answer, whatever its status.

    Refused: the URL cannot be used or leads to a guarded address. Unavailable: no answer within the time.
    """
    url = _usable(url)
    transfer = _Transfer(Guard.from_settings(context.settings.probe_allow))
    handle = pycurl.Curl()
    try:
        _request(handle, url, body, headers)
        _bound(handle, transfer, context.timeout)
        _go_through(handle, context.proxy, url, transfer.guard)
        handle.perform()
        transfer.answer.status = handle.getinfo(pycurl.RESPONSE_CODE)
    except pycurl.error as error:
        transfer.answer.status = handle.getinfo(pycurl.RESPONSE_CODE)
        if not transfer.answered:
            raise transfer.failure(int(error.args[0]), context.timeout) from None
    finally:
        handle.close()
        for opened in transfer.sockets:
            opened.close()
    return transfer.answer


def accepted(answer: Answer, now: float) -> Answer:
    """The answer if it is a success; else Refused, or Unavailable where a repeat may help."""
    if 200 <= answer.status < 300:
        return answer
    said = f": {answer.excerpt}" if answer.excerpt else ""
    message = f"it answered {answer.status}{said}"
    if answer.status in _RETRY_STATUSES or answer.status >= 500:
        raise Unavailable(message, retry_after=answer.retry_after(now))
    if 300 <= answer.status < 400:
        raise Refused(message, hint="redirects are not followed; give the final address")
    raise Refused(message)


def _usable(url: str) -> str:
    clean = ""
    with contextlib.suppress(ValueError):
        clean = ascii_url(url)
        parts = urlsplit(clean)
        _ = parts.port
        if parts.scheme not in ("http", "https") or not parts.hostname:
            clean = ""
    if not clean or any(ord(char) <= 32 for char in url):
        raise Refused("the address to deliver to is not an http or https URL", hint="check the channel's URL")
    return clean


class _Transfer:
    """State of one request, filled by libcurl's callbacks."""

    def __init__(self, guard: Guard) -> None:
        self.answer = Answer()
        self.refusal = ""
        self.headers_done = False
        self.sockets: list[socket.socket] = []
        self.guard = guard

    @property
    def answered(self) -> bool:
        """The status has arrived; a body that is endless or stalls changes nothing about it."""
        return self.headers_done and self.answer.status >= 200

    def open_socket(self, _purpose: int, address: tuple[int, int, int, tuple[str | bytes, int]]) -> object:
        family, kind, protocol, endpoint = address
        host = endpoint[0].decode() if isinstance(endpoint[0], bytes) else endpoint[0]
        self.refusal = self.guard.refuses(host)
        if self.refusal:
            return pycurl.SOCKET_BAD
        opened = socket.socket(family, kind, protocol)
        self.sockets.append(opened)  # pycurl works on a duplicate
        return opened

    def header(self, line: bytes) -> None:
        text = line.decode("latin-1").strip()
        if text.startswith("HTTP/"):
            self.answer.headers, self.headers_done = {}, False
        elif not text:
            self.headers_done = True
        elif ":" in text:
            name, _, value = text.partition(":")
            self.answer.headers[name.strip().lower()] = value.strip()

    def write(self, data: bytes) -> int:
        room = BODY_LIMIT - len(self.answer.body)
        self.answer.body += data[:room]
        return len(data) if len(data) <= room else 0  # 0 ends the transfer

    def failure(self, code: int, timeout: float) -> Refused | Unavailable:
        if self.refusal:
            return Refused(self.refusal)
        return Unavailable(_REASONS.get(code, f"the request failed (libcurl error {code})").format(timeout=timeout))


# Texts of our own: libcurl's may quote the address, which can be a secret.
_REASONS = {
    pycurl.E_COULDNT_RESOLVE_PROXY: "the name of the proxy could not be looked up",
    pycurl.E_COULDNT_RESOLVE_HOST: "its name could not be looked up",
    pycurl.E_COULDNT_CONNECT: "no connection could be established",
    pycurl.E_OPERATION_TIMEDOUT: "it did not answer within {timeout:g} s",
    pycurl.E_SSL_CONNECT_ERROR: "the TLS handshake failed",
    pycurl.E_PEER_FAILED_VERIFICATION: "its certificate is not trusted",
    pycurl.E_SSL_CACERT_BADFILE: "the file of trusted certificates cannot be read",
    pycurl.E_GOT_NOTHING: "it closed the connection without an answer",
    pycurl.E_SEND_ERROR: "the connection was lost while sending",
    pycurl.E_RECV_ERROR: "the connection was lost while waiting",
    pycurl.E_UNSUPPORTED_PROTOCOL: "it did not answer in HTTP",
    pycurl.E_FTP_WEIRD_SERVER_REPLY: "it did not answer in HTTP",
}


def _request(handle: pycurl.Curl, url: str, body: bytes, headers: Mapping[str, str]) -> None:
    lines = {"Expect": "", "User-Agent": f"Mainstay/{__version__}", **headers}
    handle.setopt(pycurl.URL, url.encode())
    handle.setopt(pycurl.POST, 1)
    handle.setopt(pycurl.POSTFIELDS, body)
    # Octets beyond ASCII are allowed in values (RFC 9110, 5.5); they are UTF-8.
    written = [f"{name}: {value}" if value else f"{name}:" for name, value in lines.items()]
    handle.setopt(pycurl.HTTPHEADER, [line.encode() for line in written])


def _bound(handle: pycurl.Curl, transfer: _Transfer, timeout: float) -> None:
    """All that keeps a request from taking too long, reading too much or reaching the wrong place."""
    for option, value in (
        (pycurl.TIMEOUT_MS, int(timeout * 1000)),
        (pycurl.CONNECTTIMEOUT_MS, int(timeout * 1000)),
        (pycurl.NOSIGNAL, 1),
        (pycurl.FOLLOWLOCATION, 0),
        (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
        (pycurl.PROXY, ""),  # a proxy of the environment would look addresses up behind the guard's back
        (pycurl.CAINFO, trusted_certificates()),
        (pycurl.OPENSOCKETFUNCTION, transfer.open_socket),
        (pycurl.HEADERFUNCTION, transfer.header),
        (pycurl.WRITEFUNCTION, transfer.write),
    ):
        handle.setopt(option, value)


def _go_through(handle: pycurl.Curl, proxy: str, url: str, guard: Guard) -> None:
    """By a tunnel, so that the proxy sees no more than where it leads."""
    if not proxy:
        return
    try:
        check_proxy(proxy)
    except ValueError as error:
        raise Refused(str(error), hint="check the channel's `proxy`, or MAINSTAY_CHANNEL_PROXY") from None
    refuse_closed(urlsplit(url).hostname or "", guard)
    handle.setopt(pycurl.PROXY, proxy)
    handle.setopt(pycurl.HTTPPROXYTUNNEL, 1)
    handle.setopt(pycurl.NOPROXY, "")


@cache
def trusted_certificates() -> str:
    """The system's file of trusted certificates, else certifi's."""
    paths = ssl.get_default_verify_paths()
    return next((path for path in (paths.cafile,) if path and os.path.exists(path)), certifi.where())
