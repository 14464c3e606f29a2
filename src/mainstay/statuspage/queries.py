"""Reads of status pages: from what is declared and known to what the public may see.

This is where private things stay behind: names of monitors, addresses, labels, error texts, who took an alert.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from django.conf import settings

from mainstay.alerting import queries as alerting
from mainstay.frames.days import Line, together
from mainstay.heartbeats import queries as heartbeats
from mainstay.kernel.resource import Resource
from mainstay.statuspage.names import stable_id
from mainstay.statuspage.rules import Condition, Indicator, component_condition, page_indicator
from mainstay.statuspage.view import PublicComponent, PublicIncident, PublicPage, PublicWindow
from mainstay.store.resources.queries import resources
from mainstay.watch import queries as watch
from mainstay.watch.results.history import HISTORY
from mainstay.windows.queries import Occurrence, current, upcoming
from mainstay.windows.queries import declared as declared_windows

if TYPE_CHECKING:
    from mainstay.alerting.queries import Alert
    from mainstay.statuspage.spec import Component, StatusPageSpec
    from mainstay.windows.queries import Window

_DAY = 86_400.0
_INCIDENT_DAYS = 30
_WINDOW_DAYS = 14
_ALERTS = 500
_FOLD = 3600.0  # seconds; what comes back so soon is the same incident


@dataclass(frozen=True, slots=True)
class Behind:
    """A monitor or heartbeat, as far as a status page needs it."""

    subject: str
    uid: str
    state: str
    since: float
    labels: Mapping[str, str]


def public_pages(now: float | None = None) -> list[PublicPage]:
    """Every declared page, read now. Raises DatabaseError or StoreBusy if the database is away."""
    declared = resources("status_page")
    if not declared:
        return []
    moment = time.time() if now is None else now
    behind = {one.subject: one for one in _everything(moment)}
    alerts = _alerts(moment)
    windows = declared_windows()
    return [_page(resource, behind, alerts, windows, moment) for resource in declared]


@dataclass(frozen=True, slots=True)
class Overview:
    """A status page as those who run it see it in a list."""

    slug: str
    title: str
    url: str
    indicator: Indicator
    conditions: Mapping[str, Condition]  # by component, in order


def overviews(now: float) -> list[Overview]:
    """Every declared page with what it says now; cheap, for no history is read."""
    declared = resources("status_page")
    behind = {one.subject: one for one in _everything(now)} if declared else {}
    found = []
    for resource in declared:
        parts: dict[str, list[str]] = {}
        for component in resource.spec.components:
            parts.setdefault(component.name, []).extend(one.state for one in _subjects(component, behind))
        conditions = {name: component_condition(states) for name, states in parts.items()}
        indicator = page_indicator(list(conditions.values()))
        found.append(Overview(resource.name, resource.spec.title, _url(resource.name), indicator, conditions))
    return found


def _url(slug: str) -> str:
    return f"{settings.MAINSTAY.base_url}/status/{quote(slug)}"


def _everything(now: float) -> Iterable[Behind]:
    for view in watch.monitors():
        labels = {**view.labels, "monitor": view.name, "severity": view.severity, "kind": view.kind}
        yield Behind(f"monitor/{view.name}", view.uid, view.state, view.since, labels)
    for beat in heartbeats.heartbeats(now):
        labels = {**beat.labels, "heartbeat": beat.name, "severity": beat.severity, "kind": "heartbeat"}
        state = {"new": "unknown", "late": "up"}.get(beat.state, beat.state)
        yield Behind(f"heartbeat/{beat.name}", beat.uid, state, beat.since, labels)


def _alerts(now: float) -> list[Alert]:
    """What is open, and what ended within the last month; trouble that nobody can tell is left out."""
    found = [*alerting.alerts(status="firing", limit=_ALERTS), *alerting.alerts(status="resolved", limit=_ALERTS)]
    oldest = now - _INCIDENT_DAYS * _DAY
    return [one for one in found if one.level != "unknown" and (one.resolved_at is None or one.resolved_at > oldest)]


def _page(
    resource: Resource,
    behind: Mapping[str, Behind],
    alerts: Sequence[Alert],
    windows: Sequence[Window],
    now: float,
) -> PublicPage:
    spec: StatusPageSpec = resource.spec
    own = [(component, _subjects(component, behind)) for component in spec.components]
    parts: dict[str, list[Behind]] = {}  # two lines of one name, under two headings, are told as one
    for component, part in own:
        parts.setdefault(component.name, []).extend(part)
    lines = HISTORY.lines({one.uid for part in parts.values() for one in part}, spec.days, now)
    components = tuple(_component(resource.name, component, part, lines) for component, part in own)
    return PublicPage(
        slug=resource.name,
        title=spec.title,
        description=spec.description,
        link=spec.link,
        support=spec.support,
        days=spec.days,
        url=_url(resource.name),
        at=now,
        indicator=page_indicator([component.condition for component in components]),
        components=components,
        incidents=tuple(_incidents(parts, alerts)),
        windows=tuple(_windows(parts, windows, now)),
    )


def _subjects(component: Component, behind: Mapping[str, Behind]) -> list[Behind]:
    subjects = [f"monitor/{name}" for name in component.monitors]
    subjects += [f"heartbeat/{name}" for name in component.heartbeats]
    return [behind[subject] for subject in subjects if subject in behind]


def _component(slug: str, spec: Component, part: Sequence[Behind], lines: Mapping[str, Line]) -> PublicComponent:
    own = [lines[one.uid] for one in part if one.uid in lines]
    return PublicComponent(
        id=stable_id(slug, "component", spec.group, spec.name),
        name=spec.name,
        description=spec.description,
        group=spec.group,
        condition=component_condition([one.state for one in part]),
        changed_at=max((one.since for one in part), default=0.0),
        line=together(own) if own else None,
        parts=tuple(one.uid for one in part),
    )


def _incidents(parts: Mapping[str, Sequence[Behind]], alerts: Sequence[Alert]) -> list[PublicIncident]:
    """Alerts in public words. Several about the same components, at once or soon after another, are one incident."""
    merged: dict[tuple[str, ...], list[PublicIncident]] = {}
    touched: dict[str, dict[str, None]] = {}  # subject -> names of its components, in order
    for name, part in parts.items():
        for one in part:
            touched.setdefault(one.subject, {})[name] = None
    for alert in sorted(alerts, key=lambda one: one.since):
        names = tuple(touched.get(alert.subject, ()))
        if not names:
            continue
        incident = _incident(alert, names, several=any(len(parts[name]) > 1 for name in names))
        known = merged.setdefault(names, [])
        if known and (known[-1].until is None or incident.since <= known[-1].until + _FOLD):
            known[-1] = _joined(known[-1], incident)
        else:
            known.append(incident)
    every = [incident for known in merged.values() for incident in known]
    return sorted(every, key=lambda one: (one.until is not None, -one.since))


def _incident(alert: Alert, names: tuple[str, ...], *, several: bool) -> PublicIncident:
    impact: Condition = "degraded" if alert.level == "degraded" else "partial" if several else "outage"
    words = {"degraded": "degraded performance", "partial": "service disruption", "outage": "outage"}
    return PublicIncident(
        id=stable_id("incident", alert.id),
        title=f"{', '.join(names)}: {words[impact]}",
        impact=impact,
        since=alert.since,
        updated_at=alert.resolved_at or alert.acknowledged_at or alert.opened_at,
        until=alert.resolved_at,
        acknowledged_at=alert.acknowledged_at,
        components=names,
    )


def _joined(first: PublicIncident, second: PublicIncident) -> PublicIncident:
    """One incident of two: as long as both, as bad as the worse."""
    worse = second if second.impact != "degraded" and first.impact == "degraded" else first
    again = first.until is not None and second.since > first.until
    until = None if first.until is None or second.until is None else max(first.until, second.until)
    taken = [at for at in (first.acknowledged_at, second.acknowledged_at) if at is not None]
    return replace(
        first,
        title=worse.title,
        impact=worse.impact,
        until=until,
        updated_at=max(first.updated_at, second.updated_at),
        acknowledged_at=min(taken) if taken else None,
        outages=first.outages + again,
    )


def _windows(parts: Mapping[str, Sequence[Behind]], windows: Sequence[Window], now: float) -> list[PublicWindow]:
    """Periods in force and of the next two weeks that touch something on the page; the next of each window."""
    by_name = {window.name: window for window in windows}
    found = [_window(by_name[one.window], one, parts, active=True) for one in current(now, windows)]
    seen: set[str] = set()
    for one in upcoming(now, now + _WINDOW_DAYS * _DAY, windows):
        if one.window not in seen:
            seen.add(one.window)
            found.append(_window(by_name[one.window], one, parts, active=False))
    return [window for window in found if window.components]


def _window(window: Window, period: Occurrence, parts: Mapping[str, Sequence[Behind]], *, active: bool) -> PublicWindow:
    touched = tuple(name for name, part in parts.items() if any(window.fits(one.labels) for one in part))
    title = window.description or "Planned maintenance"
    identity = stable_id("window", window.name, f"{period.start:.0f}")
    return PublicWindow(identity, title, period.start, period.end, active, touched)
