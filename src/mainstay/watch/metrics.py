"""What monitors, probers and the results of both say to Prometheus.

Names under `mainstay_` are ours and are listed in the reference; names under `probe_` are those of the blackbox
exporter, for the newest result of each monitor, so that dashboards and alert rules written for it work with the labels
`monitor`, `kind` and `target`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mainstay.frames.exposition import Metric, label_text
from mainstay.watch.probe_metrics import ProbeFamilies

if TYPE_CHECKING:
    from mainstay.frames.exposition import Figures
    from mainstay.kernel.probing import CheckResult
    from mainstay.store.running import Running
    from mainstay.watch.lanes.watch import WatchLane
    from mainstay.watch.probers import ProberReport
    from mainstay.watch.results.results import Results

MONITOR_STATES = ("up", "degraded", "down", "unknown", "paused", "maintenance")
METRICS = (
    Metric("uplink_up", "Whether this machine itself has a network."),
    Metric("changes_dropped", "Decisions dropped since start; made again later.", "counter"),
    Metric("results_buffered", "Results not yet written to the telemetry store."),
    Metric("results_written", "Results written since start.", "counter"),
    Metric("results_lost", "Results lost since start.", "counter"),
    Metric("telemetry_bytes", "Size of the telemetry store on disk."),
    Metric("telemetry_damaged", "Telemetry files repaired since start.", "counter"),
    Metric("archive_bytes", "Size of the archived results."),
    Metric("archive_waiting_days", "Days of results waiting to be archived."),
    Metric("checks", "Results received since start.", "counter"),
    Metric("check_lag_p99_seconds", "How late checks start (99th percentile)."),
    Metric("prober_up", "Whether the prober process runs."),
    Metric("prober_monitors", "Monitors assigned to the prober."),
    Metric("prober_running", "Checks running."),
    Metric("prober_checks", "Checks run since the prober started.", "counter"),
    Metric("prober_skipped", "Checks skipped because the previous one was still running.", "counter"),
    Metric("prober_dropped", "Results dropped because the main process did not read them.", "counter"),
    Metric("prober_lag_p99_seconds", "How late its checks start (99th percentile)."),
    Metric("prober_memory_bytes", "Resident memory of the prober."),
    Metric("prober_restarts", "Times that the prober was replaced.", "counter"),
    Metric("location_up", "Whether a prober at the location is connected."),
    Metric("location_monitors", "Monitors that it checks."),
    Metric("location_clock_offset_seconds", "How far its clock is behind this one."),
    Metric("location_round_trip_seconds", "Round trip of the exchange that measured its clock."),
    Metric("location_results_waiting", "Results that it holds until this server confirms them."),
    Metric("location_results_dropped", "Results dropped because its buffer was full.", "counter"),
    Metric("location_results_ignored", "Results for monitors not assigned to it.", "counter"),
    Metric("location_results", "Results received from it.", "counter"),
    Metric("monitors", "Monitors by state."),
    Metric("monitor", "What is declared of the monitor.", "info"),
    Metric("monitor_state", "1 for the state that the monitor is in, 0 for the others."),
    Metric("monitor_state_since_seconds", "When the state began, in unixtime."),
    Metric("monitor_flapping", "Whether the monitor is flapping."),
    Metric("monitor_checked_seconds", "When the newest check began, in unixtime."),
)


@dataclass(frozen=True, slots=True)
class MonitorSnapshot:
    """One monitor. `target` is the address that people read; `result` its newest, None before the first check."""

    name: str
    kind: str
    target: str
    state: str
    severity: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)  # declared; shown as label_<name> of monitor_info
    since: float | None = None  # epoch seconds at which the state began
    flapping: bool = False
    result: CheckResult | None = None
    uid: str = ""


@dataclass(frozen=True, slots=True)
class LocationSnapshot:
    """One location besides this server's own. Counters are since its prober started; lengths are seconds."""

    name: str
    up: bool
    monitors: int = 0
    offset: float = 0.0
    round_trip: float = 0.0
    waiting: int = 0
    dropped: int = 0
    ignored: int = 0
    results: int = 0


