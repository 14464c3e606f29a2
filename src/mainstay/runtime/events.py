"""What happens in runtime."""

from __future__ import annotations

from typing import Annotated

from mainstay.kernel.event import Event


class MainstayStarted(Event):
    """The server started."""

    kind, icon, title = "mainstay.started", "play", "Mainstay started"
    version: Annotated[str, "of Mainstay"]


class MainstayStopped(Event):
    """The server stopped."""

    kind, icon, title = "mainstay.stopped", "paused", "Mainstay stopped"
    reason: Annotated[str, "what made it stop"]


EVENTS = (MainstayStarted, MainstayStopped)
