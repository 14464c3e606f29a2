"""Restoring a snapshot into an empty data folder or database, and proving that it is what was taken.

Counts and the journal's end are compared before newer migrations run, the whole journal is verified after.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from mainstay.kernel.actor import Actor
from mainstay.kernel.errors import MainstayError
from mainstay.kernel.settings import Settings
from mainstay.kernel.wording import counted
from mainstay.store.events import SnapshotRestored
from mainstay.store.settings import TELEMETRY_MEMORY
from mainstay.store.snapshots import archive, places, restore_folder, sqlite
from mainstay.store.snapshots.archive import Progress, silent
from mainstay.store.snapshots.manifest import STATE_FILE, STATE_PART, Manifest
from mainstay.store.snapshots.postgres import MARK, PostgresTables, connected
from mainstay.store.snapshots.sealing import Damaged

Boot = Callable[[Settings], None]

_BLOCK = 1024 * 1024
_RATIO = 200  # a database packs to a twentieth at best
_UNPACKED = 1024 * _BLOCK  # below this the ratio does not matter


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back. `resumed`: it had been restored before and was only put into its place now.

    missing_secrets: references without a value. missing_segments: files of the journal that are in neither the snapshot
    nor their place.
    """

    manifest: Manifest | None
    missing_secrets: tuple[str, ...] = ()
    missing_segments: tuple[str, ...] = ()
    resumed: bool = False


def examine(address: str, key: str, progress: Progress = silent) -> Manifest:
    """Read a snapshot to its end and verify every checksum. Damaged says what is wrong with it."""
    with places.fetched(address) as file:
        return archive.read(file, key, None, progress)


def restore(
    actor: Actor, settings: Settings, address: str, key: str, *, boot: Boot, progress: Progress = silent
) -> Restored:
    """`boot` starts Django on the settings that it is given: those of the staging folder."""
    actor.require("snapshots:write")
    with restore_folder.reserved(settings.data) as staging:
        if restore_folder.is_complete(staging):
            _put_into_place(settings, staging)
            return Restored(None, resumed=True)
        try:
            manifest = _unpack(staging, address, key, progress)
            boot(replace(settings, data=staging))
            restored = _rebuild(actor, replace(settings, data=staging), manifest, address, progress)
            _put_into_place(settings, staging)
        except MainstayError as error:
            error.message, error.hint = (_in_place(text, staging) for text in (error.message, error.hint))
            raise
        finally:
            restore_folder.give_up(staging)  # whatever went wrong: the folder is left as it was found
    told = tuple(_in_place(reason, staging) for reason in restored.missing_secrets)
    return replace(restored, missing_secrets=told)


def _in_place(text: str, staging: Path) -> str:
    """Files under the name that people know them by: the staging folder is gone when they read this."""
    return text.replace(str(staging), str(staging.parent))


def _unpack(staging: Path, address: str, key: str, progress: Progress) -> Manifest:
    parts = staging / restore_folder.PARTS
    with places.fetched(address, staging) as file:
        manifest = archive.read(file, key, parts, progress)
    if manifest.state == "sqlite":
        unpack(parts / STATE_PART, parts / STATE_FILE)
        sqlite.check(parts / STATE_FILE)
    restore_folder.take_secrets(staging)
    return manifest


def unpack(packed: Path, target: Path) -> None:
    """Damaged if it becomes so large that no database can be in it."""
    limit = max(_UNPACKED, packed.stat().st_size * _RATIO)
    with gzip.open(packed) as source, target.open("wb") as out:
        while block := source.read(_BLOCK):
            if out.tell() + len(block) > limit:
                raise Damaged(f"{packed.name} unpacks to more than {limit // 1024 // 1024} MiB, which no database does")
            out.write(block)


