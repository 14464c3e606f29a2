"""What a running server is made of: stores, lanes, probers and doors, started and stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import structlog
import uvicorn

from mainstay import __version__
from mainstay.alerting.delivery import reclaim
from mainstay.alerting.delivery_lane import DeliveryLane
from mainstay.alerting.last_word_lane import EVERY as LAST_WORD_EVERY
from mainstay.alerting.last_word_lane import LastWordLane
from mainstay.foreign.compat.doors import compat_doors
from mainstay.foreign.compat.probe_modules import Modules
from mainstay.foreign.settings import BLACKBOX_MODULES
from mainstay.frames.addresses import Proxies
from mainstay.frames.health import Health, database_probe
from mainstay.frames.lanes import TURNS, forever
from mainstay.frames.limits import Limits
from mainstay.heartbeats.attendance_lane import EVERY as ATTENDANCE_EVERY
from mainstay.heartbeats.attendance_lane import AttendanceLane
from mainstay.heartbeats.doors.mail import MailDoor
from mainstay.heartbeats.doors.ping_spool import PingSpool
from mainstay.heartbeats.doors.pings import PingApp
from mainstay.heartbeats.lane import EVERY as HEARTBEATS_EVERY
from mainstay.heartbeats.lane import HeartbeatLane
from mainstay.heartbeats.settings import MAIL_LISTEN, PING_SPOOL_LIMIT
from mainstay.kernel.actor import system
from mainstay.kernel.capability import CAPABILITIES, Lane, load
from mainstay.kernel.clock import Clock, Steps, SystemClock
from mainstay.kernel.errors import StoreBusy
from mainstay.kernel.event import Event
from mainstay.kernel.probing import CheckResult
from mainstay.kernel.settings import Settings
from mainstay.nodes.identity import identity, node_name
from mainstay.nodes.lane import CONFIG, UPKEEP, NodesLane
from mainstay.nodes.verbs import Vitals
from mainstay.resources.config_lane import ConfigLane
from mainstay.runtime.crowd import Crowd, room
from mainstay.runtime.events import MainstayStarted, MainstayStopped
from mainstay.runtime.health import oldest_due_probe, vault_probe
from mainstay.runtime.health_page import set_reporter
from mainstay.runtime.http_protocol import protocols
from mainstay.runtime.live import LiveUpdates
from mainstay.runtime.monitoring import Monitoring, Sources
from mainstay.runtime.server import Server, django_application, static_files
from mainstay.snapshots.lane import EVERY as SNAPSHOTS_EVERY
from mainstay.snapshots.lane import SnapshotLane
from mainstay.sources.doors.doors import source_doors
from mainstay.sources.doors.intake import Intake
from mainstay.sources.doors.mail import SourceMail
from mainstay.statuspage.serving import StatusPages
from mainstay.store import following
from mainstay.store.running import Running
from mainstay.store.work import unit_of_work
from mainstay.store.writer import Writer
from mainstay.watch.fleet import Fleet
from mainstay.watch.join import FRAME_LIMIT, JoinDoor
from mainstay.watch.lanes.erasing import erase_wished
from mainstay.watch.lanes.places import EVERY as PLACES_EVERY
from mainstay.watch.lanes.places import PlacesLane
from mainstay.watch.lanes.watch import WatchLane
from mainstay.watch.links import Links
from mainstay.watch.prober.descriptors import raise_descriptor_limit
from mainstay.watch.probers import Probers
from mainstay.watch.results import open_results
from mainstay.watch.settings import PROBERS

log = structlog.get_logger("mainstay")

_CONFIG_EVERY = 1.0
_THREADS = 32
_UPKEEP_EVERY = 60.0
_BUSY_LIMIT = 10.0  # seconds that the writer may wait before health says so
_DELIVERY_LIMIT = 60.0  # seconds without an attempt in which messages are due before health says so
_DRAIN = 3  # seconds that open requests get when the server stops
_ACTOR = system("server")


class _Uvicorn(uvicorn.Server):
    """Signals belong to `serve`, which stops the lanes in order; `ready` is set once requests are taken."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(settings: Settings, listener: socket.socket, config: Path | None, announce: Callable[[], None]) -> None:
    """Run everything until SIGTERM or SIGINT; `announce` is called once pages are served."""
    # More than the default of a small machine: a database that is away holds whoever asks it for seconds.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="worker"))
    parts = Parts(settings, config)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with parts.running(), _web(settings, listener, parts):
        announce()
        log.info("started", version=__version__, url=settings.base_url)
        await stop.wait()
        log.info("stopping")


