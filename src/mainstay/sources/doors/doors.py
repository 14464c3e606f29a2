"""The fast doors of all sources, by their addresses, for the server's dispatch."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from mainstay.sources.doors.alertmanager import Alertmanager
from mainstay.sources.doors.intake import Intake

Message = MutableMapping[str, Any]
Application = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]


def source_doors(intake: Intake) -> dict[str, Application]:
    """Path or prefix -> application."""
    alertmanager = Alertmanager(intake).application
    return {"/api/v2/": alertmanager, "/-/": alertmanager}
