"""What commands print: tables, JSON, and how long ago something was."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import typer

if TYPE_CHECKING:
    from rich.text import Text


class _View(Protocol):
    def as_dict(self) -> dict[str, Any]: ...


View = TypeVar("View", bound=_View)
Columns = Sequence[tuple[str, Callable[[View], str]]]

_LAST = 24  # characters that the last column gets at least; where others are wide, the terminal wraps lines itself


def print_json(value: Any) -> None:
    """Plain values, and views among them."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=lambda view: view.as_dict()))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> None:
    """A narrow terminal folds the last column and no other, so that names and ids can be taken from there whole.

    In a pipe or a file nothing is folded or cut.
    """
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cells = [[Text(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    widths = [max(map(cell_len, (title, *(row[at].plain for row in cells)))) for at, title in enumerate(columns)]
    others = sum(widths[:-1]) + 2 * len(widths[:-1])
    console = Console(highlight=False)
    if console.is_terminal:
        widths[-1] = min(widths[-1], max(_LAST, console.width - others))
    console.width = others + widths[-1]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title, width in zip(columns, widths, strict=True):
        table.add_column(title, width=width, overflow="fold")
    for row in cells:
        table.add_row(*row)
    with console.capture() as drawn:
        console.print(table)
    typer.echo("\n".join(line.rstrip() for line in drawn.get().splitlines()))


def print_views(
    found: Sequence[View], as_json: bool, columns: Columns[View], styles: Mapping[str, str], empty: str
) -> None:
    """JSON of all, or a table with one line for each, whose second column is a state; `empty` where there is none.

    columns: titles, and what each says of a view. styles: state -> how it is printed.
    """
    from rich.text import Text

    if as_json:
        print_json(found)
        return
    if not found:
        typer.echo(empty)
        return
    rows = []
    for view in found:
        cells = [Text(cell(view)) for _, cell in columns]
        cells[1].stylize(styles.get(cells[1].plain, ""))
        rows.append(cells)
    print_table([title for title, _ in columns], rows)


def when(at: float | None, otherwise: str = "never") -> str:
    """`3 min ago` or `in 5 min`."""
    from mainstay.kernel.wording import lasting

    if at is None:
        return otherwise
    seconds = time.time() - at
    return f"{lasting(seconds)} ago" if seconds >= 0 else f"in {lasting(-seconds)}"


def print_secret(what: str, secret: str, as_json: bool) -> None:
    """The secret alone goes to standard output, so that a script can take it from there."""
    if as_json:
        print_json({what: secret})
        return
    typer.echo(secret)
    if sys.stderr.isatty():
        typer.echo("Save it now: it is not stored and cannot be shown again.", err=True)
