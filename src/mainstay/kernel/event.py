"""What happens: facts in the past tense, appended to the journal with the state change they tell of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from mainstay.kernel.capability import CAPABILITIES


class Happened(Protocol):
    """What an event and an entry of the journal have in common."""

    @property
    def kind(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def data(self) -> dict[str, Any]: ...


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
