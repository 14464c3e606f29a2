"""`mainstay plan`, `apply`, `export`, `schema`, `rollback`: declared files on the command line.

They work on the database directly, beside a running server, which takes a new revision up within a second.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from mainstay.frames.opening import data_to_look_at, me, open_data
from mainstay.frames.output import print_json
from mainstay.kernel.errors import InvalidInput, StalePlan, UserError

if TYPE_CHECKING:
    from mainstay.kernel.settings import Settings
    from mainstay.store.resources.files import Reading
    from mainstay.store.resources.plan import Plan
    from mainstay.store.resources.text import Line

Files = Annotated[list[str], typer.Argument(metavar="FILE...", help="YAML or JSON files, folders of them, or - .")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
Prune = Annotated[bool, typer.Option("--prune", help="Delete what files declared before and these no longer do.")]
Takeover = Annotated[bool, typer.Option("--takeover", help="Replace routes that another file declared at a position.")]

_STYLES = {
    "created": "green",
    "changed": "yellow",
    "deleted": "red",
    "plain": "",
    "faint": "dim",
    "error": "bold red",
    "warning": "yellow",
    "strong": "bold",
}


@contextmanager
def _uncollected() -> Iterator[None]:
    """Ten thousand resources are a million objects that stay to the end; looking for cycles takes a quarter longer."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@_uncollected()
def plan(
    files: Files,
    as_json: AsJson = False,
    prune: Prune = False,
    takeover: Takeover = False,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit with 0: no difference, 1: mistakes, 2: differences.")
    ] = False,
) -> None:
    """Show what files would change. Exit codes: 0 valid, 2 mistakes (see --detailed-exitcode)."""
    with data_to_look_at() as settings:
        reading = _read(files)
        try:
            found = _make(settings, reading, prune, takeover)()
        except InvalidInput as error:
            _refuse(error, reading.texts, as_json, code=1 if detailed_exitcode else 2)
        if as_json:
            print_json(found.as_dict())
        else:
            _show(found)
    if detailed_exitcode and not found.is_empty:
        raise typer.Exit(2)


@_uncollected()
def apply(
    files: Files, yes: Yes = False, prune: Prune = False, takeover: Takeover = False, as_json: AsJson = False
) -> None:
    """Change what is declared to what files say. Nothing is applied unless all of it is valid."""
    settings = open_data(first=True)
    reading = _read(files)
    make = _make(settings, reading, prune, takeover)
    try:
        _carry_out(make, _apply, yes=yes, as_json=as_json, from_stdin="-" in files)
    except InvalidInput as error:
        _refuse(error, reading.texts, as_json)


