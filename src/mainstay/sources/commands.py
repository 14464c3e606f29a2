"""`mainstay sources` and `mainstay changes`: what sends alerts here, and what was changed elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated

import typer

from mainstay.frames.opening import acting, open_data
from mainstay.frames.output import print_json, print_table
from mainstay.kernel.errors import UserError

changes = typer.Typer(add_completion=False, rich_markup_mode=None, help="List changes elsewhere, or record one.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_SORTS = ("deploy", "flag", "configuration", "other")


def sources(as_json: AsJson = False) -> None:
    """List alert sources, with when each was heard last."""
    open_data()
    from mainstay.kernel.wording import ago
    from mainstay.sources import queries

    found = queries.sources()
    if as_json:
        print_json(found)
        return
    if not found:
        typer.echo("no alert source is declared")
        return
    now = time.time()
    heard = ["never" if one.last_at is None else ago(one.last_at, now) for one in found]
    rows = [[one.name, one.kind, at, str(one.open), one.description] for one, at in zip(found, heard, strict=True)]
    print_table(["source", "kind", "last heard", "open alerts", "description"], rows)


@changes.callback(invoke_without_command=True)
def list_changes(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List what was changed elsewhere, the newest first."""
    if context.invoked_subcommand is not None:
        return
    open_data()
    from mainstay.kernel.wording import ago
    from mainstay.sources import queries

    found = queries.changes(limit=limit)
    if as_json:
        print_json(found)
        return
    if not found:
        typer.echo("no change was recorded in the last 90 days")
        return
    now = time.time()
    rows = [[ago(one.at, now), one.what, one.summary, _written(one.labels), one.recorded_by] for one in found]
    print_table(["when", "what", "summary", "labels", "recorded by"], rows)


@changes.command()
def add(
    summary: Annotated[str, typer.Argument(help="One line, such as `shop 1.4 is out`.")],
    what: Annotated[str, typer.Option(help="deploy, flag, configuration or other.")] = "deploy",
    label: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="What it concerns; repeat.")] = None,
    link: Annotated[str, typer.Option(help="An address with more about it.")] = "",
) -> None:
    """Record that something was changed; alerts that follow it show it."""
    if what not in _SORTS:
        raise UserError(f"`{what[:40]}` is no sort of change", hint=", ".join(_SORTS))
    pairs = [text.partition("=") for text in label or ()]
    if any(not (name and sign and value) for name, sign, value in pairs):
        raise UserError("a label is written as NAME=VALUE", hint="such as --label service=shop")
    actor = acting()
    from mainstay.sources.formats.reading import Change
    from mainstay.sources.verbs import record_change

    labels = {name: value for name, _, value in pairs}
    links = ((link, link),) if link else ()
    typer.echo(record_change(actor, Change(summary[:1024], time.time(), what, labels, links)))


def _written(labels: Mapping[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in labels.items())
