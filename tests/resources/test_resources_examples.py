"""Every example applies to an empty install, fits the JSON Schema, and survives an export."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from mainstay.kernel.actor import command
from mainstay.kernel.diagnostics import Diagnostics
from mainstay.store.resources import queries
from mainstay.store.resources.apply import apply, apply_files
from mainstay.store.resources.documents import read_text
from mainstay.store.resources.export import export_yaml
from mainstay.store.resources.files import read_body
from mainstay.store.resources.planning import Terms, plan_reading
from mainstay.store.resources.schema import file_schema

ROOT = Path(__file__).parents[2]
EXAMPLES = [path for end in ("yaml", "json") for path in sorted((ROOT / "examples").rglob(f"*.{end}"))]
ME = command("me")


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_applies_and_its_export_gives_the_same(path: Path) -> None:
    apply_files(ME, [str(path)])
    before = [(one.subject, one.document) for one in queries.resources()]
    assert before
    text = export_yaml(queries.resources())
    apply(ME, plan_reading(ME, read_body(b"{}"), Terms("file", str(path), prune="all")))
    assert queries.resources() == []
    apply(ME, plan_reading(ME, read_body(text.encode()), Terms("file", "export")))
    assert sorted(before, key=str) == sorted(((one.subject, one.document) for one in queries.resources()), key=str)
    assert export_yaml(queries.resources()) == text


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_fits_the_schema(path: Path) -> None:
    diagnostics = Diagnostics()
    for document in read_text(path.read_text(), path.name, diagnostics):
        assert list(misfits(file_schema(), file_schema(), document.data)) == []
    assert list(diagnostics) == []


def test_the_schema_refuses_what_no_file_may_hold() -> None:
    schema = file_schema()
    for wrong in (
        {"monitor": {}},
        {"monitors": {"a": {"http": "https://a.example", "evry": "30s"}}},
        {"monitors": {"a": {"http": {"url": "https://a.example", "bodi": 1}}}},
        {"monitors": {"a": {"http": "https://a.example", "every": "soon"}}},
        {"monitors": {"a": {"http": "https://a.example", "severity": "P9"}}},
        {"routes": [{"to": []}]},
        {"routes": {}},
        {"channels": {"h": {"webhook": {}}}},
    ):
        assert list(misfits(schema, schema, wrong)), wrong


def test_the_schema_is_closed_described_and_complete() -> None:
    schema = file_schema()
    text = json.dumps(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"]
    assert set(re.findall(r'"#/\$defs/([^"]+)"', text)) <= schema["$defs"].keys()
    for shape in _objects(schema):
        if "properties" in shape:
            assert shape["additionalProperties"] is False
            for name, inner in shape["properties"].items():
                assert inner.get("description") or "$ref" in inner or "anyOf" in inner, (name, inner)
    every = schema["properties"]["heartbeats"]["additionalProperties"]["properties"]["grace"]
    assert every["default"] == "5m"
    assert every["description"].startswith("how late")


def _objects(shape: Any) -> list[dict[str, Any]]:
    if isinstance(shape, list):
        return [found for inner in shape for found in _objects(inner)]
    if not isinstance(shape, dict):
        return []
    own = [shape] if shape.get("type") == "object" or "properties" in shape else []
    return own + [found for key, inner in shape.items() if key != "default" for found in _objects(inner)]


_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


def misfits(root: dict[str, Any], shape: dict[str, Any], value: Any, path: str = "$") -> list[str]:
    """Where a value does not match: the part of JSON Schema that our schema uses."""
    if "$ref" in shape:
        return misfits(root, root["$defs"][shape["$ref"].removeprefix("#/$defs/")], value, path)
    if "anyOf" in shape:
        tried = [misfits(root, inner, value, path) for inner in shape["anyOf"]]
        return [] if any(not found for found in tried) else [f"{path}: fits no alternative", *min(tried, key=len)]
    allowed = shape.get("type", list(_TYPES))
    if not any(_is(value, kind) for kind in ([allowed] if isinstance(allowed, str) else allowed)):
        return [f"{path}: {value!r} is not {allowed}"]
    found = _scalar_misfits(shape, value, path)
    if isinstance(value, list):
        for index, inner in enumerate(value):
            found += misfits(root, shape.get("items", {}), inner, f"{path}[{index}]")
    if isinstance(value, dict):
        found += _object_misfits(root, shape, value, path)
    return found


def _scalar_misfits(shape: dict[str, Any], value: Any, path: str) -> list[str]:
    found = []
    if "enum" in shape and value not in shape["enum"]:
        found.append(f"{path}: {value!r} is not one of {shape['enum']}")
    if isinstance(value, str) and "pattern" in shape and not re.search(shape["pattern"], value):
        found.append(f"{path}: {value!r} does not match {shape['pattern']}")
    if isinstance(value, list) and len(value) < shape.get("minItems", 0):
        found.append(f"{path}: too short")
    return found


def _is(value: Any, kind: str) -> bool:
    return isinstance(value, _TYPES[kind]) and (kind == "boolean") == isinstance(value, bool)


def _object_misfits(root: dict[str, Any], shape: dict[str, Any], value: dict[str, Any], path: str) -> list[str]:
    found = [f"{path}: {key} is missing" for key in shape.get("required", []) if key not in value]
    patterns = shape.get("patternProperties", {})
    for key, inner in value.items():
        if key in shape.get("properties", {}):
            found += misfits(root, shape["properties"][key], inner, f"{path}.{key}")
        elif not any(re.search(pattern, key) for pattern in patterns):
            extra = shape.get("additionalProperties", True)
            if extra is False:
                found.append(f"{path}: {key} is unknown")
            elif isinstance(extra, dict):
                found += misfits(root, extra, inner, f"{path}.{key}")
    return found
