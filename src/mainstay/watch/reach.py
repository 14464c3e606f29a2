"""Where a target lies, as far as its address tells: on this machine, in a private network, or beyond."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

# Loopback targets do not need a network. Private ones need an interface, but not the way to the internet.
Scope = Literal["loopback", "private", "public"]


@dataclass(frozen=True, slots=True)
class Reach:
    """`named`: reached by a name, so the resolver matters too.

    `assumed`: a name that no check has found the address of yet, so its scope is the safe guess. `zone`: the last two
    labels of the name; names of one zone are mostly answered by the same servers, so they fail together.
    """

    scope: Scope = "public"
    named: bool = False
    assumed: bool = False
    zone: str = ""


def reach_of(address: str) -> Reach:
    """The reach of `https://host/path`, `host:port`, `[::1]:53`, `host`; public if it cannot be told.

    Of a name nothing is known before it was looked up, except that `localhost` is this machine.
    """
    host = _host_of(address.strip())
    if host == "localhost" or host.endswith(".localhost"):
        return Reach("loopback")
    scope = scope_of(host)
    if scope is not None:
        return Reach(scope)
    return Reach("public", named=True, assumed=True, zone=".".join(host.rstrip(".").split(".")[-2:]))


def scope_of(ip: str) -> Scope | None:
    """The scope of an address; None if the text is a name."""
    try:
        address = ipaddress.ip_address(ip.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    if address.is_loopback or address.is_unspecified:
        return "loopback"
    return "private" if address.is_private or address.is_link_local else "public"


def learned(reach: Reach, address: object) -> Reach:
    """The reach of a name after a check was answered from `address`, with or without a port."""
    scope = scope_of(_host_of(address)) if reach.assumed and isinstance(address, str) else None
    if scope is None:
        return reach
    return Reach(scope, named=True, zone="" if scope == "loopback" else reach.zone)


def _host_of(address: str) -> str:
    text = address
    if "://" in address:
        try:
            return (urlsplit(address).hostname or "").lower()
        except ValueError:
            return ""
    if text.startswith("["):
        return text[1:].partition("]")[0].lower()
    if text.count(":") == 1:
        text = text.partition(":")[0]
    return text.partition("/")[0].lower()
