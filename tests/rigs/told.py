"""An event with whatever data a test needs, of a kind that there is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Told:
    kind: str
    subject: str
    data: dict[str, Any] = field(default_factory=dict)
