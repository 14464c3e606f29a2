"""`/api/metrics`: what Mainstay says of itself and of its monitors, for Prometheus to scrape. Pure.

The runtime fills a `Snapshot`; `render_metrics` turns it into text. Names under `mainstay_` are ours and are
listed in the reference; names under `probe_` are those of the blackbox exporter, for the newest result of each
monitor, so that dashboards and alert rules written for it work with the labels `monitor`, `kind` and `target`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mainstay.frames.exposition import OPENMETRICS_TYPE, TEXT_TYPE, Family, accepts_openmetrics, label_text, render
from mainstay.watch.probe_metrics import ProbeFamilies

if TYPE_CHECKING:
    from mainstay.kernel.probing import CheckResult
    from mainstay.store.timing import Timing

MONITOR_STATES = ("up", "degraded", "down", "unknown", "paused", "maintenance")


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
class HeartbeatSnapshot:
    """One heartbeat. `last_ping` is epoch seconds, None before the first."""

    name: str
    state: str
    last_ping: float | None = None
    last_duration: float | None = None  # seconds of the newest finished run


@dataclass(frozen=True, slots=True)
class ProberSnapshot:
    """One prober process, by its number; counters are since it started."""

    number: int
    up: bool
    assigned: int = 0
    running: int = 0
    checks: int = 0
    skipped: int = 0
    dropped: int = 0
    lag_p99: float = 0.0  # seconds
    memory: int = 0  # bytes
    restarts: int = 0


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


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole of a moment. What is not known is left at its default and not shown (None) or shown as 0."""

    version: str
    python: str = ""
    started_at: float | None = None  # epoch seconds
    memory: int | None = None  # bytes of the main process
    monitors: Sequence[MonitorSnapshot] = ()
    heartbeats: Sequence[HeartbeatSnapshot] = ()
    probers: Sequence[ProberSnapshot] = ()
    locations: Sequence[LocationSnapshot] = ()
    checks: int | None = None  # results taken in since start
    results_buffered: int | None = None
    results_written: int | None = None
    results_lost: int | None = None
    telemetry_bytes: int | None = None
    telemetry_damaged: int | None = None  # files set aside since start
    archive_bytes: int | None = None
    archive_waiting: int | None = None  # days
    lag_p99: float | None = None  # seconds, the worst of all probers
    queues: Mapping[str, int] = field(default_factory=dict)  # queue -> entries that wait
    journal_seq: int | None = None
    outbox: Mapping[str, int] = field(default_factory=dict)  # state -> notifications
    alerts: Mapping[str, int] = field(default_factory=dict)  # severity -> open alerts
    pings: Mapping[str, int] = field(default_factory=dict)  # kind (success, start, fail, log, ...) -> since start
    pings_refused: int | None = None
    uplink_up: bool | None = None
    revision: int | None = None  # newest revision of the resources
    node: Mapping[str, float] = field(default_factory=dict)  # of several servers on one database: what this one does
    followers: Mapping[str, tuple[int, float]] = field(default_factory=dict)  # name -> entries that wait, seconds
    spool: Mapping[str, float] = field(default_factory=dict)  # pings on this server's disk, while the database is away
    work: Mapping[str, Timing] = field(default_factory=dict)  # units of work of this process, by name


def metrics_response(accept: str, snapshot: Snapshot) -> tuple[str, str]:
    """(content type, body) for an Accept header."""
    openmetrics = accepts_openmetrics(accept)
    return (OPENMETRICS_TYPE if openmetrics else TEXT_TYPE), render_metrics(snapshot, openmetrics=openmetrics)


def render_metrics(snapshot: Snapshot, *, openmetrics: bool = False) -> str:
    """The exposition of a snapshot."""
    return render(families(snapshot), openmetrics=openmetrics)


def families(snapshot: Snapshot) -> list[Family]:
    """All of them, also those that have no samples in this snapshot."""
    found = [*_itself(snapshot), *_stores(snapshot), *_work(snapshot), *_node(snapshot), *_probers(snapshot)]
    return [*found, *_locations(snapshot), *_monitors(snapshot), *_heartbeats(snapshot)]


def _one(name: str, text: str, value: float | None, *, counter: bool = False) -> Family:
    family = Family(f"mainstay_{name}", text, "counter" if counter else "gauge")
    return family if value is None else family.add(float(value))


