"""Who sent a request: the peer's address, or what a trusted proxy says of it."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from functools import lru_cache

from starlette.types import Scope

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_networks(text: str) -> tuple[Network, ...]:
    """Addresses and networks of a comma-separated setting; ValueError names the one that is neither."""
    return tuple(ipaddress.ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())


class Proxies:
    """Believes X-Forwarded-For and X-Forwarded-Proto of trusted peers only, from the nearest hop outwards."""

    def __init__(self, trusted: str) -> None:
        self._networks = parse_networks(trusted)
        self._trusts = lru_cache(maxsize=1024)(self._look_up)

    def trusts(self, peer: str) -> bool:
        """Whether this peer is a declared proxy, whose word on the client's address counts."""
        return bool(self._networks) and self._trusts(peer)

    def origin(self, peer: str, scheme: str, headers: Mapping[bytes, bytes]) -> tuple[str, str]:
        """(address, scheme) of the client. The address is empty if there is none that can be believed."""
        if not self._networks or not self._trusts(peer):
            return peer, scheme
        address = peer
        for hop in reversed(headers.get(b"x-forwarded-for", b"").decode("latin-1").split(",")[-20:]):
            found = _address(hop.strip())
            if not found:
                break
            address = found
            if not self._trusts(found):
                break
        said = headers.get(b"x-forwarded-proto", b"").decode("latin-1").split(",")[0].strip().lower()
        return address, said if said in ("http", "https") else scheme

    def _look_up(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)


def client_address(scope: Scope, trusted: str) -> str:
    """The address of an ASGI request's client; empty if it came through a proxy that is not `trusted`."""
    peer = scope["client"][0] if scope.get("client") else ""
    headers = dict(scope["headers"])
    proxies = _proxies(trusted)
    if b"x-forwarded-for" in headers and not proxies.trusts(peer):
        return ""
    return proxies.origin(peer, "", headers)[0]


@lru_cache(maxsize=8)
def _proxies(trusted: str) -> Proxies:
    return Proxies(trusted)


def _address(hop: str) -> str:
    """The address of `1.2.3.4`, `1.2.3.4:567`, `::1` or `[::1]:567`; empty for anything else."""
    if hop.startswith("["):
        hop = hop[1:].partition("]")[0]
    elif hop.count(":") == 1:
        hop = hop.partition(":")[0]
    try:
        return str(ipaddress.ip_address(hop))
    except ValueError:
        return ""


def network_of(address: str) -> str:
    """What counts as one client: an IPv4 address, or the /64 of an IPv6 one, all of which its host may use. Empty
    for this machine itself."""
    if ":" in address:
        return _network6(address)
    return "" if address.startswith("127.") else address[:60]


@lru_cache(maxsize=8192)
def _network6(address: str) -> str:
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address[:60]
    if parsed.ipv4_mapped is not None:
        return network_of(str(parsed.ipv4_mapped))
    return "" if parsed.is_loopback else parsed.packed[:8].hex()
