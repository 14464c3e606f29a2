"""Taking a snapshot: state, telemetry and secrets as of one moment, into one file, while everything runs.

The state is read first and names the moment; telemetry is taken up to it. Both lie in the staging folder until
the file is written, so that their checksums stand at its beginning.
"""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from mainstay import __version__
from mainstay.kernel.actor import Actor
from mainstay.kernel.errors import Conflict, MainstayError, UserError
from mainstay.kernel.secret import REFERENCE, SecretMissing
from mainstay.kernel.settings import Settings
from mainstay.store.events import SnapshotFailed, SnapshotTaken
from mainstay.store.models import FactRow
from mainstay.store.seals.files import FOLDER as SEGMENTS
from mainstay.store.seals.files import is_local
from mainstay.store.secrets import SecretSource
from mainstay.store.settings import SNAPSHOT_KEY, SNAPSHOT_TO, TELEMETRY_MEMORY
from mainstay.store.snapshots import archive, control, places, retention, rows, sqlite, telemetry_copy
from mainstay.store.snapshots.archive import Progress, silent
from mainstay.store.snapshots.manifest import (
    FORMAT,
    KEY_FILES,
    ROWS_FOLDER,
    SECRETS_FOLDER,
    STATE_FILE,
    STATE_PART,
    Manifest,
    file_name,
    moment_of,
)
from mainstay.store.snapshots.postgres import MARK, PostgresTables, connected
from mainstay.store.work import unit_of_work

STAGING = ".snapshot"
_FACT = "snapshot_newest"


@dataclass(frozen=True, slots=True)
class Wishes:
    """`to`: folder or bucket. `key`: the key itself. `offline`: no server runs, also if the lock is held by us."""

    to: str
    keep: str = ""
    key: str = ""
    secrets: bool = False
    telemetry: bool = True
    offline: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """A snapshot that lies at `address`; `deleted` are the names that the retention took away."""

    address: str
    bytes: int
    taken_at: float
    journal_seq: int
    encrypted: bool
    secrets: bool
    seconds: float
    deleted: tuple[str, ...] = ()


def wishes_from(settings: Settings, to: str = "", keep: str = "", key: str = "") -> Wishes:
    """The settings' place and key, with what is given here before them; UserError for a key that cannot be had.

    Nothing is deleted unless `keep` says so: who takes one by hand wants one more, not one less.
    """
    reference = key or settings[SNAPSHOT_KEY]
    return Wishes(
        to=to or settings[SNAPSHOT_TO] or str(settings.data / "snapshots"),
        keep=keep,
        key=key_from(settings, reference) if reference else "",
    )


def key_from(settings: Settings, reference: str) -> str:
    found = REFERENCE.fullmatch(reference)
    if not found:
        raise UserError(
            "the key of snapshots must be a reference", hint="write ${file:/path} or ${env:NAME}, and keep it there"
        )
    try:
        return SecretSource(settings).lookup(found[1], found[2])
    except SecretMissing as error:
        raise UserError(str(error), hint="without its key, no snapshot can be taken or read") from None


def take(actor: Actor, settings: Settings, wishes: Wishes, progress: Progress = silent) -> Taken:
    """Take one. UserError, StoreBusy or Unavailable say why there is none; a file under its name is whole."""
    actor.require("snapshots:write")
    started = time.monotonic()
    keep = retention.parse_keep(wishes.keep)
    place = places.place(wishes.to, settings.data)
    with _staging(settings.data) as folder:
        try:
            manifest = _stage(settings, wishes, folder, progress)
            name = file_name(manifest.install, manifest.taken_at, sealed=bool(wishes.key))
            size = place.put(name, lambda out: archive.write(out, folder, manifest, wishes.key, progress))
        except (OSError, sqlite3.Error, duckdb.Error) as error:
            raise UserError(
                f"the snapshot could not be taken: {error}", hint=f"is there space in {settings.data}?"
            ) from error
    taken = Taken(
        address=place.address(name),
        bytes=size,
        taken_at=manifest.taken_at,
        journal_seq=manifest.journal_seq,
        encrypted=bool(wishes.key),
        secrets=manifest.secrets,
        seconds=time.monotonic() - started,
    )
    return replace(taken, deleted=tuple(_thin_out(place, manifest.install, keep)))


def _thin_out(place: places.Storage, install: str, keep: dict[str, int]) -> Iterator[str]:
    """Delete this install's snapshots that need not stay; others' files are left alone."""
    known = {name: moment for name in place.names() if (moment := moment_of(name, install)) is not None}
    stay = retention.kept(known.values(), keep)
    for name, moment in sorted(known.items()):
        if moment not in stay:
            place.delete(name)
            yield name


