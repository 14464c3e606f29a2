"""A public status page as plain values: everything that its renderings need, and nothing that is not public.

Names of monitors, addresses and error texts never enter here. Times are epoch seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mainstay.frames.days import Line
from mainstay.statuspage.rules import SENTENCES, WORDS, Condition, Indicator


@dataclass(frozen=True, slots=True)
class PublicComponent:
    id: str
    name: str
    description: str
    group: str
    condition: Condition
    changed_at: float
    line: Line | None
    parts: tuple[str, ...] = ()  # uids of what is behind it, to read more of its history; never shown

    @property
    def words(self) -> str:
        return WORDS[self.condition]

    @property
    def share(self) -> float | None:
        return self.line.share if self.line else None


@dataclass(frozen=True, slots=True)
class PublicIncident:
    """An alert in public words; `components` are names of this page's lines.

    outages: how often it happened again, each within an hour of the one before.
    """

    id: str
    title: str
    impact: Condition
    since: float
    updated_at: float
    until: float | None
    acknowledged_at: float | None
    components: tuple[str, ...]
    outages: int = 1

    @property
    def status(self) -> str:
        """Statuspage's word for how far it is."""
        if self.until is not None:
            return "resolved"
        return "identified" if self.acknowledged_at is not None else "investigating"

    @property
    def words(self) -> str:
        """What is known of it, for visitors: that somebody works on it is said only when somebody has said so."""
        if self.acknowledged_at is None:
            return "Our monitoring noticed this."
        return "We are working on it."

    @property
    def lasted(self) -> float:
        return (self.updated_at if self.until is None else self.until) - self.since


@dataclass(frozen=True, slots=True)
class PublicWindow:
    """A maintenance window's current or next period."""

    id: str
    title: str
    start: float
    until: float
    active: bool
    components: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PublicPage:
    slug: str
    title: str
    description: str
    link: str
    support: str
    days: int
    url: str  # its absolute address
    at: float  # when this was read
    indicator: Indicator
    components: tuple[PublicComponent, ...] = ()
    incidents: tuple[PublicIncident, ...] = ()  # open first, then those of the last 30 days, newest first
    windows: tuple[PublicWindow, ...] = ()
    stale_since: float | None = None  # set while the database does not answer

    @property
    def sentence(self) -> str:
        return SENTENCES[self.indicator]

    @property
    def open_incidents(self) -> list[PublicIncident]:
        return [incident for incident in self.incidents if incident.until is None]

    @property
    def past_incidents(self) -> list[PublicIncident]:
        return [incident for incident in self.incidents if incident.until is not None]

    @property
    def active_windows(self) -> list[PublicWindow]:
        return [window for window in self.windows if window.active]

    @property
    def coming_windows(self) -> list[PublicWindow]:
        return [window for window in self.windows if not window.active]

    @property
    def groups(self) -> list[Group]:
        """Components under their headings, in the order in which they are declared."""
        found: dict[str, Group] = {}
        for component in self.components:
            found.setdefault(component.group, Group(component.group)).components.append(component)
        return list(found.values())


@dataclass(slots=True)
class Group:
    name: str
    components: list[PublicComponent] = field(default_factory=list)
