"""One row more, or one less: what the buttons of lists and maps do to what was submitted."""

from __future__ import annotations

from mainstay.frames.web.forms.shape import Field
from mainstay.frames.web.forms.state import State, fill


def add_row(field: Field, state: State, steps: list[str]) -> None:
    """Put an empty entry behind the others of the list that `steps` lead to."""
    found = _at(field, state, steps)
    if found is not None and found[0].entry is not None:
        blank = fill(found[0].entry)
        found[1].append(["", blank] if found[0].widget == "map" else blank)


def remove_row(field: Field, state: State, steps: list[str]) -> None:
    """Take the entry away that `steps` lead to."""
    found = _at(field, state, steps[:-1])
    if found is not None and found[0].entry is not None and (at := _number(steps[-1], found[1])) is not None:
        del found[1][at]


def _at(field: Field, state: State, steps: list[str]) -> tuple[Field, State] | None:
    """The list or map at dotted steps; None where there is none: names come from outside."""
    if not steps:
        return (field, state) if field.entry is not None else None
    step, rest = steps[0], steps[1:]
    if field.widget == "group":
        inner = next((one for one in field.fields if one.key == step), None)
        return _at(inner, state[step], rest) if inner is not None else None
    at = _number(step, state) if field.entry is not None else None
    if at is None or field.entry is None:
        return None
    if field.widget == "map":
        return _at(field.entry, state[at][1], rest[1:]) if rest[:1] == ["value"] else None
    return _at(field.entry, state[at], rest)


def _number(step: str, entries: State) -> int | None:
    at = int(step) if step.isascii() and step.isdigit() and len(step) < 7 else -1
    return at if 0 <= at < len(entries) else None
