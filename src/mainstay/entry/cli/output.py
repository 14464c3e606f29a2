"""What commands print: tables, JSON, and how long ago something was."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text


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


def when(at: float | None, otherwise: str = "never") -> str:
    """`3 min ago` or `in 5 min`."""
    from mainstay.kernel.wording import lasting

    if at is None:
        return otherwise
    seconds = time.time() - at
    return f"{lasting(seconds)} ago" if seconds >= 0 else f"in {lasting(-seconds)}"
