"""Snapshots of real installs: taken while a server works, restored into either database, refused when wrong."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from bench.server import RunningServer
from tests.rigs.changeable import Target, wait_for
from tests.rigs.snapshot_rig import Install, Postgres, newest_migration, postgres_server, untold

_MIGRATION = f"""
from django.db import migrations, models
class Migration(migrations.Migration):
    dependencies = [("store", "{newest_migration()}")]
    operations = [migrations.CreateModel("Later", [("id", models.BigAutoField(primary_key=True))])]
"""


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Install:
    install = Install(tmp_path_factory.mktemp("source") / "data")
    install.fill()
    return install


class _Pings(threading.Thread):
    """Pings as fast as they are answered, and counts those that were."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url, self.answered, self.enough = url, 0, threading.Event()

    def run(self) -> None:
        while not self.enough.is_set():
            with urllib.request.urlopen(self.url, timeout=30) as answer:
                assert answer.status == 200
            self.answered += 1


def test_a_snapshot_under_load_is_one_moment(tmp_path: Path) -> None:
    address = "5e0c1c4e-8f3e-4f5c-9d53-2a8f3f0f5a11"
    with closing(Target(["/a"])) as target:
        config = (
            f"monitors:\n  a: {{http: '{target.url}/a', every: 1s, timeout: 1s, flapping: {{falls: 100}}}}\n"
            f"heartbeats:\n  job: {{every: 1h, uuid: {address}}}\n"
        )
        with RunningServer(config, MAINSTAY_PINGS_KEPT="1000000") as server:
            pings = _Pings(f"{server.url}/ping/{address}")
            pings.start()
            try:
                install = Install(server.folder / "data")
                wait_for(lambda: pings.answered > 20, 30, "pings are taken in")
                target.healthy ^= {"/a"}
                before = pings.answered
                taken = [install.snapshot(tmp_path / "snaps") for _ in range(2)]
                assert pings.answered > before, "the server goes on meanwhile"
            finally:
                pings.enough.set()
                pings.join()
            assert server.stop() == 0
            for number, file in enumerate(taken):
                _check_moment(Install(tmp_path / f"back{number}"), file)
            told = install.rows("SELECT data FROM journal WHERE kind = 'snapshot.taken' ORDER BY seq")
            assert [Path(json.loads(data)["address"]) for (data,) in told] == taken


def _check_moment(back: Install, file: Path) -> None:
    """Whatever the moment, the copy agrees with itself."""
    back.ok("restore", str(file))
    ((counted, newest, kept),) = back.rows("SELECT h.pings, max(p.n), count(*) FROM heartbeat h, ping p")
    assert counted == newest == kept > 0
    manifest = json.loads(back.ok("restore", "--check", "--json", str(file)))
    assert back.results() == manifest["telemetry"]["sample"]
    assert "all intact" in back.ok("journal", "verify")
    ((state,),) = back.rows("SELECT state FROM monitor_state WHERE name = 'a'")
    last = back.rows("SELECT kind FROM journal WHERE subject = 'monitor/a' AND kind LIKE 'monitor.went_%' ORDER BY seq")
    assert last[-1] == (f"monitor.went_{state}",)


def test_everything_comes_back(source: Install, tmp_path: Path) -> None:
    file = source.snapshot(tmp_path / "snaps", "--secrets")
    (source.data / "secrets").mkdir(exist_ok=True)
    back = Install(tmp_path / "back" / "data")
    out = back.ok("restore", str(file))
    assert "SNAPSHOT_TEST_TOKEN} is not set" in out, "it names secrets that have no value here"
    assert untold(back.content()) == untold(source.content())
    assert back.results() == source.results() == 4000
    assert (back.data / "secret.key").read_text() == (source.data / "secret.key").read_text()
    assert (back.data.stat().st_mode & 0o777, (back.data / "secret.key").stat().st_mode & 0o777) == (0o700, 0o600)
    assert back.rows("SELECT kind FROM journal ORDER BY seq DESC LIMIT 1") == [("snapshot.restored",)]
    assert not (back.data / ".restore").exists()
    assert back.rows("SELECT name, seq FROM sqlite_sequence ORDER BY name") == source.rows(
        "SELECT name, seq FROM sqlite_sequence ORDER BY name"
    )


