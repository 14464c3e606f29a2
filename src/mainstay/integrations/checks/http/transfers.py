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
    from mainstay.kernel.ports import AddressGuard

_IDLE_HANDLES = 256  # kept for reuse; each holds some 10 kB
_EVENTS = 256  # sockets served per wake-up before the loop turns to other work
_IN, _OUT = 1, 4  # EPOLLIN, EPOLLOUT; EPOLLERR (8) and EPOLLHUP (16) come unasked
_WATCH = {pycurl.POLL_IN: _IN, pycurl.POLL_OUT: _OUT, pycurl.POLL_INOUT: _IN | _OUT}
_ACT = {0: 0, _IN: pycurl.CSELECT_IN, _OUT: pycurl.CSELECT_OUT, _IN | _OUT: pycurl.CSELECT_IN | pycurl.CSELECT_OUT}
_FAILED = pycurl.CSELECT_ERR
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


class Setup:
    """Options that requests have in common. Handles are kept by them: setting an option again costs a microsecond.

    `guarded`: sockets go through the address guard. `trusting`: certificates are verified by the file that the
    prober trusts. `once`: the handle remembers something of a run, such as the
    challenge of an authentication, and is used afresh each time.
    """

    __slots__ = ("_hash", "_key", "guarded", "once", "options", "trusting")

    def __init__(self, options: tuple[tuple[int, Any], ...], *, guarded: bool, trusting: bool, once: bool) -> None:
        self.options = options
        self.guarded = guarded
        self.trusting = trusting
        self.once = once
        self._key = (options, guarded, trusting, once)
        self._hash = hash(self._key)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Setup):
            return NotImplemented
        return self is other or (self._hash == other._hash and self._key == other._key)


class Body:
    """Keeps the beginning of a body and stops reading at the limit. Sizes are those after unpacking."""

    __slots__ = ("chunks", "cut", "kept", "limit", "size")

    def __init__(self) -> None:
        self.begin(0, 0)

    def begin(self, kept: int, limit: int) -> None:
        self.chunks: list[bytes] = []
        self.size = 0
        self.kept = kept
        self.limit = limit
        self.cut = False

    def write(self, data: bytes) -> int:
        length = len(data)
        if self.size < self.kept:
            self.chunks.append(data if self.size + length <= self.kept else data[: self.kept - self.size])
        self.size += length
        if self.size > self.limit:
            self.cut = True
            return 0  # libcurl ends the transfer
        return length

    @property
    def start(self) -> bytes:
        return self.chunks[0] if len(self.chunks) == 1 else b"".join(self.chunks)


class Handle:
    """An easy handle with a name cache of its own, so that addresses given to it reach no other transfer."""

    __slots__ = ("_ca_file", "_guard", "body", "curl", "lines", "names", "refused", "setup")

    def __init__(self, guard: AddressGuard, ca_file: str) -> None:
        self._guard = guard
        self._ca_file = ca_file
        self.curl: Any = pycurl.Curl()
        share: Any = pycurl.CurlShare()
        share.setopt(pycurl.SH_SHARE, pycurl.LOCK_DATA_DNS)
        self.curl.setopt(pycurl.SHARE, share)
        self.body = Body()
        self.lines: list[bytes] = []  # of all headers that came
        self.names: list[str] = []  # entries of the name cache to take out before the next run
        self.refused = ""  # why the guard refused an address in this run
        self.setup: Setup | None = None

    def configure(self, setup: Setup) -> None:
        curl = self.curl
        if self.setup is not None:
            curl.reset()
        self.setup = setup
        for option, value in setup.options:
            curl.setopt(option, _as_bytes(value))
        curl.setopt(pycurl.WRITEFUNCTION, self.body.write)
        curl.setopt(pycurl.HEADERFUNCTION, self.lines.append)
        if setup.trusting and self._ca_file:
            curl.setopt(pycurl.CAINFO, self._ca_file)
        if setup.guarded:
            curl.setopt(pycurl.OPENSOCKETFUNCTION, self._open_socket)

    def cookies(self) -> list[bytes]:
        """What servers set and libcurl kept, one line of Netscape's seven columns each."""
        found: list[bytes] = self.curl.getinfo_raw(pycurl.INFO_COOKIELIST)
        return found

    def add_cookies(self, lines: list[bytes]) -> None:
        for line in lines:
            self.curl.setopt(pycurl.COOKIELIST, line)

    def _open_socket(self, _purpose: int, target: Any) -> Any:
        """The socket of a connection, or none where the guard refuses the address that curl is about to connect."""
        host = target.addr[0]
        self.refused = self._guard.refuses(host.decode() if isinstance(host, bytes) else str(host))
        if self.refused:
            return pycurl.SOCKET_BAD
        return _Lent(socket.socket(target.family, target.socktype, target.protocol))


