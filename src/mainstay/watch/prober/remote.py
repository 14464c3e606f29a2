"""`mainstay probe --join`: runs checks at another place, for one server or for each node of one.

It only connects outwards. Of each server it has an engine with the orders that this server gave it; an order that
another one gives later is taken away from the first. Orders are held in memory and nowhere else, and forgotten when
the token is refused. While a link is down the checks go on, and their results wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import signal
import sys
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, assert_never

import msgspec
from msgspec.structs import replace
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from mainstay import __version__
from mainstay.kernel.errors import UserError
from mainstay.kernel.ids import new_id
from mainstay.kernel.probing import (
    Assign,
    ClockAsk,
    ClockTold,
    Configure,
    Hello,
    Received,
    Recheck,
    Stop,
    ToRemote,
    Vitals,
    Welcome,
    Withdraw,
)
from mainstay.kernel.wording import counted
from mainstay.watch.prober.buffer import Buffer
from mainstay.watch.prober.clock_offset import ClockOffset
from mainstay.watch.prober.descriptors import raise_descriptor_limit
from mainstay.watch.prober.engine import Engine

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence

_FRAME_LIMIT = 32 * 1024 * 1024  # bytes of one message of a server
_GATHER = 0.03  # seconds that a result may wait for others
_PATIENCE = 10.0  # seconds for a connection and for the server's first word
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 15.0  # seconds before the next attempt
_REFUSED_PAUSE = 8.0  # ... after the token or the location was refused
_STEADY = 30.0  # seconds of a link after which the next attempt is the first again
_BURST, _BURST_PAUSE = 8, 0.05  # exchanges about the clock at once, and the seconds between them
_CLOCK_EVERY = 15.0
_STEP_EVERY = 1.0
_FAREWELL = 2.0  # seconds for what still waits when it is told to leave
_GOODBYE = {4403: "the token is no longer valid for it", 4404: "the location is no longer declared"}

_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[ToRemote] = msgspec.msgpack.Decoder(ToRemote)


@dataclass(frozen=True, slots=True)
class Server:
    """Where to join: a ws:// or wss:// address, and how to trust it."""

    address: str
    tls: ssl.SSLContext | None
    loopback: bool


@dataclass(frozen=True, slots=True)
class Options:
    """`token` is asked before each attempt, so that a file may be replaced; `fixed`: it stays what it is."""

    servers: Sequence[Server]
    location: str
    token: Callable[[], str]
    configure: Configure
    kept: int
    fixed: bool = False


