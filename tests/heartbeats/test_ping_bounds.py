"""What the ping door does with too much, too slow, too broken, and with a database that does not answer."""

from __future__ import annotations

import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.db import connection
from tests.rigs.pinging import Served, heartbeat, serving

from mainstay.frames.boot import current_settings
from mainstay.heartbeats import queries
from mainstay.heartbeats.doors import pings as door


@pytest.fixture
def served(store: None, clock: object) -> Iterator[Served]:
    with serving(clock) as found:
        yield found


@pytest.fixture
def url(served: Served) -> str:
    view = heartbeat("job")
    served.turn()
    return f"/ping/{view.uuid}"


def kept(n: int = 1) -> queries.PingView:
    return queries.ping(queries.heartbeat("job").uid, n)


def test_ten_megabytes_are_taken_and_cut(served: Served, url: str) -> None:
    body = b"0123456789" * 1_000_000
    assert served.client.post(url, content=body).status_code == 200
    assert (kept().body_size, kept().body) == (10_000_000, body[:100_000])
    assert served.app._held == 0


def test_a_chunked_body_without_a_length(served: Served, url: str) -> None:
    assert served.client.post(url, content=(b"a" * 70_000 for _ in range(3))).status_code == 200
    assert (kept().body_size, len(kept().body or b"")) == (210_000, 100_000)


def test_any_bytes_are_kept_as_they_came(served: Served, url: str) -> None:
    body = bytes(range(256))
    agent = b"caf\xe9 \xf0\x9f\x98\x80" + b"x" * 300
    assert served.client.post(url, content=body, headers={"user-agent": agent}).status_code == 200  # type: ignore[dict-item]
    assert kept().body == body
    assert len(kept().user_agent) == 200


def test_an_endless_body_is_refused(served: Served, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "BODY_LIMIT", 1_000_000)
    answer = _send_slowly(served.port, url, b"x" * 65_536, times=40, pause=0.0)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert queries.heartbeat("job").pings == 0
    assert served.app._held == 0


def test_a_slow_body_is_ended(served: Served, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "BODY_SECONDS", 0.5)
    answer = _send_slowly(served.port, url, b"x", times=100, pause=0.05)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert queries.heartbeat("job").pings == 0
    assert served.app._held == 0


def test_a_body_that_breaks_off_records_nothing(served: Served, url: str) -> None:
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        connection.sendall(f"POST {url} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf".encode())
    assert served.client.get(url).status_code == 200
    assert queries.heartbeat("job").pings == 1
    assert served.app._held == 0


def _send_slowly(port: int, url: str, part: bytes, *, times: int, pause: float) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(f"POST {url} HTTP/1.1\r\nhost: x\r\ncontent-length: 100000000\r\n\r\n".encode())
        received: list[bytes] = []
        reader = threading.Thread(target=lambda: received.append(connection.recv(65_536)))
        reader.start()
        for _ in range(times):
            try:
                connection.sendall(part)
            except OSError:
                break
            time.sleep(pause)
        reader.join(20)
        return b"".join(received)


def test_a_full_queue_answers_429(served: Served, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "QUEUE_LIMIT", 0)
    answer = served.client.get(url)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert served.client.get("/ping/07c2f548-9850-4b27-af5d-6c9dc157ec02").status_code == 404


def test_held_bodies_are_bounded(served: Served, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "HELD_LIMIT", 0)
    assert served.client.post(url, content=b"x").status_code == 429


def test_a_locked_database_answers_503_and_loses_nothing(
    served: Served, url: str, monkeypatch: pytest.MonkeyPatch, clock: Any
) -> None:
    """Who waited too long is told so; the ping is recorded all the same, with the time at which it came."""
    monkeypatch.setattr(door, "BUSY_SECONDS", 0.5)
    came_at = clock.at
    with _locked() as _lock:
        answers = [served.client.get(url) for _ in range(2)]
        clock.advance(40)
    assert [(answer.status_code, answer.headers["retry-after"]) for answer in answers] == [(503, "5")] * 2
    assert served.client.get(url).status_code == 200
    assert queries.heartbeat("job").pings == 3
    assert kept(1).at == came_at
    assert kept(3).at == came_at + 40


class _locked:  # noqa: N801  reads as a word in `with _locked()`
    """Another process's lock on the table of pings."""

    def __enter__(self) -> None:
        if connection.vendor == "postgresql":
            import psycopg

            self._other: Any = psycopg.connect(current_settings().database)
            self._other.execute("LOCK TABLE ping IN ACCESS EXCLUSIVE MODE")
        else:
            self._other = sqlite3.connect(current_settings().data / "state.sqlite3", isolation_level=None)
            self._other.execute("BEGIN IMMEDIATE")

    def __exit__(self, *_exception: object) -> None:
        self._other.rollback()
        self._other.close()


def test_one_ping_that_cannot_be_written_does_not_take_others_with_it(
    served: Served, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = served.app._take_in

    def picky(batch: list[Any]) -> frozenset[str]:
        if any(incoming.user_agent == "broken" for incoming in batch):
            raise ValueError("a mistake of ours")
        return inner(batch)

    monkeypatch.setattr(served.app, "_take_in", picky)
    answers: list[int] = []

    def ping(agent: str) -> None:
        answers.append(httpx.get(f"http://127.0.0.1:{served.port}{url}", headers={"user-agent": agent}).status_code)

    threads = [threading.Thread(target=ping, args=("broken" if n == 3 else "fine",)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] * 11 + [500]
    assert queries.heartbeat("job").pings == 11


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /ping/\x00 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /ping/../../etc/passwd HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        b"GET /ping//////// HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        b"GET /ping/" + b"a" * 60_000 + b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        b"POST /ping/%FF%FE HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n",
        b"NONSENSE\r\n\r\n",
        b"GET /ping/x\r\n" + b"a: b\r\n" * 20_000,
    ],
)
def test_broken_requests_are_refused_and_the_door_stays_open(served: Served, url: str, request_bytes: bytes) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
        try:
            connection.sendall(request_bytes)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(65_536)
        except OSError:  # it was closed in our face
            answer = b""
    assert answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4"))
    assert served.client.get(url).status_code == 200
