"""Pings on disk while the database is away: durable, bounded, read back in order and once."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError

from mainstay.frames.boot import current_settings
from mainstay.heartbeats.directory import Directory, KnownHeartbeat
from mainstay.heartbeats.doors import ping_spool, pings
from mainstay.heartbeats.doors.ping_spool import CalledOff, PingSpool, SpoolFull, Writing
from mainstay.heartbeats.doors.pings import PingApp
from mainstay.heartbeats.intake import Incoming
from mainstay.heartbeats.models import HeartbeatRow, PingRow
from mainstay.heartbeats.queries import directory_entries
from mainstay.heartbeats.rules import Ping
from mainstay.kernel.actor import system
from mainstay.kernel.clock import SystemClock
from mainstay.store.resources.apply import declare
from mainstay.store.writer import Writer

ACTOR = system("test")
TERMS: dict[str, Any] = {"kept": 100, "covering": lambda _labels, _at: "", "clock": SystemClock()}
pytestmark = pytest.mark.usefixtures("store")


@pytest.fixture
def entry() -> KnownHeartbeat:
    declare(ACTOR, "heartbeat", "job", {"every": "1h", "grace": "10m"}, manager="api")
    (found,) = directory_entries()
    return found


def ping(entry: KnownHeartbeat, number: int, body: bytes | None = None) -> Incoming:
    return Incoming(entry, Ping(time.time() - 60 + number, "success"), "GET", "http", "::1", f"n{number}", body, 0)


def opened(folder: Path, limit: int = 10**6) -> PingSpool:
    spool = PingSpool(folder, limit)
    spool.open()
    return spool


def read_back(spool: PingSpool, entry: KnownHeartbeat, limit: int = 100) -> int:
    return spool.replay(ACTOR, {entry.uid: entry}, limit, **TERMS)


def agents() -> list[str]:
    return list(PingRow.objects.order_by("n").values_list("user_agent", flat=True))


def test_they_come_back_in_order_with_their_times_and_once(tmp_path: Path, entry: KnownHeartbeat) -> None:
    spool = opened(tmp_path)
    spool.append([ping(entry, 0, b"said"), ping(entry, 1)])
    spool.append([ping(entry, 2)])
    assert spool.waiting == 3
    assert read_back(spool, entry, 2) == 2
    assert spool.waiting == 1
    assert read_back(spool, entry) == 1
    assert read_back(spool, entry) == 0
    assert agents() == ["n0", "n1", "n2"]
    first = PingRow.objects.get(n=1)
    assert bytes(first.body or b"") == b"said"
    assert first.at < time.time() - 50
    assert HeartbeatRow.objects.get().state == "up"
    assert os.path.getsize(tmp_path / ping_spool.FILE) == 32, "the file begins anew"
    spool.close()


def test_another_start_goes_on_where_the_database_is(tmp_path: Path, entry: KnownHeartbeat) -> None:
    spool = opened(tmp_path)
    spool.append([ping(entry, number) for number in range(5)])
    read_back(spool, entry, 2)
    spool.close()
    with (tmp_path / ping_spool.FILE).open("ab") as file:
        file.write(b"\0\0\0\x30torn")  # what a kill in the middle of a write leaves; it was never answered
    again = opened(tmp_path)
    assert again.waiting == 3
    again.append([ping(entry, 5)])
    assert read_back(again, entry) == 4
    assert agents() == [f"n{number}" for number in range(6)]
    again.close()


def test_a_lost_answer_to_a_commit_doubles_nothing(tmp_path: Path, entry: KnownHeartbeat) -> None:
    spool = opened(tmp_path)
    spool.append([ping(entry, 0), ping(entry, 1)])
    size, read = spool._size, spool._read
    read_back(spool, entry, 1)
    spool._read, spool.waiting = read, 2  # as if the process had not heard of its commit
    assert read_back(spool, entry, 1) == 1
    assert spool._size == size
    assert read_back(spool, entry) == 1
    assert agents() == ["n0", "n1"]
    spool.close()


def test_it_is_bounded_and_what_does_not_fit_is_counted(tmp_path: Path, entry: KnownHeartbeat) -> None:
    spool = opened(tmp_path, limit=2000)
    spool.append([ping(entry, 0)])
    with pytest.raises(SpoolFull):
        spool.append([ping(entry, 1, b"x" * 3000)])
    assert spool.figures() == {"waiting": 1, "taken": 1, "refused": 1}
    spool.close()


def test_pings_of_heartbeats_that_are_gone_are_dropped_and_a_bad_one_can_be_skipped(
    tmp_path: Path, entry: KnownHeartbeat
) -> None:
    spool = opened(tmp_path)
    spool.append([ping(entry, 0), ping(entry, 1)])
    assert spool.replay(ACTOR, {}, 1, **TERMS) == 1
    spool.skip()
    assert (spool.waiting, spool.lost) == (0, 1)
    assert agents() == []
    spool.close()


def test_a_batch_is_called_off_before_its_commit_and_not_after(tmp_path: Path, entry: KnownHeartbeat) -> None:
    spool = opened(tmp_path)
    written: list[int] = []

    def write() -> frozenset[str]:
        written.append(1)
        return frozenset()

    early = Writing(write, spool)
    assert early.call_off()
    with pytest.raises(CalledOff):
        early()
    late = Writing(write, spool)
    late()
    assert not late.call_off()
    assert written == [1]
    spool.close()


def test_the_door_answers_from_the_disk_and_reads_back_when_the_database_is_there_again(
    tmp_path: Path, entry: KnownHeartbeat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pings, "PATIENCE", 0.1)
    away, real = [True], ping_spool.take_in

    def take_in(*arguments: Any, **terms: Any) -> frozenset[str]:
        if away[0]:
            raise OperationalError("away")
        return real(*arguments, **terms)

    async def story() -> tuple[int, float]:
        writer, spool = Writer(), PingSpool(tmp_path, 10**6)
        monkeypatch.setattr(pings, "take_in", take_in)
        monkeypatch.setattr(ping_spool, "take_in", take_in)
        app = PingApp(writer, Directory([entry]), current_settings(), spool=spool)
        await app.start()
        began = time.monotonic()
        answers = [await app.take(ping(entry, number)) for number in range(3)]
        slowest = time.monotonic() - began
        assert {answer.status for answer in answers} == {200}
        assert "on this server's disk" in await app.probe()
        away[0] = False
        for _ in range(200):
            if not app.spooled:
                break
            await asyncio.sleep(0.05)
        assert await app.probe() == "ok"
        assert (await app.take(ping(entry, 3))).status == 200
        await app.stop()
        await asyncio.to_thread(writer.stop)
        return spool.taken, slowest

    taken, slowest = asyncio.run(story())
    print(f"answered within {slowest:.2f} s")
    assert taken == 3
    assert agents() == ["n0", "n1", "n2", "n3"]
