"""Columns of a table, and the order that people ask for by their headings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import urlencode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Column:
    """`url`: of the page in the order of this column, empty if it has none; `order`: how it is sorted now."""

    words: str
    number: bool = False
    url: str = ""
    order: str = ""  # ascending or descending, as `aria-sort` says it


def heads(columns: str | Sequence[Column]) -> Sequence[Column]:
    """Of `State|Name|#Took`: `#` stands before a column of numbers."""
    if not isinstance(columns, str):
        return columns
    return [Column(words.removeprefix("#"), words.startswith("#")) for words in columns.split("|")]


class Sorting(Generic[Row]):
    """`?sort=name` and `?sort=-name`; anything else leaves the rows as they are.

    `keys`: what rows are ordered by, under the words of the heading, numbers with `#`; None for a column without order.
    """

    def __init__(self, keys: Mapping[str, Callable[[Row], Any] | None], asked: str) -> None:
        self._keys = keys
        self.asked = asked if asked.removeprefix("-") in map(_name, (words for words in keys if keys[words])) else ""

    def columns(self, kept: Mapping[str, str]) -> list[Column]:
        """Headings whose links keep what is not empty of `kept`."""
        query = {name: value for name, value in kept.items() if value and name not in ("sort", "page")}

        def column(words: str) -> Column:
            name, number = _name(words), words.startswith("#")
            if self._keys[words] is None:
                return Column(words.removeprefix("#"), number)
            order = {name: "ascending", f"-{name}": "descending"}.get(self.asked, "")
            link = urlencode({**query, "sort": f"-{name}" if order == "ascending" else name})
            return Column(words.removeprefix("#"), number, f"?{link}", order)

        return [column(words) for words in self._keys]

    def sorted(self, rows: Iterable[Row]) -> list[Row]:
        key = next((key for words, key in self._keys.items() if _name(words) == self.asked.removeprefix("-")), None)
        return sorted(rows, key=key, reverse=self.asked.startswith("-")) if key else list(rows)


def _name(words: str) -> str:
    return words.removeprefix("#").lower().replace(" ", "-")
