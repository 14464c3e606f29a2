"""What happens: facts in the past tense, appended to the journal with the state change they tell of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mainstay.kernel.capability import CAPABILITIES


@dataclass(frozen=True, slots=True)
class Event:
    """`subject` names what it is about as kind/name (`monitor/api`); `data` is JSON and holds no secret.

    A kind that no capability declares cannot be recorded.
    """

    kind: str
    subject: str
    data: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in CAPABILITIES.events:
            raise AssertionError(f"undeclared event kind {self.kind}")
