"""What a spec says to the forms that ask people for it, as keywords of its JSON Schema that other readers pass over.

A form is made from the schema alone; these say what the schema cannot: what a text stands for, which fields people
mostly fill in, and which of them exclude each other.
"""

from __future__ import annotations

from typing import Any, Literal

# secret: a reference to one. matcher: a label matcher. zone: a time zone. lines: text of several lines.
# duration: a length of time. words: a list that may be written as one text, split as a shell does. free: written as
# YAML, since it holds others of its own sort.
Sort = Literal["secret", "matcher", "zone", "lines", "duration", "words", "free"]
SORT = "x-sort"
REFERS = "x-refers"
FIRST = "x-first"
EITHER = "x-either"
SHORTHAND = "x-shorthand"
SECTION = "x-section"
HELP = "x-help"


def sort(what: Sort) -> dict[str, Any]:
    """For `Field(json_schema_extra=...)`: what a text stands for."""
    return {SORT: what}


def refers(*kinds: str) -> dict[str, Any]:
    """The text, or each text of the list, is the name of a resource of this kind; of several kinds: `kind/name`."""
    return {REFERS: " ".join(kinds)}


def section(heading: str) -> dict[str, Any]:
    """The field stands under this heading, with others of it."""
    return {SECTION: heading}


def helped(text: str) -> dict[str, Any]:
    """What a form says beside the field, where its description is about how it is written in a file."""
    return {HELP: text}


def shorthand(key: str) -> dict[str, Any]:
    """A bare value stands for a mapping with this key alone."""
    return {SHORTHAND: key} if key else {}


def first(*keys: str, either: dict[str, tuple[str, ...]] | None = None, asks: str = "How") -> Any:
    """For `ConfigDict(json_schema_extra=...)`: the fields that people mostly fill in, in their order.

    either: what people choose between, in words, and the fields that each choice is made of. asks: the question.
    """
    ways = [[words, list(fields)] for words, fields in (either or {}).items()]
    chosen = {EITHER: {"asks": asks, "ways": ways}} if either else {}
    return {FIRST: list(keys), **chosen}