def _by(name: str, text: str, label: str, values: Mapping[str, float], *, counter: bool = False) -> Family:
    family = Family(f"mainstay_{name}", text, "counter" if counter else "gauge")
    for key, value in values.items():
        family.add(value, {label: key})
    return family


def _itself(snapshot: Snapshot) -> list[Family]:
    build = Family("mainstay_build", "Version of Mainstay and of Python.", "info")
    uplink = None if snapshot.uplink_up is None else float(snapshot.uplink_up)
    return [
        build.add(1, {"version": snapshot.version, "python": snapshot.python}),
        _one("start_time_seconds", "When the main process started, in unixtime.", snapshot.started_at),
        _one("memory_bytes", "Resident memory of the main process.", snapshot.memory),
        _one("uplink_up", "Whether this machine itself has a network.", uplink),
        _one("resources_revision", "Newest revision of what is declared.", snapshot.revision),
        _by("queue_length", "Queued entries, by queue.", "queue", snapshot.queues),
        _by("alerts_open", "Open alerts by severity.", "severity", snapshot.alerts),
        _by("outbox", "Notifications by state.", "state", snapshot.outbox),
        _by("pings", "Pings accepted since start, by kind.", "kind", snapshot.pings, counter=True),
        _one("pings_refused", "Pings refused since start.", snapshot.pings_refused, counter=True),
    ]


def _stores(snapshot: Snapshot) -> list[Family]:
    waiting = {name: float(entries) for name, (entries, _) in snapshot.followers.items()}
    since = {name: seconds for name, (_, seconds) in snapshot.followers.items()}
    return [
        _one("journal_seq", "Number of the newest entry of the journal.", snapshot.journal_seq),
        _by("follower_lag_entries", "Journal entries that a follower has not processed yet.", "follower", waiting),
        _by("follower_lag_seconds", "Lag of the follower: how long the oldest of them has waited.", "follower", since),
        _one("results_buffered", "Results not yet written to the telemetry store.", snapshot.results_buffered),
        _one("results_written", "Results written since start.", snapshot.results_written, counter=True),
        _one("results_lost", "Results lost since start.", snapshot.results_lost, counter=True),
        _one("telemetry_bytes", "Size of the telemetry store on disk.", snapshot.telemetry_bytes),
        _one("telemetry_damaged", "Telemetry files repaired since start.", snapshot.telemetry_damaged, counter=True),
        _one("archive_bytes", "Size of the archived results.", snapshot.archive_bytes),
        _one("archive_waiting_days", "Days of results waiting to be archived.", snapshot.archive_waiting),
        _one("checks", "Results received since start.", snapshot.checks, counter=True),
        _one("check_lag_p99_seconds", "How late checks start (99th percentile).", snapshot.lag_p99),
    ]


def _work(snapshot: Snapshot) -> list[Family]:
    """Transactions that write, by the function that changes something (`watch.verbs.check_now`)."""
    rows: list[tuple[str, str, str, bool]] = [
        ("count", "units", "Units of work (transactions that write) since start.", True),
        ("held", "seconds", "Seconds for which units of work held the turn to write.", True),
        ("waited", "wait_seconds", "Seconds for which units of work waited for the turn to write.", True),
        ("longest", "longest_seconds", "The longest unit of work since start.", False),
        ("long", "long", "Units of work that held the turn for more than 50 ms.", True),
    ]
    return _of_each("work", rows, snapshot.work, "unit")


def _node(snapshot: Snapshot) -> list[Family]:
    """Each server tells of itself; sums over all of them make the whole."""
    node, spool = snapshot.node, snapshot.spool
    return [
        _one("node_shards", "Shares of the monitors that this server checks, of 64.", node.get("shards")),
        _one("nodes_alive", "Servers on this database that report.", node.get("alive")),
        _one("node_takeovers", "Shares taken from silent servers.", node.get("takeovers"), counter=True),
        _one("node_touch_age_seconds", "Time since the database last accepted a heartbeat.", node.get("touch_age")),
        _one("changes_dropped", "Decisions dropped since start; made again later.", node.get("dropped"), counter=True),
        _one("pings_spool_waiting", "Pings spooled on this disk, not yet in the database.", spool.get("waiting")),
        _one("pings_spooled", "Pings spooled to disk since start.", spool.get("taken"), counter=True),
        _one("pings_spool_refused", "Pings refused because the spool was full.", spool.get("refused"), counter=True),
    ]


