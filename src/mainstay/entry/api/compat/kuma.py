"""Uptime Kuma's push address, status-page JSON and badges (server/routers of Uptime Kuma 1.23 and 2).

    /api/push/<token>                       any method; ?status=up|down&msg=&ping=<milliseconds>
    /api/status-page/<slug>                 a public page: config, incident, groups of monitors, maintenance
    /api/status-page/heartbeat/<slug>       a beat for each day and uptimes
    /api/badge/<id>/status|uptime|ping|...  badges of the monitors on public pages; others are N/A

The token is a heartbeat's `push_token`, else its ping uuid (with or without dashes). What Kuma calls a monitor of
a page is a component here: names of monitors and addresses stay private. Ids are numbers made of the page's and the
component's names.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router

from mainstay.accounts.doors import public
from mainstay.entry.api.compat.badges import open_to_all
from mainstay.entry.api.compat.kuma_badges import Shown, badge
from mainstay.entry.api.compat.pushes import PingDoor, Push, take_push
from mainstay.statuspage.rules import Condition
from mainstay.statuspage.view import PublicComponent, PublicIncident, PublicPage, PublicWindow
from mainstay.store.telemetry.history import Level

DOWN, UP, PENDING, MAINTENANCE = 0, 1, 2, 3
_STATUS: dict[Condition, int] = {
    "operational": UP,
    "degraded": UP,
    "partial": DOWN,
    "outage": DOWN,
    "maintenance": MAINTENANCE,
    "unknown": PENDING,
}
_MARKS: dict[Level, int] = {"up": UP, "degraded": UP, "down": DOWN, "maintenance": MAINTENANCE}
_LONGEST_PING = 100_000_000_000  # milliseconds, as the original bounds it
_NOT_FOUND = "Monitor not found or not active."
_NUMBER = re.compile(r"\s*[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")

Pages = Callable[[], Sequence[PublicPage]]


class Kuma:
    """An ASGI application for `/api/push/`, `/api/status-page/` and `/api/badge/`."""

    def __init__(self, pings: PingDoor, pages: Pages) -> None:
        self._pings = pings
        self._pages = pages
        every = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]  # Kuma takes pushes by any method
        self.application = Router(
            [
                Route("/api/push/{token}", self._push, methods=every),
                Route("/api/status-page/heartbeat/{slug}", self._heartbeats),
                Route("/api/status-page/{slug}", self._page),
                Route("/api/badge/{id}/{what}", self._badge),
                Route("/api/badge/{id}/{what}/{duration}", self._badge),
            ]
        )

    @public
    async def _push(self, request: Request) -> Response:
        query = request.query_params
        token = request.path_params["token"]
        entry = await self._pings.find(lambda directory: directory.by_token(token)) if len(token) <= 200 else None
        if entry is None or not entry.rhythm.enabled:
            return _refusal(_NOT_FOUND, 404)
        milliseconds = _milliseconds(query.get("ping", ""))
        if milliseconds is not None and not 0 <= milliseconds <= _LONGEST_PING:
            return _refusal(f"Invalid ping value. Must be between 0 and {_LONGEST_PING} ms.", 404)
        push = Push(
            up=(query.get("status") or "up") == "up",
            message=query.get("msg") or "OK",
            seconds=None if milliseconds is None else milliseconds / 1000,
        )
        answer = await take_push(self._pings, entry, request, push)
        if answer.status == 200:
            return _fresh(JSONResponse({"ok": True}))
        again = {name.decode(): value.decode() for name, value in answer.headers}
        message = _NOT_FOUND if answer.status == 404 else answer.text.decode()
        return _refusal(message, answer.status, again)

    @public
    async def _page(self, request: Request) -> Response:
        page = self._named(request.path_params["slug"])
        if page is None:
            return open_to_all(_refusal("Status Page Not Found", 404))
        incidents = [_incident(one) for one in page.open_incidents]
        groups = [
            {
                "id": number,
                "name": group.name or "Services",
                "weight": number,
                "monitorList": [
                    {"id": component_id(one), "name": one.name, "sendUrl": 0, "type": "group"}
                    for one in group.components
                ],
            }
            for number, group in enumerate(page.groups, 1)
        ]
        document = {
            "config": _config(page),
            "incident": incidents[0] if incidents else None,
            "incidents": incidents,
            "publicGroupList": groups,
            "maintenanceList": [_maintenance(one) for one in page.windows],
        }
        return open_to_all(JSONResponse(document))

    @public
    async def _heartbeats(self, request: Request) -> Response:
        page = self._named(request.path_params["slug"])
        if page is None:
            return open_to_all(_refusal("Status Page Not Found", 404))
        beats = {str(component_id(one)): _beats(one, page.at) for one in page.components}
        uptimes = {f"{component_id(one)}_24": _share(one, 24) for one in page.components}
        uptimes = {key: share for key, share in uptimes.items() if share is not None}
        return open_to_all(JSONResponse({"heartbeatList": beats, "uptimeList": uptimes}))

    @public
    async def _badge(self, request: Request) -> Response:
        wanted = request.path_params
        component = self._component(wanted["id"])
        shown = None
        if component is not None:
            hours = _hours(wanted.get("duration", "24h"))
            shown = Shown(
                _STATUS[component.condition], None if hours is None else _share(component, hours), hours or 24
            )
        svg = badge(wanted["what"], shown, request.query_params)
        if svg is None:
            return open_to_all(_refusal("Unknown badge", 404))
        return open_to_all(Response(svg, media_type="image/svg+xml"))

    def _named(self, slug: str) -> PublicPage | None:
        return next((page for page in self._pages() if page.slug.lower() == slug.lower()), None)

    def _component(self, text: str) -> PublicComponent | None:
        components = (one for page in self._pages() for one in page.components)
        return next((one for one in components if str(component_id(one)) == text), None)


def component_id(component: PublicComponent) -> int:
    """A number from 1 to 2^31 that stays while page and component keep their names."""
    return int(component.id[:8], 16) % (2**31 - 1) + 1


def _milliseconds(text: str) -> float | None:
    """As JavaScript's parseFloat: the number that the text begins with; None without one, and for 0 too."""
    found = _NUMBER.match(text[:50])
    number = float(found[0].strip()) if found else 0.0
    return number if number and math.isfinite(number) else None


