"""Commands meet data of another version, none at all, and a user without a name."""

from __future__ import annotations

import getpass
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mainstay.entry.cli.opening import me

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


def change(folder: Path, statement: str) -> None:
    database = sqlite3.connect(folder / "data" / "state.sqlite3")
    with database:
        database.execute(statement)
    database.close()


@pytest.mark.parametrize("command", [("locations",), ("journal",), ("heartbeats",), ("token", "list"), ("alerts",)])
def test_older_data_are_for_the_server_to_bring_up(mainstay: Mainstay, tmp_path: Path, command: tuple[str]) -> None:
    mainstay("journal")
    change(tmp_path, "DELETE FROM django_migrations WHERE app = 'watch' AND name <> '0001_initial'")
    told = mainstay(*command, code=1)
    assert "the data are of an older version" in told
    assert "start `mainstay up` once" in told


def test_newer_data_are_refused(mainstay: Mainstay, tmp_path: Path) -> None:
    mainstay("journal")
    change(tmp_path, "INSERT INTO django_migrations (app, name, applied) VALUES ('watch', '9999_later', '2030-01-01')")
    assert "written by a newer Mainstay" in mainstay("token", "list", code=1)


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
