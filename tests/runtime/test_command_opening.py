"""Commands meet data of another version, none at all, and a user without a name."""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mainstay.frames.opening import me

Mainstay = Callable[..., str]


@pytest.fixture
def mainstay(tmp_path: Path) -> Mainstay:
    """Runs a command in a process and a data folder of its own; what it says on both channels."""
    environment = {**os.environ, "MAINSTAY_DATA": str(tmp_path / "data"), "MAINSTAY_DATABASE": ""}

    def call(*arguments: str, code: int = 0, **more: str) -> str:
        command = [sys.executable, "-m", "mainstay", *arguments]
        done = subprocess.run(command, env=environment | more, capture_output=True, text=True, timeout=60, check=False)
        assert "Traceback" not in done.stderr
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    return call


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that a command has made."""
    data = tmp_path_factory.mktemp("opened") / "data"
    environment = {**os.environ, "MAINSTAY_DATA": str(data), "MAINSTAY_DATABASE": ""}
    command = [sys.executable, "-m", "mainstay", "apply", "--yes", "-"]
    subprocess.run(command, env=environment, input=b"{}", check=True, capture_output=True)
    return data


@pytest.fixture
def install(opened: Path, tmp_path: Path) -> None:
    shutil.copytree(opened, tmp_path / "data")


def change(folder: Path, statement: str) -> None:
    database = sqlite3.connect(folder / "data" / "state.sqlite3")
    with database:
        database.execute(statement)
    database.close()


@pytest.mark.parametrize("command", [("locations",), ("journal",), ("heartbeats",), ("token", "list"), ("alerts",)])
def test_older_data_are_for_the_server_to_bring_up(
    mainstay: Mainstay, tmp_path: Path, install: None, command: tuple[str]
) -> None:
    change(tmp_path, "DELETE FROM django_migrations WHERE app = 'watch' AND name <> '0001_initial'")
    told = mainstay(*command, code=1)
    assert "the data is from an older version" in told
    assert "start `mainstay up` once" in told


def test_newer_data_are_refused(mainstay: Mainstay, tmp_path: Path, install: None) -> None:
    change(tmp_path, "INSERT INTO django_migrations (app, name, applied) VALUES ('watch', '9999_later', '2030-01-01')")
    assert "written by a newer Mainstay" in mainstay("token", "list", code=1)


@pytest.mark.parametrize(
    "line",
    ["access setup", "alerts", "channels", "export", "heartbeats", "journal", "journal verify", "locations", "monitors",
     "nodes", "pause x", "rollback 1", "snapshot", "status", "token create x --role viewer", "users list",
     "vault set x", "windows"],
)  # fmt: skip
def test_an_empty_folder_stays_empty(mainstay: Mainstay, tmp_path: Path, line: str) -> None:
    told = mainstay(*line.split(), code=1)
    assert f"there is nothing in {tmp_path / 'data'} yet" in told
    assert "start Mainstay with `mainstay up`" in told
    assert "--data" in told, "the name may be wrong"
    assert not (tmp_path / "data").exists()


def test_a_plan_before_the_first_start_makes_nothing(mainstay: Mainstay, tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "mainstay.yaml").write_text("monitors:\n  api: {http: https://a.example}\n")
    told = mainstay("plan", str(tmp_path / "mainstay.yaml"), MAINSTAY_KEYS=str(tmp_path / "keys"))
    assert "1 to create" in told
    assert not (tmp_path / "data").exists()
    assert not list((tmp_path / "keys").iterdir())
    mainstay("apply", "--yes", str(tmp_path / "mainstay.yaml"))
    assert json.loads(mainstay("token", "list", "--json")) == []


def test_a_file_without_tables_is_told(mainstay: Mainstay, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "state.sqlite3").touch()
    assert "no tables yet" in mainstay("journal", code=1)


def test_a_database_that_is_away_is_told(mainstay: Mainstay) -> None:
    told = mainstay("journal", code=1, MAINSTAY_DATABASE="postgres://nobody@127.0.0.1:1/none")
    assert "the database does not answer" in told
    assert "MAINSTAY_DATABASE" in told


def test_a_user_without_a_name_may_act(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 10001")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert me().name == "unknown"


def worked_in(folder: Path) -> None:
    """As a server leaves it: a state, its version, keys and a snapshot."""
    (folder / "version.json").write_text("{}")
    (folder / "snapshots").mkdir()
    (folder / "snapshots" / "mainstay-20300101T000000Z-0badcafe.snapshot").touch()


UP = ("up", "--listen", "127.0.0.1:0")


@pytest.mark.parametrize(
    ("loss", "command"),
    [("gone", UP), ("empty", UP), ("gone", ("journal",)), ("gone", ("status",)), ("empty", ("doctor",))],
)
def test_a_lost_state_is_no_new_install(
    mainstay: Mainstay, tmp_path: Path, install: None, loss: str, command: tuple[str, ...]
) -> None:
    worked_in(tmp_path / "data")
    for path in (tmp_path / "data").glob("state.sqlite3*"):
        path.unlink()
    if loss == "empty":
        (tmp_path / "data" / "state.sqlite3").touch()
    told = mainstay(*command, code=1)
    assert f"is {loss}, and Mainstay has used this folder before" in " ".join(told.split())
    assert "mainstay restore" in told
    assert "0badcafe" in told
    assert "setup" not in told


@pytest.mark.parametrize("command", [("journal", "verify"), ("status",), ("doctor",), UP])
def test_a_damaged_database_is_one_sentence(
    mainstay: Mainstay, tmp_path: Path, install: None, command: tuple[str, ...]
) -> None:
    path = tmp_path / "data" / "state.sqlite3"
    change(tmp_path, "PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(path.read_bytes())
    for start in range(4096, len(content), 4096):  # every page but the first, which holds the schema's beginning
        content[start : start + 64] = os.urandom(64)
    path.write_bytes(content)
    told = mainstay(*command, code=1)
    assert "is damaged" in told
    assert "mainstay restore" in told
    assert "well" not in told


def test_a_file_that_is_no_database_is_told(mainstay: Mainstay, tmp_path: Path, install: None) -> None:
    for path in (tmp_path / "data").glob("state.sqlite3*"):
        path.write_bytes(b"\x00 not ours" * 1000)
    assert "is damaged" in mainstay("journal", code=1)
    assert "is damaged" in mainstay("status", code=1)


@pytest.mark.parametrize(("key", "what"), [("", "empty"), ("short", "too short"), ("\x00" * 64, "damaged")])
def test_nothing_starts_on_a_bad_key(mainstay: Mainstay, tmp_path: Path, install: None, key: str, what: str) -> None:
    (tmp_path / "data" / "secret.key").write_text(key)
    told = mainstay(*UP, code=1)
    assert what in told
    assert "secret.key" in told
    assert "restore it from a snapshot" in told


@pytest.mark.parametrize("command", ["status", "monitors"])
def test_states_are_told_to_be_old_where_no_server_runs(
    mainstay: Mainstay, tmp_path: Path, install: None, command: str
) -> None:
    old = f"no server is running on {tmp_path / 'data'}: nothing is checked, and these states are old"
    assert old in mainstay(command)
    with (tmp_path / "data" / "server.lock").open("a") as held:
        assert old in mainstay(command), "a lock that a stopped server left"
        fcntl.flock(held, fcntl.LOCK_EX)
        assert old not in mainstay(command)