def test_encrypted_with_the_key_it_holds_secrets_and_without_the_key_nothing_is_read(
    source: Install, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.write_text("a long key that nobody guesses\n")
    (source.data / "secrets").mkdir(exist_ok=True)
    (source.data / "secrets" / "hook").write_text("s3cret-of-the-hook")
    keyed = Install(
        source.data,
        **{**source.environment, "MAINSTAY_SECRET_DIRS": str(tmp_path), "MAINSTAY_SNAPSHOT_KEY": f"${{file:{key}}}"},
    )
    file = keyed.snapshot(tmp_path / "snaps")
    (source.data / "secrets" / "hook").unlink()
    assert file.name.endswith(".tar.enc")
    assert b"SQLite" not in file.read_bytes()
    back = Install(tmp_path / "back", MAINSTAY_SECRET_DIRS=str(tmp_path))
    assert "encrypted" in back.refused("restore", str(file))
    (tmp_path / "wrong").write_text("another long key that fits nothing")
    assert "does not match" in back.refused("restore", str(file), "--key", f"${{file:{tmp_path / 'wrong'}}}")
    assert "must be a reference" in back.refused("restore", str(file), "--key", "plain text")
    assert list(back.data.iterdir()) in ([], [back.data / "server.lock"]), "a refusal leaves nothing"
    back.ok("restore", str(file), "--key", f"${{file:{key}}}")
    assert (back.data / "secrets" / "hook").read_text() == "s3cret-of-the-hook"


def test_unencrypted_it_holds_no_secrets(source: Install, tmp_path: Path) -> None:
    file = source.snapshot(tmp_path / "snaps")
    assert (source.data / "secret.key").read_bytes() not in file.read_bytes()
    back = Install(tmp_path / "back")
    back.data.mkdir()
    (back.data / "secret.key").write_text("kept by a person")
    assert "secret.key was not in it" in back.ok("restore", str(file))
    assert (back.data / "secret.key").read_text() == "kept by a person"


def test_files_are_named_where_people_find_them(tmp_path: Path) -> None:
    """What a restore works in is gone when its messages are read."""
    source, back = Install(tmp_path / "source"), Install(tmp_path / "back")
    declared = tmp_path / "mainstay.yaml"
    declared.write_text("{}")
    source.ok("apply", "--yes", str(declared))
    file = source.snapshot(tmp_path / "snaps")
    back.data.mkdir()
    (back.data / "secret.key").touch()
    assert f"the key {back.data / 'secret.key'} is empty" in back.refused("restore", str(file))


def test_a_folder_that_is_used_is_refused(source: Install, tmp_path: Path) -> None:
    file = source.snapshot(tmp_path / "snaps", "--without-telemetry")
    before = source.content()
    assert "is not empty" in source.refused("restore", str(file))
    assert source.content() == before
    back = Install(tmp_path / "back")
    back.ok("restore", str(file))
    assert "is not empty" in back.refused("restore", str(file))


@pytest.mark.parametrize("cut", [0.5, -1])
def test_a_torn_file_is_refused_and_leaves_nothing(source: Install, tmp_path: Path, cut: float) -> None:
    whole = source.snapshot(tmp_path / "snaps", "--secrets").read_bytes()
    content = whole.rindex(b"sample.parquet\n")
    torn = tmp_path / "torn.tar"
    torn.write_bytes(whole[: int(content * cut) if cut > 0 else content])
    back = Install(tmp_path / "back")
    told = back.refused("restore", str(torn))
    assert "truncated" in told or "damaged" in told or "not a snapshot" in told
    assert [path.name for path in back.data.iterdir()] == ["server.lock"]


def test_between_both_databases_in_every_direction(source: Install, postgres: Postgres, tmp_path: Path) -> None:
    of_sqlite = source.snapshot(tmp_path / "snaps", "--secrets")
    on_postgres = Install(tmp_path / "one", postgres.database())
    on_postgres.ok("restore", str(of_sqlite))
    assert untold(on_postgres.content()) == untold(source.content())
    of_postgres = on_postgres.snapshot(tmp_path / "snaps2")
    for number, database in enumerate([postgres.database(), ""]):
        back = Install(tmp_path / f"back{number}", database)
        back.ok("restore", str(of_postgres))
        assert untold(back.content()) == untold(source.content())
        assert back.results() == 4000
        assert "all intact" in back.ok("journal", "verify")
    assert "is not empty" in on_postgres.refused("restore", str(of_postgres))
    other = Install(tmp_path / "other", on_postgres.database)
    assert "the database is not empty" in other.refused("restore", str(of_postgres))
    assert [path.name for path in other.data.iterdir()] == ["server.lock"]


def test_an_upgrade_keeps_a_snapshot_first_and_an_older_program_refuses(tmp_path: Path) -> None:
    old = Install(tmp_path / "data")
    old.fill(rows=0, entries=5, samples=50)
    file = old.snapshot(tmp_path / "snaps")
    newer = old.under_newer(tmp_path / "program", _MIGRATION)
    # An older snapshot is brought forwards.
    back = Install(tmp_path / "forwards", **{**newer.environment, "MAINSTAY_DATA": str(tmp_path / "forwards")})
    back.ok("restore", str(file))
    assert back.rows("SELECT count(*) FROM store_later") == [(0,)]
    # An upgrade takes one first.
    with RunningServer(**_on(old, newer.environment["PYTHONPATH"])) as server:
        assert server.stop() == 0
    (kept,) = (old.data / "snapshots").iterdir()
    manifest = json.loads(old.ok("restore", "--check", "--json", str(kept)))
    assert manifest["note"] == "before store.9999_newer"
    assert ["store", "9999_newer"] not in manifest["migrations"]
    assert old.rows("SELECT count(*) FROM journal WHERE kind = 'snapshot.taken'") == [(2,)]
    # What is newer is refused: by the server, and a snapshot by the restore.
    assert "written by a newer Mainstay" in old.refused("up", "--listen", "127.0.0.1:0")
    theirs = newer.snapshot(tmp_path / "snaps2")
    assert "written by a newer Mainstay" in Install(tmp_path / "back").refused("restore", str(theirs))
    # Back with the older program, by what was kept.
    Install(tmp_path / "again").ok("restore", str(kept))


def _on(install: Install, path: str) -> dict[str, str]:
    return {"MAINSTAY_DATA": str(install.data), "PYTHONPATH": path}


def test_the_folder_has_a_version_of_its_own(tmp_path: Path) -> None:
    own = Install(tmp_path / "data")
    own.fill(rows=0, entries=1, samples=1)
    version = json.loads((own.data / "version.json").read_text())
    for change in ({"folder": 99}, {"duckdb": "99.0.0"}):
        (own.data / "version.json").write_text(json.dumps({**version, "program": "9.9", **change}))
        told = own.refused("up", "--listen", "127.0.0.1:0")
        assert "written by a newer Mainstay (9.9" in told
    assert own.results() == 1, "and its telemetry is not set aside"


def test_an_upgrade_without_room_for_a_snapshot_changes_nothing(tmp_path: Path) -> None:
    old = Install(tmp_path / "data")
    old.fill(rows=0, entries=1, samples=1)
    (tmp_path / "file").touch()
    newer = old.under_newer(tmp_path / "program", _MIGRATION)
    newer.environment["MAINSTAY_SNAPSHOT_TO"] = str(tmp_path / "file")
    told = newer.refused("up", "--listen", "127.0.0.1:0")
    assert "no snapshot could be taken before the upgrade" in told
    assert "MAINSTAY_SNAPSHOT_BEFORE_UPGRADE=no" in told
    assert old.rows("SELECT name FROM sqlite_master WHERE name = 'store_later'") == []


def test_the_server_takes_them_on_schedule_and_health_tells_when_it_cannot(tmp_path: Path) -> None:
    folder = tmp_path / "snaps"
    settings = {"MAINSTAY_SNAPSHOT_EVERY": "1d", "MAINSTAY_SNAPSHOT_TO": str(folder), "MAINSTAY_SNAPSHOT_KEEP": "2d"}
    with RunningServer(**settings) as server:
        install = Install(server.folder / "data")
        taken = "SELECT count(*) FROM journal WHERE kind = 'snapshot.taken'"
        wait_for(lambda: install.rows(taken) == [(1,)], 60, "the first is taken at once")
        assert len(list(folder.iterdir())) == 1
        assert server.stop() == 0
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
        folder.touch()
        with_fact = "DELETE FROM fact WHERE key = 'snapshot_newest'"
        with closing(sqlite3.connect(install.data / "state.sqlite3")) as database, database:
            database.execute(with_fact)
        server.launch()
        failed = "SELECT data FROM journal WHERE kind = 'snapshot.failed'"
        wait_for(lambda: len(install.rows(failed)) == 1, 60, "the failure is told")
        wait_for(lambda: "cannot be made" in _health(server.url)["services"].get("snapshots", ""), 30, "health says so")


def _health(url: str) -> dict[str, dict[str, str]]:
    request = urllib.request.Request(f"{url}/api/health")
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)  # type: ignore[no-any-return] # a document
    except urllib.error.HTTPError as error:
        with error:
            return json.load(error)  # type: ignore[no-any-return] # a document
    except OSError:
        return {"services": {}}


