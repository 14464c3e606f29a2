"""Whoever begins downloads of the journal and reads nothing of them stops no page, holds no transaction, and is cut."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from django.conf import settings
from tests.e2e.conftest import RunningSite
from tests.rigs.accounts_browser import TEST
from tests.rigs.told import Told

from mainstay.accounts.token_verbs import create_token
from mainstay.frames.downloads import SLOTS
from mainstay.runtime import http_protocol
from mainstay.store.models import JournalEntry
from mainstay.store.work import unit_of_work

_STALLED = 8
_ROWS, _BYTES = 4_000, 4_000  # 16 MB: more than all buffers between a thread and a client that does not read
_WRITTEN = 40  # units of half a megabyte that are written meanwhile


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.2)


def fill_journal() -> None:
    """Straight into its table: neither the chain nor what an entry says matters to who downloads it."""
    fields = {
        "actor": "system:test",
        "kind": "journal.exported",
        "subject": "journal",
        "data": json.dumps({"x": "x" * _BYTES}),
    }
    for begin in range(1_000, 1_000 + _ROWS, 250):  # each in a transaction of its own, so that the WAL stays small
        JournalEntry.objects.bulk_create(
            JournalEntry(seq=seq, at_us=1, salt="", data_digest="", previous="", hash="", **fields)
            for seq in range(begin, begin + 250)
        )


@contextmanager
def stalled(site: RunningSite, token: str) -> Iterator[tuple[socket.socket, int]]:
    """(connection, status) of a download of which the head alone is read."""
    host, _, port = site.address.removeprefix("http://").partition(":")
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((host, int(port)))
        client.sendall(
            f"GET /api/v1/journal/export HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        )
        client.settimeout(20)
        yield client, int(client.recv(12).split()[1])


def page(site: RunningSite, path: str, token: str = "") -> int:
    connection = http.client.HTTPConnection(site.address.removeprefix("http://"), timeout=20)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
        return connection.getresponse().status
    finally:
        connection.close()


def test_stalled_downloads_stop_nobody_and_end(site: RunningSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "READ_SECONDS", 3.0)
    fill_journal()
    token = create_token(TEST, "stalls", ["journal:export", "journal:read"])
    wal = Path(settings.MAINSTAY.data, "state.sqlite3-wal")
    with ExitStack() as open_ones:
        begun = [open_ones.enter_context(stalled(site, token)) for _ in range(_STALLED)]
        statuses = [status for _, status in begun]
        assert sorted(statuses) == [200] * SLOTS + [503] * (_STALLED - SLOTS)
        for _ in range(_WRITTEN):
            with unit_of_work(TEST) as work:
                work.record(Told("journal.exported", "journal", {"x": "x" * 500_000}))
        assert page(site, "/accounts/login/") == 200
        assert page(site, "/api/v1/journal?limit=1", token) == 200
        if wal.exists():  # PostgreSQL has none
            assert wal.stat().st_size < _WRITTEN * 500_000 / 2
        until(lambda: page(site, "/api/v1/journal/export?kind=none", token) == 200)
