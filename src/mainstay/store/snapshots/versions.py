"""Which program may open which data. An older one must not touch what a newer one has written.

The tables know their migrations. Which program wrote last stands as a fact in the database and in `version.json`
of the data folder, which also counts changes of the folder itself and of the telemetry in it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb

from mainstay import __version__
from mainstay.kernel.actor import Actor
from mainstay.kernel.errors import Conflict, UserError
from mainstay.kernel.settings import Settings
from mainstay.store.models import FactRow
from mainstay.store.snapshots.places import sync_folder
from mainstay.store.snapshots.postgres import MARK
from mainstay.store.snapshots.restore_folder import check_finished
from mainstay.store.work import unit_of_work

FOLDER_FORMAT = 1
# The oldest program that can work on the tables of this one, for the length of a rolling upgrade. A change that it
# cannot bear (a column renamed or removed) raises this in the release that makes it; the release before must not
# need what it removes any more.
OLDEST = "0.1.0"
FILE = "version.json"
_FACT = "data_version"


class NewerData(UserError):
    """The data were written by a newer program."""

    code = "newer_data"
    status = 409


def _newer(what: str, program: str) -> NewerData:
    return NewerData(
        f"{what} was written by a newer Mainstay ({program}); this is {__version__}",
        hint=f"start Mainstay {program} or newer, or restore the snapshot that was taken before the upgrade",
    )


def _on_disk() -> set[tuple[str, str]]:
    """Names of this program's migrations; none of them is imported, which takes longer than the rest of a start."""
    from django.apps import apps
    from django.db.migrations.loader import MigrationLoader

    found = set()
    for app in apps.get_app_configs():
        package, _ = MigrationLoader.migrations_module(app.label)
        spec = importlib.util.find_spec(package) if package else None
        for place in (spec.submodule_search_locations or ()) if spec else ():
            found |= {(app.label, path.stem) for path in Path(place).glob("[0-9a-zA-Z]*.py")}
    return found


def known_migrations() -> set[tuple[str, str]]:
    """Those of this program, and those that they replace. Django must be set up."""
    from django.db.migrations.loader import MigrationLoader

    disk = MigrationLoader(None).disk_migrations
    return set(disk) | {replaced for migration in disk.values() for replaced in migration.replaces}


def check_migrations(applied: Iterable[tuple[str, str]], what: str, program: str, oldest: str = "") -> None:
    """NewerData if one of them is unknown to this program, unless it can bear that: it is `oldest` or newer."""
    applied = set(applied)
    if (
        applied - _on_disk()
        and applied - known_migrations()
        and not (oldest and _release(oldest) <= _release(__version__))
    ):
        raise _newer(what, program)


def applied_migrations() -> set[tuple[str, str]]:
    from django.db import connection
    from django.db.migrations.recorder import MigrationRecorder

    return set(MigrationRecorder(connection).applied_migrations())


def waiting_migrations() -> list[str]:
    """Names of what `mainstay up` would still change in the tables."""
    if _on_disk() <= applied_migrations():
        return []
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _backwards in plan]


def check(settings: Settings) -> None:
    """Raise unless this program may open the data: NewerData, or Conflict for what is only half there."""
    check_folder(settings.data)
    from django.db import connection

    tables = connection.introspection.table_names()
    if MARK in tables:
        raise Conflict(
            "the database holds only part of a store: a move or a restore into it was not finished",
            hint="run `mainstay migrate-store` or `mainstay restore` again, which continues, or empty the database",
        )
    row = FactRow.objects.filter(key=_FACT).values_list("value", flat=True).first() if "fact" in tables else None
    written = _parsed(row)
    program, oldest = str(written.get("program", "of unknown version")), str(written.get("oldest", ""))
    check_migrations(applied_migrations(), "the database", program, oldest if settings.database else "")


def check_folder(data: Path) -> None:
    """What `version.json` says, which also covers the telemetry; and whether a restore was finished."""
    check_finished(data)
    try:
        written = _parsed((data / FILE).read_text())
    except FileNotFoundError:
        return
    program = str(written.get("program", "of unknown version"))
    if int(written.get("folder", 0)) > FOLDER_FORMAT:
        raise _newer(f"the data folder {data}", program)
    if _numbers(str(written.get("duckdb", "0"))) > _numbers(duckdb.__version__):
        raise _newer(f"the telemetry in {data}", f"{program} with DuckDB {written['duckdb']}")


def record(actor: Actor, settings: Settings) -> None:
    """Write down that this program has brought the data to its version."""
    actor.require("snapshots:write")
    version = {"program": __version__, "folder": FOLDER_FORMAT, "duckdb": duckdb.__version__, "oldest": OLDEST}
    text = json.dumps(version)
    with unit_of_work(actor):
        row = FactRow.objects.filter(key=_FACT).first()
        if row is None or _release(str(_parsed(row.value).get("program", ""))) <= _release(__version__):
            FactRow.objects.update_or_create(key=_FACT, defaults={"value": text})
    write_whole(settings.data / FILE, text + "\n")


def write_whole(path: Path, text: str) -> None:
    """Replace a small file so that a crash leaves the old or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    temporary.rename(path)
    sync_folder(path.parent)


def _parsed(text: str | None) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _release(version: str) -> tuple[int, ...]:
    """Major, minor and patch; nothing for what is no version, which is older than all."""
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("-")[0])[:3])


def _numbers(version: str) -> tuple[int, ...]:
    """Major and minor."""
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
