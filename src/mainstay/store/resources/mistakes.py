"""Mistakes in a document, told in our words: what is wrong, where, and what was probably meant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from mainstay.kernel.diagnostics import did_you_mean
from mainstay.kernel.timespan import format_duration
from mainstay.store.resources.documents import Path
from mainstay.store.resources.scalars import noun
from mainstay.store.resources.shapes import kind_shape, known_keys, shapes_at


@dataclass(frozen=True, slots=True)
class Mistake:
    """`at_key`: the key at `path` is wrong, not its value."""

    path: Path
    message: str
    hint: str = ""
    at_key: bool = False


# What pydantic's types of error say that the value should have been.
_WANTED = {
    "string_type": "text",
    "string_sub_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dataclass_type": "a mapping",
    "none_required": "nothing",
    "uuid_type": "a UUID",
    "uuid_parsing": "a UUID",
    "datetime_type": "a date and time",
    "datetime_parsing": "a date and time",
    "datetime_from_date_parsing": "a date and time",
    "datetime_object_invalid": "a date and time",
    "timezone_aware": "a date and time with its offset",
}
_EXAMPLES = {
    "a date and time": "such as 2026-01-31T22:00:00Z or 2026-01-31T23:00:00+01:00",
    "a date and time with its offset": "such as 2026-01-31T22:00:00Z or 2026-01-31T23:00:00+01:00",
    "a UUID": "such as 6f1e2b7c-0d2a-4c55-9a3e-1f0b5c8d7e21",
    "a mapping": "write `key: value` lines below it, or {key: value}",
    "a list": "write `- value` lines below it, or [value, value]",
}
_BOUNDS = {
    "greater_than": ("gt", "must be more than {}"),
    "greater_than_equal": ("ge", "must be at least {}"),
    "less_than": ("lt", "must be less than {}"),
    "less_than_equal": ("le", "must be at most {}"),
    "multiple_of": ("multiple_of", "must be a multiple of {}"),
    "string_too_short": ("min_length", "must have at least {} characters"),
    "string_too_long": ("max_length", "must have at most {} characters"),
    "too_short": ("min_length", "must have at least {} entries"),
    "too_long": ("max_length", "must have at most {} entries"),
}
_FORMS = {
    r"^https?://": "must begin with http:// or https://",
    r"^(https?://|\$\{)": "must begin with http:// or https://, or be a reference such as ${env:NAME}",
    r"^(https?://\S+)?$": "must begin with http:// or https:// and hold no spaces",
    r"^[a-zA-Z_][a-zA-Z0-9_]*$": "must be letters, digits and `_`, and not begin with a digit",
}
_SPECIFIC = {
    "finite_number": "must be a finite number",
    "recursion_loop": "contains itself",
    "string_unicode": "must be Unicode text",
    "unexpected_positional_argument": "is not expected here",
}
_LIMIT = 200  # complaints about one resource; guessing at what was meant takes its time
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'")


def explain(error: ValidationError, kind: str, document: Any) -> list[Mistake]:
    """Every mistake once. Alternatives of one value become one sentence; the most exact complaint wins."""
    mistakes: dict[tuple[Path, bool, str], Mistake] = {}
    wanted: dict[Path, list[str]] = {}
    for detail in error.errors(include_url=False)[:_LIMIT]:
        path, rest = _resolved(detail["loc"], document)
        if rest[-1:] != ("[key]",) and detail["type"] in _WANTED:
            wanted.setdefault(path, []).append(_WANTED[detail["type"]])
            continue
        for mistake in _specific(detail, path, rest, kind, document):
            mistakes.setdefault((mistake.path, mistake.at_key, mistake.message), mistake)
    exact = {mistake.path for mistake in mistakes.values()} | set(wanted)
    for path, nouns in wanted.items():
        # A deeper complaint means that one alternative fits so far: the others are not what was meant.
        deeper = any(len(other) > len(path) and other[: len(path)] == path for other in exact)
        if not deeper and not any(mistake.path == path for mistake in mistakes.values()):
            mistake = _wrong_type(path, list(dict.fromkeys(nouns)), document)
            mistakes[path, False, mistake.message] = mistake
    return list(mistakes.values())


def _resolved(location: tuple[str | int, ...], document: Any) -> tuple[Path, tuple[str | int, ...]]:
    """The part of an error's location that the document has, and the rest (names of fields and alternatives)."""
    path: list[str | int] = []
    rest: list[str | int] = []
    value = document
    for step in location:
        inside = (isinstance(value, dict) and step in value) or (
            isinstance(value, list) and isinstance(step, int) and step < len(value)
        )
        if inside:
            path.append(step)
            value = value[step]
        else:
            rest.append(step)
    return tuple(path), tuple(rest)


