"""`/metrics` with the names and labels of Uptime Kuma, for dashboards that were made for it. Pure.

Names: server/prometheus.js of Uptime Kuma. A label without a value is `null`, as there. Paused monitors are not
shown, as monitors that are switched off are not there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from mainstay.frames.exposition import Family, answer
from mainstay.heartbeats.metrics import HeartbeatSnapshot
from mainstay.kernel.probing import CheckResult
from mainstay.statuspage.names import stable_id
from mainstay.watch.metrics import MonitorSnapshot
from mainstay.watch.probe_metrics import rows
from mainstay.watch.results.values import Uptime

_STATUS = {"up": 1, "degraded": 1, "down": 0, "unknown": 2, "maintenance": 3}
_TYPES = {"http": "http", "tcp": "port", "icmp": "ping", "dns": "dns", "tls": "port", "heartbeat": "push"}
_BEATS = {"up": 1, "late": 1, "down": 0, "new": 2, "unknown": 2}
_DAY = 86_400
_EARLIEST, _VERIFIED = "probe_ssl_earliest_cert_expiry", "probe_ssl_last_chain_expiry_timestamp_seconds"

Watched = Sequence[MonitorSnapshot]
Beats = Sequence[HeartbeatSnapshot]
Uptimes = Mapping[str, Mapping[str, Uptime]]  # by uid, of each window
WINDOWS = {"1d": _DAY, "30d": 30 * _DAY, "365d": 365 * _DAY}


def kuma_answer(accept: str, monitors: Watched, beats: Beats, now: float, uptimes: Uptimes) -> tuple[str, str]:
    """(content type, body) for an Accept header; `now` in epoch seconds, for days that are left."""
    return answer(accept, [*_families(monitors, beats, now), *_windows(monitors, uptimes)])


def _families(monitors: Watched, beats: Beats, now: float) -> Sequence[Family]:
    status = Family("monitor_status", "Monitor Status (1 = UP, 0= DOWN, 2= PENDING, 3= MAINTENANCE)")
    response = Family("monitor_response_time", "Monitor Response Time (ms)")
    days = Family("monitor_cert_days_remaining", "The number of days remaining until the certificate expires")
    valid = Family("monitor_cert_is_valid", "Is the certificate still valid? (1 = Yes, 0= No)")
    for monitor in monitors:
        if monitor.state not in _STATUS:
            continue
        labels = _labels("monitor", monitor.name, monitor.kind, monitor.target)
        status.add(_STATUS[monitor.state], labels)
        response.add(_milliseconds(monitor), labels)
        for expiry, verified in _certificate(monitor.kind, monitor.result):
            days.add(math.floor((expiry - now) / _DAY), labels)
            valid.add(float(verified > now), labels)
    for beat in beats:
        if beat.state in _BEATS:
            labels = _labels("heartbeat", beat.name, "heartbeat", "")
            status.add(_BEATS[beat.state], labels)
            response.add(-1.0 if beat.last_duration is None else beat.last_duration * 1000, labels)
    return (status, response, days, valid)


def _windows(monitors: Watched, uptimes: Uptimes) -> Sequence[Family]:
    """What was measured of monitors up to now; windows without data are left out."""
    about = "calculated over sliding window specified by the 'window' label"
    ratio = Family("monitor_uptime_ratio", f"Uptime ratio {about}. (0.0 - 1.0)")
    seconds = Family("monitor_response_time_seconds", f"Average response time in seconds {about}")
    for monitor in monitors:
        if monitor.state not in _STATUS:
            continue
        for window, known in uptimes.items():
            found = known.get(monitor.uid)
            labels = _labels("monitor", monitor.name, monitor.kind, monitor.target) | {"window": window}
            if found is not None and found.share is not None:
                ratio.add(found.share, labels)
            if found is not None and found.mean is not None:
                seconds.add(found.mean, labels)
    return ratio, seconds


def _milliseconds(monitor: MonitorSnapshot) -> float:
    """-1 where nothing was measured, as there."""
    measured = monitor.result is not None and monitor.result.verdict in ("up", "degraded")
    return round(monitor.result.duration * 1000, 3) if measured and monitor.result else -1.0


def _certificate(kind: str, result: CheckResult | None) -> Iterator[tuple[float, float]]:
    """(earliest expiry, that of a chain that was verified), if the check saw a certificate."""
    try:
        found = {name: value for name, _, value in rows(kind, result)} if result is not None else {}
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return  # evidence of a prober elsewhere may have any shape
    if _EARLIEST in found:
        yield found[_EARLIEST], found.get(_VERIFIED, 0.0)


def _labels(sort: str, name: str, kind: str, target: str) -> dict[str, str]:
    url = target if "://" in target else ""
    try:
        parts = urlsplit(url or f"//{target}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    return {
        "monitor_id": str(int(stable_id(sort, name)[:8], 16) % (2**31 - 1) + 1),
        "monitor_name": name,
        "monitor_type": _TYPES.get(kind, kind),
        "monitor_url": url or "null",
        "monitor_hostname": "null" if url or not host else host,
        "monitor_port": "null" if url or port is None else str(port),
    }
