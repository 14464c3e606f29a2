"""What a running server gives to the lanes and metrics of capabilities."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from mainstay.kernel.clock import Clock
    from mainstay.kernel.settings import Settings
    from mainstay.store.columns.columns import Columns
    from mainstay.store.writer import Writer

Part = TypeVar("Part")


@dataclass(frozen=True, slots=True)
class Running:
    """A lane changes the state by jobs that it hands to `writer`, and never touches the ORM on the event loop.

    parts: what else runs, by its class, for metrics; full once the server has been put together.
    """

    settings: Settings
    writer: Writer
    columns: Columns
    clock: Clock
    parts: dict[type, Any] = field(default_factory=dict)

    def part(self, kind: type[Part]) -> Part | None:
        """None where this server has no such thing."""
        found: Part | None = self.parts.get(kind)
        return found