def test_one_after_another_thins_out_its_own_only(source: Install, tmp_path: Path) -> None:
    folder = tmp_path / "snaps"
    folder.mkdir()
    ((install,),) = source.rows("SELECT substr(hash, 1, 8) FROM journal WHERE seq = 1")
    for name in (f"mainstay-{install}-2020-01-0{day}T000000.000Z.tar" for day in (1, 2, 3)):
        (folder / name).touch()
    foreign = folder / "mainstay-ffffffff-2020-01-01T000000.000Z.tar"
    foreign.touch()
    stale, fresh = folder / ".mainstay-old.tar.partial", folder / ".mainstay-new.tar.partial"
    stale.touch()
    fresh.touch()
    os.utime(stale, (time.time() - 90_000,) * 2)
    taken = json.loads(source.ok("snapshot", "--to", str(folder), "--keep", "2d", "--without-telemetry", "--json"))
    assert taken["deleted"] == [f"mainstay-{install}-2020-01-0{day}T000000.000Z.tar" for day in (1, 2)]
    left = {path.name for path in folder.iterdir()}
    assert {foreign.name, fresh.name, Path(taken["address"]).name} < left
    assert stale.name not in left


def test_wishes_that_make_no_sense_are_refused_before_anything_is_done(source: Install, tmp_path: Path) -> None:
    assert "nothing in" in Install(tmp_path / "none").refused("snapshot")
    assert "does not say what to keep" in source.refused("snapshot", "--keep", "often")
    assert "must be a reference" in source.refused("snapshot", "--key", "secret")
    wrong = Install(source.data, MAINSTAY_SNAPSHOT_EVERY="often")
    assert "MAINSTAY_SNAPSHOT_EVERY" in wrong.refused("up", "--listen", "127.0.0.1:0")
    (tmp_path / "obstore.py").write_text("raise ImportError")
    without = Install(source.data, PYTHONPATH=str(tmp_path))
    assert "install mainstay[s3]" in without.refused("snapshot", "--to", "s3://bucket/prefix")