class _Dial(connect):
    """A redirect is an error: nobody else is told the token."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


def say(text: str) -> None:
    """One line for whoever reads the log."""
    sys.stderr.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {text}\n")
    sys.stderr.flush()


def run(options: Options) -> None:
    """Until SIGTERM or SIGINT. Ends the process."""
    raise_descriptor_limit()
    try:
        import uvloop
    except ModuleNotFoundError:
        asyncio.run(_serve(options))
    else:
        uvloop.run(_serve(options))
    # Threads that wait for a silent name server would hold up an ordinary exit.
    sys.stderr.flush()
    os._exit(0)


async def _serve(options: Options) -> None:
    instance = new_id()
    homes: list[Home] = []
    homes += [Home(server, options, instance, homes) for server in options.servers]
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    tasks = [asyncio.create_task(home.run()) for home in homes]
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((stopping, *tasks), return_when=asyncio.FIRST_COMPLETED)
    say("stopping")
    await asyncio.gather(*(home.leave() for home in homes))
    for task in (*tasks, stopping):
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome


class Home:
    """One server: the link to it, the orders it gave, and the results that wait for it. The outlet of its engine."""

    full = False

    def __init__(self, server: Server, options: Options, instance: str, homes: Sequence[Home]) -> None:
        self._server, self._options, self._homes = server, options, homes
        self._hello = Hello(__version__, options.location, instance, os.getpid())
        self._news = asyncio.Event()
        self._left = asyncio.Event()
        self._orders: set[str] = set()
        self._link: ClientConnection | None = None
        self._writing: set[asyncio.Task[None]] = set()
        self._buffer = Buffer(self._news.set, kept=options.kept)
        self._clock = ClockOffset()
        self._engine = Engine(lambda: None, outlet=self, results=self._buffer)
        self._engine.hear(options.configure)

    # -- the engine's outlet --

    def send(self, frame: Any) -> None:
        """Vitals; what an engine of a server at home would say besides is nobody's business here."""
        if isinstance(frame, Vitals) and self._link is not None:
            told = replace(
                frame,
                dropped=self._buffer.dropped,
                waiting=self._buffer.waiting,
                offset=self._clock.offset,
                round_trip=self._clock.round_trip,
            )
            self._write(told)

    def close(self) -> None:
        self._left.set()

    # -- life --

    async def run(self) -> None:
        self._engine.begin()
        watching = asyncio.create_task(self._watch_clock())
        try:
            attempts = 0
            while True:
                began = time.monotonic()
                pause = await self._attempt()
                attempts = 0 if time.monotonic() - began > _STEADY else attempts + 1
                longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(attempts, 10))
                await asyncio.sleep(max(pause, longest) * random.uniform(0.5, 1.0))  # noqa: S311  spreads, hides nothing
        finally:
            watching.cancel()

    async def leave(self) -> None:
        """End the checks, hand over what there is, and end the link, within a few seconds."""
        self._engine.hear(Stop())
        await self._left.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL):
                if self._link is not None:
                    await self._buffer.empty()
                if self._link is not None:
                    await self._link.close()

    async def _attempt(self) -> float:
        """One link from its beginning to its end; seconds that the next one must wait at least."""
        address, why, pause = self._server.address, "the link ended", 0.0
        try:
            async with self._dial() as link:
                await self._talk(link)
        except InvalidStatus as refusal:
            status, words = refusal.response.status_code, refusal.response.body or b""
            why = f"the server answered {status}: {words[:200].decode('utf-8', 'replace')}"
            if status in (401, 403) and self._options.fixed:
                raise UserError(
                    f"{address}: {why}",
                    hint="make a token with `mainstay locations token NAME`, or give --token-file, which is read again",
                ) from None
            if status in (401, 403, 404):
                pause = _REFUSED_PAUSE
                self._forget()
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd is not None else 1006
            why = f"the link ended with {code}: {_GOODBYE.get(code) or (closed.rcvd.reason if closed.rcvd else 'cut')}"
            if code in _GOODBYE:
                pause = 2.0
                self._forget()
        except (OSError, TimeoutError, InvalidHandshake, msgspec.MsgspecError) as error:
            why = str(error) or type(error).__name__
        say(f"{address}: {why}; results waiting: {self._buffer.waiting}")
        return pause

    def _dial(self) -> connect:
        return _Dial(
            self._server.address,
            ssl=self._server.tls,
            additional_headers={"Authorization": f"Bearer {self._options.token()}"},
            user_agent_header=f"mainstay-probe/{__version__}",
            compression=None,
            proxy=None if self._server.loopback else True,
            open_timeout=_PATIENCE,
            ping_interval=5.0,
            ping_timeout=10.0,
            close_timeout=1.0,
            max_size=_FRAME_LIMIT,
        )

    async def _talk(self, link: ClientConnection) -> None:
        await link.send(_ENCODER.encode(self._hello))
        async with asyncio.timeout(_PATIENCE):
            welcome = _DECODER.decode(await link.recv(decode=False))
        if not isinstance(welcome, Welcome):
            raise msgspec.ValidationError("the server's first message is not a welcome")
        say(f"{self._server.address}: joined as {self._options.location}, {counted(len(welcome.uids), 'check')}")
        self._take_orders(welcome)
        for data in self._buffer.unconfirmed(self._clock.offset):
            await link.send(data)
        self._link = link
        self._news.set()
        tasks = [asyncio.create_task(job) for job in (self._read(link), self._pump(link), self._ask_clock(link))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._link = None
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    # -- what the server says --

    async def _read(self, link: ClientConnection) -> None:
        while True:
            self._hear(_DECODER.decode(await link.recv(decode=False)))

    def _hear(self, frame: ToRemote) -> None:
        match frame:
            case Assign():
                uids = [order.uid for order in frame.orders]
                for other in self._homes:
                    if other is not self:
                        other.hand_over(uids)
                self._orders.update(uids)
                self._engine.hear(frame)
            case Withdraw():
                self.hand_over(frame.uids)
            case Recheck():
                self._engine.hear(frame)
            case Received():
                self._buffer.confirmed(frame.number)
                self._news.set()
            case ClockTold():
                self._clock.measured(frame.sent, frame.at, time.time(), time.monotonic())
            case Welcome():
                self._take_orders(frame)
            case _:
                assert_never(frame)

    def _take_orders(self, welcome: Welcome) -> None:
        """Whatever is not ordered any more ends; the orders themselves follow."""
        self._buffer.confirmed(welcome.received)
        self.hand_over(list(self._orders - set(welcome.uids)))

    def hand_over(self, uids: list[str]) -> None:
        """These are not ordered by this server any more."""
        gone = [uid for uid in uids if uid in self._orders]
        if gone:
            self._orders.difference_update(gone)
            self._engine.hear(Withdraw(gone))

    def _forget(self) -> None:
        """The server has nothing to say here any more: no order, no secret and no result is kept."""
        self.hand_over(list(self._orders))
        self._buffer.clear()

    # -- what is said to the server --

    async def _pump(self, link: ClientConnection) -> None:
        while True:
            await self._news.wait()
            await asyncio.sleep(_GATHER)
            self._news.clear()
            while (data := self._buffer.next_batch(self._clock.offset)) is not None:
                await link.send(data)

    def _write(self, frame: Any) -> None:
        link = self._link
        if link is None or len(self._writing) > 10:
            return  # the link does not take what it has; the next vitals tell more
        task = asyncio.create_task(link.send(_ENCODER.encode(frame)))
        self._writing.add(task)
        task.add_done_callback(partial(_written, self._writing))

    # -- the clock --

    async def _ask_clock(self, link: ClientConnection) -> None:
        while True:
            for _ in range(_BURST):
                await link.send(_ENCODER.encode(ClockAsk(time.time())))
                await asyncio.sleep(_BURST_PAUSE)
            await asyncio.sleep(_CLOCK_EVERY)

    async def _watch_clock(self) -> None:
        """When this machine's clock is set, the results that wait are set with it."""
        while True:
            seconds = self._clock.stepped(time.time(), time.monotonic())
            if seconds:
                say(f"this machine's clock was set by {seconds:+.3f} s")
                self._buffer.shift(seconds)
            await asyncio.sleep(_STEP_EVERY)


def _written(writing: set[asyncio.Task[None]], task: asyncio.Task[None]) -> None:
    """A link that has ended is told by what reads from it."""
    writing.discard(task)
    if not task.cancelled() and not isinstance(error := task.exception(), ConnectionClosed | None):
        say(f"could not report this prober's status to the server: {type(error).__name__}")
