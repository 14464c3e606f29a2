"""The embedded store within its limit of memory: pictures are files, evidence is bounded, and whatever is wrong with
the file, the server starts."""

from __future__ import annotations

import base64
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mainstay.kernel.errors import UserError
from mainstay.store.columns.duckdb_sql import schema
from mainstay.watch.results import evidence, pictures
from mainstay.watch.results.results import Results
from mainstay.watch.results.tables import TABLES
from mainstay.watch.results.values import Sample

INLINE = pictures.INLINE + base64.b64encode(b"\xff\xd8" + bytes(36_000)).decode()
SMALL = "24MB"


def _sample(uid: str, at: float, **evidence: object) -> Sample:
    return Sample(uid=uid, at=at, verdict="down", duration=1, charge="down", charged=1, evidence=evidence)


def _size(store: Results) -> int:
    return int(store.columns.reading().execute("SELECT max(length(evidence)) FROM sample").fetchall()[0][0])


def test_pictures_are_files_of_which_the_newest_of_each_monitor_are_kept(tmp_path: Path) -> None:
    store, begin, count = Results.embedded(tmp_path / "t.duckdb", memory=SMALL), time.time() - 3600, 600
    store.append([_sample(f"m{n % 2}", begin + n, screenshot=INLINE, status=500) for n in range(100)])
    store.flush()
    for turn in range(1, count // 100):
        store.append([_sample("m0", begin + turn * 100 + n, screenshot=INLINE) for n in range(100)])
        store.flush()
    folder = tmp_path / pictures.FOLDER
    kept = sorted(path.name.partition("-")[0] for path in folder.iterdir())
    assert kept == ["m0"] * pictures.PER_MONITOR + ["m1"] * pictures.PER_MONITOR
    assert _size(store) < 200
    newest = store.latest("m1", 1)[0].evidence
    assert newest["status"] == 500
    assert (folder / newest["screenshot"]).read_bytes()[:2] == b"\xff\xd8"
    store.close()
    Results.embedded(tmp_path / "t.duckdb", memory=SMALL).close()


@pytest.mark.parametrize("wrong", ["é", "no base64", "\ufffd"])
def test_a_picture_that_is_none_costs_itself_only(tmp_path: Path, wrong: str) -> None:
    store = Results.embedded(tmp_path / "t.duckdb", memory=SMALL)
    store.append([_sample("m", time.time(), screenshot=pictures.INLINE + wrong)])
    assert pictures.Pictures(tmp_path).keep("m-1.jpg", pictures.INLINE + wrong) is False
    store.flush()
    assert len(store.latest("m", 1)) == 1
    store.close()


@pytest.mark.parametrize("left_by", ["a stop", "a kill"])
def test_a_file_that_is_full_of_pictures_is_upgraded(tmp_path: Path, left_by: str) -> None:
    """As servers of before wrote it. The kill leaves a log that alone is more than the limit of memory."""
    path, evidence = tmp_path / "t.duckdb", json.dumps({"screenshot": INLINE, "status": 500})
    script = f"""
import duckdb, os, sys
connection = duckdb.connect(sys.argv[1])
for statement in {schema(TABLES)!r}:
    connection.execute(statement)
if sys.argv[2] == "a kill":
    connection.execute("SET checkpoint_threshold = '1GB'")
connection.execute('''INSERT INTO sample SELECT 'm' || n % 3, n * 1000000, 'down', 1, 'down', 1, 0, 0, 0, 0, 0, 0,
                      '', '', ?, '' FROM range(900) numbers(n)''', [sys.stdin.read()])
if sys.argv[2] == "a kill":
    os._exit(0)
connection.close()
"""
    subprocess.run([sys.executable, "-c", script, str(path), left_by], input=evidence, text=True, check=True)
    store = Results.embedded(path, memory=SMALL)
    assert _size(store) < 200
    found = store.latest("m1", 100_000)
    assert (len(found), found[0].evidence) == (300, {"screenshot": f"m1-{found[0].at:.0f}000.jpg", "status": 500})
    assert (tmp_path / pictures.FOLDER / found[0].evidence["screenshot"]).is_file()
    assert len(list((tmp_path / pictures.FOLDER).iterdir())) == 3 * pictures.PER_MONITOR
    assert store.vitals().damaged == 0
    store.close()
    assert path.stat().st_size < 10_000_000


def test_evidence_is_bounded_by_result_and_by_monitor_and_hour() -> None:
    allowance = evidence.Allowance()
    huge = {"status": 500, "excerpt": "x" * 9_000, "rows": ["y" * 900] * 40, "last": 1}
    text = allowance.evidence("a", 7200.0, huge)
    assert len(text) <= evidence.ROW
    told = json.loads(text)
    assert (told["status"], told["last"], len(told["excerpt"]), "rows" in told) == (500, 1, 1000, False)
    assert "too long" in told["cut"]
    large = {"status": 500, "excerpt": "x" * 15_000}
    lengths = [len(allowance.evidence("a", 7200.0 + n, large)) for n in range(200)]
    assert (lengths[0] > 15_000, lengths[-1] < 600) == (True, True)
    assert sum(lengths) < evidence.HOUR + 200 * 600
    assert len(allowance.evidence("b", 7300.0, large)) > 15_000, "others have an hour of their own"
    assert len(allowance.evidence("a", 10_800.0, large)) > 15_000


def test_a_file_that_another_process_holds_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "t.duckdb"
    holder = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(UserError, match="Conflicting lock"):
            Results.embedded(path)
        process.communicate(b"")
    assert not list(tmp_path.glob("*.broken-*"))


@pytest.mark.parametrize("seed", range(6))
def test_damaged_blocks_never_keep_the_server_from_starting(tmp_path: Path, seed: int) -> None:
    """In a folder whose name has a lock in it: what DuckDB says of a block or a path is no held lock."""
    folder, chance = tmp_path / "the lock", random.Random(seed)
    folder.mkdir()
    path = folder / "t.duckdb"
    store = Results.embedded(path)
    store.append([_sample(f"m{n % 3}", float(n), excerpt=chance.randbytes(100).hex()) for n in range(2000)])
    store.close()
    with path.open("r+b") as handle:
        for start in range(3 * 4096, os.path.getsize(path), 262_144):
            handle.seek(start + chance.randrange(200))
            handle.write(chance.randbytes(64))
    store = Results.embedded(path)
    store.append([_sample("new", time.time())])
    store.flush()
    store.maintain(time.time())
    assert len(store.latest("new")) == 1
    vitals = store.vitals()
    assert (vitals.damaged, "set aside" in vitals.notices[0] or "copied" in vitals.notices[0]) == (1, True)
    assert len(list(folder.glob("t.duckdb.broken-*[0-9]"))) == 1
    store.close()
