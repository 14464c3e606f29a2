"""`mainstay snapshot`, `restore` and `migrate-store`: keep everything, bring it back, move it."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated

import typer

from mainstay.kernel.actor import command
from mainstay.kernel.errors import MainstayError, UserError
from mainstay.kernel.wording import counted
from mainstay.snapshots.settings import SNAPSHOT_KEEP
from mainstay.store.damage import check_begun
from mainstay.store.settings import SNAPSHOT_KEY

if TYPE_CHECKING:
    from mainstay.kernel.settings import Settings
    from mainstay.store.snapshots.archive import Progress
    from mainstay.store.snapshots.manifest import Manifest
    from mainstay.store.snapshots.taking import Taken, Wishes

Key = Annotated[str, typer.Option(help="${file:PATH} or ${env:NAME} of the key; default: MAINSTAY_SNAPSHOT_KEY.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def snapshot(
    *,
    to: Annotated[str, typer.Option(help="Folder or s3://bucket/prefix; default: MAINSTAY_SNAPSHOT_TO.")] = "",
    every: Annotated[str, typer.Option(help="Keep taking one at this interval, such as 1d, until interrupted.")] = "",
    keep: Annotated[
        str, typer.Option(help="Delete all but these, such as 7d,4w; --every: MAINSTAY_SNAPSHOT_KEEP.")
    ] = "",
    key: Key = "",
    secrets: Annotated[bool, typer.Option("--secrets", help="Include keys and secrets, even unencrypted.")] = False,
    without_telemetry: Annotated[bool, typer.Option("--without-telemetry", help="Leave out results.")] = False,
    as_json: AsJson = False,
) -> None:
    """Copy everything to one file, while the server runs."""
    from mainstay.frames.boot import load_settings, start_django

    os.umask(0o077)
    settings = load_settings()
    check_begun(settings)
    seconds = _seconds(every)
    start_django(settings, light=True)
    from mainstay.store.declared_settings import take_declared
    from mainstay.store.snapshots.taking import wishes_from

    take_declared(settings)
    keep = keep or (settings[SNAPSHOT_KEEP] if seconds else "")
    wishes = replace(wishes_from(settings, to, keep, key), secrets=secrets, telemetry=not without_telemetry)
    while True:
        _print_taken(_take(settings, wishes, quiet=as_json), as_json=as_json)
        if not seconds:
            return
        time.sleep(seconds)


def _seconds(every: str) -> float:
    from mainstay.kernel.timespan import parse_duration

    try:
        seconds = parse_duration(every) if every else 0.0
    except ValueError:
        raise UserError(f"`{every[:20]}` is not a duration", hint="write --every 1d") from None
    if every and seconds < 1:
        raise UserError("--every must be a second or more", hint="write --every 1d")
    return seconds


def _take(settings: Settings, wishes: Wishes, *, quiet: bool) -> Taken:
    from mainstay.store.snapshots.taking import record_failed, record_taken, take

    actor = command("snapshot")
    try:
        with _progress(quiet=quiet) as progress:
            taken = take(actor, settings, wishes, progress)
    except MainstayError as error:
        record_failed(actor, wishes.to, error)
        raise
    record_taken(actor, taken)
    return taken


def _print_taken(taken: Taken, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(taken)))
        return
    typer.echo(f"{taken.address}  {taken.bytes / 1e6:,.1f} MB in {taken.seconds:.1f} s")
    if not taken.secrets:
        typer.echo("  without secret.key and secrets, because it is not encrypted: set MAINSTAY_SNAPSHOT_KEY")
    for name in taken.deleted:
        typer.echo(f"  deleted {name}")


def restore(
    snapshot: Annotated[str, typer.Argument(help="File, or s3://bucket/prefix/name.", metavar="SNAPSHOT")],
    key: Key = "",
    check: Annotated[bool, typer.Option("--check", help="Verify the file and restore nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Restore a snapshot into an empty data folder or database."""
    from mainstay.frames.boot import load_settings
    from mainstay.store.snapshots import restoring

    os.umask(0o077)
    settings = load_settings()
    secret = _key(settings, key)
    with _progress(quiet=as_json) as progress:
        if check:
            manifest = restoring.examine(snapshot, secret, progress)
            missing: tuple[str, ...] = ()
            segments: tuple[str, ...] = ()
        else:
            done = restoring.restore(command("restore"), settings, snapshot, secret, boot=_boot, progress=progress)
            if done.manifest is None:
                typer.echo(f"an interrupted restore into {settings.data} was completed; nothing was read again")
                return
            manifest, missing, segments = done.manifest, done.missing_secrets, done.missing_segments
    _print_manifest(manifest, "is whole" if check else f"restored to {settings.data}", as_json=as_json)
    if not as_json and not check:
        _print_advice(manifest, missing, segments)


