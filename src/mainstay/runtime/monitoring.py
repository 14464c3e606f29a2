"""Doors that other monitoring reads: health (open to all), status, metrics and `/probe` (with a token or session)."""

from __future__ import annotations

import asyncio
import platform
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

from mainstay import __version__
from mainstay.accounts.doors import Door, public, session_actor, token_actor
from mainstay.alerting import queries as alerting
from mainstay.foreign.compat.kuma_metrics import WINDOWS, kuma_metrics_response
from mainstay.foreign.compat.probe import probe
from mainstay.foreign.compat.probe_modules import Modules
from mainstay.frames.addresses import client_address
from mainstay.frames.health import Health
from mainstay.heartbeats import queries as heartbeats
from mainstay.kernel.clock import to_iso
from mainstay.kernel.errors import Forbidden, MainstayError
from mainstay.runtime.health_page import Prober, Report
from mainstay.store.followers import lags
from mainstay.store.journal import head
from mainstay.store.resources.queries import latest_revision
from mainstay.store.timing import TIMINGS
from mainstay.watch import queries as monitors
from mainstay.watch.lanes.watch import WatchLane
from mainstay.watch.metrics import (
    HeartbeatSnapshot,
    LocationSnapshot,
    MonitorSnapshot,
    ProberSnapshot,
    Snapshot,
    metrics_response,
)
from mainstay.watch.probers import ProberReport, Probers
from mainstay.watch.results.history import HISTORY
from mainstay.watch.results.results import Results

_PATIENCE = 10.0  # seconds that a page waits for the parts' answers
States = tuple[dict[str, int], list[dict[str, str]]]  # monitors by state, and those that do not work
Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Sources:
    """What the doors read."""

    health: Health
    telemetry: Results
    watch: WatchLane
    probers: Probers
    modules: Modules
    queues: Callable[[], dict[str, int]]
    started_at: float
    viewers: Callable[[], int]
    locations: Callable[[], list[LocationSnapshot]] = list
    node: Callable[[], dict[str, float]] = dict  # of several servers on one database; see metrics.Snapshot
    spool: Callable[[], dict[str, float]] = dict


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
        stored = await asyncio.to_thread(_read_stored)
        # With several servers this one has its own share in memory only.
        states, wrong = await asyncio.to_thread(_read_states) if self._sources.node() else self._states()
        wrong.sort(key=lambda item: (item["state"] != "down", item["severity"], item["since"]))
        document = {
            **report,
            "started": to_iso(self._sources.started_at),
            "monitors": states,
            "heartbeats": dict(Counter(item.state for item in stored.heartbeats)),
            "alerts": stored.alerts,
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
        stored = await asyncio.to_thread(_read_stored)
        kind, text = await asyncio.to_thread(
            metrics_response, request.headers.get("accept", ""), self._snapshot(stored)
        )
        return _fresh(Response(text, media_type=kind))

    async def _kuma_metrics(self, request: Request) -> Response:
        stored = await asyncio.to_thread(_read_stored)
        snapshot, now = self._snapshot(stored), time.time()
        uids = [monitor.uid for monitor in snapshot.monitors]
        uptimes = {
            window: await asyncio.to_thread(HISTORY.uptimes, uids, seconds, now) for window, seconds in WINDOWS.items()
        }
        accept = request.headers.get("accept", "")
        kind, text = await asyncio.to_thread(kuma_metrics_response, accept, snapshot, now, uptimes)
        return _fresh(Response(text, media_type=kind))

    def _snapshot(self, stored: Stored) -> Snapshot:
        sources = self._sources
        written = sources.telemetry.vitals()
        return Snapshot(
            version=__version__,
            python=platform.python_version(),
            started_at=sources.started_at,
            memory=_resident_bytes(),
            monitors=[
                MonitorSnapshot(
                    name=entry.watched.facts.name,
                    kind=entry.watched.facts.kind,
                    target=entry.watched.facts.address,
                    state="unknown" if entry.state.state == "pending" else entry.state.state,
                    severity=entry.watched.facts.severity,
                    labels=entry.watched.facts.labels,
                    since=entry.state.since or None,
                    flapping=entry.state.flapping,
                    result=entry.last,
                    uid=entry.watched.facts.uid,
                )
                for entry in sources.watch.all()
            ],
            heartbeats=stored.heartbeats,
            probers=[_prober(report) for report in sources.probers.reports()],
            locations=sources.locations(),
            checks=written.written + written.buffered + written.lost,
            results_buffered=written.buffered,
            results_written=written.written,
            results_lost=written.lost,
            telemetry_bytes=written.bytes_on_disk,
            telemetry_damaged=written.damaged,
            archive_bytes=written.archive.bytes if written.archive else None,
            archive_waiting=written.archive.waiting if written.archive else None,
            lag_p99=max((found.lag_p99 for found in sources.probers.vitals()), default=None),
            queues=sources.queues(),
            journal_seq=stored.journal_seq,
            outbox=stored.outbox,
            alerts=stored.alerts,
            uplink_up=not sources.watch.board.uplink.lost,
            revision=stored.revision,
            node=sources.node(),
            followers=stored.followers,
            spool=sources.spool(),
            work=TIMINGS.read(),
        )


def _prober(report: ProberReport) -> ProberSnapshot:
    found = report.vitals
    if found is None:
        return ProberSnapshot(report.number, up=False, assigned=report.assigned, restarts=report.restarts)
    return ProberSnapshot(
        report.number,
        up=report.alive,
        assigned=found.assigned,
        running=found.running,
        checks=found.checks,
        skipped=found.skipped,
        dropped=found.dropped,
        lag_p99=found.lag_p99,
        memory=found.memory,
        restarts=report.restarts,
    )


@dataclass(frozen=True, slots=True)
class Stored:
    """What the database knows and memory does not."""

    heartbeats: list[HeartbeatSnapshot]
    alerts: dict[str, int]
    outbox: dict[str, int]
    journal_seq: int
    revision: int
    followers: dict[str, tuple[int, float]]


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
            "message": view.last_message,
        }
        for view in found
    ]
    return {state: count for state, count in monitors.counts().items() if count}, wrong


def _read_stored() -> Stored:
    close_old_connections()
    found = [
        HeartbeatSnapshot(item.name, item.state, last_ping=item.last_ping, last_duration=item.last_duration)
        for item in heartbeats.heartbeats()
    ]
    behind = {name: (one.entries, one.seconds) for name, one in lags(time.time()).items()}
    return Stored(found, alerting.open_by_severity(), alerting.outbox_counts(), head().seq, latest_revision(), behind)


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


def _resident_bytes() -> int | None:
    """From /proc, where there is one."""
    try:
        with open("/proc/self/statm") as handle:
            return int(handle.read().split()[1]) * 4096
    except OSError:
        return None
