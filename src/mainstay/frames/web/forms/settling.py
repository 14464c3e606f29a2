"""From what stands in a form to a document: what is as by default stays out, what nobody touched stays as written."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mainstay.frames.web.forms.shape import ABSENT, Field
from mainstay.frames.web.forms.state import ON, PICK, State, Unshowable, as_yaml, fill
from mainstay.kernel.matchers import Matcher
from mainstay.store.resources.scalars import plain

_OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})")


def is_blank(field: Field, state: State) -> bool:
    """Whether an entry of a list says nothing, as the empty line that waits for the next one."""
    if field.widget == "matcher":
        return not (state["label"] or state["value"])
    return bool(state == fill(field))


def settle(field: Field, state: State, written: Any = ABSENT) -> Any:
    """The value that a document has for this state, or ABSENT. What was `written` stays where it means the same."""
    return _settle(field, without_blanks(field, state), written)


def without_blanks(field: Field, state: State) -> State:
    """The state without entries that say nothing."""
    if field.widget == "group":
        return {**state, **{inner.key: without_blanks(inner, state[inner.key]) for inner in field.fields}}
    if field.entry is None:
        return state
    entry = field.entry
    if field.widget == "map":
        pairs = [[key, without_blanks(entry, inner)] for key, inner in state]
        return [pair for pair in pairs if pair[0] or not is_blank(entry, pair[1])]
    entries = [without_blanks(entry, inner) for inner in state]
    return [inner for inner in entries if not is_blank(entry, inner)]


def named_twice(field: Field, state: State) -> list[str]:
    """Where in the document a name would stand more than once, of which it can keep but one."""
    return list(_named_twice(field, without_blanks(field, state), ""))


def _named_twice(field: Field, state: State, path: str) -> Iterator[str]:
    inside: list[tuple[Field, str, State]] = []
    if field.widget == "group" and not (field.optional and not state[ON]):
        unpicked = _unpicked(field, state)
        inside = [(one, one.key, state[one.key]) for one in field.fields if one.key not in unpicked]
    elif field.widget == "map" and field.entry is not None:
        inside = [(field.entry, key, inner) for key, inner in state]
        yield from (f"{path}.{key}" for key, times in Counter(key for key, _ in state).items() if times > 1)
    elif field.widget == "list" and field.entry is not None:
        inside = [(field.entry, str(at), inner) for at, inner in enumerate(state)]
    for one, step, inner in inside:
        yield from _named_twice(one, inner, f"{path}.{step}" if path else step)


def _unpicked(field: Field, state: State) -> set[str]:
    """Keys of the ways of a group that were not chosen."""
    if not field.either:
        return set()
    return {key for choice in field.either for key in choice.keys} - set(field.either[int(state[PICK])].keys)


def _settle(field: Field, state: State, written: Any) -> Any:
    if written is not ABSENT and _shows(field, written, state):
        return written
    if field.widget == "group":
        return _settle_group(field, state, written)
    if state == fill(field) and not field.forced:
        return ABSENT
    if field.widget == "list" and field.entry is not None:
        return _settle_list(field, field.entry, state, written)
    if field.widget == "map" and field.entry is not None:
        known = written if isinstance(written, dict) else {}
        entries = {key: _settle(field.entry, inner, known.get(key, ABSENT)) for key, inner in state}
        return {key: "" if inner is ABSENT else inner for key, inner in entries.items()}
    return _value(field, state)


def _shows(field: Field, written: Any, state: State) -> bool:
    try:
        return bool(fill(field, written) == state)
    except Unshowable:
        return False


def _settle_list(field: Field, entry: Field, state: State, written: Any) -> Any:
    known = written if isinstance(written, list) else []
    found = [_settle(entry, inner, known[at] if at < len(known) else ABSENT) for at, inner in enumerate(state)]
    values = [value for value in found if value is not ABSENT]
    return values[0] if field.single and len(values) == 1 and not isinstance(written, list) else values


def _settle_group(field: Field, state: State, written: Any) -> Any:
    if field.optional and not state[ON]:
        return ABSENT
    known = written if isinstance(written, dict) else {}
    if field.shorthand and not isinstance(written, dict | bool | None) and written is not ABSENT:
        known = {field.shorthand: written}
    unpicked = _unpicked(field, state)
    order = [key for key in known if key not in unpicked and any(inner.key == key for inner in field.fields)]
    order += [inner.key for inner in field.fields if inner.key not in unpicked and inner.key not in order]
    found = {key: _settle(field.field(key), state[key], known.get(key, ABSENT)) for key in order}
    document = {key: value for key, value in found.items() if value is not ABSENT}
    if not document and not (field.optional or field.forced):
        return ABSENT
    if list(document) == [field.shorthand] and isinstance(document[field.shorthand], str):
        return document[field.shorthand]
    return document


def _value(field: Field, state: State) -> Any:
    """What a single answer is in a document. What cannot be one stays text, for the plan to say what is wrong."""
    if field.widget in _VALUE:
        return _VALUE[field.widget](field, state)
    if field.numeric and field.widget != "duration":
        return _number(state)
    return ABSENT if state == "" and field.default in (ABSENT, None) else state


def _choice_value(field: Field, state: State) -> Any:
    return ABSENT if state == "" and not any(option.id == "" for option in field.options) else _chosen(field, state)


def _many_value(field: Field, state: State) -> Any:
    chosen = [_chosen(field, text) for text in state]
    return chosen[0] if field.single and len(chosen) == 1 else chosen


def _chosen(field: Field, text: str) -> Any:
    return next((option.value for option in field.options if option.id == text), text)


def _number(text: str) -> Any:
    stripped = text.strip()
    if not stripped:
        return ABSENT
    try:
        value = plain(stripped)
    except ValueError:
        return text
    return value if isinstance(value, int | float) and not isinstance(value, bool) else text


def _matcher_text(_field: Field, state: State) -> str:
    if not state["label"]:
        return f"{state['operator']}{state['value']}"
    return str(Matcher(state["label"], state["operator"], state["value"]))


def _moment_text(_field: Field, state: State) -> Any:
    if not state["at"]:
        return ABSENT
    try:
        moment = datetime.fromisoformat(state["at"])
    except ValueError:
        return state["at"]
    zone = _zone(state["zone"].strip())
    return state["at"] if zone is None else moment.replace(tzinfo=zone).isoformat()


def _zone(name: str) -> timezone | ZoneInfo | None:
    found = _OFFSET.fullmatch(name)
    if found:
        offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
        return timezone(offset if found[1] == "+" else -offset) if offset < timedelta(days=1) else None
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


_VALUE: dict[str, Any] = {
    "switch": lambda _field, state: state == "true",
    "choice": _choice_value,
    "many": _many_value,
    "matcher": _matcher_text,
    "moment": _moment_text,
    "free": lambda _field, state: as_yaml(state) if state else ABSENT,
}