def _rebuild(actor: Actor, settings: Settings, manifest: Manifest, address: str, progress: Progress) -> Restored:
    """Make the stores in the staging folder, or the database."""
    from django.db import connections

    from mainstay.store.seals.files import FOLDER as SEGMENTS
    from mainstay.store.seals.proving import verify
    from mainstay.store.seals.rows import bring_back
    from mainstay.store.snapshots import telemetry_copy, versions

    parts = settings.data / restore_folder.PARTS
    versions.check_migrations(manifest.migrations, "the snapshot", manifest.program)
    if settings.database:
        _rebuild_postgres(settings.database, manifest, parts, progress)
    else:
        _rebuild_sqlite(settings.data / STATE_FILE, manifest, parts, progress)
    progress("bringing the tables to this version", 0, 0)
    _migrate_forwards()
    progress("verifying the journal", 0, 0)
    if (found := verify(settings, everything=True, files=False)).broken_at is not None:
        raise Damaged(f"the journal of the snapshot is broken at entry {found.broken_at}: {found.reason}")
    missing_segments = bring_back(parts / SEGMENTS, settings)
    telemetry_copy.restore(
        parts / telemetry_copy.FOLDER, settings.data, manifest.telemetry, settings[TELEMETRY_MEMORY], progress
    )
    _tell(actor, settings, manifest, address)
    missing = _missing_secrets(settings)
    connections.close_all()
    restore_folder.complete(settings.data)
    return Restored(manifest, tuple(missing), tuple(missing_segments))


def _rebuild_sqlite(path: Path, manifest: Manifest, parts: Path, progress: Progress) -> None:
    from django.db import connections

    from mainstay.store.snapshots import filling

    if manifest.state == "sqlite":
        (parts / STATE_FILE).rename(path)
    else:
        filling.make_tables(manifest.migrations)
        connections.close_all()
        filling.fill_sqlite(path, manifest, parts, progress)
    with sqlite.opened(path) as database:
        tables = sqlite.SqliteTables(database)
        _compare(manifest, tables.counts(), tables.journal())


def _rebuild_postgres(url: str, manifest: Manifest, parts: Path, progress: Progress) -> None:
    from mainstay.store.snapshots import filling

    with connected(url) as connection:
        tables = PostgresTables(connection)
        names = tables.all_names()
        if MARK in names and (filling.Mark(tables).note("of") or ["restore"])[0] == "restore":
            # A restore that died before its end: what it left is its own, and it begins anew.
            for name in names:
                tables.do(f"DROP TABLE {sqlite.quoted(name)} CASCADE")
        filling.Mark(tables).open("restore", manifest.install)
        filling.make_tables(manifest.migrations)
        tables.empty()  # of what migrations put there
        filling.fill_postgres(tables, manifest, parts, progress)
        _compare(manifest, {name: tables.count(name) for name in tables.names()}, tables.journal())


def _compare(manifest: Manifest, counts: dict[str, int], journal: tuple[int, str, str]) -> None:
    for table, count in manifest.counts.items():
        if counts.get(table) != count:
            raise Damaged(
                f"the table {table} has {counted(counts.get(table, 0), 'row')}, and the snapshot says {count}"
            )
    if journal[:2] != (manifest.journal_seq, manifest.journal_hash):
        raise Damaged(f"the journal ends at entry {journal[0]}, and the snapshot says {manifest.journal_seq}")


def _migrate_forwards() -> None:
    from django.core.management import call_command

    call_command("migrate", verbosity=0, interactive=False)


def _tell(actor: Actor, settings: Settings, manifest: Manifest, address: str) -> None:
    from mainstay.store.snapshots import versions
    from mainstay.store.work import unit_of_work

    versions.record(actor, settings)
    told = SnapshotRestored(
        "mainstay",
        file=address.rpartition("/")[2],
        taken_at=manifest.taken_at,
        program=manifest.program,
        journal_seq=manifest.journal_seq,
    )
    with unit_of_work(actor) as work:
        work.record(told)


def _missing_secrets(settings: Settings) -> list[str]:
    from mainstay.store.resources.queries import resources
    from mainstay.store.secrets import SecretSource

    # Secrets that already lie in the data folder count too: the staging folder is not where they will be read.
    source = SecretSource(replace(settings, data=settings.data.parent))
    staged = SecretSource(settings)
    return [
        f"{item.subject}: {reason}"
        for item in resources()
        if source.missing(item.document)
        for reason in staged.missing(item.document)
    ]


def _put_into_place(settings: Settings, staging: Path) -> None:
    if settings.database:
        with connected(settings.database) as connection:
            PostgresTables(connection).do(f"DROP TABLE IF EXISTS {MARK}")
    restore_folder.move_up(staging)