def _hours(text: str) -> int | None:
    """`24`, `24h`, `7d`, `1m`, `1y` in hours, a year at most; None if it is none of them."""
    found = re.fullmatch(r"(\d{1,5})([hdmy]?)", text)
    if found is None:
        return None
    return min(max(1, int(found[1])) * {"": 1, "h": 1, "d": 24, "m": 720, "y": 8760}[found[2]], 8760)


def _share(component: PublicComponent, hours: int) -> float | None:
    """Uptime over the newest days that hold so many hours, today among them; None without data."""
    marks = component.line.marks[-math.ceil(hours / 24) :] if component.line else ()
    good, bad = sum(mark.good for mark in marks), sum(mark.bad for mark in marks)
    return good / (good + bad) if good + bad > 0 else None


def _beats(component: PublicComponent, now: float) -> list[dict[str, Any]]:
    """One beat for each day with data, oldest first, then how it is now."""
    line = component.line
    days = [] if line is None else list(enumerate(line.marks[:-1]))
    first = 0.0 if line is None else line.first
    beats = [_beat(_MARKS[mark.level], first + day * 86_400) for day, mark in days if mark.level in _MARKS]
    return [*beats, _beat(_STATUS[component.condition], now)]


def _beat(status: int, at: float) -> dict[str, Any]:
    return {"status": status, "time": _time(at, fraction=True), "msg": "", "ping": None}


def _time(at: float, *, fraction: bool = False) -> str:
    """Kuma's time texts are in UTC without saying so."""
    text = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    return text[:-3] if fraction else text[:-7]


def _config(page: PublicPage) -> dict[str, Any]:
    return {
        "slug": page.slug,
        "title": page.title,
        "description": page.description or None,
        "icon": "/icon.svg",
        "autoRefreshInterval": 300,
        "theme": "auto",
        "published": True,
        "showTags": False,
        "customCSS": "",
        "footerText": page.support or None,
        "showPoweredBy": False,
        "googleAnalyticsId": None,
        "showCertificateExpiry": False,
        "showOnlyLastHeartbeat": False,
    }


def _incident(incident: PublicIncident) -> dict[str, Any]:
    return {
        "id": int(incident.id[:8], 16) if re.fullmatch(r"[0-9a-f]{8,}", incident.id) else 1,
        "style": "danger" if incident.impact in ("outage", "partial") else "warning",
        "title": incident.title,
        "content": ", ".join(incident.components),
        "pin": True,
        "createdDate": _time(incident.since),
        "lastUpdatedDate": _time(incident.updated_at),
    }


def _maintenance(window: PublicWindow) -> dict[str, Any]:
    slot = {"startDate": _time(window.start), "endDate": _time(window.until)}
    return {
        "id": int(window.id[:8], 16),
        "title": window.title,
        "description": ", ".join(window.components),
        "strategy": "single",
        "active": True,
        "status": "under-maintenance" if window.active else "scheduled",
        "timezone": "UTC",
        "timezoneOffset": "+00:00",
        "timeslotList": [slot],
    }


def _refusal(message: str, status: int, headers: dict[str, str] | None = None) -> Response:
    return _fresh(JSONResponse({"ok": False, "msg": message}, status, headers))


def _fresh(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response
