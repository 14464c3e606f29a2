"""Which addresses checks and channels may connect to.

Whoever may declare a target could otherwise make this machine fetch its cloud credentials (metadata services)
or reach what only the machine itself should. The decision is about the address that is really connected, so
neither a redirect nor a name that changes its address gets past it.

Metadata services: AWS, Azure, Google and most others 169.254.169.254, AWS tasks 169.254.170.2, AWS over IPv6
fd00:ec2::254, Google over IPv6 fd20:ce::254, Alibaba 100.100.100.200, Oracle 192.0.0.192, Azure's wire server
168.63.129.16.
"""

from __future__ import annotations

import socket
import time
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

from mainstay.kernel.diagnostics import did_you_mean
from mainstay.kernel.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable
    from ipaddress import IPv4Network

Address = IPv4Address | IPv6Address
Network = "IPv4Network | IPv6Network"

_NAMES = ("self", "link-local", "metadata")
_METADATA = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",
        "169.254.170.2",
        "fd00:ec2::254",
        "fd20:ce::254",
        "100.100.100.200",
        "192.0.0.192",
        "168.63.129.16",
    )
)
_THIS_NETWORK = ip_network("0.0.0.0/8")  # a connection to it reaches the machine itself
_COMPATIBLE = IPv6Network("::/96")  # RFC 4291 section 2.5.5.1
_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))  # RFC 6052, RFC 8215
_FRESH = 60.0  # seconds that a decision is kept: the machine's own addresses may change
_KEPT = 10_000


def normalise(address: str) -> Address:
    """The address that packets reach: scope dropped, IPv4 taken out of its IPv6 wrappings. ValueError if none."""
    parsed = ip_address(address.partition("%")[0].strip("[]"))
    return parsed if isinstance(parsed, IPv4Address) else _unwrap(parsed)


def _unwrap(address: IPv6Address) -> Address:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if any(address in network for network in _NAT64) or (address in _COMPATIBLE and int(address) > 1):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_own(address: Address) -> bool:
    """Whether this machine has the address: only then a socket can be bound to it."""
    if address.is_loopback:
        return True
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


@lru_cache(maxsize=64)
def parse_allow(text: str) -> tuple[frozenset[str], tuple[IPv4Network | IPv6Network, ...]]:
    """Names and networks in the setting `probe_allow`; UserError names a bad one."""
    names, networks = set(), []
    for part in (part.strip() for part in text.split(",")):
        if part in _NAMES:
            names.add(part)
        elif part:
            try:
                networks.append(ip_network(part, strict=False))
            except ValueError:
                raise UserError(
                    f"MAINSTAY_PROBE_ALLOW holds `{part[:40]}`, which is neither one of {', '.join(_NAMES)} "
                    "nor a network such as 10.0.0.0/8",
                    hint=did_you_mean(part, _NAMES),
                ) from None
    return frozenset(names), tuple(networks)


class Guard:
    """The decision, kept for a minute per address: a check costs one dictionary look-up."""

    def __init__(
        self,
        allowed: frozenset[str] = frozenset({"self"}),
        networks: tuple[IPv4Network | IPv6Network, ...] = (),
        *,
        own: Callable[[Address], bool] = is_own,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._allowed = allowed
        self._networks = networks
        self._own = own
        self._monotonic = monotonic
        self._kept: dict[str, str] = {}
        self._forget_at = 0.0

    @classmethod
    def from_settings(cls, probe_allow: str) -> Guard:
        """UserError if the setting is wrong."""
        return cls(*parse_allow(probe_allow))

    def refuses(self, address: str) -> str:
        """Empty if the address may be connected to, else the reason for a person."""
        now = self._monotonic()
        if now >= self._forget_at or len(self._kept) > _KEPT:
            self._kept.clear()
            self._forget_at = now + _FRESH
        reason = self._kept.get(address)
        if reason is None:
            reason = self._kept[address] = self._decide(address)
        return reason

    def _decide(self, address: str) -> str:
        try:
            target = normalise(address)
        except ValueError:
            return f"{address[:60]} is not an address"
        if any(target.version == network.version and target in network for network in self._networks):
            return ""
        kind, what = self._classify(target)
        if not what or kind in self._allowed:
            return ""
        hint = f"; MAINSTAY_PROBE_ALLOW with `{kind}` allows it" if kind else ""
        return f"{address} is {what}, which is not allowed{hint}"

    def _classify(self, target: Address) -> tuple[str, str]:
        """(name that allows it, what it is); both empty for an address that is open to all."""
        if target in _METADATA:
            return "metadata", "a metadata service"
        if target.is_unspecified or target in _THIS_NETWORK:
            return "", "not the address of a host"
        if target.is_multicast or target == IPv4Address("255.255.255.255"):
            return "", "a multicast or broadcast address"
        if target.is_link_local:
            return "link-local", "a link-local address"
        if "self" not in self._allowed and self._own(target):
            return "self", "an address of this machine"
        return "", ""
