"""Names to addresses by the system's resolver, in threads of its own, with results that say who failed.

A name server that does not answer keeps a thread for many seconds. Lookups of one name share one thread, and
there are enough threads that one silent zone does not hold up the others.
"""

from __future__ import annotations

import asyncio
import queue
import socket
import threading
from ipaddress import ip_address
from typing import TYPE_CHECKING

from mainstay.integrations.idn import ascii_host
from mainstay.kernel.probing import CheckFault

if TYPE_CHECKING:
    from collections.abc import Callable

_THREADS = 64
_NOT_FOUND = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
_Key = tuple[str, int]


def literal(host: str) -> str:
    """The address if the host is one already (brackets of a URL taken off), else the empty string."""
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if bare[:1].isdigit() or ":" in bare:
        try:
            ip_address(bare.partition("%")[0])
        except ValueError:
            return ""
        return bare
    return ""


def system_lookup(host: str, family: int) -> list[str]:
    """Addresses in the order of RFC 6724, as the system's resolver gives them; blocks."""
    found = socket.getaddrinfo(host, None, family, socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Lookup:
    def __init__(self, resolve: Callable[[str, int], list[str]] = system_lookup, *, threads: int = _THREADS) -> None:
        self._resolve = resolve
        self._threads = threads
        self._started = 0
        self._queue: queue.SimpleQueue[tuple[_Key, asyncio.AbstractEventLoop]] = queue.SimpleQueue()
        self._waiting: dict[_Key, list[asyncio.Future[list[str]]]] = {}

    async def addresses(self, host: str, family: int = 0) -> list[str]:
        """CheckFault `lookup.not_found` (down) or `lookup.failed` (unknown: the resolver could not say)."""
        if address := literal(host):
            if family and (family == socket.AF_INET6) != (":" in address):
                raise CheckFault("lookup.not_found", f"{address} is not an address of the wanted IP version")
            return [address]
        try:
            name = ascii_host(host)
        except ValueError as error:
            raise fault(host, UnicodeError(str(error))) from None
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[str]] = loop.create_future()
        key = (name.rstrip(".").lower(), family)
        waiting = self._waiting.setdefault(key, [])
        waiting.append(future)
        if len(waiting) == 1:
            self._queue.put((key, loop))
            self._ensure_thread()
        return await future

    def _ensure_thread(self) -> None:
        if self._started < min(len(self._waiting), self._threads):
            self._started += 1
            # Daemon threads: the process does not wait for a resolver when it leaves.
            threading.Thread(target=self._work, name=f"lookup-{self._started}", daemon=True).start()

    def _work(self) -> None:
        while True:
            key, loop = self._queue.get()
            outcome: list[str] | CheckFault
            try:
                outcome = self._resolve(*key)
            except (OSError, UnicodeError) as error:
                outcome = fault(key[0], error)
            try:
                loop.call_soon_threadsafe(self._settle, key, outcome)
            except RuntimeError:  # the loop has closed: nobody waits any more
                return

    def _settle(self, key: _Key, outcome: list[str] | CheckFault) -> None:
        for future in self._waiting.pop(key, []):
            if future.done():
                continue
            if isinstance(outcome, CheckFault):
                # One each: raising the same exception twice would chain its tracebacks.
                future.set_exception(CheckFault(outcome.code, outcome.message, verdict=outcome.verdict))
            else:
                future.set_result(outcome)


def fault(host: str, error: OSError | UnicodeError) -> CheckFault:
    """What getaddrinfo's error says about the name."""
    if isinstance(error, UnicodeError):
        return CheckFault("lookup.not_found", f"{host[:80]} is not a host name")
    if isinstance(error, socket.gaierror) and error.errno in _NOT_FOUND:
        return CheckFault("lookup.not_found", f"the name {host} does not exist or has no address")
    return CheckFault(
        "lookup.failed", f"the resolver did not answer for {host}: {error.strerror or error}", verdict="unknown"
    )
