"""Many transfers at once: one libcurl multi handle driven by the event loop, and a pool of easy handles.

libcurl tells which sockets to watch and when to wake it (`socket_action`, see curl_multi_socket_action(3)).
The sockets are watched in an epoll set of our own, and the loop watches that set: one wake-up serves all sockets
that are ready, and adding a socket costs a system call rather than a handle of the loop.
"""

from __future__ import annotations

import asyncio
import select
import socket
from typing import TYPE_CHECKING, Any

import pycurl

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainstay.kernel.ports import AddressGuard

_IDLE_HANDLES = 64  # kept for reuse; each holds some 10 kB
_EVENTS = 256  # sockets served per wake-up before the loop turns to other work
_IN, _OUT = 1, 4  # EPOLLIN, EPOLLOUT; EPOLLERR (8) and EPOLLHUP (16) come unasked
_WATCH = {pycurl.POLL_IN: _IN, pycurl.POLL_OUT: _OUT, pycurl.POLL_INOUT: _IN | _OUT}
_SOONER = 0.001  # seconds; a timer that is this close is not moved


class _Lent:
    """A socket that pycurl duplicates: ours is closed as soon as pycurl lets go of it."""

    __slots__ = ("_socket",)

    def __init__(self, made: socket.socket) -> None:
        self._socket = made

    def fileno(self) -> int:
        return self._socket.fileno()

    def __del__(self) -> None:
        self._socket.close()


class Handle:
    """An easy handle with a name cache of its own, so that addresses given to it reach no other transfer."""

    __slots__ = ("curl", "names", "opener", "refused")

    def __init__(self, guard: AddressGuard) -> None:
        self.curl: Any = pycurl.Curl()
        share: Any = pycurl.CurlShare()
        share.setopt(pycurl.SH_SHARE, pycurl.LOCK_DATA_DNS)
        self.curl.setopt(pycurl.SHARE, share)
        self.names: list[str] = []  # entries of the name cache to take out before the next run
        self.refused = ""
        self.opener = self._opener(guard)

    def _opener(self, guard: AddressGuard) -> Callable[[int, Any], Any]:
        """The socket of a connection, or none where the guard refuses the address that curl is about to connect."""

        def open_socket(_purpose: int, target: Any) -> Any:
            host = target.addr[0]
            address = host.decode() if isinstance(host, bytes) else str(host)
            self.refused = guard.refuses(address)
            if self.refused:
                return pycurl.SOCKET_BAD
            return _Lent(socket.socket(target.family, target.socktype, target.protocol))

        return open_socket


class Transfers:
    def __init__(self, guard: AddressGuard) -> None:
        self._loop = asyncio.get_running_loop()
        self._guard = guard
        self._idle: list[Handle] = []
        self._waiting: dict[Any, asyncio.Future[tuple[int, str]]] = {}
        self._timer: asyncio.Handle | None = None
        self._rings_at = 0.0  # loop time of `_timer`
        self._wake_at = 0.0  # loop time at which curl wants to be called; 0: not at all
        self._sockets: dict[int, int] = {}
        self._epoll = select.epoll()
        self._loop.add_reader(self._epoll.fileno(), self._on_ready)
        self._multi: Any = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)

    def take(self) -> Handle:
        """A handle with every option at its default."""
        if not self._idle:
            return Handle(self._guard)
        return self._idle.pop()

    def give(self, handle: Handle) -> None:
        if len(self._idle) < _IDLE_HANDLES:
            handle.curl.reset()
            self._idle.append(handle)
        else:
            handle.curl.close()

    async def perform(self, curl: Any) -> tuple[int, str]:
        """Run the transfer: libcurl's error code (0: it was completed) and text. Cancelling ends the transfer."""
        future: asyncio.Future[tuple[int, str]] = self._loop.create_future()
        self._waiting[curl] = future
        self._multi.add_handle(curl)
        try:
            return await future
        finally:
            if self._waiting.pop(curl, None) is not None:
                self._multi.remove_handle(curl)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for curl in list(self._waiting):
            self._multi.remove_handle(curl)
        self._waiting.clear()
        self._loop.remove_reader(self._epoll.fileno())
        self._multi.close()
        self._epoll.close()

    def _on_socket(self, event: int, descriptor: int, _multi: Any, _data: Any) -> None:
        if event == pycurl.POLL_REMOVE:
            if self._sockets.pop(descriptor, None) is not None:
                try:
                    self._epoll.unregister(descriptor)
                except OSError:  # closed already, which has taken it out of the set
                    return
        elif descriptor in self._sockets:
            self._epoll.modify(descriptor, _WATCH[event])
        else:
            self._sockets[descriptor] = event
            self._epoll.register(descriptor, _WATCH[event])

    def _on_timer(self, milliseconds: int) -> None:
        """Remember when to call curl. It may not be called from here."""
        if milliseconds < 0:
            self._wake_at = 0.0
            return
        self._wake_at = self._loop.time() + milliseconds / 1000
        if self._timer is not None:
            if self._rings_at <= self._wake_at + _SOONER:
                return  # it will look at `_wake_at` when it rings
            self._timer.cancel()
        self._rings_at = self._wake_at
        self._timer = self._loop.call_later(milliseconds / 1000, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        if not self._wake_at:
            return
        ahead = self._wake_at - self._loop.time()
        if ahead > _SOONER:
            self._rings_at = self._wake_at
            self._timer = self._loop.call_later(ahead, self._on_time)
            return
        self._wake_at = 0.0
        self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        self._collect()

    def _on_ready(self) -> None:
        act = self._multi.socket_action
        for descriptor, events in self._epoll.poll(0, _EVENTS):
            bits = (pycurl.CSELECT_IN if events & _IN else 0) | (pycurl.CSELECT_OUT if events & _OUT else 0)
            act(descriptor, bits | (pycurl.CSELECT_ERR if events & ~(_IN | _OUT) else 0))
        self._collect()

    def _collect(self) -> None:
        left = 1
        while left:
            left, done, failed = self._multi.info_read()
            for curl in done:
                self._finish(curl, 0, "")
            for curl, code, text in failed:
                self._finish(curl, code, text)

    def _finish(self, curl: Any, code: int, text: str) -> None:
        future = self._waiting.pop(curl, None)
        if future is None:
            return
        self._multi.remove_handle(curl)
        if not future.done():
            future.set_result((code, text))
