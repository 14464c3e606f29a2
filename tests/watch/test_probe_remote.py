"""A prober elsewhere against servers that tests play: what it sends again, what it forgets, whom it trusts."""

from __future__ import annotations

import asyncio
import http
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trustme
from websockets.asyncio.server import ServerConnection, serve

from mainstay.kernel.probing import (
    Assign,
    Batch,
    CheckOrder,
    ClockAsk,
    ClockTold,
    Configure,
    FromRemote,
    Hello,
    Received,
    Vitals,
    Welcome,
    Withdraw,
)
from mainstay.watch.probe_command import _server
from mainstay.watch.prober import remote
from mainstay.watch.prober.remote import Home, Options

_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[FromRemote] = msgspec.msgpack.Decoder(FromRemote)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_FIRST_PAUSE", 0.02)
    monkeypatch.setattr(remote, "_LONGEST_PAUSE", 0.1)
    monkeypatch.setattr(remote, "_REFUSED_PAUSE", 0.05)


class Played:
    """A server of a test: the frames that came, by connection, and what it says."""

    def __init__(self, skew: float = 0.0) -> None:
        self.heard: list[list[FromRemote]] = []
        self.tokens: list[str] = []
        self.status = 0  # refuse with this
        self.received = 0  # what a welcome says; batches are confirmed only if `confirms`
        self.confirms = True
        self.uids: list[str] = []
        self.skew = skew
        self.port = 0
        self.links: list[ServerConnection] = []

    async def _meet(self, link: ServerConnection) -> None:
        frames: list[FromRemote] = []
        self.heard.append(frames)
        self.links.append(link)
        async for data in link:
            frame = _DECODER.decode(data)  # type: ignore[arg-type]  # binary
            frames.append(frame)
            if isinstance(frame, Hello):
                await self.say(Welcome("0", self.received, self.uids), link)
            elif isinstance(frame, ClockAsk):
                await self.say(ClockTold(frame.sent, time.time() + self.skew), link)
            elif isinstance(frame, Batch) and self.confirms:
                await self.say(Received(frame.number), link)

    async def say(self, frame: Any, link: ServerConnection | None = None) -> None:
        await (link or self.links[-1]).send(_ENCODER.encode(frame))

    def of(self, kind: type, connection: int = -1) -> list[Any]:
        return [frame for frame in self.heard[connection] if isinstance(frame, kind)] if self.heard else []

    @asynccontextmanager
    async def serving(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[Played]:
        def door(link: ServerConnection, request: Any) -> Any:
            self.tokens.append(request.headers.get("Authorization", ""))
            if self.status:
                return link.respond(http.HTTPStatus(self.status), "no")
            return None

        async with serve(self._meet, "127.0.0.1", 0, ssl=tls, process_request=door, max_size=8 * 1024 * 1024) as server:
            self.port = next(iter(server.sockets)).getsockname()[1]
            yield self


def options(
    *servers: Played, scheme: str = "http", ca_file: str = "", token: Callable[[], str] = lambda: "t"
) -> Options:
    urls = [f"{scheme}://127.0.0.1:{played.port}" for played in servers]
    found = [_server(url, "fra", ca_file, insecure=False) for url in urls]
    return Options(found, "fra", token, Configure("self"), 1_000)


@asynccontextmanager
async def probing(made: Options) -> AsyncIterator[list[Home]]:
    homes: list[Home] = []
    homes += [Home(server, made, "one", homes) for server in made.servers]
    tasks = [asyncio.create_task(home.run()) for home in homes]
    try:
        yield homes
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition: Callable[[], Any], what: str = "") -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, what or "what was waited for did not happen"
        await asyncio.sleep(0.01)


def order(uid: str, port: int) -> CheckOrder:
    target = {"target": {"address": f"127.0.0.1:{port}"}, "expect": {}}
    return CheckOrder(uid=uid, kind="tcp", interval=0.2, timeout=1.0, options=target)


def run(test: Awaitable[None]) -> None:
    async def main() -> None:
        await test

    asyncio.run(main())


def test_what_was_not_confirmed_is_sent_again_under_its_number() -> None:
    async def main() -> None:
        async with Played(skew=60.0).serving() as server, probing(options(server)) as (home,):
            server.confirms = False
            await until(lambda: server.of(Hello))
            await server.say(Assign([order("a", server.port)]))
            await until(lambda: len(server.of(Batch)) >= 2, "results come")
            first = server.of(Batch)
            assert [batch.number for batch in first[:2]] == [1, 2]
            await until(lambda: abs(server.of(Batch)[-1].offset - 60.0) < 0.5, "the offset is measured")
            server.uids, server.received, server.confirms = ["a"], 1, True
            await server.links[-1].close(1012)
            await until(lambda: len(server.heard) == 2 and server.of(Batch), "it comes back")
            again = server.of(Batch)
            assert again[0].number == 2
            assert again[0].results[0].at == first[1].results[0].at
            await until(lambda: home._buffer.waiting == 0, "all is confirmed")
            assert [frame.instance for frame in (server.of(Hello, 0) + server.of(Hello, 1))] == ["one", "one"]

    run(main())


