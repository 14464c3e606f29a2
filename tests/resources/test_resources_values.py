"""Any value that YAML can hold is applied or refused with places; whatever is valid survives an export."""

from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mainstay.kernel.actor import command
from mainstay.kernel.diagnostics import Diagnostics
from mainstay.kernel.errors import InvalidInput
from mainstay.kernel.resource import KINDS, Resource
from mainstay.kernel.timespan import format_duration
from mainstay.store.resources.declarations import Declaration, declared
from mainstay.store.resources.documents import decode, read_text
from mainstay.store.resources.export import export_yaml, to_yaml
from mainstay.store.resources.files import read_body
from mainstay.store.resources.json_text import is_plain
from mainstay.store.resources.mistakes import explain
from mainstay.store.resources.planning import Terms, plan_reading
from mainstay.store.resources.shapes import kind_shape, shapes_at

ME = command("me")
KIND_NAMES = ["monitor", "heartbeat", "channel", "route", "window", "status_page"]
# One valid value for keys whose form no schema tells.
GOOD: dict[str, Any] = {
    "http": "https://a.example/health",
    "tcp": "db.example:5432",
    "tls": "a.example:443",
    "dns": "a.example",
    "icmp": "a.example",
    "url": "https://a.example/x",
    "cron": "0 2 * * *",
    "rule": "first tuesday 02:00-04:00",
    "timezone": "Europe/Berlin",
    "to": ["ops@example.com"],
    "match": ['severity=~"P0|P1"', "a=b"],
    "covers": ['service="api"'],
    "secret": "${env:SECRET}",
    "every": "1m30s",
}
LIMITS = settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=60)

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["30s", "https://a.example", "${env:X}", "no", "P0", "0 2 * * *", "Europe/Berlin", "${x"]),
)
known_keys = st.sampled_from(
    sorted({key for kind in KINDS for shape in shapes_at(kind_shape(kind.name), (), {}) for key in shape["properties"]})
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(known_keys | st.text(max_size=8) | st.integers(), inner, max_size=5)
    ),
    max_leaves=15,
)


@pytest.mark.parametrize("kind", KIND_NAMES)
@LIMITS
@given(data=st.data())
def test_no_value_makes_a_kind_fail_in_another_way_than_with_mistakes(kind: str, data: st.DataObject) -> None:
    """Wrong types everywhere: in the place of a spec, of any key of a valid one, and deeper."""
    document = data.draw(values | st.dictionaries(known_keys, values, max_size=6))
    if isinstance(document, dict) and data.draw(st.booleans()):
        for key in ("http", "every", "webhook", "to", "rule", "title"):
            document.setdefault(key, GOOD.get(key, "x"))
    try:
        spec = KINDS[kind].validate(document)
    except ValidationError as error:
        if is_plain(document):
            mistakes = explain(error, kind, document)
            assert mistakes
            for mistake in mistakes:
                assert "Input" not in mistake.message
                assert "pydantic" not in mistake.message
                assert len(str(mistake.message)) < 2000
    else:
        if is_plain(document):
            shortest = spec.to_document()
            assert KINDS[kind].validate(shortest).to_document() == shortest


@pytest.mark.usefixtures("store")
@LIMITS
@given(text=st.text(max_size=200) | values.map(lambda value: json.dumps(value, default=str)) | st.binary(max_size=100))
def test_no_input_makes_planning_fail_in_another_way_than_with_mistakes(text: str | bytes) -> None:
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    with contextlib.suppress(InvalidInput):
        plan_reading(ME, read_body(raw), Terms("file", "body"))


@LIMITS
@given(
    value=st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63) + 1, 2**63 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=30,
    ),
)
def test_what_is_written_reads_back_the_same(value: Any) -> None:
    assume(is_plain(value))
    text = to_yaml({"a": value})
    diagnostics = Diagnostics()
    clean = decode(text.encode(), "f", diagnostics)
    assert clean is not None
    (document,) = read_text(clean, "f", diagnostics)
    assert list(diagnostics) == []
    assert _exact(document.data["a"], value)


def _exact(left: Any, right: Any) -> bool:
    if isinstance(right, float) and isinstance(left, int | float):
        return math.isclose(left, right) and not isinstance(left, bool)
    if isinstance(right, list):
        return isinstance(left, list) and len(left) == len(right) and all(map(_exact, left, right))
    if isinstance(right, dict):
        return isinstance(left, dict) and left.keys() == right.keys() and all(_exact(left[k], right[k]) for k in right)
    return type(left) is type(right) and bool(left == right)


