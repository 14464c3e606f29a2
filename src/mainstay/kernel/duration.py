"""Durations as people write them, as a field of a spec; the text form itself is in `timespan`."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from mainstay.kernel.timespan import format_duration, parse_duration

__all__ = ["Duration", "format_duration", "parse_duration"]


def _validate(value: Any) -> float:
    seconds = parse_duration(value)
    # Whole milliseconds: what is stored as text reads back as the same number.
    return round(seconds, 3) if math.isfinite(seconds) else seconds


Duration = Annotated[
    float,
    BeforeValidator(_validate),
    Field(ge=0, le=366 * 86400),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d|w)\s*)+$"},
                {"type": "number", "minimum": 0},
            ],
            "description": "a duration such as 30s, 5m, 1h30m or 250ms",
        }
    ),
]