def _probers(snapshot: Snapshot) -> list[Family]:
    rows: list[tuple[str, str, str, bool]] = [
        ("up", "up", "Whether the prober process runs.", False),
        ("assigned", "monitors", "Monitors assigned to the prober.", False),
        ("running", "running", "Checks running.", False),
        ("checks", "checks", "Checks run since the prober started.", True),
        ("skipped", "skipped", "Checks skipped because the previous one was still running.", True),
        ("dropped", "dropped", "Results dropped because the main process did not read them.", True),
        ("lag_p99", "lag_p99_seconds", "How late its checks start (99th percentile).", False),
        ("memory", "memory_bytes", "Resident memory of the prober.", False),
        ("restarts", "restarts", "Times that the prober was replaced.", True),
    ]
    return _of_each("prober", rows, {str(prober.number): prober for prober in snapshot.probers})


def _locations(snapshot: Snapshot) -> list[Family]:
    rows: list[tuple[str, str, str, bool]] = [
        ("up", "up", "Whether a prober at the location is connected.", False),
        ("monitors", "monitors", "Monitors that it checks.", False),
        ("offset", "clock_offset_seconds", "How far its clock is behind this one.", False),
        ("round_trip", "round_trip_seconds", "Round trip of the exchange that measured its clock.", False),
        ("waiting", "results_waiting", "Results that it holds until this server confirms them.", False),
        ("dropped", "results_dropped", "Results dropped because its buffer was full.", True),
        ("ignored", "results_ignored", "Results for monitors not assigned to it.", True),
        ("results", "results", "Results received from it.", True),
    ]
    return _of_each("location", rows, {one.name: one for one in snapshot.locations})


def _of_each(
    what: str, rows: list[tuple[str, str, str, bool]], named: Mapping[str, object], label: str = ""
) -> list[Family]:
    """A family for each row: the attribute, what the family is called, its help, and whether it counts."""
    families = []
    for attribute, name, text, counter in rows:
        values = {one: float(getattr(thing, attribute)) for one, thing in named.items()}
        families.append(_by(f"{what}_{name}", text, label or what, values, counter=counter))
    return families


def _monitors(snapshot: Snapshot) -> list[Family]:
    counts = dict.fromkeys(MONITOR_STATES, 0.0)
    state = Family("mainstay_monitor_state", "1 for the state that the monitor is in, 0 for the others.")
    since = Family("mainstay_monitor_state_since_seconds", "When the state began, in unixtime.")
    flapping = Family("mainstay_monitor_flapping", "Whether the monitor is flapping.")
    checked = Family("mainstay_monitor_checked_seconds", "When the newest check began, in unixtime.")
    info = Family("mainstay_monitor", "What is declared of the monitor.", "info")
    probes = ProbeFamilies()
    for monitor in snapshot.monitors:
        counts[monitor.state] = counts.get(monitor.state, 0.0) + 1
        labels = {"monitor": monitor.name, "kind": monitor.kind, "target": monitor.target}
        declared = {f"label_{name}": value for name, value in sorted(monitor.labels.items())}
        info.add(1, {**labels, "severity": monitor.severity, **declared})
        whose = label_text({"monitor": monitor.name})
        for name in MONITOR_STATES:
            state.add(float(name == monitor.state), f'{whose},state="{name}"')
        if monitor.since is not None:
            since.add(monitor.since, whose)
        flapping.add(float(monitor.flapping), whose)
        if monitor.result is not None:
            checked.add(monitor.result.at, whose)
            probes.add(monitor.kind, monitor.result, labels)
    total = _by("monitors", "Monitors by state.", "state", counts)
    return [total, info, state, since, flapping, checked, *probes.families()]


def _heartbeats(snapshot: Snapshot) -> list[Family]:
    counts: dict[str, float] = {}
    state = Family("mainstay_heartbeat_state", "1 for the state that the heartbeat is in.")
    pinged = Family("mainstay_heartbeat_last_ping_seconds", "When the newest ping came, in unixtime.")
    lasted = Family("mainstay_heartbeat_run_seconds", "How long the newest finished run took.")
    for heartbeat in snapshot.heartbeats:
        counts[heartbeat.state] = counts.get(heartbeat.state, 0.0) + 1
        labels = {"heartbeat": heartbeat.name}
        state.add(1, {**labels, "state": heartbeat.state})
        if heartbeat.last_ping is not None:
            pinged.add(heartbeat.last_ping, labels)
        if heartbeat.last_duration is not None:
            lasted.add(heartbeat.last_duration, labels)
    return [_by("heartbeats", "Heartbeats by state.", "state", counts), state, pinged, lasted]
