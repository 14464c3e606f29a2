"""Moving from SQLite to a real PostgreSQL: every row equal, resumable, refused where it would harm."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.rigs.snapshot_rig import TOLD, Install, Postgres, postgres_server, untold

SESSIONS = {"django_session", "usersessions_usersession"}


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Install:
    install = Install(tmp_path_factory.mktemp("source") / "data")
    install.fill(rows=4, entries=1200)
    return install


def test_a_move_brings_every_row_and_goes_on_in_postgresql(source: Install, postgres: Postgres) -> None:
    before, url = source.content(), postgres.database()
    moved = json.loads(source.ok("migrate-store", "--to", url, "--sessions", "--json"))
    target = Install(source.data, url)
    assert source.content() == before, "the source is only read"
    assert untold(target.content()) == untold(before)
    assert target.content()["journal"][0] == before["journal"][0] + 1, "the move itself is told"
    assert moved["counts"]["journal"] == before["journal"][0]
    hashes = "SELECT seq, hash, salt, data FROM journal WHERE seq <= {} ORDER BY seq".format(moved["journal_seq"])
    assert target.rows(hashes) == source.rows(hashes)
    assert target.rows("SELECT kind FROM journal ORDER BY seq DESC LIMIT 1") == [("store.migrated",)]
    assert "all intact" in target.ok("journal", "verify")
    assert target.rows("SELECT 1 FROM pg_tables WHERE tablename = 'mainstay_import'") == []


def test_numbers_that_were_given_out_are_not_given_out_again(source: Install, postgres: Postgres) -> None:
    url = postgres.database()
    source.ok("migrate-store", "--to", url)
    target = Install(source.data, url)
    ((given_out,),) = source.rows("SELECT seq FROM sqlite_sequence WHERE name = 'ping'")
    ((highest,),) = source.rows("SELECT max(id) FROM ping")
    assert given_out > highest, "the newest ping was deleted"
    assert target.rows("SELECT nextval(pg_get_serial_sequence('ping', 'id'))") == [(given_out + 1,)]
    ((revision,),) = source.rows("SELECT max(number) FROM revision")
    assert target.rows("SELECT nextval(pg_get_serial_sequence('revision', 'number'))") == [(revision + 1,)]


def test_sessions_stay_behind_unless_they_are_asked_for(source: Install, postgres: Postgres) -> None:
    url = postgres.database()
    source.ok("migrate-store", "--to", url)
    content = Install(source.data, url).content()
    assert {content[table][0] for table in SESSIONS} == {0}
    kept = {table for table in source.content() if table not in SESSIONS | TOLD}
    assert {table: content[table] for table in kept} == {table: source.content()[table] for table in kept}


def test_a_live_source_a_full_target_and_a_wrong_address_are_refused(source: Install, postgres: Postgres) -> None:
    url = postgres.database()
    with (source.data / "server.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "a server uses the data folder" in source.refused("migrate-store", "--to", url)
    Install(source.data, url).rows("SELECT 1")
    import psycopg

    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE mine (id int)")
    assert "not empty: it holds mine" in source.refused("migrate-store", "--to", url)
    assert "must begin with postgres://" in source.refused("migrate-store", "--to", "mysql://x/y")
    assert "did not answer" in source.refused("migrate-store", "--to", "postgres://u@127.0.0.1:1/x")
    again = Install(source.data, url)
    assert "not in SQLite" in again.refused("migrate-store", "--to", url)


def test_what_changed_between_two_attempts_is_copied_again(source: Install, postgres: Postgres, tmp_path: Path) -> None:
    """An attempt that died after all rows; then somebody used the old store."""
    import psycopg

    own = Install(tmp_path / "data")
    own.fill(rows=3, entries=20, samples=10)
    url = postgres.database()
    own.ok("migrate-store", "--to", url)
    ((install,),) = own.rows("SELECT substr(hash, 1, 8) FROM journal WHERE seq = 1")
    target = Install(own.data, url)
    with psycopg.connect(url) as connection:  # as a kill just before the end leaves it
        connection.execute("CREATE TABLE mainstay_import (key text PRIMARY KEY, value text NOT NULL)")
        notes = {"of": ["move", install], "tables": True}
        notes |= {f"table {name}": [10**9, 10**9] for name in own.content()}
        for key, value in notes.items():
            connection.execute("INSERT INTO mainstay_import VALUES (%s, %s)", [key, json.dumps(value)])
    assert "not finished" in target.refused("up", "--listen", "127.0.0.1:0")
    other = Install(source.data)
    assert "a part of another move" in other.refused("migrate-store", "--to", url)
    own.ok("token", "create", "later", "--role", "admin")
    own.ok("migrate-store", "--to", url)
    ours, theirs = own.content(), target.content()
    assert theirs["account_token"] == ours["account_token"]
    assert theirs["journal"][0] == ours["journal"][0] + 1
    assert "all intact" in target.ok("journal", "verify")


def test_text_that_postgresql_cannot_keep_is_named(postgres: Postgres, tmp_path: Path) -> None:
    import sqlite3
    from contextlib import closing

    own = Install(tmp_path / "data")
    own.fill(rows=2, entries=5, samples=10)
    with closing(sqlite3.connect(own.data / "state.sqlite3")) as database, database:
        database.execute("UPDATE alert SET title = ? WHERE rowid = 1", ["nul \0 here"])
        database.execute("UPDATE alert SET name = ? WHERE rowid = 2", ["x" * 500])
    url = postgres.database()
    told = own.refused("migrate-store", "--to", url)
    assert "a row of the table alert does not match" in told
    assert "column name" in told
    with closing(sqlite3.connect(own.data / "state.sqlite3")) as database, database:
        database.execute("UPDATE alert SET name = 'short' WHERE rowid = 2")
    own.ok("migrate-store", "--to", url)
    assert ("nul \ufffd here",) in Install(own.data, url).rows("SELECT title FROM alert")