def _value(draw: Any, root: dict[str, Any], shape: dict[str, Any], key: str, depth: int = 4) -> Any:
    """A value that fits a schema, or nearly: what does not validate is left out by the caller."""
    if key in GOOD and draw(st.booleans()):
        return GOOD[key]
    if "$ref" in shape:
        return _value(draw, root, root["$defs"][shape["$ref"].rsplit("/", 1)[1]], key, depth)
    for word in ("anyOf", "oneOf"):
        if word in shape:
            return _value(draw, root, draw(st.sampled_from(shape[word])), key, depth)
    if "const" in shape or "enum" in shape:
        return draw(st.sampled_from(shape.get("enum", [shape.get("const")])))
    if shape.get("type") == "array":
        size = max(draw(st.integers(0, 3)), shape.get("minItems", 0))
        return [_value(draw, root, shape.get("items", {}), key, depth - 1) for _ in range(size)]
    if shape.get("type") == "object" and depth:
        return _object(draw, root, shape, depth)
    return draw(_scalar(shape))


def _scalar(shape: dict[str, Any]) -> st.SearchStrategy[Any]:
    low, high = int(shape.get("minimum", 0)), int(min(shape.get("maximum", 1000), 10**9))
    by_type: dict[str, st.SearchStrategy[Any]] = {
        "integer": st.integers(low, max(low, high)),
        "number": st.integers(low, max(low, high)),
        "boolean": st.booleans(),
        "string": _text(),
    }
    if "ms|s" in shape.get("pattern", ""):
        return st.integers(1, 100_000_000).map(lambda number: format_duration(number / 1000))
    return by_type.get(shape.get("type", ""), st.none() | _text())


def _text() -> st.SearchStrategy[str]:
    traps = [
        "no",
        "on",
        "12:30",
        "1e3",
        "0o17",
        "2026-01-01",
        "~",
        "",
        " x ",
        "a: b",
        "# x",
        "- x",
        "ä\n ü",
        "\U0001f600",
    ]
    clean = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"], include_characters="\n\t"), max_size=12)
    return st.sampled_from(traps) | clean


def _object(draw: Any, root: dict[str, Any], shape: dict[str, Any], depth: int) -> dict[str, Any]:
    properties = shape.get("properties", {})
    required = shape.get("required", [])
    found = {key: GOOD.get(key) or _value(draw, root, properties[key], key, depth - 1) for key in required}
    optional = sorted(properties.keys() - set(required))
    for key in draw(st.lists(st.sampled_from(optional), max_size=5, unique=True)) if optional else ():
        found[key] = _value(draw, root, properties[key], key, depth - 1)
    if isinstance(extra := shape.get("additionalProperties"), dict):
        for name in draw(st.lists(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), max_size=3, unique=True)):
            found[name] = _value(draw, root, extra, name, depth - 1)
    return found


def _fits(kind: str, document: Any) -> bool:
    try:
        KINDS[kind].validate(document)
    except ValidationError:
        return False
    return True


@st.composite
def documents(draw: Any, kind: str) -> dict[str, Any]:
    """A valid document: the required keys of one variant, then every drawn key that keeps it valid."""
    root = kind_shape(kind)
    shape = draw(st.sampled_from(shapes_at(root, (), {})))
    document = {
        key: GOOD[key] if key in GOOD else _value(draw, root, shape["properties"][key], key)
        for key in shape.get("required", [])
    }
    if kind in ("heartbeat", "window") and not _fits(kind, document):
        document |= {"cron": GOOD["cron"]} if kind == "heartbeat" else {"rule": GOOD["rule"]}
    assume(_fits(kind, document))
    optional = sorted(shape["properties"].keys() - document.keys() - {"name"})
    for key in draw(st.lists(st.sampled_from(optional), max_size=8, unique=True)):
        candidate = {**document, key: _value(draw, root, shape["properties"][key], key)}
        if _fits(kind, candidate):
            document = candidate
    return document


names = st.from_regex(r"[a-z0-9äß日]([a-z0-9._-]{0,6}[a-z0-9])?", fullmatch=True) | st.sampled_from(
    ["no", "on", "8080", "1e3", "2026-01-01", "null", "true", "0x1f", "y"]
)


def _declared(text: str) -> list[Declaration]:
    diagnostics = Diagnostics()
    found = declared(read_text(text, "export", diagnostics), "file", diagnostics)
    assert [str(item) for item in diagnostics] == []
    return found


def _resources(found: list[Declaration]) -> list[Resource]:
    return [
        Resource(str(number), own.kind.name, own.name, own.document, "file", "", 1, own.position)
        for number, own in enumerate(found)
    ]


@pytest.mark.parametrize("kind", KIND_NAMES)
@LIMITS
@given(data=st.data())
def test_an_export_applies_to_an_empty_install_without_a_difference(kind: str, data: st.DataObject) -> None:
    wanted = data.draw(st.dictionaries(names, documents(kind), min_size=1, max_size=3))
    section: Any = wanted
    if KINDS[kind].listed:
        section = [{"name": name, **document} for name, document in wanted.items()]
    elif KINDS[kind].alone:
        section = next(iter(wanted.values()))
    first = _declared(to_yaml({KINDS[kind].plural: section}))
    text = export_yaml(_resources(first))
    again = _declared(text)
    assert {(own.name, json.dumps(own.document, sort_keys=True)) for own in again} == {
        (own.name, json.dumps(own.document, sort_keys=True)) for own in first
    }
    assert export_yaml(_resources(again)) == text