def value_at(document: Any, path: Path) -> Any:
    for step in path:
        document = document[step]
    return document


def _specific(detail: Any, path: Path, rest: Path, kind: str, document: Any) -> Iterator[Mistake]:
    what, context = detail["type"], detail.get("ctx", {})
    if what == "extra_forbidden":
        yield _unknown_key(path or rest, kind, document)
    elif what == "missing":
        yield Mistake(path, f"`{rest[-1] if rest else 'a key'}` is missing")
    elif rest[-1:] == ("[key]",):
        yield Mistake(path, _key_message(detail, path), at_key=True)
    elif what in ("literal_error", "enum"):
        yield _not_one_of(path, context.get("expected", ""), value_at(document, path))
    else:
        yield Mistake(path, _message(what, context, detail, value_at(document, path)))


def _key_message(detail: Any, path: Path) -> str:
    reason = _message(detail["type"], detail.get("ctx", {}), detail, None)
    return f"the name `{str(path[-1] if path else '')[:60]}` {reason}"


def _message(what: str, context: dict[str, Any], detail: Any, value: Any) -> str:
    if what in _BOUNDS:
        name, template = _BOUNDS[what]
        text = template.format(_bound(context.get(name), value))
        return text.replace(" 1 characters", " 1 character").replace(" 1 entries", " 1 entry")
    if what == "string_pattern_mismatch":
        pattern = str(context.get("pattern", ""))
        return _FORMS.get(pattern, f"does not have the form {pattern}")
    if what in _SPECIFIC:
        return _SPECIFIC[what]
    if what in _WANTED:
        return f"must be {_WANTED[what]}"
    if what == "value_error" and "error" in context:
        return str(context["error"])
    text = str(detail["msg"])
    return text.removeprefix("Value error, ").removeprefix("Input ")


def _bound(bound: Any, value: Any) -> str:
    """A limit as people write it: `1s` for a duration, a plain number elsewhere."""
    if isinstance(bound, float) and isinstance(value, str):
        return format_duration(bound)
    return f"{bound:g}" if isinstance(bound, float) else f"{bound:,}" if isinstance(bound, int) else str(bound)


def _unknown_key(path: Path, kind: str, document: Any) -> Mistake:
    parent, key = path[:-1], str(path[-1])
    root = kind_shape(kind)
    known = known_keys(shapes_at(root, parent, document))
    present = value_at(document, parent)
    guess = did_you_mean(key, [name for name in known if name not in present])
    hint = guess or (f"known are {', '.join(f'`{name}`' for name in known)}" if 0 < len(known) <= 8 else "")
    return Mistake(path, f"unknown key `{key[:60]}`", hint, at_key=True)


def _not_one_of(path: Path, expected: str, value: Any) -> Mistake:
    choices = _QUOTED.findall(expected)
    known = ", ".join(choices) if choices else expected
    shown = f"`{value[:40]}`" if isinstance(value, str) else noun(value)
    guess = did_you_mean(str(value), choices) if isinstance(value, str) else ""
    return Mistake(path, f"must be one of {known}, not {shown}", guess)


def _wrong_type(path: Path, nouns: list[str], document: Any) -> Mistake:
    value = value_at(document, path)
    wanted = nouns[0] if len(nouns) == 1 else f"{', '.join(nouns[:-1])} or {nouns[-1]}"
    # Text is shown only where a number or a choice was expected: elsewhere it could be a secret.
    numeric = all("number" in word or word == "true or false" for word in nouns)
    actual = f"`{value[:40]}`" if isinstance(value, str) and numeric else _actual(value)
    hint = _EXAMPLES.get(nouns[0], "") if len(nouns) == 1 else ""
    if isinstance(value, str) and hint.startswith("such as"):
        return Mistake(path, f"must be {wanted}", hint)
    if nouns == ["text"] and isinstance(value, bool | int | float):
        hint = "put quotes around it"
    return Mistake(path, f"must be {wanted}, not {actual}", hint)


def _actual(value: Any) -> str:
    return f"the number {value}" if isinstance(value, int | float) and not isinstance(value, bool) else noun(value)
