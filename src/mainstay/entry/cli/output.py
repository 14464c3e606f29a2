"""What commands print: tables, JSON, and how long ago something was."""

from __future__ import annotations

import json
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


def print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str | Text]], *, whole: Sequence[str] = ()) -> None:
    """Long cells are folded, except in the columns that are to stay `whole`."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in whole)
    for row in rows:
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    Console(highlight=False).print(table)


def print_views(
    found: Sequence[View], as_json: bool, columns: Columns[View], styles: Mapping[str, str], empty: str
) -> None:
    """JSON of all, or a table with one line for each, whose second column is a state; `empty` where there is none.

    columns: titles, and what each says of a view. styles: state -> how it is printed.
    """
    from rich.text import Text

    if as_json:
        print_json([view.as_dict() for view in found])
        return
    if not found:
        typer.echo(empty)
        return
    rows = []
    for view in found:
        cells = [Text(cell(view)) for _, cell in columns]
        cells[1].stylize(styles.get(cells[1].plain, ""))
        rows.append(cells)
    titles = [title for title, _ in columns]
    print_table(titles, rows, whole=titles)


def when(at: float | None, otherwise: str = "never") -> str:
    """`3 min ago` or `in 5 min`."""
    from mainstay.kernel.wording import lasting

    if at is None:
        return otherwise
    seconds = time.time() - at
    return f"{lasting(seconds)} ago" if seconds >= 0 else f"in {lasting(-seconds)}"
