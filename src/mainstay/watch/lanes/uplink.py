"""A look at this machine's own network: its routes, the uplink targets and the name resolver."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from mainstay.kernel.clock import Clock
from mainstay.watch.board import Board
from mainstay.watch.uplink import Change, Evidence, Part, Routes, routes_from

LOST_POLL = 2.0  # seconds between looks while something is lost
LEARN_POLL = 20.0  # ... while it is not known which targets can be reached at all
IDLE_POLL = 600.0
KEEP_EVERY = 3600.0
_PATIENCE = 2.0  # seconds for a connection or an answer
_GRACE = 0.2  # seconds the others still have once one has answered


class Look(Protocol):
    async def __call__(self, *, resolver: bool) -> Evidence:
        """What there is to see now; `resolver`: ask the name resolver too."""


class Guard:
    """Decides when to look, and tells the board. In calm times it sleeps once every target was reached."""

    def __init__(self, board: Board, look: Look, targets: Sequence[str], clock: Clock) -> None:
        self._board, self._look, self._targets, self._clock = board, look, targets, clock
        self._asked = asyncio.Event()
        self._resolver = False
        self._saved: set[str] = set()
        self._saved_at = 0.0

    def remember(self, lost: dict[Part, Change], reached: set[str]) -> None:
        """What was lost when the program stopped, and which targets could be reached lately."""
        uplink = self._board.uplink
        uplink.counted = reached & set(self._targets)
        uplink.lost, uplink.private_lost = dict(lost), "network" in lost

    def to_save(self, now: float) -> set[str] | None:
        """The reachable targets if that is news worth keeping, once an hour at least."""
        counted = self._board.uplink.counted
        if "network" in self._board.uplink.lost:
            return None
        if counted == self._saved and abs(now - self._saved_at) < KEEP_EVERY:
            return None
        self._saved, self._saved_at = set(counted), now
        return self._saved

    def ask(self, *, resolver: bool) -> None:
        self._resolver = self._resolver or resolver
        self._asked.set()

    async def turn(self) -> None:
        """Wait for a reason to look, look, and tell the board what it means."""
        uplink = self._board.uplink
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._patience()):
                await self._asked.wait()
        self._asked.clear()
        resolver, self._resolver = self._resolver or "resolver" in uplink.lost, False
        began = self._clock.monotonic()
        evidence = Evidence(self._clock.now())  # if the look fails nothing is known, and results are believed
        try:
            evidence = await self._look(resolver=resolver)
        finally:
            self._board.looked(uplink.take(evidence), began, self._clock.now(), resolver=evidence.resolver)

    def learn(self) -> None:
        """Look at once if it is worth knowing which targets can be reached: monitors were declared."""
        if self._learning():
            self._asked.set()

    def _learning(self) -> bool:
        outside = any(entry.reach.scope != "loopback" for entry in self._board.entries.values())
        return outside and not self._board.uplink.counted.issuperset(self._targets)

    def _patience(self) -> float:
        if self._board.uplink.lost:
            return LOST_POLL
        return LEARN_POLL if self._learning() else IDLE_POLL


def targets_of(setting: str) -> list[str]:
    """`host:port` pairs, comma-separated."""
    return [target.strip() for target in setting.split(",") if target.strip()]


class MachineLook:
    def __init__(self, targets: Sequence[str], clock: Clock) -> None:
        """targets: `host:port` each."""
        self.targets = targets
        self._clock = clock

    async def __call__(self, *, resolver: bool) -> Evidence:
        at = self._clock.now()
        asked = asyncio.create_task(resolver_answers()) if resolver else None
        targets = await reachable(self.targets)
        return Evidence(at, read_routes(), targets, await asked if asked is not None else None)


def read_routes() -> Routes:
    """The routes of this machine; nothing is known where there is no /proc."""
    texts = []
    for path in ("/proc/net/route", "/proc/net/ipv6_route"):
        try:
            texts.append(Path(path).read_text())
        except OSError:
            texts.append("")
    return routes_from(*texts)


async def reachable(targets: Sequence[str]) -> dict[str, bool]:
    """Which targets take a TCP connection. Once one has, the others have a moment; who is late is left out."""
    tasks = {target: asyncio.create_task(_connects(target)) for target in targets}
    pending = set(tasks.values())
    while pending and not any(task.done() and task.result() for task in tasks.values()):
        _done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
    if pending:
        await asyncio.wait(pending, timeout=_GRACE)
    late = [task for task in tasks.values() if not task.done()]
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    return {target: task.result() for target, task in tasks.items() if task not in late}


async def _connects(target: str) -> bool:
    host, _, port = target.rpartition(":")
    try:
        async with asyncio.timeout(_PATIENCE):
            _reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except (OSError, ValueError, OverflowError):
        return False
    writer.close()
    return True


async def resolver_answers(servers: Iterable[tuple[str, int]] | None = None) -> bool | None:
    """Whether any of the system's name servers answers a question about the root; None if it has none to ask."""
    import dns.resolver

    if servers is None:
        try:
            system = dns.resolver.Resolver()
        except dns.resolver.NoResolverConfiguration:
            return None
        servers = [(str(server), system.port) for server in system.nameservers]
    tasks = [asyncio.create_task(_answers(host, port)) for host, port in servers]
    if not tasks:
        return None
    for finished in asyncio.as_completed(tasks):
        if await finished:
            break
    answered = any(task.done() and task.result() for task in tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return answered


async def _answers(host: str, port: int) -> bool:
    import dns.asyncquery
    import dns.exception
    import dns.message
    import dns.rcode

    query = dns.message.make_query(".", "NS")
    # A name server is asked at most twice: one lost datagram is no dead resolver.
    for _ in range(2):
        try:
            reply = await dns.asyncquery.udp(query, host, timeout=_PATIENCE / 2, port=port, ignore_unexpected=True)
        except (OSError, dns.exception.DNSException):
            continue
        return reply.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)
    return False
