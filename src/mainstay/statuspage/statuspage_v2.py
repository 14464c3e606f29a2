"""A status page in the shape of Atlassian Statuspage's public API, version 2, so that its clients can read it.

Shape: https://metastatuspage.com/api (summary, status, components, incidents, scheduled maintenances).
Statuspage has no word for "not measured": such a component stays `operational` there, and the page's
description says that something is not being measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainstay.kernel.clock import to_iso
from mainstay.statuspage.names import stable_id

if TYPE_CHECKING:
    from mainstay.statuspage.rules import Condition, Indicator
    from mainstay.statuspage.view import PublicComponent, PublicIncident, PublicPage, PublicWindow

_STATUS: dict[Condition, str] = {
    "operational": "operational",
    "degraded": "degraded_performance",
    "partial": "partial_outage",
    "outage": "major_outage",
    "maintenance": "under_maintenance",
    "unknown": "operational",
}
_IMPACT: dict[Condition, str] = {
    "operational": "none",
    "degraded": "minor",
    "partial": "major",
    "outage": "critical",
    "maintenance": "maintenance",
    "unknown": "none",
}
_DESCRIPTION: dict[Indicator, str] = {
    "none": "All Systems Operational",
    "minor": "Partially Degraded Service",
    "major": "Partial System Outage",
    "critical": "Major Service Outage",
    "maintenance": "Service Under Maintenance",
    "unknown": "Some Systems Are Not Being Measured",
}
_BODIES = {
    "investigating": "Our monitoring noticed this.",
    "identified": "We are working on it.",
    "resolved": "This incident has been resolved.",
}


def documents(page: PublicPage) -> dict[str, dict[str, Any]]:
    """Every document by its path below `api/v2/`."""
    parts = _Parts(page)
    unresolved = [incident for incident in parts.incidents if incident["resolved_at"] is None]
    active = [window for window in parts.windows if window["status"] == "in_progress"]
    upcoming = [window for window in parts.windows if window["status"] == "scheduled"]
    head = {"page": parts.head}
    return {
        "status.json": {**head, "status": parts.status},
        "summary.json": {
            **head,
            "components": parts.components,
            "incidents": unresolved,
            "scheduled_maintenances": parts.windows,
            "status": parts.status,
        },
        "components.json": {**head, "components": parts.components},
        "incidents.json": {**head, "incidents": parts.incidents},
        "incidents/unresolved.json": {**head, "incidents": unresolved},
        "scheduled-maintenances.json": {**head, "scheduled_maintenances": parts.windows},
        "scheduled-maintenances/active.json": {**head, "scheduled_maintenances": active},
        "scheduled-maintenances/upcoming.json": {**head, "scheduled_maintenances": upcoming},
    }


class _Parts:
    """The pieces that documents share."""

    def __init__(self, page: PublicPage) -> None:
        self.page = page
        self.id = stable_id("page", page.slug)
        updated = to_iso(page.stale_since or page.at)
        self.head = {
            "id": self.id,
            "name": page.title,
            "url": page.url,
            "time_zone": "Etc/UTC",
            "updated_at": updated,
        }
        indicator = "none" if page.indicator == "unknown" else page.indicator
        self.status = {"indicator": indicator, "description": _DESCRIPTION[page.indicator]}
        self.group_ids = {group.name: stable_id(page.slug, "group", group.name) for group in page.groups if group.name}
        self.by_name = {component.name: component for component in page.components}
        self.positions = {component.id: at for at, component in enumerate(page.components, 1)}
        self.components = [*map(self.component, page.components), *self.group_components()]
        self.incidents = [self.incident(incident) for incident in page.incidents]
        self.windows = [self.window(window) for window in page.windows]

    def component(self, component: PublicComponent) -> dict[str, Any]:
        changed = to_iso(component.changed_at or self.page.at)
        return {
            "id": component.id,
            "name": component.name,
            "status": _STATUS[component.condition],
            "created_at": changed,
            "updated_at": changed,
            "position": self.positions[component.id],
            "description": component.description or None,
            "showcase": True,
            "start_date": None,
            "group_id": self.group_ids.get(component.group),
            "page_id": self.id,
            "group": False,
            "only_show_if_degraded": False,
        }

    def group_components(self) -> list[dict[str, Any]]:
        found = []
        for position, group in enumerate((group for group in self.page.groups if group.name), 1):
            worst = max((component.condition for component in group.components), key=_badness)
            changed = max(component.changed_at for component in group.components) or self.page.at
            found.append(
                {
                    "id": self.group_ids[group.name],
                    "name": group.name,
                    "status": _STATUS[worst],
                    "created_at": to_iso(changed),
                    "updated_at": to_iso(changed),
                    "position": position,
                    "description": None,
                    "showcase": False,
                    "start_date": None,
                    "group_id": None,
                    "page_id": self.id,
                    "group": True,
                    "only_show_if_degraded": False,
                    "components": [component.id for component in group.components],
                }
            )
        return found

    def affected(self, names: tuple[str, ...]) -> list[dict[str, Any]]:
        return [self.component(self.by_name[name]) for name in names if name in self.by_name]

    def update(self, owner: str, status: str, body: str, at: float, names: tuple[str, ...]) -> dict[str, Any]:
        told = [{"code": self.by_name[name].id, "name": name} for name in names if name in self.by_name]
        return {
            "id": stable_id(owner, status),
            "status": status,
            "body": body,
            "incident_id": owner,
            "created_at": to_iso(at),
            "updated_at": to_iso(at),
            "display_at": to_iso(at),
            "affected_components": told,
            "deliver_notifications": False,
            "custom_tweet": None,
            "tweet_id": None,
        }

    def incident(self, incident: PublicIncident) -> dict[str, Any]:
        steps = [("investigating", incident.since)]
        if incident.acknowledged_at is not None:
            steps.append(("identified", incident.acknowledged_at))
        if incident.until is not None:
            steps.append(("resolved", incident.until))
        updates = [self.update(incident.id, word, _BODIES[word], at, incident.components) for word, at in steps]
        return {
            "id": incident.id,
            "name": incident.title,
            "status": incident.status,
            "created_at": to_iso(incident.since),
            "updated_at": to_iso(incident.updated_at),
            "monitoring_at": None,
            "resolved_at": None if incident.until is None else to_iso(incident.until),
            "impact": _IMPACT[incident.impact],
            "shortlink": f"{self.page.url}#{incident.id}",
            "started_at": to_iso(incident.since),
            "page_id": self.id,
            "incident_updates": updates[::-1],
            "components": self.affected(incident.components),
            "reminder_intervals": None,
        }

    def window(self, window: PublicWindow) -> dict[str, Any]:
        status = "in_progress" if window.active else "scheduled"
        body = f"{window.title}: from {to_iso(window.start)[:16]} to {to_iso(window.until)[:16]} UTC."
        created = to_iso(min(window.start, self.page.at))
        return {
            "id": window.id,
            "name": window.title,
            "status": status,
            "created_at": created,
            "updated_at": created,
            "monitoring_at": None,
            "resolved_at": None,
            "impact": "maintenance",
            "shortlink": f"{self.page.url}#{window.id}",
            "started_at": to_iso(window.start),
            "page_id": self.id,
            "incident_updates": [
                self.update(window.id, status, body, min(window.start, self.page.at), window.components)
            ],
            "components": self.affected(window.components),
            "scheduled_for": to_iso(window.start),
            "scheduled_until": to_iso(window.until),
        }


def _badness(condition: Condition) -> int:
    return ("unknown", "operational", "maintenance", "degraded", "partial", "outage").index(condition)
