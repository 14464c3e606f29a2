"""Monitors and heartbeats as Gatus knows endpoints: group, name, key, results and events. Reads only, on a thread."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlsplit

from mainstay.heartbeats import queries as heartbeats
from mainstay.heartbeats.directory import endpoint_key
from mainstay.heartbeats.queries import HeartbeatView, PingView
from mainstay.store.journal import Filter, entries
from mainstay.store.resources.queries import resources
from mainstay.watch import queries as watch
from mainstay.watch.queries import MonitorView
from mainstay.watch.results import current
from mainstay.watch.results.history import HISTORY
from mainstay.watch.results.values import Sample

_LOOK_BACK = 86_400.0  # seconds: the list of all statuses shows nothing older
_EVENTS = 50
_PINGS = 1000  # of a heartbeat that its uptime is made of, at most
_MANY = 200  # heartbeats; beyond them the list shows only how each stands


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`healthy` is None where nothing can be said; `public`: it stands on a status page."""

    kind: Literal["monitor", "heartbeat"]
    subject: str
    uid: str
    group: str
    name: str
    host: str
    interval: float
    healthy: bool | None
    public: bool

    @property
    def key(self) -> str:
        return endpoint_key(self.group, self.name)


def named(key: str) -> Endpoint | None:
    return next((endpoint for endpoint in everything() if endpoint.key == key), None)


def everything() -> list[Endpoint]:
    """Monitors, then heartbeats, each by group and name."""
    shown = set(_on_pages())
    found = [_of_monitor(view, shown) for view in watch.monitors()]
    found += [_of_heartbeat(view, shown) for view in heartbeats.heartbeats()]
    return sorted(found, key=lambda one: (one.kind != "monitor", one.group, one.name))


def _on_pages() -> Iterable[str]:
    for page in resources("status_page"):
        for component in page.spec.components:
            yield from (f"monitor/{name}" for name in component.monitors)
            yield from (f"heartbeat/{name}" for name in component.heartbeats)


def _of_monitor(view: MonitorView, shown: set[str]) -> Endpoint:
    healthy = {"up": True, "degraded": True, "down": False}.get(view.state)
    return Endpoint(
        kind="monitor",
        subject=view.subject,
        uid=view.uid,
        group=view.labels.get("group", ""),
        name=view.name,
        host=_host(view.address),
        interval=view.interval,
        healthy=healthy,
        public=view.subject in shown,
    )


def _of_heartbeat(view: HeartbeatView, shown: set[str]) -> Endpoint:
    subject = f"heartbeat/{view.name}"
    return Endpoint(
        kind="heartbeat",
        subject=subject,
        uid=view.uid,
        group=view.labels.get("group", ""),
        name=view.title or view.name,
        host="",
        interval=0.0,
        healthy={"up": True, "down": False}.get(view.state),
        public=subject in shown,
    )


def _host(address: str) -> str:
    try:
        return urlsplit(address if "://" in address else f"//{address}").hostname or ""
    except ValueError:
        return ""


def statuses(page: int, size: int, now: float | None = None) -> list[dict[str, Any]]:
    """Every endpoint with a page of its results, the newest being page 1; oldest first within it."""
    moment = time.time() if now is None else now
    found = everything()
    monitors = [one.uid for one in found if one.kind == "monitor"]
    samples = current().recent(monitors, moment - _LOOK_BACK, page * size) if monitors else {}
    few = len(found) - len(monitors) <= _MANY
    documents = []
    for one in found:
        if one.kind == "monitor":
            results = [_of_sample(one, sample) for sample in samples.get(one.uid, ())]
        else:
            results = _of_pings(one, page * size) if few else []
        documents.append(_document(one, _page(results, page, size)))
    return documents


def status(endpoint: Endpoint, page: int, size: int) -> dict[str, Any]:
    """One endpoint with its results and events."""
    if endpoint.kind == "monitor":
        results = [_of_sample(endpoint, sample) for sample in current().latest(endpoint.uid, page * size)]
    else:
        results = _of_pings(endpoint, page * size)
    return {**_document(endpoint, _page(results, page, size)), "events": _events(endpoint)}


def uptime(endpoint: Endpoint, hours: int, now: float | None = None) -> float | None:
    """0..1 over the last hours; None without data. Heartbeats charge no time: theirs is the share of good pings."""
    moment = time.time() if now is None else now
    if endpoint.kind == "heartbeat":
        results = _results_since(endpoint, moment - hours * 3600)
        return sum(ping.kind == "success" for ping in results) / len(results) if results else None
    return HISTORY.uptimes([endpoint.uid], hours * 3600, moment)[endpoint.uid].share


