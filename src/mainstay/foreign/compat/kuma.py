"""Uptime Kuma's push address, status-page JSON and badges (server/routers of Uptime Kuma 1.23 and 2).

    /api/push/<token>                       any method; ?status=up|down&msg=&ping=<milliseconds>
    /api/status-page/<slug>                 a public page: config, incident, groups of monitors, maintenance
    /api/status-page/heartbeat/<slug>       a beat for each day and uptimes
    /api/status-page/<slug>/manifest.json, incident-history, badge
    /api/badge/<id>/status|uptime|ping|...  badges of the monitors on public pages; others are N/A

The token is a heartbeat's `push_token`, else its ping uuid (with or without dashes). What Kuma calls a monitor of
a page is a component here: names of monitors and addresses stay private. Ids are numbers made of the page's and the
component's names.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router

from mainstay.accounts.doors import public
from mainstay.foreign.compat.badges import open_to_all
from mainstay.foreign.compat.kuma_badges import Duration, Shown, badge, duration_of, page_badge
from mainstay.foreign.compat.pushes import PingDoor, Push, take_push
from mainstay.frames.days import Level
from mainstay.kernel.errors import MainstayError
from mainstay.statuspage.rules import Condition
from mainstay.statuspage.view import PublicComponent, PublicIncident, PublicPage, PublicWindow
from mainstay.watch.results.history import HISTORY
from mainstay.watch.results.values import Uptime

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
_DAY = 86_400
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
                Route("/api/status-page/{slug}/manifest.json", self._manifest),
                Route("/api/status-page/{slug}/incident-history", self._incidents),
                Route("/api/status-page/{slug}/badge", self._page_badge),
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
        components = page.components if page is not None else ()  # a page that there is not has none, as there
        beats = {str(component_id(one)): _beats(one, page.at) for one in components if page is not None}
        known = await _uptimes(components, _DAY)
        uptimes = {f"{component_id(one)}_24": _share(one, known) for one in components}
        uptimes = {key: share for key, share in uptimes.items() if share is not None}
        return open_to_all(JSONResponse({"heartbeatList": beats, "uptimeList": uptimes}))

    @public
    async def _manifest(self, request: Request) -> Response:
        page = self._named(request.path_params["slug"])
        if page is None:
            return open_to_all(_failure("Not Found", 404))
        icon = {"src": "/icon.svg", "sizes": "128x128", "type": "image/png"}
        document = {"name": page.title, "start_url": f"/status/{page.slug}", "display": "standalone", "icons": [icon]}
        return open_to_all(JSONResponse(document))

    @public
    async def _incidents(self, request: Request) -> Response:
        page = self._named(request.path_params["slug"])
        if page is None:
            return open_to_all(_failure("Status Page Not Found", 404))
        listed = [_incident(one) for one in sorted(page.incidents, key=lambda one: -one.since)]
        document = {"ok": True, "incidents": listed, "total": len(listed), "nextCursor": None, "hasMore": False}
        return open_to_all(JSONResponse(document))

    @public
    async def _page_badge(self, request: Request) -> Response:
        page = self._named(request.path_params["slug"])
        states = {_STATUS[one.condition] for one in page.components} if page is not None else set()
        return open_to_all(Response(page_badge(states, request.query_params), media_type="image/svg+xml"))

    @public
    async def _badge(self, request: Request) -> Response:
        wanted = request.path_params
        component = self._component(wanted["id"])
        duration, shown = Duration("24", _DAY), None
        try:
            if wanted["what"] == "uptime":
                duration = duration_of(wanted.get("duration", "24h"))
        except ValueError as error:
            return open_to_all(_failure(str(error), 403))
        if component is not None:
            known = await _uptimes((component,), duration.seconds) if wanted["what"] == "uptime" else {}
            shown = Shown(_STATUS[component.condition], _share(component, known), duration.words)
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


async def _uptimes(components: Sequence[PublicComponent], seconds: int) -> Mapping[str, Uptime]:
    """By uid; empty while the store does not answer."""
    uids = [uid for component in components for uid in component.parts]
    try:
        return await asyncio.to_thread(HISTORY.uptimes, uids, seconds, time.time()) if uids else {}
    except MainstayError:
        return {}


def _share(component: PublicComponent, known: Mapping[str, Uptime]) -> float | None:
    """The uptime of all that is behind it together, as its page counts it; None without data."""
    seconds: dict[str, float] = {}
    for uid in component.parts:
        for state, spent in known[uid].seconds.items() if uid in known else ():
            seconds[state] = seconds.get(state, 0.0) + spent
    return Uptime(seconds).share


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
    """Looks and analytics are not declared here: they stand as Kuma delivers them."""
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
        "analyticsId": None,
        "analyticsScriptUrl": None,
        "analyticsType": None,
        "googleAnalyticsId": None,  # its name in 1.x
        "showCertificateExpiry": False,
        "showOnlyLastHeartbeat": False,
        "rssTitle": None,
    }


def _incident(incident: PublicIncident) -> dict[str, Any]:
    return {
        "id": int(incident.id[:8], 16) if re.fullmatch(r"[0-9a-f]{8,}", incident.id) else 1,
        "style": "danger" if incident.impact in ("outage", "partial") else "warning",
        "title": incident.title,
        "content": ", ".join(incident.components),
        "pin": incident.until is None,
        "active": incident.until is None,
        "createdDate": _time(incident.since),
        "lastUpdatedDate": _time(incident.updated_at),
    }


def _maintenance(window: PublicWindow) -> dict[str, Any]:
    midnight = {"hours": 0, "minutes": 0, "seconds": 0}
    slot = {"startDate": _time(window.start), "endDate": _time(window.until)}
    return {
        "id": int(window.id[:8], 16),
        "title": window.title,
        "description": ", ".join(window.components),
        "strategy": "single",
        "intervalDay": 1,
        "active": True,
        "dateRange": list(slot.values()),
        "timeRange": [midnight, midnight],
        "weekdays": [],
        "daysOfMonth": [],
        "cron": None,
        "duration": None,
        "durationMinutes": None,
        "timezoneOption": "UTC",
        "status": "under-maintenance" if window.active else "scheduled",
        "timezone": "UTC",
        "timezoneOffset": "+00:00",
        "timeslotList": [slot],
    }


def _failure(message: str, status: int) -> Response:
    return JSONResponse({"status": "fail", "msg": message}, status)


def _refusal(message: str, status: int, headers: dict[str, str] | None = None) -> Response:
    return _fresh(JSONResponse({"ok": False, "msg": message}, status, headers))


def _fresh(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response
