"""Connections through an HTTP proxy by CONNECT (RFC 9110, 9.3.6).

The proxy looks names up, so the guard cannot see what it connects to. It judges the proxy's own address, the target if
that is an address, and the addresses that the target's name has here, if it has any.
"""

from __future__ import annotations

import base64
import socket
from urllib.parse import unquote, urlsplit

from mainstay.integrations.idn import ascii_host
from mainstay.kernel.errors import Refused
from mainstay.kernel.ports import AddressGuard

_HEAD_LIMIT = 16 * 1024  # bytes of the proxy's answer


def check_proxy(url: str) -> str:
    """ValueError if it is not http://host:port, perhaps with user and password."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or not parts.port or parts.path not in ("", "/"):
        raise ValueError("a proxy is written as http://proxy.example.com:3128")
    ascii_host(parts.hostname)
    return url


def refuse_closed(host: str, guard: AddressGuard) -> None:
    """Refused if the host is, or has here, an address that the guard keeps closed."""
    for address in _addresses(host):
        if reason := guard.refuses(address):
            raise Refused(reason)


def proxy_addresses(url: str) -> list[str]:
    return _addresses(urlsplit(url).hostname or "")


def tunnel(proxy: str, host: str, port: int, guard: AddressGuard, timeout: float) -> socket.socket:
    """A socket that speaks with `host`. Refused for a closed address; OSError if the proxy does not let it through."""
    refuse_closed(host, guard)
    parts = urlsplit(check_proxy(proxy))
    refuse_closed(parts.hostname or "", guard)
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}"]
    if parts.username is not None:
        credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(credentials).decode()}")
    opened = socket.create_connection((parts.hostname or "", parts.port or 0), timeout)
    try:
        opened.sendall("\r\n".join([*lines, "", ""]).encode())
        status = _answer(opened)
    except OSError:
        opened.close()
        raise
    if not 200 <= status < 300:
        opened.close()
        raise OSError(f"the proxy answered {status}")
    return opened


def _answer(opened: socket.socket) -> int:
    """The status, read byte by byte: what follows the head is the target's."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = opened.recv(1)
        head += byte
        if not byte or len(head) > _HEAD_LIMIT:
            raise OSError("the proxy did not answer in HTTP")
    version, _, rest = head.partition(b" ")
    if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
        raise OSError("the proxy did not answer in HTTP")
    return int(rest[:3])


def _addresses(host: str) -> list[str]:
    try:
        found = socket.getaddrinfo(ascii_host(host), None, type=socket.SOCK_STREAM) if host else []
    except (OSError, ValueError):
        return []
    return [str(row[4][0]) for row in found]
