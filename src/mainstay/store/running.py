"""What a running server gives to the lanes of capabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mainstay.kernel.clock import Clock
    from mainstay.kernel.settings import Settings
    from mainstay.store.columns.columns import Columns
    from mainstay.store.writer import Writer


@dataclass(frozen=True, slots=True)
class Running:
    """A lane changes the state by jobs that it hands to `writer`, and never touches the ORM on the event loop."""

    settings: Settings
    writer: Writer
    columns: Columns
    clock: Clock
