"""The file of results: its writer killed, its log torn, its blocks garbled, its disk full. Nothing is deleted."""

from __future__ import annotations

import os
import random
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from mainstay.kernel.errors import StoreBusy
from mainstay.watch.results.results import Results
from mainstay.watch.results.values import Sample

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "2"))
DAY = 86_400
KEPT = {"raw_days": 400, "minute_days": 400, "hour_days": 400, "day_days": 4000}

# Appends results without end, numbered by their time, and tells after each second how many there were until then.
_WRITER = """
import sys, time
from pathlib import Path
from mainstay.runtime.capabilities import load_capabilities
from mainstay.watch.results.results import Results
from mainstay.watch.results.values import Sample
load_capabilities()  # how long results are kept is a setting of theirs
store, number = Results.embedded(Path(sys.argv[1])), int(sys.argv[2])
while True:
    store.append([Sample(uid="a", at=float(number + step), verdict="up", duration=0.1, charge="up", charged=1.0,
                         message=f"{number + step:064x}") for step in range(20)])
    number += 20
    print(time.time(), number, store.vitals().failures, flush=True)
    time.sleep(0.01)
"""


def _numbers(path: Path) -> list[int]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return [int(row[0]) // 10**6 for row in connection.execute("SELECT at_us FROM sample ORDER BY 1").fetchall()]


def test_a_writer_that_is_killed_loses_a_second_at_most(tmp_path: Path) -> None:
    path, begin, chance = tmp_path / "t.duckdb", 0, random.Random(4)
    for _ in range(ROUNDS):
        writer = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(path), str(begin)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        end = time.time() + 2.5 + chance.random() * 2
        told = [line.split() for line in iter(writer.stdout.readline, "") if time.time() < end or writer.kill()]
        writer.wait()
        writer.stdout.close()
        killed_at = float(told[-1][0])
        store = Results.embedded(path)  # repairs what there is to repair
        assert store.vitals().notices == ()
        store.close()
        found = _numbers(path)
        assert found == list(range(len(found))), "no gap and nothing twice"
        old = max(int(number) for at, number, _ in told if float(at) < killed_at - 1.5)  # a second, and a slow machine
        assert old <= len(found) <= int(told[-1][1])
        begin = len(found)


@pytest.fixture(scope="module")
def left_behind(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with 60 days of results, and a log of what came last, as a killed process leaves them."""
    script = """
import os, sys
from pathlib import Path
from mainstay.watch.results.results import Results
from mainstay.watch.results.values import Sample
def some(begin, count):
    return [Sample(uid=f"u{n % 7}", at=float(n * 60), verdict="up", duration=0.1, charge="up", charged=60.0,
                   message=os.urandom(24).hex()) for n in range(begin, begin + count)]
kept = {"raw_days": 400, "minute_days": 400, "hour_days": 400, "day_days": 4000}
store = Results.embedded(Path(sys.argv[1]), days=kept)
begin = int(sys.argv[2]) // 60
store.append(some(begin, 86_400)); store.flush()
store.maintain((begin + 86_400) * 60.0)
store.columns.reading().execute("CHECKPOINT")
for turn in range(20):
    store.append(some(begin + 86_400 + turn * 100, 100)); store.flush()
print("ready", flush=True)
os.kill(os.getpid(), 9)
"""
    path = tmp_path_factory.mktemp("left") / "t.duckdb"
    begin = (int(time.time()) // DAY - 70) * DAY
    subprocess.run([sys.executable, "-c", script, str(path), str(begin)], check=False, stdout=subprocess.DEVNULL)
    assert path.with_name("t.duckdb.wal").stat().st_size > 50_000
    return path


@pytest.fixture
def torn(left_behind: Path, tmp_path: Path) -> Path:
    for path in left_behind.parent.iterdir():
        shutil.copyfile(path, tmp_path / path.name)
    return tmp_path / left_behind.name


def _rows(store: Results, table: str = "sample") -> int:
    return int(store.columns.reading().execute(f"SELECT count(*) FROM {table}").fetchall()[0][0])


def test_a_killed_process_leaves_a_sound_file(torn: Path) -> None:
    store = Results.embedded(torn)
    assert _rows(store) == 88_400
    assert store.vitals().damaged == 0
    store.close()


def test_a_torn_log_is_read_up_to_where_it_is_torn(torn: Path) -> None:
    log = torn.with_name("t.duckdb.wal")
    with log.open("r+b") as handle:
        handle.truncate(log.stat().st_size - 11)
    store = Results.embedded(torn)
    assert _rows(store) == 88_300
    store.close()


def test_a_garbled_log_is_read_up_to_where_it_is_garbled(torn: Path) -> None:
    log = torn.with_name("t.duckdb.wal")
    size = log.stat().st_size
    with log.open("r+b") as handle:
        handle.seek(size * 3 // 10)  # within an entry; a length that is garbled ends the log for DuckDB without a word
        handle.write(bytes(reversed(range(200))))
    store = Results.embedded(torn)
    assert 86_400 < _rows(store) < 88_400
    vitals = store.vitals()
    assert vitals.damaged == 1
    assert "log of the telemetry file was truncated" in vitals.notices[0]
    (kept,) = torn.parent.glob("t.duckdb.wal.broken-*")
    assert kept.stat().st_size == size
    store.append([Sample(uid="u1", at=time.time(), verdict="up", duration=1, charge="up", charged=1)])
    store.flush()
    assert store.latest("u1", 1)[0].duration == 1
    store.close()


@pytest.mark.parametrize("wound", ["garbled head", "cut", "empty"])
def test_a_file_that_cannot_be_opened_is_set_aside_whole(torn: Path, wound: str) -> None:
    with torn.open("r+b") as handle:
        if wound == "garbled head":
            handle.write(bytes(200))
        else:
            handle.truncate(20_000 if wound == "cut" else 0)
    content = torn.read_bytes()
    store = Results.embedded(torn)
    assert _rows(store) == 0
    assert (store.vitals().damaged, "set aside" in store.vitals().notices[0]) == (1, True)
    (kept,) = torn.parent.glob("t.duckdb.broken-*[0-9]")
    assert kept.read_bytes() == content
    assert kept.with_name(f"{kept.name}.wal").exists()
    store.close()


def test_damaged_blocks_cost_the_days_that_they_hold(torn: Path) -> None:
    """Found when they are read; all other days and every roll-up are carried over to a new file."""
    with duckdb.connect(str(torn)) as connection:
        connection.execute("CHECKPOINT")
        query = "SELECT block_id FROM pragma_storage_info('sample') WHERE column_name = 'message' AND block_id >= 0"
        blocks = sorted({row[0] for row in connection.execute(query).fetchall()})
        size = connection.execute("SELECT block_size FROM pragma_database_size()").fetchall()[0][0]
        before = connection.execute("SELECT count(*) FROM by_day").fetchall()[0][0]
    with torn.open("r+b") as handle:
        handle.seek(3 * 4096 + blocks[len(blocks) // 2] * size + 4000)
        handle.write(os.urandom(100))
    store = Results.embedded(torn, days=KEPT)
    with pytest.raises(StoreBusy, match="Corrupt"):
        store.results("u1", 0, time.time(), limit=100_000)
    store.append([Sample(uid="new", at=time.time(), verdict="up", duration=1, charge="up", charged=1)])
    store.maintain(time.time())
    vitals = store.vitals()
    assert vitals.damaged == 1
    assert "days of sample" in vitals.notices[0]
    assert 20_000 < _rows(store) < 88_400
    assert _rows(store, "by_day") >= before
    assert len(store.latest("new")) == 1
    assert store.results("u1", 0, time.time(), limit=100_000)
    assert len(list(torn.parent.glob("t.duckdb.broken-*[0-9]"))) == 1
    store.close()


def test_a_disk_that_is_full_for_a_while_loses_nothing(tmp_path: Path) -> None:
    """Without a file system of its own: the writer may not make files longer than a bound, and later may again."""
    path = tmp_path / "t.duckdb"
    limited = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, resource.RLIM_INFINITY))\n"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", limited + _WRITER, str(path), "0"], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    told = (line.split() for line in writer.stdout if line[0].isdigit() and "[" not in line)
    try:
        number = next(int(count) for _, count, failures in told if int(failures) >= 2)
        resource.prlimit(writer.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        end = time.time() + 8
        later = next(int(count) for at, count, _ in told if float(at) > end)
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close()
    Results.embedded(path).close()
    found = _numbers(path)
    assert found == list(range(len(found)))
    assert number < len(found) <= later + 1000, "what was refused came later"
    assert not list(tmp_path.glob("*.broken*"))
