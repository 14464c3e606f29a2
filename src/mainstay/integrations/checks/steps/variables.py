"""`{{name}}` in what a step sends and expects, and the values that steps take from answers. Pure."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from mainstay.kernel import jsonpath
from mainstay.kernel.patterns import Pattern, compile_pattern, search
from mainstay.kernel.probing import CheckFault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mainstay.integrations.checks.http.expectations import Answer

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,60}")
PLACE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]{0,60})\s*\}\}")
VALUE_LIMIT = 8000  # characters of a value that is taken from an answer
Value = str | int | float | bool | None


def names_in(value: Any) -> Iterator[str]:
    """Every name that a nested document refers to."""
    if isinstance(value, str):
        yield from PLACE.findall(value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from names_in(key)
            yield from names_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from names_in(inner)


def check_places(value: Any) -> None:
    """ValueError for a `{{` that begins no `{{name}}`."""
    if isinstance(value, str):
        rest = PLACE.sub("", value)
        if "{{" in rest:
            shown = rest[rest.index("{{") :][:40]
            raise ValueError(f"`{shown}` is not a variable; write {{{{name}}}} with letters, digits and _")
    elif isinstance(value, dict):
        check_places(list(value.values()))
    elif isinstance(value, list | tuple):
        for inner in value:
            check_places(inner)


def fill(value: Any, variables: Mapping[str, Value]) -> Any:
    """The document with every place filled. A text that is one place alone keeps the type of the value."""
    if isinstance(value, str):
        whole = PLACE.fullmatch(value)
        if whole is not None:
            return variables[whole[1]]
        return PLACE.sub(lambda found: as_text(variables[found[1]]), value) if "{{" in value else value
    if isinstance(value, dict):
        return {fill_text(key, variables): fill(inner, variables) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [fill(inner, variables) for inner in value]
    return value


def fill_text(value: str, variables: Mapping[str, Value]) -> str:
    return as_text(fill(value, variables))


def fill_url(url: str, variables: Mapping[str, Value]) -> str:
    """A variable at the very beginning is taken as it is (`{{base}}/users`); others are percent-encoded."""

    def put(found: re.Match[str]) -> str:
        text = as_text(variables[found[1]])
        return text if found.start() == 0 else quote(text, safe="")

    return PLACE.sub(put, url)


def as_text(value: Value) -> str:
    """As JSON writes it, without quotes."""
    return value if isinstance(value, str) else json.dumps(value)


def compile_source(document: Mapping[str, Any]) -> Callable[[Answer], Value]:
    """What takes a value from an answer. It raises CheckFault `expect.save`; ValueError if the source is none."""
    if path := document.get("json"):
        steps = jsonpath.parse_path(path)
        return lambda answer: _from_json(answer, path, steps)
    if name := document.get("header"):
        return lambda answer: _from_header(answer, name)
    pattern = compile_pattern(document["regex"])
    return lambda answer: _from_text(answer, pattern)


def _from_json(answer: Answer, path: str, steps: jsonpath.Steps) -> Value:
    if answer.part:
        raise CheckFault(
            "expect.save", f"only the {answer.part} of the body was kept, which is not enough to read it as JSON"
        )
    try:
        value = jsonpath.find(msgspec.json.decode(answer.json_bytes), steps)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise CheckFault("expect.save", f"the body is not JSON, so there is no {path}") from None
    except jsonpath.NoSuchValue as missing:
        raise CheckFault("expect.save", f"{path} is missing: {missing}") from None
    if isinstance(value, dict | list):
        raise CheckFault("expect.save", f"{path} is not one value")
    return _bounded(value, path)


def _from_header(answer: Answer, name: str) -> Value:
    value = answer.headers.get(name.lower())
    if value is None:
        raise CheckFault("expect.save", f"the header {name} is missing")
    return _bounded(value, f"the header {name}")


def _from_text(answer: Answer, pattern: Pattern) -> Value:
    found = search(pattern, answer.text)
    if found is None:
        raise CheckFault("expect.save", f"nothing in the body matches `{pattern.pattern[:100]}`")
    return _bounded(found[1] if pattern.groups else found[0], f"what matches `{pattern.pattern[:60]}`")


def _bounded(value: Any, what: str) -> Value:
    if isinstance(value, str) and len(value) > VALUE_LIMIT:
        raise CheckFault("expect.save", f"{what} has over {VALUE_LIMIT} characters")
    if isinstance(value, str) and re.search(r"[\r\n\0]", value):
        raise CheckFault("expect.save", f"{what} holds a line break")
    taken: Value = value
    return taken
