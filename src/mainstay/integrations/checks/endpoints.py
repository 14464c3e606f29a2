"""Endpoints as people write them: `host:port`, `[2001:db8::1]:443`, `host`. Pure; specs and runners share it."""

from __future__ import annotations

import ipaddress
import re

from mainstay.integrations.idn import ascii_host

_HOST = re.compile(r"(?=.{1,253}\.?$)[^\s/@:?#\[\]%\x00-\x1f\x7f]+")


def split_endpoint(text: str, default_port: int | None = None) -> tuple[str, int]:
    """(host without brackets, port). ValueError says what is wrong; without a default the port must be given."""
    written = text.strip()
    if "://" in written or "/" in written:
        raise ValueError(f"`{text[:80]}` is a URL or a path; write host:port, such as db.example.com:5432")
    host, port = _split(written)
    if not port:
        if default_port is None:
            raise ValueError(f"`{text[:80]}` has no port; write host:port, such as db.example.com:5432")
        return check_host(host), default_port
    if not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise ValueError(f"`{port[:20]}` is not a port; ports are numbers from 1 to 65535")
    return check_host(host), int(port)


def _split(written: str) -> tuple[str, str]:
    if written.startswith("["):
        host, bracket, rest = written[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"`{written[:80]}` is not an endpoint; IPv6 is written [2001:db8::1]:443")
        return host, rest[1:]
    if written.count(":") > 1:  # a bare IPv6 address; where its port would begin cannot be told
        return written, ""
    host, _, port = written.partition(":")
    return host, port


def check_host(host: str) -> str:
    """The host if it is a name or an address; ValueError otherwise."""
    if ip_address(host) is not None:
        return host
    if ":" in host or not _HOST.fullmatch(host):
        raise ValueError(f"`{host[:80]}` is neither a host name nor an IP address")
    ascii_host(host)
    return host


def ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address if the text is one (an IPv6 zone such as fe80::1%eth0 included), else None."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def format_endpoint(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