class Parts:
    """The lanes and what they share."""

    def __init__(self, settings: Settings, config: Path | None, clock: Clock | None = None) -> None:
        clock = clock or SystemClock()
        self.settings = settings
        self.telemetry = open_results(settings)
        self.writer = Writer()
        self.probers = Probers(settings, self._judge)
        self.nodes = self._nodes(config, clock) if settings.database else None
        share = self.nodes.share if self.nodes else None
        self.links = Links(self._judge_from)
        fleet = Fleet(self.probers, self.links, settings.location)
        self.watch = WatchLane(settings, fleet, self.telemetry, self.writer, clock, share=share)
        self.places = PlacesLane(self.links, self.watch, self.writer, clock)
        self.join = JoinDoor(self.links)
        self.heartbeats = HeartbeatLane(settings, self.writer, clock)
        self.attendance = AttendanceLane(self.telemetry, self.writer, clock)
        self.delivery = DeliveryLane(settings, self.writer, clock)
        reading = None if settings.telemetry else self.telemetry.columns.reading
        self.snapshots = SnapshotLane(settings, reading, self.writer, clock)
        spool = PingSpool(settings.data, settings[PING_SPOOL_LIMIT] * 1024 * 1024) if settings.database else None
        directory, catch_up = self.heartbeats.directory, self.heartbeats.catch_up
        self.pings = PingApp(self.writer, directory, settings, catch_up=catch_up, spool=spool)
        self.intake = Intake(self.writer, settings, clock)
        other = SourceMail(self.intake)
        self.mail = MailDoor(self.pings, settings[MAIL_LISTEN], other) if settings[MAIL_LISTEN] else None
        self.config = ConfigLane(config, self.writer) if config else None
        self.modules = Modules(Path(settings[BLACKBOX_MODULES]) if settings[BLACKBOX_MODULES] else None)
        self.status_pages = StatusPages()
        self.live = LiveUpdates()
        self.health = Health()
        self.last_word = LastWordLane(settings, self.health, clock, node_name(settings))
        self.context = Running(settings, self.writer, self.telemetry.columns, clock)
        self.declared = _declared_lanes(self.context)
        self._clock, self._steps = clock, Steps(clock)
        self._checks_told = 0
        self.started_at = clock.now()
        every = (self, self.telemetry, self.probers, self.watch, self.places, self.pings, self.nodes)
        self.context.parts.update({type(part): part for part in every if part is not None})
        if self.nodes is not None:
            self._share_out(self.nodes)

    def _nodes(self, config: Path | None, clock: Clock) -> NodesLane:
        """This server among those that share a database."""

        def vitals() -> Vitals:
            lag = max((found.lag_p99 for found in self.probers.vitals()), default=0.0)
            return Vitals(len(self.watch.board.entries), lag, self.watch.waiting, self.pings.spooled)

        async def hand_over(shards: Iterable[int]) -> None:
            await self.watch.hand_over(shards)

        tasks = [UPKEEP, *([CONFIG] if config else [])]
        return NodesLane(
            identity(self.settings),
            self.writer,
            clock,
            vitals=vitals,
            hand_over=hand_over,
            take_over=lambda living: reclaim(_ACTOR, living=living),
            tasks=tasks,
        )

    def _share_out(self, nodes: NodesLane) -> None:
        self.delivery.claimant, self.delivery.living = nodes.me.session, lambda: nodes.living
        self.snapshots.is_due_here = partial(self.does, UPKEEP)
        self.heartbeats.hold = lambda: nodes.unsettled or bool(self.pings.spooled)

    def does(self, task: str) -> bool:
        """Whether this server is the one that does what only one at a time may do."""
        return self.nodes is None or self.nodes.holds(task)

    def queues(self) -> dict[str, int]:
        """Queued entries, by queue."""
        return {
            "pings": self.pings.waiting + self.pings.spooled,
            "alerts": self.intake.waiting,
            "transitions": self.watch.waiting,
            "results": self.telemetry.vitals().buffered,
        }

    def _judge(self, results: list[CheckResult]) -> None:
        self.watch.take(results)

    def _judge_from(self, location: str, results: list[CheckResult]) -> None:
        self.watch.take_from(location, results)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start in the order in which parts need each other, stop in the opposite one."""
        started = False
        try:
            await self._start()
            started = True
        finally:
            if not started:  # nothing runs yet but the stores and the writer
                await self._give_up()
        lanes = [asyncio.create_task(lane, name=name) for name, lane in self._lanes().items()]
        try:
            yield
        finally:
            for lane in lanes:
                lane.cancel()
            await asyncio.gather(*lanes, return_exceptions=True)
            await self._stop()

    async def _start(self) -> None:
        self._register_health()
        if self.nodes is not None:
            await self.nodes.start()
        if self.config is not None and self.does(CONFIG):
            await self.config.turn()  # before the first checks, so that they are those of the file
        await self.modules.turn()
        await self.probers.start()
        await self.heartbeats.start()
        await self.pings.start()
        await self.intake.turn()
        await self.watch.start()
        await self.snapshots.start()
        self.live.start()
        await self.status_pages.start()
        if self.mail is not None:
            await self.mail.start()
        await self._record(MainstayStarted("mainstay", __version__))

    def _lanes(self) -> dict[str, Coroutine[Any, Any, None]]:
        lanes: dict[str, Coroutine[Any, Any, None]] = {
            "watch": self.watch.run(),
            "places": forever("places", self.places.turn, PLACES_EVERY),
            "sources": forever("sources", self.intake.turn, _CONFIG_EVERY),
            "delivery": self.delivery.run(),
            "last word": forever("last word", self.last_word.turn, LAST_WORD_EVERY),
            "heartbeats": forever("heartbeats", self.heartbeats.turn, HEARTBEATS_EVERY),
            "attendance": forever("attendance", self._only(UPKEEP, self.attendance.turn), ATTENDANCE_EVERY),
            "telemetry": forever("telemetry", self._upkeep, _UPKEEP_EVERY),
            "live": forever("live", self._tell_viewers, 1.0),
            "snapshots": forever("snapshots", self.snapshots.turn, SNAPSHOTS_EVERY),
        }
        for lane in self.declared:
            lanes[lane.name] = forever(
                lane.name, self._only(UPKEEP, lane.turn) if lane.alone else lane.turn, lane.every
            )
        if self.settings[BLACKBOX_MODULES]:
            lanes["modules"] = forever("modules", self.modules.turn, _CONFIG_EVERY)
        if self.config is not None:
            lanes["config"] = forever("config", self._only(CONFIG, self.config.turn), _CONFIG_EVERY)
        return lanes

    def _only(self, task: str, turn: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        async def guarded() -> None:
            if self.does(task):
                await turn()

        return guarded

    def _register_health(self) -> None:
        self.health.register("database", database_probe)
        self.health.register("writer", self._writer_probe)
        self.health.register("telemetry", self._telemetry_probe)
        self.health.register("probers", self._probers_probe)
        if self.nodes is not None:
            self.health.register("nodes", self.nodes.probe)
            self.health.register("pings", self.pings.probe)
        self.health.register("locations", self.places.probe, vital=False)
        if self.settings[BLACKBOX_MODULES]:
            self.health.register("blackbox_modules", self.modules.health, vital=False)
        if self.config is not None:
            self.health.register("configuration", self.config.probe, vital=False)
        self.health.register("snapshots", self.snapshots.probe, vital=False)
        self.health.register("vault", self._vault_probe)
        self.health.register("lanes", TURNS.probe)
        self.health.register("changes", self._changes_probe)
        self.health.register("delivery", self._delivery_probe)
        for lane in self.declared:
            if lane.probe is not None:
                self.health.register(lane.name, lane.probe, vital=lane.vital)

    async def _writer_probe(self) -> str:
        since = self.writer.waiting_since
        waited = 0.0 if since is None else self._clock.monotonic() - since
        return "ok" if waited < _BUSY_LIMIT else f"has waited for the database for {waited:.0f} s"

    async def _changes_probe(self) -> str:
        waited = self.watch.waited
        return "ok" if waited < _BUSY_LIMIT else f"nothing was written for {waited:.0f} s, and changes wait"

    async def _delivery_probe(self) -> str:
        """A channel that fails has messages that are not due yet, a slow one has some under way."""
        still = self._clock.monotonic() - self.delivery.moved_at
        due = await asyncio.to_thread(oldest_due_probe, self._clock.now())
        return due if still > _DELIVERY_LIMIT else "ok"

    async def _vault_probe(self) -> str:
        return await asyncio.to_thread(vault_probe, self.settings)

    async def _telemetry_probe(self) -> str:
        vitals = self.telemetry.vitals()
        archive = vitals.archive.error if vitals.archive else ""
        return vitals.last_error or archive or "ok"

    async def _probers_probe(self) -> str:
        missing = self.settings[PROBERS] - len(self.probers.vitals())
        return "ok" if missing <= 0 else f"{missing} of {self.settings[PROBERS]} do not report"

    async def _tell_viewers(self) -> None:
        checks = sum(vitals.checks for vitals in self.probers.vitals())
        if checks != self._checks_told:
            self._checks_told = checks
            self.live.results_came()

    async def _upkeep(self) -> None:
        if not self.settings.telemetry or self.does(UPKEEP):  # several servers share ClickHouse: one is enough
            try:
                await erase_wished(self.telemetry, self.writer, self._clock)
                upkeep = partial(self.telemetry.maintain, self._clock.now(), steady=self._steps.steady())
                await asyncio.to_thread(upkeep)
            except StoreBusy as error:  # health tells of it too; all of it is repeated
                log.warning("telemetry upkeep is delayed", error=error.message)

    async def _give_up(self) -> None:
        """A start was refused: others must not wait for this server."""
        if self.nodes is not None:
            await self.nodes.stop()
        await asyncio.to_thread(self.telemetry.close)
        self.writer.stop()

    async def _stop(self) -> None:
        if self.mail is not None:
            await self.mail.stop()
        await self.pings.stop()
        await self.snapshots.stop()
        self.live.stop()
        await self.status_pages.stop()
        await self.probers.stop()
        await self.watch.stop()
        if self.nodes is not None:
            await self.nodes.stop()
        self.places.close()
        self.heartbeats.close()
        self.intake.close()
        await self.delivery.stop(patience=2.0)
        self.last_word.close()
        with contextlib.suppress(TimeoutError, StoreBusy):
            await asyncio.wait_for(self._record(MainstayStopped("mainstay", "signal")), 2.0)
        await asyncio.to_thread(self.telemetry.close)
        self.writer.stop()

    async def _record(self, event: Event) -> None:
        def write() -> None:
            with unit_of_work(_ACTOR) as work:
                work.record(event)

        await self.writer.run(write)


def _declared_lanes(running: Running) -> list[Lane]:
    declared = [lane for one in CAPABILITIES if one.lanes for lane in load(one.lanes)(running)]
    return [*declared, *following.lanes(running)]


def monitoring_of(parts: Parts) -> Monitoring:
    """The doors that other monitoring reads; made on the event loop that serves."""
    return Monitoring(
        Sources(
            health=parts.health,
            watch=parts.watch,
            probers=parts.probers,
            modules=parts.modules,
            started_at=parts.started_at,
            viewers=lambda: parts.live.viewers,
            running=parts.context,
        )
    )


def fast_doors(parts: Parts, monitoring: Monitoring) -> dict[str, Any]:
    """Path or prefix -> application, of everything that the event loop answers without Django.

    Each application, or each of its routes, carries its `door`: the scope that it asks for, or that it is public.
    """
    return {
        "/ping/": parts.pings,
        "/status/": parts.status_pages,
        "/api/v2/summary.json": parts.status_pages,
        "/api/v2/status.json": parts.status_pages,
        "/static/": static_files(),
        "/live": parts.live,
        "/probe/join": parts.join,
        **source_doors(parts.intake),
        **compat_doors(parts.pings, lambda: parts.status_pages.pages),
        **monitoring.doors(),
    }


@contextlib.asynccontextmanager
async def _web(settings: Settings, listener: socket.socket, parts: Parts) -> AsyncIterator[None]:
    """Serve while the block runs."""
    monitoring = monitoring_of(parts)
    set_reporter(monitoring.report)
    doors, limits = fast_doors(parts, monitoring), Limits(settings)
    application = Server(doors, django_application(), https=settings.cookies_secure, limits=limits)
    crowd = Crowd(Proxies(settings.trusted_proxies), room(raise_descriptor_limit()))
    http, sockets = protocols(crowd)
    server = _Uvicorn(
        uvicorn.Config(
            application,
            loop="uvloop",
            http=http,
            ws=sockets,
            ws_max_size=FRAME_LIMIT,
            ws_ping_interval=5.0,
            ws_ping_timeout=10.0,
            ws_per_message_deflate=False,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_DRAIN,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="web")
    try:
        ready = asyncio.create_task(server.ready.wait())
        await asyncio.wait({ready, serving}, return_when=asyncio.FIRST_COMPLETED)
        yield
    finally:
        server.should_exit = True
        await serving
