"""Doors that other monitoring reads: health (open to all), status, metrics and `/probe` (with a token or session)."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import close_old_connections
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mainstay.accounts.doors import Door, public, session_actor, token_actor
from mainstay.alerting import queries as alerting
from mainstay.foreign.compat.kuma_metrics import WINDOWS, kuma_answer
from mainstay.foreign.compat.probe import probe
from mainstay.foreign.compat.probe_modules import Modules
from mainstay.frames.addresses import client_address
from mainstay.frames.health import Health
from mainstay.heartbeats import queries as heartbeats
from mainstay.heartbeats.metrics import snapshots as beat_snapshots
from mainstay.kernel.clock import to_iso
from mainstay.kernel.errors import Forbidden, MainstayError
from mainstay.runtime.health_page import Prober, Report
from mainstay.runtime.metrics import metrics_answer
from mainstay.store.running import Running
from mainstay.watch import queries as monitors
from mainstay.watch.lanes.watch import WatchLane
from mainstay.watch.metrics import snapshots
from mainstay.watch.probers import Probers
from mainstay.watch.results.history import HISTORY

_PATIENCE = 10.0  # seconds that a page waits for the parts' answers
States = tuple[dict[str, int], list[dict[str, str]]]  # monitors by state, and those that do not work
Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Sources:
    """What the doors read."""

    health: Health
    watch: WatchLane
    probers: Probers
    modules: Modules
    started_at: float
    viewers: Callable[[], int]
    running: Running


class Monitoring:
    """Made on the event loop that serves."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._loop = asyncio.get_running_loop()
        routes = {
            "/api/health": self._health,
            "/api/status": _guarded("monitors:read", self._status),
            "/api/metrics": _guarded("metrics:read", self._metrics),
            "/metrics": _guarded("metrics:read", self._kuma_metrics),
            "/probe": _marked("monitors:check", probe),
        }
        self._paths = list(routes)
        self._application = Starlette(routes=[Route(path, endpoint) for path, endpoint in routes.items()])
        self._application.state.probers = sources.probers
        self._application.state.modules = sources.modules
        self._application.state.require = require

    def doors(self) -> dict[str, Any]:
        """Path -> application, for the server's dispatch."""
        return dict.fromkeys(self._paths, self._application)

    def report(self) -> Report:
        """For the health page; called on a thread of the web server."""
        services = asyncio.run_coroutine_threadsafe(self._sources.health.services(), self._loop).result(_PATIENCE)
        probers = [
            Prober(
                pid=found.pid,
                alive=found.alive,
                assigned=found.assigned,
                running=found.vitals.running if found.vitals else 0,
                checks=found.vitals.checks if found.vitals else 0,
                lag_p99=found.vitals.lag_p99 if found.vitals else 0.0,
                memory=found.vitals.memory if found.vitals else 0,
            )
            for found in self._sources.probers.reports()
        ]
        return Report(services, probers, self._sources.started_at, self._sources.viewers())

    @public
    async def _health(self, _request: Request) -> Response:
        report = await self._sources.health.report()
        return _fresh(JSONResponse(report, 200 if report["status"] == "healthy" else 503))

    async def _status(self, _request: Request) -> Response:
        report = await self._sources.health.report()
        beats, alerts = await asyncio.to_thread(_read_counts)
        # With several servers this one has its own share in memory only.
        several = self._sources.running.settings.database
        states, wrong = await asyncio.to_thread(_read_states) if several else self._states()
        wrong.sort(key=lambda item: (item["state"] != "down", item["severity"], item["since"]))
        document = {
            **report,
            "started": to_iso(self._sources.started_at),
            "monitors": states,
            "heartbeats": beats,
            "alerts": alerts,
            "wrong": wrong,
        }
        return _fresh(JSONResponse(document))

    def _states(self) -> States:
        entries = self._sources.watch.all()
        wrong = [
            {
                "monitor": entry.watched.facts.name,
                "state": entry.state.state,
                "since": to_iso(entry.state.since),
                "severity": entry.watched.facts.severity,
                "reason": str(entry.state.reason),
                "message": entry.last.message if entry.last else "",
            }
            for entry in entries
            if entry.state.state in ("down", "degraded")
        ]
        return dict(Counter(str(entry.state.state) for entry in entries)), wrong

    async def _metrics(self, request: Request) -> Response:
        kind, text = await metrics_answer(request.headers.get("accept", ""), self._sources.running)
        return _fresh(Response(text, media_type=kind))

    async def _kuma_metrics(self, request: Request) -> Response:
        watched, beats = snapshots(self._sources.watch), await asyncio.to_thread(beat_snapshots)
        uids, now = [monitor.uid for monitor in watched], time.time()
        uptimes = {
            window: await asyncio.to_thread(HISTORY.uptimes, uids, seconds, now) for window, seconds in WINDOWS.items()
        }
        accept = request.headers.get("accept", "")
        kind, text = await asyncio.to_thread(kuma_answer, accept, watched, beats, now, uptimes)
        return _fresh(Response(text, media_type=kind))


def _read_counts() -> tuple[dict[str, int], dict[str, int]]:
    """Heartbeats by state, and open alerts by severity."""
    close_old_connections()
    return dict(Counter(one.state for one in heartbeats.heartbeats())), alerting.open_by_severity()


def _read_states() -> States:
    close_old_connections()
    found = monitors.monitors(monitors.MonitorFilter(states=("down", "degraded")))
    wrong = [
        {
            "monitor": view.name,
            "state": view.state,
            "since": to_iso(view.since),
            "severity": view.severity,
            "reason": view.reason,
            "message": view.last.message if view.last else "",
        }
        for view in found
    ]
    return {state: count for state, count in monitors.counts().items() if count}, wrong


async def require(request: Request, scope: str) -> None:
    """Raise Forbidden unless the request's token or session holds `scope`."""

    def find() -> None:
        close_old_connections()
        header = request.headers.get("authorization", "")
        address = client_address(request.scope, settings.MAINSTAY.trusted_proxies)
        actor = token_actor(header, address) if header else session_actor(request.cookies, address)
        if actor is None:
            raise _NotSignedIn(
                "this needs an API token", hint="send `Authorization: Bearer mst_...`; make one with `mainstay token`"
            )
        actor.require(scope)

    await asyncio.to_thread(find)


class _NotSignedIn(Forbidden):
    code = "not_signed_in"
    status = 401


def _guarded(scope: str, endpoint: Endpoint) -> Endpoint:
    async def guarded(request: Request) -> Response:
        try:
            await require(request, scope)
            return await endpoint(request)
        except MainstayError as error:
            document = {"error": {"code": error.code, "message": error.message, "hint": error.hint}}
            headers = {"WWW-Authenticate": 'Bearer realm="mainstay"'} if error.status == 401 else {}
            return JSONResponse(document, error.status, headers=headers)

    return _marked(scope, guarded)


def _marked(scope: str, endpoint: Endpoint) -> Endpoint:
    """The endpoint with its door written on it; it checks the scope itself."""
    endpoint.door = Door(scope)  # type: ignore[attr-defined] # a mark on a function
    return endpoint


def _fresh(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response