def export(
    kind: Annotated[list[str] | None, typer.Option("--kind", help="Only this kind, such as monitor.")] = None,
    output: Annotated[str | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file.")] = None,
    addresses: Annotated[
        bool,
        typer.Option(help="Include the addresses of heartbeats, so that jobs can keep pinging wherever it is applied."),
    ] = True,
) -> None:
    """Write everything declared as one YAML file. Secrets are in it as references only; its first line says whether
    addresses of heartbeats are in it, which are to be kept like passwords.
    """
    open_data()
    from mainstay.store.resources import queries
    from mainstay.store.resources.showing import export_file

    wanted = {queries.kind_named(name).name for name in kind or ()}
    found = [resource for resource in queries.resources() if not wanted or resource.kind in wanted]
    text = export_file(me(), found, addresses=addresses)
    if output and output != "-":
        try:
            Path(output).write_text(text, encoding="utf-8")
        except OSError as error:
            raise UserError(f"{output} cannot be written: {error.strerror}") from None
    else:
        sys.stdout.buffer.write(text.encode())


def schema() -> None:
    """Print the JSON Schema of declared files; editors complete and check with it."""
    _register_kinds()
    from mainstay.store.resources.schema import file_schema

    print_json(file_schema())


def rollback(
    revision: Annotated[int, typer.Argument(help="Number of the revision to go back to.")],
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Restore everything declared to its state right after an earlier revision."""
    open_data()
    from mainstay.store.resources.apply import apply_rollback
    from mainstay.store.resources.planning import Terms, plan_rollback

    actor = me()
    terms = Terms("command", f"roll back to {revision}", takeover=True)
    try:
        _carry_out(
            lambda: plan_rollback(actor, revision, terms),
            lambda found: apply_rollback(actor, revision, found),
            yes=yes,
            as_json=as_json,
        )
    except InvalidInput as error:
        _refuse(error, {}, as_json)


def _carry_out(
    make: Callable[[], Plan], write: Callable[[Plan], int], *, yes: bool, as_json: bool, from_stdin: bool = False
) -> None:
    """Plan, show, ask, write; and once more with what is new if somebody else applied meanwhile."""
    agreed: Any = None
    while True:
        found = make()
        shown = found.as_dict()["changes"]
        if not as_json and shown != agreed:
            _show(found)
        if found.is_empty:
            break
        if not yes and shown != agreed:
            _ask(from_stdin, as_json)
        agreed = shown
        try:
            revision = write(found)
        except StalePlan:
            continue
        if not as_json:
            typer.echo(f"Applied as revision {revision}.")
        else:
            print_json({"revision": revision, **found.as_dict()})
        return
    if as_json:
        print_json({"revision": found.base, **found.as_dict()})


def _ask(from_stdin: bool, as_json: bool) -> None:
    if from_stdin or as_json or not sys.stdin.isatty():
        raise UserError("there is no terminal to ask for confirmation, so nothing was applied", hint="give --yes")
    if not typer.confirm("Apply this?"):
        typer.echo("Nothing was applied.", err=True)
        raise typer.Exit(1)


def _register_kinds() -> None:
    from mainstay.frames.boot import register_kinds

    register_kinds()


def _read(files: Iterable[str]) -> Reading:
    from mainstay.store.resources.files import read_paths

    return read_paths(files)


def _make(settings: Settings, reading: Reading, prune: bool, takeover: bool) -> Callable[[], Plan]:
    from mainstay.store.resources.planning import Terms, plan_reading
    from mainstay.store.secrets import SecretSource

    source = ", ".join(dict.fromkeys(reading.sources.values()))[:400]
    terms = Terms("file", source, takeover, "all" if prune else "none", SecretSource(settings))

    return lambda: plan_reading(me(), reading, terms)


def _apply(found: Plan) -> int:
    from mainstay.store.resources.apply import apply as apply_plan

    return apply_plan(me(), found)


def _refuse(error: InvalidInput, texts: Mapping[str, str], as_json: bool, code: int = 2) -> NoReturn:
    from mainstay.store.resources.text import mistake_lines

    if as_json:
        diagnostics = [item.as_dict() for item in error.diagnostics]
        print_json({"error": {"code": error.code, "message": error.message, "hint": "", "diagnostics": diagnostics}})
    else:
        _draw(mistake_lines(error.diagnostics, texts), err=True)
        count = len(error.diagnostics.errors)
        _draw([("strong", f"{count} mistake{'s' if count > 1 else ''}; nothing was applied.")], err=True)
    raise typer.Exit(code)


def _show(found: Plan) -> None:
    from mainstay.store.resources.text import mistake_lines, plan_lines

    _draw(plan_lines(found))
    _draw(mistake_lines(found.warnings, {}), err=True)


def _draw(lines: Iterable[Line], *, err: bool = False) -> None:
    """Lines one by one: a console that wraps and measures takes a third of a millisecond for each."""
    stream = sys.stderr if err else sys.stdout
    if not stream.isatty() and "FORCE_COLOR" not in os.environ:
        stream.writelines(f"{text}\n" for _style, text in lines)
        return
    from rich.console import COLOR_SYSTEMS, Console
    from rich.style import Style

    console = Console(stderr=err)
    system = None if console.no_color else COLOR_SYSTEMS.get(console.color_system or "")
    styles = {name: Style.parse(written) for name, written in _STYLES.items()}
    stream.writelines(f"{styles[style].render(text, color_system=system)}\n" for style, text in lines)
