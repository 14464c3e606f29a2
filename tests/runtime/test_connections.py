"""Who holds connections open: many that say nothing, slow ones, and those that ask and do not read. Real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn
from django.http import StreamingHttpResponse
from tests.rigs.told import Told

from mainstay.frames.addresses import Proxies
from mainstay.frames.downloads import SLOTS, download
from mainstay.kernel.actor import system
from mainstay.kernel.errors import StoreBusy
from mainstay.runtime import bodies, http_protocol
from mainstay.runtime.crowd import RESERVE, TOTAL, Crowd, room
from mainstay.runtime.http_protocol import protocols
from mainstay.statuspage.serving import wants_gzip
from mainstay.store import journal
from mainstay.store.journal import Filter
from mainstay.store.work import unit_of_work


async def _application(scope: Any, receive: Any, send: Any) -> None:
    """`/` answers once the body is there, `/long` with more than any buffer holds, `/wait` never."""
    while (message := await receive()).get("more_body"):
        pass
    if message["type"] == "http.disconnect":
        return
    if scope["path"] == "/wait":
        await receive()
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(400 if scope["path"] == "/long" else 0):
        await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})
    await send({"type": "http.response.body", "body": b"ok"})


@contextlib.contextmanager
def serving(crowd: Crowd) -> Iterator[int]:
    http, sockets = protocols(crowd)
    config = uvicorn.Config(
        _application, http=http, ws=sockets, lifespan="off", log_config=None, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(20)


def crowd(total: int = TOTAL, each: int = TOTAL) -> Crowd:
    return Crowd(Proxies(""), total, each)


def ask(port: int, path: str = "/") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("POST", path, b"hello")
    status = connection.getresponse().status
    connection.close()
    return status


def _closed(connection: socket.socket) -> bool:
    connection.settimeout(20)
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_many_idle_connections_leave_room_for_a_ping() -> None:
    with serving(crowd(total=100)) as port, contextlib.ExitStack() as open_ones:
        idle = [open_ones.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(300)]
        assert ask(port) == 200
        assert _closed(idle[0]), "who has waited longest gives way"
        idle[-1].sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle[-1].recv(15).startswith(b"HTTP/1.1 200"), "and who has just come stays"


def test_where_all_are_at_work_a_new_one_is_told() -> None:
    found = crowd(total=2)
    with serving(found) as port, contextlib.ExitStack() as open_ones:
        for _ in range(2):
            busy = open_ones.enter_context(socket.create_connection(("127.0.0.1", port)))
            busy.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        _until(lambda: len(found) == 2 and not found._idle)
        late = open_ones.enter_context(socket.create_connection(("127.0.0.1", port)))
        late.settimeout(20)
        assert late.recv(12) == b"HTTP/1.1 503"


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_bodies_that_are_announced_or_held_by_one_network_leave_room_for_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bodies, "HELD_LIMIT", 40)
    site = bodies.WholeBodies(_application, 100)

    async def post(address: str, *parts: bytes) -> int:
        """The status; 0 while more of the body is waited for."""
        headers = [
            (b"content-length", b"100"),
            (b"x-forwarded-for", b"198.51.100.%d" % len(tasks)),
        ]  # believed by nobody
        scope = {"path": "/", "query_string": b"", "client": (address, 1), "headers": headers}
        waiting = [{"type": "http.request", "body": part, "more_body": part != b"."} for part in parts]
        told: list[Any] = []

        async def receive() -> Any:
            return waiting.pop(0) if waiting else await asyncio.Event().wait()

        async def send(message: Any) -> None:
            told.append(message)

        tasks.append(asyncio.create_task(site(scope, receive, send)))
        await asyncio.wait(tasks[-1:], timeout=0.05)
        return int(told[0]["status"]) if told else 0

    tasks: list[asyncio.Task[None]] = []

    async def main() -> None:
        assert [await post("192.0.2.1") for _ in range(5)] == [0] * 5
        assert await post("192.0.2.1", b"x" * 19, b".") == 200
        assert await post("192.0.2.1", b"x" * 20) == 0
        assert await post("192.0.2.1", b".") == 503
        assert await post("198.51.100.1", b".") == 200, "a neighbour has room"
        assert [await post(f"203.0.113.{n}", b"x" * 10) for n in range(3)] == [0, 0, 503], "all together have none"
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert await post("192.0.2.1", b"x" * 19, b".") == 200, "what is gone is not held"

    asyncio.run(main())


def test_slow_heads_slow_bodies_and_who_does_not_read_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HEAD_SECONDS", "BODY_SECONDS", "READ_SECONDS"):
        monkeypatch.setattr(http_protocol, name, 0.5)
    found = crowd()
    with serving(found) as port, contextlib.ExitStack() as open_ones:
        said = (
            b"GET / HTTP/1.1\r\nHost: x\r\nA: ",
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nslow",
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nslow\r\n",
            b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n",
        )
        slow = [open_ones.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in said]
        for connection, words in zip(slow, said, strict=True):
            connection.sendall(words)
        for connection in slow[:3]:
            connection.settimeout(20)
            assert connection.recv(12) == b"HTTP/1.1 408"
        _until(lambda: len(found) == 0)  # also the one who reads nothing
        assert ask(port) == 200


class _Transport:
    aborted = False

    def abort(self) -> None:
        self.aborted = True


def test_one_network_closes_its_own_and_proxies_are_none() -> None:
    found: Any = Crowd(Proxies("198.51.100.0/24"), total=10, each=2)
    first, second, third, other = (_Transport() for _ in range(4))
    assert found.come(first, "2001:db8::1")
    assert found.come(other, "192.0.2.1")
    assert found.come(second, "2001:db8::2")
    found.work(first)
    assert found.come(third, "2001:db8::3"), "the idle one of the same /64 gives way"
    assert (first.aborted, second.aborted, other.aborted) == (False, True, False)
    found.work(third)
    assert not found.come(_Transport(), "2001:db8::4")
    found.rest(first)
    assert found.come(_Transport(), "2001:db8::5")
    assert first.aborted
    assert all(found.come(_Transport(), "198.51.100.7") for _ in range(5))
    assert all(found.come(_Transport(), "127.0.0.1") for _ in range(5))
    assert len(found) == 10


def test_open_files_decide_how_many_fit() -> None:
    assert (room(100), room(1024), room(65_536)) == (64, 1024 - RESERVE, TOTAL)


def _downloads(count: int) -> list[StreamingHttpResponse]:
    return [download(iter([b"x"]), "text/plain", "a b\u00fc.txt") for _ in range(count)]


def test_downloads_leave_threads_for_pages() -> None:
    open_ones = _downloads(SLOTS)
    with pytest.raises(StoreBusy, match="downloads are already running"):
        _downloads(1)
    open_ones[0].close()
    open_ones[0].close()  # also one of which nothing was read, and only once
    (again,) = _downloads(1)
    with pytest.raises(StoreBusy):
        _downloads(1)
    assert b"".join(again.streaming_content) == b"x"
    for response in (*open_ones[1:], again):
        response.close()
    for response in _downloads(SLOTS):
        response.close()


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        (b"", False),
        (b"gzip", True),
        (b"gzip, deflate, br, zstd", True),
        (b"gzip;q=0", False),
        (b"gzip; q=0.0, *", False),
        (b"*;q=0", False),
        (b"*", True),
        (b"deflate, GZIP;Q=0.5", True),
        (b"identity, gzip;q=0.5", False),
        (b"identity;q=0, gzip;q=0.1", True),
        (b"identity;q=0.5, gzip;q=0.6", True),
        (b"br", False),
        (b"notgzip", False),
        (b"gzip;q=oops", False),
    ],
)
def test_what_is_accepted_decides_about_packing(accepted: bytes, packed: bool) -> None:
    assert wants_gzip(accepted) == packed


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("newest_first", [True, False])
def test_a_long_journal_is_read_in_slices(monkeypatch: pytest.MonkeyPatch, newest_first: bool) -> None:
    monkeypatch.setattr(journal, "_SLICE", 3)
    with unit_of_work(system("test")) as work:
        for number in range(10):
            work.record(Told("monitor.went_up", f"monitor/m{number}"))
    found = journal.entries(Filter(kind="monitor.*"), limit=0, newest_first=newest_first)
    names = [next(found).subject]
    with unit_of_work(system("test")) as work:  # nothing holds the table in between
        work.record(Told("monitor.went_up", "monitor/m10"))
    names += [entry.subject for entry in found]
    wanted = [f"monitor/m{number}" for number in range(11)]
    assert names == (wanted[-2::-1] if newest_first else wanted)
