"""`mainstay import`: what other tools watch, as a Mainstay file to review. It applies nothing.

Exit codes: 0 written, 1 the source could not be read, 2 mistakes in the source.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from mainstay.kernel.errors import InvalidInput, UserError

if TYPE_CHECKING:
    from mainstay.foreign.importing.draft import Draft
    from mainstay.foreign.importing.report import Report
    from mainstay.foreign.importing.source import Node

imports = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)

Output = Annotated[
    str, typer.Option("--output", "-o", metavar="FILE", help="Write the file here instead of to stdout.")
]
ReportFile = Annotated[str, typer.Option("--report", metavar="FILE", help="Write a report on every field, as JSON.")]
_SHOWN = 40  # reasons told on the terminal; the report holds all


@imports.callback()
def about() -> None:
    """Convert another tool's configuration to a Mainstay file; review it, then plan and apply it.

    Secrets are never written: references take their place, and the report says where their values stand.
    """


@imports.command()
def gatus(file: Annotated[str, typer.Argument(metavar="FILE")], output: Output = "-", report: ReportFile = "") -> None:
    """A Gatus configuration."""
    from mainstay.foreign.importing.gatus import import_gatus
    from mainstay.foreign.importing.source import read_yaml

    _import(lambda: read_yaml("gatus", file), import_gatus, file, output, report)


@imports.command()
def kuma(
    file: Annotated[str, typer.Argument(metavar="FILE", help="kuma.db, a JSON backup, or a file of daily roll-ups.")],
    output: Output = "-",
    report: ReportFile = "",
    days: Annotated[
        str, typer.Option("--days", metavar="FILE", help="Also write the history of kuma.db, rolled up by the day.")
    ] = "",
    history: Annotated[
        bool, typer.Option("--history", help="Load the history of kuma.db or of a file of days, after the apply.")
    ] = False,
) -> None:
    """A backup (JSON) or the database (kuma.db) of Uptime Kuma."""
    from mainstay.foreign.importing.kuma import import_kuma
    from mainstay.foreign.importing.kuma_history import days_of, read_days, write_days
    from mainstay.foreign.importing.kuma_source import is_database, read_kuma

    names: dict[str, str] = {}

    def fill(root: Node, draft: Draft) -> None:
        names.update(import_kuma(root, draft))
        if days:
            if not is_database(file):
                raise UserError("a backup holds no history", hint="use kuma.db instead")
            root.report.history = {"file": days, **write_days(days, days_of(file, names))}

    if not history:
        _import(lambda: read_kuma(file), fill, file, output, report)
        return
    from mainstay.foreign.import_history import load

    if not is_database(file):
        load(read_days(file))
        return
    root = read_kuma(file)
    from mainstay.foreign.importing.draft import Draft

    load(days_of(file, import_kuma(root, Draft(root.report, "kuma", _register()))))


@imports.command()
def blackbox(
    file: Annotated[str, typer.Argument(metavar="FILE")],
    target: Annotated[
        list[str] | None,
        typer.Option("--target", "-t", metavar="[MODULE=]TARGET", help="What a module probes; may be repeated."),
    ] = None,
    output: Output = "-",
    report: ReportFile = "",
) -> None:
    """The modules of a blackbox exporter: monitors for the targets given, templates for modules without."""
    from mainstay.foreign.importing.blackbox import import_blackbox
    from mainstay.foreign.importing.source import read_yaml

    def fill(root: Node, draft: Draft) -> None:
        import_blackbox(root, draft, target or [])

    _import(lambda: read_yaml("blackbox", file), fill, file, output, report)


@imports.command()
def prometheus(
    file: Annotated[str, typer.Argument(metavar="FILE")],
    modules: Annotated[
        str, typer.Option("--blackbox", metavar="FILE", help="Configuration of the blackbox exporter.")
    ] = "",
    output: Output = "-",
    report: ReportFile = "",
) -> None:
    """Scrape jobs of Prometheus that go through a blackbox exporter."""
    from mainstay.foreign.importing.prometheus import import_prometheus, read_both

    _import(lambda: read_both(file, modules), import_prometheus, file, output, report)


@imports.command()
def uptimerobot(
    file: Annotated[str, typer.Argument(metavar="FILE")], output: Output = "-", report: ReportFile = ""
) -> None:
    """An export of UptimeRobot: CSV, or JSON as its API returns it."""
    from mainstay.foreign.importing.uptimerobot import import_uptimerobot, read_uptimerobot

    _import(lambda: read_uptimerobot(file), import_uptimerobot, file, output, report)


@imports.command()
def healthchecks(
    url: Annotated[str, typer.Option(help="Its address, such as https://healthchecks.io.")],
    key: Annotated[
        str, typer.Option(envvar="HEALTHCHECKS_API_KEY", help="API key of the project; better kept in the environment.")
    ],
    output: Output = "-",
    report: ReportFile = "",
) -> None:
    """A project of Healthchecks, over its management API. Pings continue once their host name is changed."""
    from mainstay.foreign.importing.healthchecks import import_healthchecks, read_healthchecks

    _import(lambda: read_healthchecks(url, key), import_healthchecks, url, output, report)


def _import(
    read: Callable[[], Node],
    fill: Callable[[Node, Draft], object],
    source: str,
    output: str,
    report: str,
) -> None:
    """Read, make, check, write; every mistake of the source is told at once."""
    from mainstay.foreign.importing.draft import Draft

    kinds = _register()
    try:
        root = read()
        draft = Draft(root.report, root.report.tool, kinds)
        fill(root, draft)
        root.report.diagnostics.raise_if_errors()
        document = draft.finish()
    except InvalidInput as error:
        _refuse(error)
    _write(root.report, document, source, output, report)


def _register() -> frozenset[str]:
    """Fill the registry of kinds; the names of the kinds of checks that this install has."""
    from mainstay.frames.boot import register_kinds

    return frozenset(register_kinds().checks)


def _refuse(error: InvalidInput) -> NoReturn:
    for diagnostic in sorted(error.diagnostics, key=lambda one: (one.place.file, one.place.line)):
        typer.echo(str(diagnostic), err=True)
    count = len(error.diagnostics.errors)
    typer.echo(f"{count} mistake{'s' if count > 1 else ''}; nothing was written.", err=True)
    raise typer.Exit(2)


def _write(found: Report, document: dict[str, Any], source: str, output: str, report: str) -> None:
    from mainstay.store.resources.export import to_yaml

    name = Path(source).name if "://" not in source else source
    head = f"# Made from {found.tool} ({name}) by `mainstay import`. Review it, then: mainstay plan, mainstay apply.\n"
    text = head + (to_yaml(document).rstrip("\n") if document else "{}") + "\n"
    if report:
        _save(report, "".join(found.to_json()))
    if output == "-":
        sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()
    else:
        _save(output, text)
    for line in _summary(found, output, report):
        typer.echo(line, err=True)


def _save(path: str, text: str) -> None:
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None


def _summary(found: Report, output: str, report: str) -> Iterable[str]:
    from mainstay.kernel.resource import KINDS
    from mainstay.kernel.wording import counted

    words = {kind.plural: (kind.name.replace("_", " "), kind.plural.replace("_", " ")) for kind in KINDS}
    made = ", ".join(counted(count, *words[plural]) for plural, count in found.counts.items()) or "nothing"
    yield f"Made {made}{'' if output == '-' else f', in {output}'}."
    if found.history:
        days, of, checks = (counted(found.history[f"{one}s"], one) for one in ("day", "monitor", "check"))
        yield f"History: {days} of {of}, {checks}, in {found.history['file']}."
    yield "Fields: " + ", ".join(f"{count:,} {status}" for status, count in found.tally().items()) + "."
    groups = found.groups()
    for row, count in groups[:_SHOWN]:
        more = f" (and {count - 1:,} more)" if count > 1 else ""
        yield f"  {row.place}: {row.path}{more}: {row.status}: {row.why}"
    if len(groups) > _SHOWN:
        where = f"in {report}" if report else "with --report FILE"
        yield f"  ... and {counted(len(groups) - _SHOWN, 'more reason')}, {where}"
    if found.secrets:
        yield "Give these to the server's environment before you apply:"
    for needed in found.secrets.values():
        path, place = needed.places[0]
        yield f"  {needed.name}: {path} ({place}): {needed.how}"
