"""`mainstay journal`: read, follow, verify and export what happened."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mainstay.frames.opening import me, open_data
from mainstay.kernel.capability import shown
from mainstay.kernel.errors import UserError
from mainstay.kernel.wording import counted

if TYPE_CHECKING:
    from mainstay.store.journal import Entry, Filter
    from mainstay.store.seals.proving import Verification

journal = typer.Typer(add_completion=False, rich_markup_mode=None, help="Read, follow, export and verify the journal.")

Kind = Annotated[str, typer.Option(help="Only this kind, such as monitor.went_down or `monitor.*`.")]
Subject = Annotated[str, typer.Option(help="Only this subject, such as monitor/api.")]
By = Annotated[str, typer.Option("--actor", help="Only actors whose name holds this.")]
Text = Annotated[str, typer.Option(help="Only entries whose data holds this.")]
Since = Annotated[str, typer.Option(help="Only since then: 2h, 7d, or 2026-01-02T03:04.")]
Until = Annotated[str, typer.Option(help="Only before then.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON lines.")]

_POLL_SECONDS = 0.5


def _moment(text: str) -> float | None:
    """Epoch seconds of `2h` (ago), or of an ISO time (local time unless it says otherwise)."""
    from datetime import datetime

    from mainstay.kernel.duration import parse_duration

    if not text:
        return None
    with suppress(ValueError):
        return time.time() - parse_duration(text)
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        raise UserError(f"`{text[:40]}` is not a time", hint="write 2h, 7d or 2026-01-02T03:04") from None


def _filter(
    kind: str = "", subject: str = "", actor: str = "", *, text: str = "", since: str = "", until: str = ""
) -> Filter:
    from mainstay.store.journal import Filter

    return Filter(kind, subject, actor, text, since=_moment(since), until=_moment(until))


def _line(entry: Entry) -> str:
    return json.dumps(entry.as_dict(), ensure_ascii=False)


def _draw(entry: Entry) -> None:
    from datetime import datetime

    from rich.console import Console
    from rich.text import Text as RichText

    colour = "red" if "down" in entry.kind or "failed" in entry.kind or "refused" in entry.kind else ""
    console = Console(highlight=False)
    line = RichText()
    line.append(f"{entry.seq:>7} ", "dim").append(f"{datetime.fromtimestamp(entry.at).astimezone():%m-%d %H:%M:%S} ")
    line.append(f"{shown(entry.kind)[1]:<32} ", colour or "bold").append(f"{entry.subject}  ").append(
        f"{entry.actor} ", "dim"
    )
    details = (f"{key}={value}" for key, value in entry.data.items() if value not in (None, "", [], {}))
    line.append(" ".join(details), "dim")
    # One line an entry: cut on a screen, whole in a pipe.
    whole = not console.is_terminal
    console.print(line, no_wrap=True, overflow="ignore" if whole else "ellipsis", soft_wrap=whole)


def _print(entry: Entry, as_json: bool) -> None:
    if as_json:
        typer.echo(_line(entry))
    else:
        _draw(entry)


@journal.callback(invoke_without_command=True)
def read(
    context: typer.Context,
    *,
    kind: Kind = "",
    subject: Subject = "",
    actor: By = "",
    text: Text = "",
    since: Since = "",
    until: Until = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many, newest last.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the newest entries, oldest of them first."""
    if context.invoked_subcommand is not None:
        return
    open_data()
    from mainstay.store.seals.reading import history

    wanted = _filter(kind, subject, actor, text=text, since=since, until=until)
    seen = 0
    for entry in reversed(list(history(wanted, limit=limit))):
        _print(entry, as_json)
        seen = entry.seq
    if follow:
        with suppress(KeyboardInterrupt):
            for entry in _following(wanted, seen):
                _print(entry, as_json)
                sys.stdout.flush()


def _following(wanted: Filter, seen: int) -> Iterator[Entry]:
    """Entries as they come; another process may write them, so the database is asked."""
    from mainstay.store.journal import entries
    from mainstay.store.models import JournalHead

    if not seen:
        head = JournalHead.objects.filter(id=1).first()
        seen = head.seq if head is not None else 0
    while True:
        for entry in entries(replace(wanted, after_seq=seen), limit=0, newest_first=False):
            seen = entry.seq
            yield entry
        time.sleep(_POLL_SECONDS)


