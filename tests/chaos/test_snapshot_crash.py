"""kill -9 in the middle of a snapshot, a restore and a move, under load: nothing half done ever looks whole.

CHAOS_ROUNDS says how many are killed, CHAOS_SEED repeats a run.
"""

from __future__ import annotations

import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.server import RunningServer
from tests.rigs.snapshot_rig import Install, Postgres, postgres_server, untold
from trouble import LONG, ROUNDS, seeded

_KILLS = ROUNDS if LONG else 4
_ADDRESS = "5e0c1c4e-8f3e-4f5c-9d53-2a8f3f0f5a11"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Install:
    install = Install(tmp_path_factory.mktemp("source") / "data")
    install.fill(rows=3, entries=20_000 if LONG else 4000, samples=200_000)
    return install


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with postgres_server() as server:
        yield server


def killed_after(install: Install, seconds: float, *arguments: str) -> bool:
    """Start a command and kill it then; False if it had ended before."""
    process = install.start(*arguments)
    try:
        process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return True
    return False


def duration(install: Install, *arguments: str) -> float:
    began = time.monotonic()
    install.ok(*arguments)
    return time.monotonic() - began


def test_kill_9_of_a_snapshot_leaves_no_torn_file(tmp_path: Path) -> None:
    from mainstay.store.snapshots.restoring import examine

    chance = seeded("snapshot crash")
    folder = tmp_path / "snaps"
    config = f"heartbeats:\n  job: {{every: 1h, uuid: {_ADDRESS}}}\n"
    with RunningServer(config, MAINSTAY_PINGS_KEPT="1000000") as server:
        install = Install(server.folder / "data")
        enough = threading.Event()
        pings = threading.Thread(target=_ping, args=(f"{server.url}/ping/{_ADDRESS}", enough))
        pings.start()
        try:
            whole = duration(install, "snapshot", "--to", str(folder))
            for _ in range(_KILLS):
                killed_after(install, chance.uniform(whole * 0.3, whole), "snapshot", "--to", str(folder))
            install.ok("snapshot", "--to", str(folder))
        finally:
            enough.set()
            pings.join()
        server.wait_healthy()
        found = [path for path in folder.iterdir() if not path.name.startswith(".")]
        assert len(found) >= 2
        for path in found:
            assert examine(str(path), "").journal_seq > 0
        assert not (install.data / ".snapshot").exists()
        assert "all intact" in install.ok("journal", "verify")
        assert server.stop() == 0


def _ping(url: str, enough: threading.Event) -> None:
    while not enough.is_set():
        with urllib.request.urlopen(url, timeout=30) as answer:
            assert answer.status == 200


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_kill_9_of_a_restore_can_be_repeated(source: Install, postgres: Postgres, tmp_path: Path, engine: str) -> None:
    chance = seeded("restore crash")
    file = str(source.snapshot(tmp_path / "snaps", "--secrets"))

    def place(name: str) -> Install:
        return Install(tmp_path / name, postgres.database() if engine == "postgresql" else "")

    whole = duration(place("measured"), "restore", file)
    back = place("back")
    for _ in range(_KILLS):
        if not killed_after(back, chance.uniform(whole * 0.2, whole), "restore", file):
            break
        if (back.data / ".restore").exists():
            assert "not finished" in back.refused("up", "--listen", "127.0.0.1:0")
    if (back.data / ".restore").exists() or not (back.data / "version.json").exists():
        back.ok("restore", file)
    assert untold(back.content()) == untold(source.content())
    assert back.content()["journal"][0] == source.content()["journal"][0] - _taken_since(source, file) + 1
    assert back.results() == source.results()
    assert "all intact" in back.ok("journal", "verify")
    assert not (back.data / ".restore").exists()


def _taken_since(source: Install, file: str) -> int:
    """Entries that the source wrote about the snapshot after it was taken."""
    from mainstay.store.snapshots.restoring import examine

    return source.content()["journal"][0] - examine(file, "").journal_seq


def test_kill_9_of_a_move_goes_on_where_it_was(source: Install, postgres: Postgres) -> None:
    chance = seeded("move crash")
    before = source.content()
    whole = duration(source, "migrate-store", "--to", postgres.database(), "--sessions")
    url = postgres.database()
    target = Install(source.data, url)
    for _ in range(_KILLS):
        after = chance.uniform(whole * 0.3, whole)
        if not killed_after(source, after, "migrate-store", "--to", url, "--sessions"):
            break
        if target.rows("SELECT 1 FROM pg_tables WHERE tablename = 'mainstay_import'"):
            assert "not finished" in target.refused("up", "--listen", "127.0.0.1:0")
    unfinished = target.rows("SELECT 1 FROM pg_tables WHERE tablename = 'mainstay_import'")
    if unfinished or not target.rows("SELECT 1 FROM pg_tables WHERE tablename = 'journal'"):
        source.ok("migrate-store", "--to", url, "--sessions")
    assert source.content() == before
    assert untold(target.content()) == untold(before)
    assert target.content()["journal"][0] == before["journal"][0] + 1
    assert "all intact" in target.ok("journal", "verify")