def _key(settings: Settings, reference: str) -> str:
    reference = reference or settings[SNAPSHOT_KEY]
    if not reference:
        return ""
    from mainstay.kernel.secret import REFERENCE, SecretMissing
    from mainstay.store.secrets import SecretSource

    found = REFERENCE.fullmatch(reference)
    if not found:
        raise UserError("the key must be a reference", hint="write ${file:/path} or ${env:NAME}")
    try:
        return SecretSource(settings).lookup(found[1], found[2])
    except SecretMissing as error:
        raise UserError(str(error)) from None


def _boot(settings: Settings) -> None:
    from mainstay.frames.boot import start_django

    start_django(settings)


def _print_manifest(manifest: Manifest, outcome: str, *, as_json: bool) -> None:
    from mainstay.kernel.clock import to_iso

    if as_json:
        import msgspec

        typer.echo(msgspec.json.encode(manifest).decode())
        return
    results = manifest.telemetry.get("sample", 0)
    typer.echo(f"the snapshot of {to_iso(manifest.taken_at)} (Mainstay {manifest.program}) {outcome}")
    typer.echo(
        f"  {counted(sum(manifest.counts.values()), 'row')} in {len(manifest.counts)} tables, "
        f"{counted(results, 'result')}, "
        f"journal to entry {manifest.journal_seq:,}"
    )


def _print_advice(manifest: Manifest, missing: tuple[str, ...], segments: tuple[str, ...]) -> None:
    if not manifest.secrets:
        typer.echo(
            "  secret.key was not in it: unless you kept it, people must sign in and set up second factors again"
        )
    for reason in missing:
        typer.echo(f"  without a value here: {reason}")
    for name in segments:
        typer.echo(f"  a segment of the journal is missing: {name}")


def migrate_store(
    to: Annotated[str, typer.Option(help="postgres://user@host/name, empty; the password may be in PGPASSWORD.")],
    sessions: Annotated[bool, typer.Option("--sessions", help="Keep people signed in.")] = False,
    as_json: AsJson = False,
) -> None:
    """Move the state from SQLite to an empty PostgreSQL. After a failure, run it again: it continues."""
    from mainstay.frames.boot import load_settings, start_django

    settings = load_settings()
    if settings.database:
        raise UserError("the state is not in SQLite: MAINSTAY_DATABASE is set", hint="unset it for this command")
    check_begun(settings)
    target = replace(settings, database=to)
    start_django(target)
    from mainstay.store.snapshots.moving import move

    with _progress(quiet=as_json) as progress:
        moved = move(command("migrate-store"), target, sessions=sessions, progress=progress)
    if as_json:
        typer.echo(json.dumps(asdict(moved)))
        return
    typer.echo(f"moved {counted(sum(moved.counts.values()), 'row')} of {len(moved.counts)} tables; each was compared")
    typer.echo(f"  journal verified to entry {moved.journal_seq:,}, {moved.journal_hash[:16]}…")
    typer.echo("now start Mainstay with MAINSTAY_DATABASE set to the address given here and the same data folder,")
    typer.echo(f"which keeps results and secret.key; then {settings.data / 'state.sqlite3'} is no longer needed")


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Progress]:
    """A bar on a terminal; one line for each step elsewhere; nothing if `quiet`."""
    if quiet or not sys.stderr.isatty():
        seen: set[str] = set()

        def tell(step: str, _done: int, _total: int) -> None:
            if not quiet and step not in seen:
                seen.add(step)
                typer.echo(step, err=True)

        yield tell
        return
    from rich.console import Console
    from rich.progress import Progress as Bars

    with Bars(console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("", total=None)
        yield lambda step, done, total: bars.update(task, description=step, completed=done, total=total or None)