async def collect(figures: Figures, running: Running) -> None:
    from mainstay.watch.lanes.places import PlacesLane
    from mainstay.watch.lanes.watch import WatchLane
    from mainstay.watch.probers import Probers
    from mainstay.watch.results.results import Results

    lane, probers = running.part(WatchLane), running.part(Probers)
    places, results = running.part(PlacesLane), running.part(Results)
    if probers is not None:
        fill_probers(figures, probers.reports())
    if places is not None:
        fill_locations(figures, places.snapshots())
    if results is not None:
        _results(figures, results)
    if lane is not None:
        figures.say("uplink_up", not lane.board.uplink.lost)
        figures.say("changes_dropped", lane.dropped if running.settings.database else None)  # of several servers
        await asyncio.to_thread(fill_monitors, figures, snapshots(lane))


def snapshots(lane: WatchLane) -> list[MonitorSnapshot]:
    """Those that this server checks."""
    return [
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
        for entry in lane.all()
    ]


def _results(figures: Figures, results: Results) -> None:
    vitals = results.vitals()
    figures.say("checks", vitals.written + vitals.buffered + vitals.lost)
    figures.say("results_buffered", vitals.buffered)
    figures.say("results_written", vitals.written)
    figures.say("results_lost", vitals.lost)
    figures.say("telemetry_bytes", vitals.bytes_on_disk)
    figures.say("telemetry_damaged", vitals.damaged)
    if vitals.archive:
        figures.say("archive_bytes", vitals.archive.bytes)
        figures.say("archive_waiting_days", vitals.archive.waiting)


def fill_probers(figures: Figures, reports: Iterable[ProberReport]) -> None:
    lags = []
    for report in reports:
        found, whose = report.vitals, {"prober": str(report.number)}
        lags += [found.lag_p99] if found else []
        figures.say("prober_up", found is not None and report.alive, whose)
        figures.say("prober_monitors", found.assigned if found else report.assigned, whose)
        figures.say("prober_running", found.running if found else 0, whose)
        figures.say("prober_checks", found.checks if found else 0, whose)
        figures.say("prober_skipped", found.skipped if found else 0, whose)
        figures.say("prober_dropped", found.dropped if found else 0, whose)
        figures.say("prober_lag_p99_seconds", found.lag_p99 if found else 0, whose)
        figures.say("prober_memory_bytes", found.memory if found else 0, whose)
        figures.say("prober_restarts", report.restarts, whose)
    figures.say("check_lag_p99_seconds", max(lags, default=None))


def fill_locations(figures: Figures, locations: Iterable[LocationSnapshot]) -> None:
    for one in locations:
        whose = {"location": one.name}
        figures.say("location_up", one.up, whose)
        figures.say("location_monitors", one.monitors, whose)
        figures.say("location_clock_offset_seconds", one.offset, whose)
        figures.say("location_round_trip_seconds", one.round_trip, whose)
        figures.say("location_results_waiting", one.waiting, whose)
        figures.say("location_results_dropped", one.dropped, whose)
        figures.say("location_results_ignored", one.ignored, whose)
        figures.say("location_results", one.results, whose)


def fill_monitors(figures: Figures, monitors: Iterable[MonitorSnapshot]) -> None:
    counts = dict.fromkeys(MONITOR_STATES, 0)
    probes = ProbeFamilies()
    for monitor in monitors:
        counts[monitor.state] = counts.get(monitor.state, 0) + 1
        labels = {"monitor": monitor.name, "kind": monitor.kind, "target": monitor.target}
        declared = {f"label_{name}": value for name, value in sorted(monitor.labels.items())}
        figures.say("monitor", 1, {**labels, "severity": monitor.severity, **declared})
        whose = label_text({"monitor": monitor.name})
        for name in MONITOR_STATES:
            figures.say("monitor_state", name == monitor.state, f'{whose},state="{name}"')
        figures.say("monitor_state_since_seconds", monitor.since, whose)
        figures.say("monitor_flapping", monitor.flapping, whose)
        if monitor.result is not None:
            figures.say("monitor_checked_seconds", monitor.result.at, whose)
            probes.add(monitor.kind, monitor.result, labels)
    figures.each("monitors", "state", counts)
    figures.besides(probes.families())