@journal.command("verify")
def verify_chain(
    *,
    everything: Annotated[bool, typer.Option("--all", help="Compare every entry of every sealed segment too.")] = False,
    seal: Annotated[
        str | None, typer.Option(metavar="FILE", help="A seal that the chain must pass through; `-`: stdin. As --all.")
    ] = None,
    key: Annotated[str, typer.Option(metavar="KEY", help="The public key that the seal must be signed with.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare every hash since the newest seal; exit code 1 and the first altered entry if one does not match.

    With a seal that was kept elsewhere, this shows that nothing before it was changed, by anybody.
    """
    open_data()
    from mainstay.store.seals.documents import read_seal
    from mainstay.store.seals.proving import verify

    known = read_seal(_text_of(seal), key) if seal else None
    found = verify(everything=everything, known=known)
    if as_json:
        typer.echo(json.dumps(asdict(found)))
    elif found.broken_at is None:
        for line in _praise(found):
            typer.echo(line)
        if known is not None:
            typer.echo(f"nothing up to entry {known.seq} has changed since the seal of {known.at}")
    else:
        typer.echo(f"entry {found.broken_at} was altered: {found.reason}", err=True)
        typer.echo(f"intact before it: {counted(found.checked, 'entry', 'entries')}", err=True)
    if found.broken_at is not None:
        raise typer.Exit(1)


def _praise(found: Verification) -> Iterator[str]:
    since = f" since the newest seal, of entry {found.since - 1}" if found.since > 1 else ""
    gone = f"; {found.erased} of them with personal data erased" if found.erased else ""
    yield f"{counted(found.checked, 'entry', 'entries')}{since}, all intact{gone}"
    if found.segments:
        count = "one sealed segment" if found.segments == 1 else f"{found.segments} sealed segments, each"
        yield f"{count} in its place{'' if since else ' and as it was sealed'}"
    if found.deleted_to:
        yield f"entries up to {found.deleted_to} were deleted by age; their seals remain"
    if found.other_keys:
        yield f"seals with a key other than this install's: {found.other_keys}; was it replaced?"


@journal.command("seal")
def seal(
    *,
    output: Annotated[str | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file.")] = None,
    public_key: Annotated[bool, typer.Option("--public-key", help="Print the key that seals are signed with.")] = False,
) -> None:
    """Seal all entries so far: keep the printed seal elsewhere, and `journal verify --seal` proves what came before."""
    settings = open_data()
    from mainstay.store.seals import documents, sealing

    if public_key:
        typer.echo(documents.public_key(settings))
        return
    text = json.dumps(json.loads(sealing.seal_all(me(), settings)), indent=2)
    if output and output != "-":
        _write(output, [f"{text}\n"])
    else:
        typer.echo(text)


def _text_of(path: str) -> str:
    from mainstay.store.seals.documents import LIMIT

    try:
        raw = sys.stdin.buffer.read(LIMIT) if path == "-" else Path(path).read_bytes()[:LIMIT]
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    return raw.decode("utf-8", "replace")


def _write(path: str, lines: Iterable[str]) -> None:
    try:
        with Path(path).open("w", encoding="utf-8") as file:
            file.writelines(lines)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None


@journal.command("export")
def export(
    *,
    kind: Kind = "",
    subject: Subject = "",
    since: Since = "",
    until: Until = "",
    output: Annotated[str | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file.")] = None,
) -> None:
    """Write entries as JSON lines, oldest first."""
    open_data()
    from mainstay.store.disclosures import note_export
    from mainstay.store.seals.reading import history

    wanted = _filter(kind, subject, since=since, until=until)
    note_export(me(), wanted, "command")
    lines = (f"{_line(entry)}\n" for entry in history(wanted, limit=0, newest_first=False))
    if output and output != "-":
        _write(output, lines)
    else:
        sys.stdout.writelines(lines)
