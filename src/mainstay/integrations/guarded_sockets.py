"""Libraries that connect by themselves, held to the address guard.

Within `guarded`, each connection that Python code opens is looked at where the operating system is asked for it (the
audit events of PEP 578): by then the name has been looked up, so what is judged is what is connected to, after
redirects and whatever the name answers the next time. It holds for threads that inherit the context. Connections of
C libraries (libcurl has its own guard) and what a proxy of the environment does are not seen.
"""

from __future__ import annotations

import socket
import sys
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mainstay.integrations.lookup import literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mainstay.kernel.ports import AddressGuard

_EVENTS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_INTERNET = (socket.AF_INET, socket.AF_INET6)
_lock = threading.Lock()
_installed = threading.Event()


class AddressRefused(OSError):
    """The guard does not let this connection be made; the message says why."""


@dataclass(slots=True)
class Watch:
    """`refusal`: why a connection was refused last; libraries may have turned the error into one of their own."""

    guard: AddressGuard
    refusal: str = ""


_watch: ContextVar[Watch | None] = ContextVar("guarded_sockets", default=None)


@contextmanager
def guarded(guard: AddressGuard) -> Iterator[Watch]:
    """Refuse connections to addresses that the guard does not let through, with AddressRefused."""
    _install()
    watch = Watch(guard)
    token = _watch.set(watch)
    try:
        yield watch
    finally:
        _watch.reset(token)


def _install() -> None:
    """Once, when it is needed first: an audit hook cannot be taken away."""
    with _lock:
        if not _installed.is_set():
            sys.addaudithook(_look)
            _installed.set()


def _look(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in _EVENTS:
        return
    watch = _watch.get()
    if watch is None:
        return
    connection, address = arguments[0], arguments[-1]
    if address is None or connection.family not in _INTERNET:
        return
    for ip in _addresses(str(address[0]), connection.family):
        if reason := watch.guard.refuses(ip):
            watch.refusal = reason
            raise AddressRefused(reason)


def _addresses(host: str, family: int) -> list[str]:
    """The host if it is an address already, else all that it may stand for."""
    if found := literal(host):
        return [found]
    return [str(row[4][0]) for row in socket.getaddrinfo(host, None, family)]
