"""Plans and mistakes as lines of text for people, each with the style that a terminal may give it."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from mainstay.kernel.diagnostics import Diagnostic
from mainstay.store.resources.documents import source_lines
from mainstay.store.resources.plan import ABSENT, Change, FieldChange, Plan
from mainstay.store.resources.planning import keeper

Style = Literal["created", "changed", "deleted", "plain", "faint", "error", "warning", "strong"]
Line = tuple[Style, str]

_SIGNS: dict[str, tuple[str, Style]] = {
    "create": ("+", "created"),
    "update": ("~", "changed"),
    "delete": ("-", "deleted"),
}
_VALUE_LIMIT = 160
_SOURCE_LIMIT = 120
_MISTAKES_SHOWN = 50  # nobody reads on


def plan_lines(plan: Plan) -> Iterator[Line]:
    """Every difference, field by field, and the totals."""
    for change in plan.differences:
        yield from change_lines(change)
    yield "strong", totals(plan)


def totals(plan: Plan) -> str:
    if plan.is_empty:
        count = plan.counts.get("unchanged", 0)
        return f"No changes: {count} {'resource is' if count == 1 else 'resources are'} as declared."
    created, deleted, unchanged = (plan.counts.get(action, 0) for action in ("create", "delete", "unchanged"))
    taken = f", {plan.taken_over} to take over as {_are(plan.taken_over)}" if plan.taken_over else ""
    changes = f"{created} to create, {plan.changed} to change, {deleted} to delete"
    return f"Plan: {changes}{taken}, {unchanged} unchanged."


def _are(count: int) -> str:
    return "it is" if count == 1 else "they are"


def change_lines(change: Change) -> Iterator[Line]:
    sign, style = _SIGNS[change.action]
    taken = ""
    if change.takeover and change.before and change.after:
        taken = f"  (managed by {keeper(change.before)} until now)"
    yield style, f"{sign} {change.kind} {change.name}{printable(taken)}"
    if change.action == "delete":
        return
    for field in change.fields:
        yield style, f"    {_field(field, change.action)}"


def _field(field: FieldChange, action: str) -> str:
    before, after = _value(field.before), _value(field.after)
    path = printable(field.path)
    if field.before is ABSENT:
        return f"{path}: {after}" if action == "create" else f"{path}: (default) -> {after}"
    return f"{path}: {before} -> {'(default)' if field.after is ABSENT else after}"


def _value(value: Any) -> str:
    if value is ABSENT:
        return ""
    text = value if isinstance(value, str) and value and value == value.strip() else None
    shown = printable(text or json.dumps(value, ensure_ascii=False))
    return shown if len(shown) <= _VALUE_LIMIT else f"{shown[: _VALUE_LIMIT - 1]}\u2026"


def printable(text: str) -> str:
    """One line without anything that could move the cursor or turn the writing direction."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else json.dumps(sign)[1:-1] for sign in text)


def mistake_lines(mistakes: Iterable[Diagnostic], texts: Mapping[str, str]) -> Iterator[Line]:
    """Each mistake with its place, the line that it is in, and a caret below its column."""
    lines: dict[str, list[str]] = {}
    mistakes = list(mistakes)
    secret = _secret_columns(mistakes)
    for count, mistake in enumerate(mistakes):
        if count == _MISTAKES_SHOWN:
            yield "faint", "... and more; --json lists them all"
            return
        yield mistake.severity, printable(str(mistake))
        place = mistake.place
        if place.line and place.file in texts:
            if place.file not in lines:
                lines[place.file] = source_lines(texts[place.file])
            line = lines[place.file][place.line - 1]
            cut = secret.get((place.file, place.line), len(line))
            yield from _excerpt(line[:cut], place.line, place.column)


def _secret_columns(mistakes: Iterable[Diagnostic]) -> dict[tuple[str, int], int]:
    """Where lines hold what should not be in a file: they are shown up to there only, since output is often kept."""
    found: dict[tuple[str, int], int] = {}
    for mistake in mistakes:
        place = mistake.place
        if any(word in mistake.message for word in ("must be a reference", "credential", "password")):
            key = (place.file, place.line)
            found[key] = min(place.column - 1, found.get(key, place.column - 1))
    return found


def _excerpt(line: str, number: int, column: int) -> Iterator[Line]:
    start = max(0, column - _SOURCE_LIMIT + 20)
    shown = line[start : start + _SOURCE_LIMIT]
    before = printable(shown[: max(0, column - 1 - start)])
    label = f"{number:>6} | "
    yield "faint", label + printable(shown)
    if column:
        yield "faint", " " * (len(label) - 2) + "| " + " " * _width(before) + "^"


def _width(text: str) -> int:
    """Columns on a terminal: East Asian wide characters take two, combining marks none."""
    return sum(
        0 if unicodedata.combining(sign) else 2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text
    )
