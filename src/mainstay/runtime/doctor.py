"""`mainstay doctor`: looks for what is wrong with this install, and says what to do about it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from mainstay.frames.opening import server_process
from mainstay.kernel.errors import MainstayError
from mainstay.kernel.settings import Settings, variable
from mainstay.kernel.wording import counted
from mainstay.store.damage import check_sound, check_there, damage_in, errors

_LOW_DISK = 500 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Finding:
    """`state` is ok, warning or error."""

    name: str
    state: str
    message: str
    hint: str = ""


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Diagnose problems of this install. Exit code 1 if there are any."""
    from mainstay.frames.boot import load_settings

    findings = list(examine(load_settings()))
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        _draw(findings)
    if any(finding.state == "error" for finding in findings):
        raise typer.Exit(1)


def _draw(findings: list[Finding]) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    marks = {"ok": "[green]ok     [/]", "warning": "[yellow]warning[/]", "error": "[red]error  [/]"}
    for finding in findings:
        console.print(f"{marks[finding.state]} {finding.name}: {finding.message}", markup=True)
        if finding.hint:
            console.print(f"          {finding.hint}", style="dim", markup=False)


def examine(settings: Settings) -> Iterator[Finding]:
    """Every finding, in the order in which they should be mended."""
    yield from _folder(settings)
    if not settings.data.is_dir():
        return
    yield from _disk(settings)
    yield from _icmp()
    yield from _server(settings)
    try:
        check_there(settings)
        check_sound(settings)
        for part in _database_parts():
            yield from part(settings)
    except MainstayError as error:
        yield Finding("database", "error", error.message, error.hint)
    except errors() as error:
        told = damage_in(error, settings)
        if told is None:
            raise
        yield Finding("database", "error", told.message, told.hint)


def _folder(settings: Settings) -> Iterator[Finding]:
    if not settings.data.is_dir():
        hint = "start `mainstay up` once, or name the folder with --data"
        yield Finding("data folder", "error", f"{settings.data} does not exist", hint)
        return
    mode = stat.S_IMODE(settings.data.stat().st_mode)
    if mode & 0o077:
        yield Finding("data folder", "warning", f"other users may access {settings.data}", f"chmod 700 {settings.data}")
    elif not os.access(settings.data, os.W_OK):
        yield Finding("data folder", "error", f"{settings.data} cannot be written", "run as the user who owns it")
    else:
        yield Finding("data folder", "ok", str(settings.data))


def _disk(settings: Settings) -> Iterator[Finding]:
    free = shutil.disk_usage(settings.data).free
    message = f"{free // 1024**2:,} MB free"
    if free < _LOW_DISK:
        yield Finding("disk", "error", message, "free some space: results are dropped when the disk is full")
    else:
        yield Finding("disk", "ok", message)


def _icmp() -> Iterator[Finding]:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP).close()
    except PermissionError:
        if os.geteuid() != 0:
            hint = "sysctl -w net.ipv4.ping_group_range='0 2147483647', or leave `icmp` checks out"
            yield Finding("icmp", "warning", "this user may not send ICMP echo requests", hint)
            return
    yield Finding("icmp", "ok", "ICMP echo requests can be sent")


def _server(settings: Settings) -> Iterator[Finding]:
    process = server_process(settings.data)
    if process is not None:
        yield Finding("server", "ok", f"runs as process {process}")
        return
    what = "is not running" if (settings.data / "server.lock").exists() else "has never run on this folder"
    yield Finding("server", "warning", what, "start it with `mainstay up`")


def _database_parts() -> list[Callable[[Settings], Iterator[Finding]]]:
    return [_database, _settings, _telemetry, _journal, _channels, _vault, _secrets]


def _database(settings: Settings) -> Iterator[Finding]:
    from django.db import DatabaseError, connection
    from django.db.migrations.executor import MigrationExecutor

    from mainstay.frames.boot import start_django

    start_django(settings)
    try:
        executor = MigrationExecutor(connection)
        waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        yield Finding("database", "error", f"does not answer: {error}", "see MAINSTAY_DATABASE")
        return
    if waiting:
        yield Finding("database", "error", f"{counted(len(waiting), 'migration')} to run", "`mainstay up` does")
    else:
        yield Finding("database", "ok", connection.vendor)


def _settings(settings: Settings) -> Iterator[Finding]:
    """Takes what is declared, for the parts that follow."""
    from mainstay.frames.boot import said_by_environment
    from mainstay.store.declared_settings import take_declared

    take_declared(settings)
    overridden = sorted(said_by_environment(settings) & set(settings.declared))
    for name in overridden:
        told = f"`{name}` is declared without effect: {variable(name)} is set in the environment, and wins"
        yield Finding("settings", "warning", told, "take one of the two out")
    if not overridden:
        count = len(settings.declared)
        yield Finding("settings", "ok", f"{count} declared" if count else "as by default, or from the environment")


def _telemetry(settings: Settings) -> Iterator[Finding]:
    from mainstay.store.columns.opening import look

    for name in ("telemetry", "archive"):
        try:
            found = look(settings, name)
        except MainstayError as error:
            yield Finding(name, "error", error.message, error.hint)
        else:
            if found:
                yield Finding(name, "ok", found)
    for path in sorted(settings.data.glob("telemetry.duckdb*.broken-*")):
        hint = "what could be read of it is in the new file; delete it when it is no longer needed"
        yield Finding("telemetry", "warning", f"{path.name} was damaged and set aside", hint)


def _journal(settings: Settings) -> Iterator[Finding]:
    from mainstay.store.seals.proving import verify

    try:
        found = verify(settings)
    except MainstayError as error:
        yield Finding("journal", "error", error.message, error.hint)
        return
    if found.broken_at is None:
        since = f" since the newest seal, and {found.segments} seals" if found.segments else ""
        yield Finding("journal", "ok", f"{counted(found.checked, 'entry', 'entries')}{since} verified")
    else:
        hint = "somebody changed the database by hand; compare with a backup"
        yield Finding("journal", "error", f"entry {found.broken_at} was altered: {found.reason}", hint)


def _channels(_settings: Settings) -> Iterator[Finding]:
    from mainstay.store.resources.queries import resources

    count = len(resources("channel"))
    if count:
        yield Finding("channels", "ok", f"{count} declared")
    else:
        hint = "declare one under `channels:`, then try it with `mainstay notify test NAME`"
        yield Finding("channels", "warning", "nobody would be notified: there is no channel", hint)


def _vault(settings: Settings) -> Iterator[Finding]:
    from mainstay.store.models import VaultRow
    from mainstay.store.vault import trouble

    reason = trouble(settings)
    if reason:
        hint = "see MAINSTAY_VAULT_KEY; whatever needs these secrets is unknown until then"
        yield Finding("vault", "error", reason, hint)
    else:
        yield Finding("vault", "ok", f"secrets stored: {VaultRow.objects.count()}")


def _secrets(settings: Settings) -> Iterator[Finding]:
    from mainstay.store.resources.queries import resources
    from mainstay.store.secrets import SecretSource

    source = SecretSource(settings)
    missing = [f"{item.subject}: {reason}" for item in resources() for reason in source.missing(item.document)]
    for reason in missing:
        yield Finding("secrets", "warning", reason, "the server may have a different environment; this one lacks it")
    if not missing:
        yield Finding("secrets", "ok", "every reference has a value")
