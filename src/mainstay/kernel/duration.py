"""Durations as people write them, as a field of a spec; the text form itself is in `timespan`."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from mainstay.kernel.asking import sort
from mainstay.kernel.timespan import format_duration, parse_duration

__all__ = ["Duration", "format_duration", "parse_duration"]

LONGEST = 366 * 86_400  # seconds


def _validate(value: Any) -> float:
    seconds = parse_duration(value)
    # Whole milliseconds: what is stored as text reads back as the same number.
    return round(seconds, 3) if math.isfinite(seconds) else seconds


Duration = Annotated[
    float,
    BeforeValidator(_validate),
    Field(ge=0, le=LONGEST),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d|w) *)+$", "maxLength": 100},
                {"type": "number", "minimum": 0, "maximum": LONGEST},
            ],
            **sort("duration"),
            "description": "a duration such as 30s, 5m, 1h30m or 250ms; 366d at most",
        }
    ),
]
