"""JSON Schema (draft 2020-12) of declared files, for editors and for programs that write such files."""

from __future__ import annotations

import json
from typing import Any

from pydantic import TypeAdapter

from mainstay.kernel.duration import Duration, format_duration
from mainstay.kernel.resource import KINDS, NAME_LIMIT, Kind
from mainstay.store.resources.shapes import hoist

DURATION = json.dumps(TypeAdapter(Duration).json_schema()["anyOf"])
DIALECT = "https://json-schema.org/draft/2020-12/schema"
IDENTIFIER = "urn:mainstay:schema:file"


def file_schema() -> dict[str, Any]:
    """One self-contained schema: every kind's models stand under `$defs`, unknown keys are refused."""
    definitions: dict[str, Any] = {}
    sections = {kind.plural: _section(kind, hoist(kind.schema(), definitions)) for kind in KINDS}
    sections, definitions = _readable(sections), _readable(definitions)
    return {
        "$schema": DIALECT,
        "$id": IDENTIFIER,
        "title": "Mainstay",
        "description": "What Mainstay watches, whom it tells and what it shows",
        "type": "object",
        "properties": sections,
        "patternProperties": {"^x-": {"description": "ignored: a place for YAML anchors"}},
        "additionalProperties": False,
        "$defs": dict(sorted(definitions.items())),
    }


def _section(kind: Kind, shape: dict[str, Any]) -> dict[str, Any]:
    if kind.alone:
        return {"description": kind.summary, "anyOf": [shape, {"type": "null"}]}
    if kind.listed:
        return {"description": kind.summary, "type": ["array", "null"], "items": shape}
    return {
        "description": kind.summary,
        "type": ["object", "null"],
        "propertyNames": {"minLength": 1, "maxLength": NAME_LIMIT},
        "additionalProperties": shape,
    }


def _readable(shape: Any) -> Any:
    """Without the titles that repeat a key, and with default durations as people write them."""
    if isinstance(shape, list):
        return [_readable(inner) for inner in shape]
    if not isinstance(shape, dict):
        return shape
    found = {key: _readable(inner) for key, inner in shape.items() if key != "title" or not isinstance(inner, str)}
    if isinstance(found.get("default"), float) and DURATION in json.dumps(found):
        found["default"] = format_duration(found["default"])
    return found