def response_time(endpoint: Endpoint, hours: int, now: float | None = None) -> float | None:
    """Mean seconds of the checks that succeeded in the last hours; None without data."""
    moment = time.time() if now is None else now
    if endpoint.kind == "heartbeat":
        known = [ping.duration for ping in _results_since(endpoint, moment - hours * 3600) if ping.duration is not None]
        return sum(known) / len(known) if known else None
    return HISTORY.uptimes([endpoint.uid], hours * 3600, moment)[endpoint.uid].mean


def history(endpoint: Endpoint, hours: int, now: float | None = None) -> dict[str, list[int]]:
    """Mean milliseconds of each hour (each five minutes of the last hour) by its start in epoch milliseconds."""
    moment = time.time() if now is None else now
    buckets = hours if hours > 1 else 12
    points = (
        current().series(endpoint.uid, moment - hours * 3600, moment, buckets) if endpoint.kind == "monitor" else []
    )
    known = [(point.at, point.mean) for point in points if point.mean is not None]
    return {
        "timestamps": [int(at * 1000) for at, _ in known],
        "values": [round(mean * 1000) for _, mean in known],
    }


def _results_since(endpoint: Endpoint, since: float) -> list[PingView]:
    found = heartbeats.pings(endpoint.uid, limit=_PINGS)
    return [ping for ping in found if ping.at >= since and ping.kind in ("success", "fail")]


def _document(endpoint: Endpoint, results: list[dict[str, Any]]) -> dict[str, Any]:
    group = {"group": endpoint.group} if endpoint.group else {}
    return {"name": endpoint.name, **group, "key": endpoint.key, "results": results}


def _page(results: Sequence[dict[str, Any]], page: int, size: int) -> list[dict[str, Any]]:
    """results: newest first."""
    return list(reversed(results[(page - 1) * size : page * size]))


def _of_sample(endpoint: Endpoint, sample: Sample) -> dict[str, Any]:
    http_status = sample.evidence.get("status")
    good = sample.verdict in ("up", "degraded")
    return _result(
        at=sample.at,
        seconds=sample.duration,
        success=good,
        errors=[] if good else [sample.message or sample.code or sample.verdict],
        status=http_status if isinstance(http_status, int) else 0,
        host=endpoint.host,
    )


def _of_pings(endpoint: Endpoint, limit: int) -> list[dict[str, Any]]:
    """Newest first; what neither succeeded nor failed (starts, logs) is no result."""
    found = heartbeats.pings(endpoint.uid, limit=limit)
    return [_of_ping(ping) for ping in found if ping.kind in ("success", "fail")]


def _of_ping(ping: PingView) -> dict[str, Any]:
    failed = ping.kind == "fail"
    words = f"exit status {ping.exit_status}" if ping.exit_status else "reported failure"
    return _result(
        at=ping.at,
        seconds=ping.duration or 0.0,
        success=not failed,
        errors=[words] if failed else [],
        status=0,
        host="",
    )


def _result(*, at: float, seconds: float, success: bool, errors: list[str], status: int, host: str) -> dict[str, Any]:
    """Durations are nanoseconds there; what is empty is left out."""
    document: dict[str, Any] = {"duration": int(seconds * 1e9), "success": success, "timestamp": _time(at)}
    # Expectations are not kept one by one: all of them together are told as one condition.
    document["conditionResults"] = [{"condition": "everything that is expected", "success": success}]
    if status:
        document["status"] = status
    if host:
        document["hostname"] = host
    if errors:
        document["errors"] = errors
    return document


def _events(endpoint: Endpoint) -> list[dict[str, str]]:
    """Oldest first: when it became healthy or unhealthy."""
    kinds = {f"{endpoint.kind}.went_up": "HEALTHY", f"{endpoint.kind}.went_down": "UNHEALTHY"}
    wanted = Filter(kind=f"{endpoint.kind}.went_*", subject=endpoint.subject)
    found = [entry for entry in entries(wanted, limit=_EVENTS) if entry.kind in kinds]
    return [{"type": kinds[entry.kind], "timestamp": _time(entry.at)} for entry in reversed(found)]


def _time(at: float) -> str:
    """RFC 3339 with microseconds, in UTC."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