@contextmanager
def _staging(data: Path) -> Iterator[Path]:
    """An empty folder for this snapshot alone; what a killed one left is removed."""
    if not data.is_dir():
        raise UserError(f"there is nothing in {data} yet", hint="start Mainstay with `mainstay up`")
    folder = data / STAGING
    with (data / f"{STAGING}.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict("another snapshot is being taken", hint="wait until it is done") from None
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _stage(settings: Settings, wishes: Wishes, folder: Path, progress: Progress) -> Manifest:
    _stage_segments(settings, folder)  # and again below: those of either side of the state's moment
    if settings.database:
        manifest = _stage_rows(settings.database, folder, progress)
    else:
        manifest = _stage_file(settings.data / STATE_FILE, folder, progress)
    _stage_segments(settings, folder)
    telemetry: dict[str, int] = {}
    if wishes.telemetry:
        (folder / telemetry_copy.FOLDER).mkdir()
        telemetry = _stage_telemetry(settings, wishes, folder / telemetry_copy.FOLDER, manifest.taken_at, progress)
    secrets = bool(wishes.key) or wishes.secrets
    if secrets:
        _stage_secrets(settings, folder)
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    parts = []
    for number, name in enumerate(names):
        progress("summing", number, len(names))
        parts.append(archive.describe(folder, name))
    return _with(manifest, parts=parts, secrets=secrets, telemetry=telemetry, note=wishes.note)


def _with(manifest: Manifest, **changes: object) -> Manifest:
    import msgspec

    return msgspec.structs.replace(manifest, **changes)


def _stage_file(path: Path, folder: Path, progress: Progress) -> Manifest:
    copied = folder / STATE_FILE
    moment = sqlite.copy(path, copied, progress)
    with sqlite.opened(copied) as database:
        tables = sqlite.SqliteTables(database)
        seq, head, install = tables.journal()
        manifest = Manifest(
            format=FORMAT,
            program=__version__,
            taken_at=moment,
            install=install,
            state="sqlite",
            migrations=tables.migrations(),
            journal_seq=seq,
            journal_hash=head,
            counts=tables.counts(),
            sequences=tables.sequences(),
        )
    with copied.open("rb") as source, gzip.open(folder / STATE_PART, "wb", 3) as out:
        shutil.copyfileobj(source, out, 1 << 20)
    copied.unlink()
    return manifest


def _stage_rows(url: str, folder: Path, progress: Progress) -> Manifest:
    (folder / ROWS_FOLDER).mkdir()
    with connected(url) as connection:
        tables = PostgresTables(connection)
        with tables.one_moment() as moment:
            names = tables.names()
            if not names or MARK in tables.all_names():
                raise UserError(
                    "there is no complete store in the database yet", hint="start Mainstay with `mainstay up`"
                )
            counts = {}
            for number, name in enumerate(names):
                progress("copying the state", number, len(names))
                path = folder / ROWS_FOLDER / f"{name}{rows.SUFFIX}"
                counts[name] = rows.write_rows(path, list(tables.columns(name)), tables.rows(name))
            seq, head, install = tables.journal()
            return Manifest(
                format=FORMAT,
                program=__version__,
                taken_at=moment,
                install=install,
                state="rows",
                migrations=tables.migrations(),
                journal_seq=seq,
                journal_hash=head,
                counts=counts,
                sequences=tables.sequences(),
            )


def _stage_segments(settings: Settings, folder: Path) -> None:
    """Sealed segments of the journal that lie in the data folder. A file never changes under its name."""
    if not is_local(settings):
        return
    (folder / SEGMENTS).mkdir(exist_ok=True)
    for path in (settings.data / SEGMENTS).glob("journal-*.parquet"):
        with suppress(FileNotFoundError, FileExistsError):  # rewritten meanwhile, or staged before
            os.link(path, folder / SEGMENTS / path.name)


def _stage_telemetry(
    settings: Settings, wishes: Wishes, folder: Path, until: float, progress: Progress
) -> dict[str, int]:
    if settings.telemetry:
        return {}  # ClickHouse keeps it, and has backups of its own
    memory = settings[TELEMETRY_MEMORY]
    if wishes.offline:
        return telemetry_copy.export_file(settings.data, folder, until, memory, progress)
    with control.alone(settings.data) as alone:
        if alone:
            return telemetry_copy.export_file(settings.data, folder, until, memory, progress)
    return control.ask_for_telemetry(settings.data, until, progress)


def _stage_secrets(settings: Settings, folder: Path) -> None:
    data = settings.data
    for name in KEY_FILES:
        if (settings.key_folder / name).exists():
            shutil.copyfile(settings.key_folder / name, folder / name)
    for path in sorted((data / SECRETS_FOLDER).rglob("*")):
        if path.is_file():
            target = folder / SECRETS_FOLDER / path.relative_to(data / SECRETS_FOLDER)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


# What is told of it ----------------------------------------------------------------------------------------


def record_taken(actor: Actor, taken: Taken) -> None:
    """Append to the journal, and remember the newest for the health page."""
    actor.require("snapshots:write")
    told = SnapshotTaken(
        "mainstay",
        address=taken.address,
        bytes=taken.bytes,
        journal_seq=taken.journal_seq,
        encrypted=taken.encrypted,
        seconds=round(taken.seconds, 1),
        deleted=list(taken.deleted),
    )
    with unit_of_work(actor) as work:
        work.record(told)
        value = json.dumps({"at": taken.taken_at, "address": taken.address, "bytes": taken.bytes})
        FactRow.objects.update_or_create(key=_FACT, defaults={"value": value})


def record_failed(actor: Actor, to: str, error: MainstayError) -> None:
    actor.require("snapshots:write")
    with unit_of_work(actor) as work:
        work.record(SnapshotFailed("mainstay", to=to, error=error.message[:500]))


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest snapshot; `at` in epoch seconds, the moment of its content."""

    at: float
    address: str
    bytes: int


def newest() -> Newest | None:
    row = FactRow.objects.filter(key=_FACT).first()
    if row is None:
        return None
    found = json.loads(row.value)
    return Newest(float(found["at"]), str(found["address"]), int(found["bytes"]))