def test_an_order_belongs_to_the_server_that_gave_it_last() -> None:
    async def main() -> None:
        async with (
            Played().serving() as first,
            Played().serving() as second,
            probing(options(first, second)),
        ):
            await until(lambda: first.of(Hello) and second.of(Hello))
            await first.say(Assign([order("a", first.port), order("b", first.port)]))
            await until(lambda: {one.uid for batch in first.of(Batch) for one in batch.results} == {"a", "b"})
            await second.say(Assign([order("a", first.port)]))
            await until(lambda: second.of(Batch), "the results go to the server that asked last")
            await first.say(Withdraw(["a"]))  # which means nothing any more
            sent = len(first.of(Batch))
            before = len(second.of(Batch))
            await until(lambda: len(second.of(Batch)) > before + 2)
            later = [one.uid for batch in first.of(Batch)[sent:] for one in batch.results]
            assert set(later) <= {"b"}
            await until(lambda: [played.of(Vitals)[-1:] != [] for played in (first, second)] == [True, True])
            await until(lambda: first.of(Vitals)[-1].assigned == second.of(Vitals)[-1].assigned == 1)

    run(main())


def test_a_refused_prober_forgets_its_orders_and_asks_again_with_a_new_token() -> None:
    async def main() -> None:
        tokens = ["old"]
        async with Played().serving() as server, probing(options(server, token=lambda: tokens[0])) as (home,):
            await until(lambda: server.of(Hello))
            await server.say(Assign([order("a", server.port)]))
            await until(lambda: server.of(Batch))
            server.status = 401
            await server.links[-1].close(4403)
            await until(lambda: len(server.tokens) >= 2)
            await until(lambda: not home._orders and home._engine.vitals().assigned == 0)
            assert home._buffer.waiting == 0
            tokens[0], server.status = "new", 0
            await until(lambda: len(server.heard) == 2)
            assert server.tokens[0] == "Bearer old"
            assert server.tokens[-1] == "Bearer new"

    run(main())


def test_orders_that_the_server_does_not_name_any_more_end() -> None:
    async def main() -> None:
        async with Played().serving() as server, probing(options(server)) as (home,):
            await until(lambda: server.of(Hello))
            await server.say(Assign([order("a", server.port), order("b", server.port)]))
            await until(lambda: home._orders == {"a", "b"})
            server.uids = ["b"]
            await server.links[-1].close(1012)
            await until(lambda: home._orders == {"b"})
            assert set(home._engine._schedule.entries) == {"b"}

    run(main())


def test_certificates_are_verified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    trusted = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(trusted)

    async def main() -> None:
        async with Played().serving(tls) as server:
            async with probing(options(server, scheme="https")):
                await until(lambda: "CERTIFICATE_VERIFY_FAILED" in capsys.readouterr().err, "it is not trusted")
            assert server.tokens == [], "nobody was told the token"
            async with probing(options(server, scheme="https", ca_file=str(trusted))):
                await until(lambda: server.of(Hello), "it is trusted now")

    run(main())


def test_a_server_that_sends_elsewhere_or_speaks_nonsense_is_no_server(capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        async with Played().serving() as other:

            def away(link: ServerConnection, request: Any) -> Any:
                del request
                answer = link.respond(http.HTTPStatus.FOUND, "")
                answer.headers["Location"] = f"ws://127.0.0.1:{other.port}/"
                return answer

            async def babble(link: ServerConnection) -> None:
                await link.send(b"\xc1")
                await link.wait_closed()

            async with serve(babble, "127.0.0.1", 0, process_request=away) as server:
                played = Played()
                played.port = next(iter(server.sockets)).getsockname()[1]
                async with probing(options(played)):
                    await until(lambda: "302" in capsys.readouterr().err)
            assert other.tokens == []
            async with serve(babble, "127.0.0.1", 0) as server:
                played.port = next(iter(server.sockets)).getsockname()[1]
                async with probing(options(played)) as (home,):
                    await until(lambda: "results waiting" in capsys.readouterr().err)
                    assert not home._orders

    run(main())
