"""How many connections the web server holds at once: below the limit of open files, and no more for one network.

When there are too many, the connection that has waited longest without a request under way gives way: of the same
network first. Only where all are at work is a new one turned away. This machine and declared proxies have no limit
of their own, since all visitors of a proxy come from its address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mainstay.frames.addresses import Proxies, network_of

if TYPE_CHECKING:
    import asyncio

RESERVE = 512  # open files for databases, probers, deliveries and everything else
TOTAL = 10_000
EACH = 250  # of one network
_LEAST = 64


def room(files: int) -> int:
    """Connections that fit beside everything else into this many open files."""
    return min(TOTAL, max(_LEAST, files - RESERVE))


class Crowd:
    """Everything on the event loop. Connections are known by their transports, which outlive a change of protocol."""

    def __init__(self, proxies: Proxies, total: int = TOTAL, each: int = EACH) -> None:
        self._proxies, self._total, self._each = proxies, total, each
        self._idle: dict[asyncio.Transport, None] = {}  # who has waited longest comes first
        self._networks: dict[asyncio.Transport, str] = {}
        self._of: dict[str, dict[asyncio.Transport, None]] = {}

    def __len__(self) -> int:
        return len(self._networks)

    def come(self, transport: asyncio.Transport, peer: str) -> bool:
        """Take one in, idle at first; False if there is no room for it."""
        network = "" if self._proxies.trusts(peer) else network_of(peer)
        own = self._of.get(network, {})
        if network and len(own) >= self._each and not self._make_room(own):
            return False
        if len(self._networks) >= self._total and not self._make_room(self._idle):
            return False
        self._networks[transport] = network
        self._of.setdefault(network, {})[transport] = None
        self._idle[transport] = None
        return True

    def work(self, transport: asyncio.Transport) -> None:
        """A request has begun."""
        self._idle.pop(transport, None)

    def rest(self, transport: asyncio.Transport) -> None:
        """Its request is answered."""
        if transport in self._networks:
            self._idle[transport] = None

    def leave(self, transport: asyncio.Transport) -> None:
        self._idle.pop(transport, None)
        network = self._networks.pop(transport, None)
        if network is not None:
            own = self._of[network]
            del own[transport]
            if not own:
                del self._of[network]

    def _make_room(self, among: dict[asyncio.Transport, None]) -> bool:
        oldest = next((one for one in among if one in self._idle), None)
        if oldest is None:
            return False
        self.leave(oldest)
        oldest.abort()
        return True
