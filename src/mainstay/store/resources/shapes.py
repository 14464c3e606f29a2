"""Walking a JSON Schema along a path of a document: which keys are known there, which form a value has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from mainstay.kernel.resource import KINDS

Shape = dict[str, Any]
_TEMPLATE = "#/$defs/"


@cache
def kind_shape(name: str) -> Shape:
    """The schema of one kind with all its `$defs` at its root, whatever branch they came from."""
    definitions: Shape = {}
    shape = hoist(KINDS[name].schema(), definitions)
    return {**shape, "$defs": definitions}


def hoist(schema: Any, definitions: Shape) -> Any:
    """A copy of a schema whose `$defs` moved to `definitions`; names that are taken by others get a number."""
    own = schema.get("$defs", {}) if isinstance(schema, dict) else {}
    names: dict[str, str] = {}
    for name, definition in own.items():
        names[name] = _free_name(name, definition, definitions)
        definitions[names[name]] = definition
    for name in own:
        definitions[names[name]] = _renamed(own[name], names, definitions)
    return _renamed({key: value for key, value in schema.items() if key != "$defs"}, names, definitions)


def _free_name(name: str, definition: Any, definitions: Shape) -> str:
    candidate, number = name, 1
    while candidate in definitions and definitions[candidate] != definition:
        number += 1
        candidate = f"{name}{number}"
    return candidate


def _renamed(schema: Any, names: dict[str, str], definitions: Shape) -> Any:
    if isinstance(schema, list):
        return [_renamed(inner, names, definitions) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    if "$defs" in schema:
        return hoist(schema, definitions)
    copy = {key: _renamed(inner, names, definitions) for key, inner in schema.items()}
    if isinstance(reference := copy.get("$ref"), str) and reference.startswith(_TEMPLATE):
        name = reference.removeprefix(_TEMPLATE)
        copy["$ref"] = _TEMPLATE + names.get(name, name)
    return copy


def shapes_at(root: Shape, path: Iterable[str | int], document: Any) -> list[Shape]:
    """The plain schemas (no references, no alternatives) that may govern the value at `path`."""
    shapes, value = _narrowed(_leaves(root, root), document), document
    for step in path:
        value = _child(value, step)
        found = [leaf for shape in shapes for inner in _inner(shape, step) for leaf in _leaves(inner, root)]
        shapes = _narrowed(found, value)
    return shapes


def known_keys(shapes: Iterable[Shape]) -> list[str]:
    return list(dict.fromkeys(key for shape in shapes for key in shape.get("properties", {})))


def _child(value: Any, step: str | int) -> Any:
    if isinstance(value, dict):
        return value.get(step)
    return value[step] if isinstance(value, list) and isinstance(step, int) and step < len(value) else None


def _inner(shape: Shape, step: str | int) -> Iterator[Shape]:
    if isinstance(step, int):
        if isinstance(shape.get("items"), dict):
            yield shape["items"]
        return
    if step in shape.get("properties", {}):
        yield shape["properties"][step]
    elif isinstance(shape.get("additionalProperties"), dict):
        yield shape["additionalProperties"]


def _leaves(shape: Shape, root: Shape, depth: int = 12) -> list[Shape]:
    if depth == 0:
        return []
    if "$ref" in shape:
        name = shape["$ref"].removeprefix(_TEMPLATE)
        return _leaves(root.get("$defs", {}).get(name, {}), root, depth - 1)
    for word in ("anyOf", "oneOf", "allOf"):
        if word in shape:
            return [leaf for inner in shape[word] for leaf in _leaves(inner, root, depth - 1)]
    return [shape]


def _narrowed(shapes: list[Shape], value: Any) -> list[Shape]:
    """Those alternatives whose required keys are all there; all of them if there is none such."""
    if not isinstance(value, dict):
        return shapes
    fitting = [shape for shape in shapes if set(shape.get("required", ())) <= value.keys()]
    return fitting or shapes
