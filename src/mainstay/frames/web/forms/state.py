"""What stands in a form: made from a document, or read from what was submitted.

A state is nested like the fields: text for what is typed or chosen, a list of texts for several choices, a list of
states for a list, of pairs for a map, a mapping for a group.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from mainstay.frames.web.forms.shape import ABSENT, Field
from mainstay.kernel.diagnostics import Diagnostics
from mainstay.kernel.matchers import parse_matcher
from mainstay.kernel.secret import REFERENCE
from mainstay.store.resources.documents import read_text
from mainstay.store.resources.export import to_yaml
from mainstay.store.resources.scalars import CONTROL, noun

State = Any
ON, PICK = "+on", "+pick"  # of a group: whether it is there, and which of its choices
_DEPTH = 24
_ENTRIES = 1000  # of one list, as a form takes them


class Unshowable(Exception):
    """A document holds what the form has no place for; the message says what and where."""

    def __init__(self, field: Field, value: Any, wanted: str) -> None:
        where = f"`{field.key}`" if field.key else "an entry"
        super().__init__(f"{where} holds {noun(value)}, where the form asks for {wanted}")


# From a document


def fill(field: Field, value: Any = ABSENT) -> State:
    """The state that shows a value of a document, or its default. Raises Unshowable."""
    if value is ABSENT or (value is None and field.widget != "free"):
        value = field.default
    return _FILL.get(field.widget, _fill_text)(field, None if value is ABSENT else value)


def _fill_text(field: Field, value: Any) -> State:
    if value is None:
        return ""
    if isinstance(value, bool | dict | list):
        raise Unshowable(field, value, "text")
    if isinstance(value, str):
        if CONTROL.search(value) or "\r" in value:
            raise Unshowable(field, value, "text without control characters")
        return value
    return f"{value:g}" if isinstance(value, float) and value.is_integer() else str(value)


def _fill_switch(field: Field, value: Any) -> State:
    if value is not None and not isinstance(value, bool):
        raise Unshowable(field, value, "yes or no")
    return "true" if value else ""


def _fill_choice(field: Field, value: Any) -> State:
    if value is None:
        return ""
    known = (option.id for option in field.options if option.value == value and type(option.value) is type(value))
    chosen = next(known, None)
    if chosen is None:
        raise Unshowable(field, value, "one of " + ", ".join(option.id for option in field.options))
    return chosen


def _fill_many(field: Field, value: Any) -> State:
    entries = [] if value is None else value if isinstance(value, list) else [value]
    return [_fill_choice(field, entry) for entry in entries]


def _fill_list(field: Field, value: Any) -> State:
    if field.words and isinstance(value, str):
        value = _words(field, value)
    entries = [] if value is None else value if isinstance(value, list) else [value] if field.single else None
    if entries is None or field.entry is None or len(entries) > _ENTRIES:
        raise Unshowable(field, value, f"a list of at most {_ENTRIES} entries")
    return [fill(field.entry, entry) for entry in entries]


def _words(field: Field, text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        raise Unshowable(field, text, "words with closed quotation marks") from None


def _fill_map(field: Field, value: Any) -> State:
    if field.entry is None or not isinstance(value or {}, dict):
        raise Unshowable(field, value, "names and values")
    return [[key, fill(field.entry, inner)] for key, inner in (value or {}).items()]


def _fill_free(_field: Field, value: Any) -> State:
    if value is None:
        return ""
    if isinstance(value, str) and as_yaml(value) == value:
        return value
    return to_yaml(value).removesuffix("\n...\n").strip("\n")


def as_yaml(text: str) -> Any:
    """The value of a text as YAML; the text itself where it is none."""
    diagnostics = Diagnostics()
    found = read_text(text, "", diagnostics)
    return found[0].data if len(found) == 1 and not diagnostics.errors else text


def _fill_matcher(field: Field, value: Any) -> State:
    if value is None:
        return {"label": "", "operator": "=", "value": ""}
    try:
        found = parse_matcher(value if isinstance(value, str) else "")
    except ValueError:
        raise Unshowable(field, value, 'a label matcher such as service="api"') from None
    return {"label": found.label, "operator": found.operator, "value": found.value}


def _fill_moment(field: Field, value: Any) -> State:
    if value is None:
        return {"at": "", "zone": "UTC"}
    try:
        found = datetime.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise Unshowable(field, value, "a date and time") from None
    offset = found.utcoffset()
    zone = "" if offset is None else "UTC" if not offset else found.strftime("%z")[:3] + ":" + found.strftime("%z")[3:5]
    return {"at": found.replace(tzinfo=None).isoformat(timespec="seconds" if found.second else "minutes"), "zone": zone}


def _fill_group(field: Field, value: Any) -> State:
    there = field.forced or not field.optional or (value is not None and value is not False)
    value = {} if value is None or isinstance(value, bool) else value
    if not isinstance(value, dict):
        if not field.shorthand:
            raise Unshowable(field, value, "several values")
        value = {field.shorthand: value}
    unknown = next((key for key in value if key not in {inner.key for inner in field.fields}), None)
    if unknown is not None:
        raise Unshowable(field, value, f"no `{str(unknown)[:60]}`")
    state = {inner.key: fill(inner, value.get(inner.key, ABSENT)) for inner in field.fields}
    return {ON: "true" if there else "", PICK: _picked(field, value), **state}


def _picked(field: Field, value: Mapping[str, Any]) -> str:
    found = [at for at, choice in enumerate(field.either) if any(value.get(key) is not None for key in choice.keys)]
    if len(found) > 1:  # such as a rule of a window that holds for some days only
        raise Unshowable(field, value, f"one of {' and '.join(field.either[at].label for at in found)}")
    return str(found[0] if found else 0)


_FILL: dict[str, Any] = {
    "switch": _fill_switch,
    "choice": _fill_choice,
    "many": _fill_many,
    "list": _fill_list,
    "map": _fill_map,
    "free": _fill_free,
    "matcher": _fill_matcher,
    "moment": _fill_moment,
    "group": _fill_group,
}


def without_secrets(field: Field, state: State) -> State:
    """The state without values that stand where a reference must: they are not shown again."""
    if field.widget == "group":
        return {**state, **{one.key: without_secrets(one, state[one.key]) for one in field.fields}}
    if field.widget == "map" and field.entry is not None:
        return [[key, without_secrets(field.entry, inner)] for key, inner in state]
    if field.widget == "list" and field.entry is not None:
        return [without_secrets(field.entry, inner) for inner in state]
    return "" if field.widget == "secret" and not REFERENCE.search(state) else state


# From what was submitted


def nest(submitted: Iterable[tuple[str, list[str]]]) -> dict[str, Any]:
    """Dotted names as nested mappings: `http.headers.0.key` -> {"http": {"headers": {"0": {"key": [...]}}}}."""
    tree: dict[str, Any] = {}
    for name, values in submitted:
        steps = name.split(".")
        inner = tree
        for step in steps[:-1][:_DEPTH]:
            inner = inner.setdefault(step, {})
            if not isinstance(inner, dict):
                break
        if isinstance(inner, dict) and len(steps) <= _DEPTH:
            inner.setdefault(steps[-1], [text.replace("\r\n", "\n") for text in values])
    return tree


def read(field: Field, given: Any) -> State:
    """The state that was submitted: what `nest` made of it, at this field. What is not there stands as by default."""
    if given is None and field.widget != "group":
        return fill(field)
    return _READ.get(field.widget, _read_text)(field, given)


def _read_text(_field: Field, given: Any) -> State:
    return _last(given)


def _read_many(_field: Field, given: Any) -> State:
    return [text for text in _texts(given) if text]


def _read_list(field: Field, given: Any) -> State:
    return [read(field.entry, row) for row in _rows(given)] if field.entry else []


def _read_map(field: Field, given: Any) -> State:
    pairs = [row if isinstance(row, dict) else {} for row in _rows(given)]
    return [[_last(row.get("key")), read(field.entry, row.get("value"))] for row in pairs] if field.entry else []


def _read_parts(field: Field, given: Any) -> State:
    tree = given if isinstance(given, dict) else {}
    return {key: _last(tree[key]) if key in tree else text for key, text in fill(field).items()}


def _read_group(field: Field, given: Any) -> State:
    tree = given if isinstance(given, dict) else {}
    there = "true" if not field.optional or "true" in _texts(tree.get(ON)) else ""
    pick = _last(tree.get(PICK))
    known = pick if pick in {str(at) for at in range(len(field.either))} else "0"
    return {ON: there, PICK: known, **{inner.key: read(inner, tree.get(inner.key)) for inner in field.fields}}


_READ: dict[str, Any] = {
    "many": _read_many,
    "list": _read_list,
    "map": _read_map,
    "matcher": _read_parts,
    "moment": _read_parts,
    "group": _read_group,
}


def _texts(given: Any) -> list[str]:
    return given if isinstance(given, list) else []


def _last(given: Any) -> str:
    return _texts(given)[-1] if _texts(given) else ""


def _rows(given: Any) -> list[Any]:
    """Entries in the order of their numbers. A list of texts may come as several values of one name, too."""
    if isinstance(given, list):
        return [[text] for text in given]
    numbers = sorted(int(step) for step in given if step.isascii() and step.isdigit() and len(step) < 7)
    return [given[str(number)] for number in numbers[:_ENTRIES] if str(number) in given]
