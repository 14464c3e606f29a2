"""What happens in drills."""

from __future__ import annotations

from typing import Annotated

from mainstay.kernel.event import Event
from mainstay.kernel.subject import Trouble

Drill = Annotated[str, "its name"]


class DrillBegan(Event):
    """Somebody practises."""

    kind, icon, title = "drill.began", "play", "Drill began"
    drill: Drill


class DrillEnded(Event):
    """The practice is over."""

    kind, icon, title, over = "drill.ended", "up", "Drill ended", "it works again"
    drill: Drill


class DrillOverran(Trouble):
    """It takes too long."""

    kind, icon, title = "drill.overran", "down", "Drill overran"


EVENTS = (DrillBegan, DrillEnded, DrillOverran)
