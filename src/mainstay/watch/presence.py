"""Whether a location can be heard: the rules. Pure.

    waiting ──first heard──▶ up ──not heard for `silent_after`──▶ silent ──heard for STEADY──▶ up

While this machine itself has no network nobody can be heard, and nothing is said of anybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PresenceState = Literal["waiting", "up", "silent"]
STEADY = 3.0  # seconds without a break after which one that was lost is back


@dataclass(slots=True)
class Presence:
    """One location as this process hears it; times are of a steady clock.

    `heard`: its last word, or the moment from which on it could have been heard; `since`: of the current link, None
    while there is none.
    """

    state: PresenceState
    heard: float
    since: float | None = None


def change(presence: Presence, mono: float, silent_after: float, *, blind: bool) -> PresenceState | None:
    """What it becomes now; None if it stays what it is. `blind`: this machine has no network."""
    if presence.state == "up":
        return "silent" if mono - presence.heard > silent_after and not blind else None
    if presence.since is None or mono - presence.heard > silent_after:
        return None
    return "up" if presence.state == "waiting" or mono - presence.since >= STEADY else None
