"""What happens with alerts that other tools send."""

from __future__ import annotations

from typing import Annotated

from mainstay.kernel.event import Event
from mainstay.kernel.subject import Trouble, Uid

Source = Annotated[str, "the alert source that said so"]


class AlertReported(Trouble, kw_only=True):
    """Another tool said that something is wrong, or that it is more or less severe than it was."""

    kind, icon, title = "source.alert_reported", "alerts", "Reported from outside"
    source: Source


class AlertEnded(Event, kw_only=True):
    """Another tool said that it is over, or said nothing more for as long as it was to be believed."""

    kind, icon, title = "source.alert_ended", "up", "Ended from outside"
    over = "its source says that it is over"
    uid: Uid
    source: Source
    reason: Annotated[str, "why it counts as over"] = over

    @property
    def data(self) -> dict[str, object]:
        return super().data | {"over": self.reason}


class ChangeRecorded(Event, kw_only=True):
    """Something was deployed, switched or configured elsewhere."""

    kind, icon, title = "source.change_recorded", "edit", "Change recorded"
    change: Annotated[str, "its id"]
    what: Annotated[str, "deploy, flag, configuration or another sort"]
    summary: Annotated[str, "one line for a person"]
    labels: Annotated[dict[str, str], "what it concerns"]


EVENTS = (AlertReported, AlertEnded, ChangeRecorded)