def _as_bytes(value: Any) -> Any:
    """pycurl takes texts of ASCII only; names, passwords and headers go out in UTF-8 (RFC 7617)."""
    if isinstance(value, tuple):
        return [_as_bytes(inner) for inner in value]
    return value.encode() if isinstance(value, str) else value


class Transfers:
    def __init__(self, guard: AddressGuard, ca_file: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._guard = guard
        self._ca_file = ca_file
        self._idle: dict[Setup, list[Handle]] = {}
        self._idle_count = 0
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
        self._act = self._multi.socket_action

    def take(self, setup: Setup) -> Handle:
        """A handle with these options and no others."""
        ready = self._idle.get(setup)
        if ready:
            self._idle_count -= 1
            return ready.pop()
        handle = Handle(self._guard, self._ca_file) if self._idle_count < _IDLE_HANDLES else self._oldest()
        handle.configure(setup)
        return handle

    def fresh(self) -> Handle:
        """A handle that no other request has used; whoever asks for it closes it."""
        return Handle(self._guard, self._ca_file)

    def give(self, handle: Handle) -> None:
        setup = handle.setup
        if setup is None or setup.once:
            handle.curl.close()
            return
        handle.lines.clear()
        handle.refused = ""
        handle.curl.setopt(pycurl.COOKIELIST, "ALL")  # forget them
        self._idle.setdefault(setup, []).append(handle)
        self._idle_count += 1
        if self._idle_count > _IDLE_HANDLES:
            self._oldest().curl.close()

    def _oldest(self) -> Handle:
        """An idle handle of the options that have been known longest."""
        setup, ready = next(iter(self._idle.items()))
        while not ready:
            del self._idle[setup]
            setup, ready = next(iter(self._idle.items()))
        self._idle_count -= 1
        return ready.pop()

    async def perform(self, curl: Any) -> tuple[int, str]:
        """Run the transfer: libcurl's error code (0: it was completed) and text. Cancelling ends the transfer."""
        future: asyncio.Future[tuple[int, str]] = self._loop.create_future()
        self._waiting[curl] = future
        self._multi.add_handle(curl)
        _, running = self._act(pycurl.SOCKET_TIMEOUT, 0)  # begin now, not when the timer that this sets would ring
        if running < len(self._waiting):
            self._collect()
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
        self._act(pycurl.SOCKET_TIMEOUT, 0)
        self._collect()

    def _on_ready(self) -> None:
        act = self._act
        running = 0
        for descriptor, events in self._epoll.poll(0, _EVENTS):
            _, running = act(
                descriptor, _ACT[events & _IN | events & _OUT] | (_FAILED if events & ~(_IN | _OUT) else 0)
            )
        if running < len(self._waiting):
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


class Journey:
    """Requests of one visitor, one after the other: a single handle, whose cookies libcurl keeps between them.

    Each request has a connection of its own all the same. Close it at the end of the run.
    """

    __slots__ = ("_handle", "_transfers")

    def __init__(self, transfers: Transfers) -> None:
        self._transfers = transfers
        self._handle = transfers.fresh()

    def take(self, setup: Setup) -> Handle:
        self._handle.configure(setup)  # what libcurl forgets then, cookies are not part of
        self._handle.curl.setopt(pycurl.COOKIEFILE, "")  # also where no redirects are followed
        return self._handle

    def give(self, handle: Handle) -> None:
        handle.lines.clear()
        handle.refused = ""

    async def perform(self, curl: Any) -> tuple[int, str]:
        return await self._transfers.perform(curl)

    def cookies(self) -> dict[str, str]:
        """Name -> value of every cookie that is kept now."""
        lines = (line.decode("utf-8", "replace").split("\t") for line in self._handle.cookies())
        return {fields[5]: fields[6] for fields in lines if len(fields) >= 7}

    def close(self) -> None:
        self._handle.curl.close()
