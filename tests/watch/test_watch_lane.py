"""The watch lane on a real database: from results to rows, events, rechecks and samples."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from django.db import connection
from tests.rigs.watching import ACTOR, OFFLINE, ONLINE, in_thread, journal, monitor, watching

from mainstay.frames.boot import current_settings
from mainstay.kernel.errors import Conflict, UserError
from mainstay.kernel.event import Event
from mainstay.store import work
from mainstay.store.resources.apply import declare, remove
from mainstay.store.seals.proving import verify
from mainstay.store.work import Work
from mainstay.watch import verbs
from mainstay.watch.models import MonitorStateRow

pytestmark = pytest.mark.usefixtures("store")

PUBLIC = "http://site.example/"  # only named, never asked


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(main)


def test_from_results_to_rows_events_and_samples() -> None:
    monitor("api", severity="P0", labels={"service": "api"})

    async def main() -> None:
        async with watching() as scene:
            uid = scene.uid("api")
            assert scene.probers.orders[uid].kind == "http"
            scene.result("api", "up")
            scene.result("api", "down", message="refused", evidence={"address": "127.0.0.1"})
            assert scene.probers.rechecked == [(uid, 5.0)]
            scene.result("api", "down", message="refused", evidence={"address": "127.0.0.1"})
            await scene.written()
            row = await in_thread(lambda: MonitorStateRow.objects.get(uid=uid))
            assert (row.state, row.reason, row.code, row.version) == ("down", "confirmed", "connect.refused", 3)
            assert json.loads(row.evidence)["address"] == "127.0.0.1"
            scene.result("api", "up")
            scene.result("api", "up")
            await scene.written()
            told = await journal()
            assert [entry.kind for entry in told] == ["monitor.went_up", "monitor.went_down", "monitor.went_up"]
            down = told[1]
            assert down.subject == "monitor/api"
            assert down.data["labels"] == {"service": "api", "monitor": "api", "severity": "P0"}
            assert down.data["code"] == "connect.refused"
            assert down.data["suppressed_by"] == ""
            assert told[2].data["downtime"] >= 0
            assert [sample.verdict for sample in scene.telemetry.samples] == ["up", "down", "down", "up", "up"]
            assert [sample.charge for sample in scene.telemetry.samples] == ["unknown", "up", "down", "down", "down"]
            assert scene.telemetry.samples[0].charged == 0

    run(main())
    assert verify().broken_at is None


def test_state_survives_a_restart_and_nothing_is_told_twice() -> None:
    monitor("api")

    async def first() -> None:
        async with watching() as scene:
            for verdict in ("up", "down", "down"):
                scene.result("api", verdict)  # type: ignore[arg-type]

    async def second() -> None:
        async with watching() as scene:
            assert scene.state("api") == "down"
            scene.result("api", "down")
            scene.result("api", "down")
            assert scene.telemetry.samples[0].charged == 0
            scene.result("api", "up")
            assert scene.state("api") == "down"
            scene.result("api", "up")
            await scene.written()
            told = [entry.kind for entry in await journal()]
            assert told == ["monitor.went_up", "monitor.went_down", "monitor.went_up"]

    run(first())
    run(second())


def test_an_apply_from_elsewhere_is_taken_up_and_the_unchanged_keeps_its_counters() -> None:
    monitor("api")
    gone = monitor("old")

    async def main() -> None:
        async with watching() as scene:
            scene.result("api", "up")
            scene.result("api", "down")
            assigned = list(scene.probers.assigned)
            await in_thread(partial(monitor, "new"))
            await in_thread(lambda: remove(ACTOR, "monitor", "old", manager="api"))
            await scene.until(lambda: scene.state("new") == "unknown" and scene.state("old") == "absent")
            await scene.until(lambda: gone not in scene.probers.orders)
            assert scene.probers.assigned == [*assigned, scene.uid("new")]
            scene.result("api", "down")
            assert scene.state("api") == "down"
            await in_thread(partial(monitor, "new", "http://127.0.0.1:2/"))
            await scene.until(lambda: scene.probers.assigned.count(scene.uid("new")) == 2)
            rows = await in_thread(lambda: set(MonitorStateRow.objects.values_list("uid", flat=True)))
            assert rows == {scene.uid("api"), scene.uid("new")}

    run(main())


def test_pausing_and_resuming_from_another_process() -> None:
    monitor("api")

    async def main() -> None:
        async with watching() as scene:
            uid = scene.uid("api")
            scene.result("api", "up")
            await scene.written()
            assert await in_thread(lambda: verbs.pause_monitors(ACTOR, ["api"])) == 1
            assert await in_thread(lambda: verbs.pause_monitors(ACTOR, ["api"])) == 0
            await scene.until(lambda: scene.state("api") == "paused")
            await scene.until(lambda: uid not in scene.probers.orders)
            for _ in range(3):
                scene.result("api", "down")
            assert scene.state("api") == "paused"
            with pytest.raises(Conflict, match="paused"):
                await in_thread(lambda: verbs.check_now(ACTOR, ["api"]))
        async with watching() as scene:
            assert scene.state("api") == "paused"
            assert uid not in scene.probers.orders
            await in_thread(lambda: verbs.resume_monitors(ACTOR, ["api"]))
            await scene.until(lambda: uid in scene.probers.orders)
            assert await in_thread(lambda: verbs.check_now(ACTOR, ["api"])) == 1
            await scene.until(lambda: (uid, 0.0) in scene.probers.rechecked)
            scene.result("api", "up")
            await scene.written()
            told = [entry.kind for entry in await journal()]
            assert told == ["monitor.went_up", "monitor.went_paused", "monitor.resumed", "monitor.went_up"]

    run(main())


def test_declared_as_not_enabled_is_paused_until_it_is() -> None:
    monitor("api", enabled=False)

    async def main() -> None:
        async with watching() as scene:
            assert scene.state("api") == "paused"
            assert scene.probers.orders == {}
            with pytest.raises(Conflict, match="enabled: false"):
                await in_thread(lambda: verbs.resume_monitors(ACTOR, ["api"]))
            await in_thread(partial(monitor, "api"))
            await scene.until(lambda: scene.state("api") == "unknown" and bool(scene.probers.orders))

    run(main())


def test_a_missing_secret_withholds_the_order_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainstay.watch.lanes.watch.SECRETS", 0.05)
    monkeypatch.delenv("TOKEN_OF_TESTS", raising=False)
    uid = monitor("api", "http://127.0.0.1:1/${env:TOKEN_OF_TESTS}")

    async def main() -> None:
        async with watching() as scene:
            assert scene.probers.orders == {}
            await scene.written()
            row = await in_thread(lambda: MonitorStateRow.objects.get(uid=uid))
            assert (row.state, row.reason, row.code) == ("unknown", "not_checkable", "check.secret_missing")
            assert "TOKEN_OF_TESTS" in row.message
            monkeypatch.setenv("TOKEN_OF_TESTS", "s3cret")
            await scene.until(lambda: uid in scene.probers.orders)
            assert scene.probers.orders[uid].options["target"]["url"].endswith("/s3cret")
            scene.result("api", "up")
            assert scene.state("api") == "up"
            await scene.written()
            assert "s3cret" not in str([entry.data for entry in await journal("*")])

    run(main())


def test_a_window_covers_and_uncovers() -> None:
    monitor("api", labels={"service": "api"})
    monitor("other")

    async def main() -> None:
        async with watching() as scene:
            scene.result("api", "up")
            scene.result("other", "up")
            window = {"from": "2020-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z", "covers": ['service="api"']}
            await in_thread(lambda: declare(ACTOR, "window", "works", window, manager="api"))
            await scene.until(lambda: scene.state("api") == "maintenance")
            assert scene.state("other") == "up"
            for _ in range(4):
                scene.result("api", "down")
            await in_thread(lambda: remove(ACTOR, "window", "works", manager="api"))
            entry = scene.lane.snapshot(scene.uid("api"))
            assert entry is not None
            await scene.until(lambda: entry.state.window == "")
            scene.result("api", "down")
            assert scene.state("api") == "maintenance"
            scene.result("api", "down")
            assert scene.state("api") == "down"
            await scene.written()
            told = await journal(subject="monitor/api")
            kinds = [entry.kind.removeprefix("monitor.went_") for entry in told]
            assert kinds == ["up", "maintenance", "down"]
            assert told[1].data["window"] == "works"

    run(main())


def test_a_cut_uplink_is_one_event_and_no_false_down() -> None:
    for number, host in enumerate(("a.example", "b.example", "10.1.2.3")):
        monitor(f"site-{number}", f"http://{host}/")
    monitor("local")

    async def main() -> None:
        async with watching() as scene:
            await scene.until(lambda: scene.lane.board.uplink.counted == {"uplink:1"})
            names = [f"site-{number}" for number in range(3)]
            for name in (*names, "local"):
                scene.result(name, "up")
            scene.look.sees = OFFLINE
            for name in names:
                scene.result(name, "down", "connect.timeout")
            await scene.until(lambda: all(scene.state(name) == "unknown" for name in names))
            for name in names:
                scene.result(name, "down", "connect.timeout")
                scene.result(name, "down", "connect.timeout")
            assert {scene.state(name) for name in names} == {"unknown"}
            scene.result("local", "down")
            scene.result("local", "down")
            assert scene.state("local") == "down"
            assert {s.charge for s in scene.telemetry.samples if s.uid != scene.uid("local")} <= {"unknown", "up"}
            scene.look.sees = ONLINE
            await scene.until(lambda: not scene.lane.board.uplink.lost)
            assert {uid for uid, _ in scene.probers.rechecked} >= {scene.uid(name) for name in names}
            for name in names:
                scene.result(name, "up")
            await scene.written()
            assert [entry.kind for entry in await journal("uplink.*")] == ["uplink.lost", "uplink.restored"]
            downs = [entry.subject for entry in await journal("monitor.went_down")]
            assert downs == ["monitor/local"]
            unknown = await journal("monitor.went_unknown")
            assert {entry.data["suppressed_by"] for entry in unknown} == {"uplink/network"}

    run(main())


def test_a_real_outage_is_confirmed_after_a_look() -> None:
    monitor("site", PUBLIC, confirm={"failures": 1})

    async def main() -> None:
        async with watching() as scene:
            scene.result("site", "up")
            scene.result("site", "down", "connect.timeout")
            assert scene.state("site") == "up"  # it waits for the guard
            await scene.until(lambda: scene.state("site") == "down")
            assert scene.look.looks >= 1

    run(main())


def test_a_lost_uplink_is_remembered_over_a_restart() -> None:
    monitor("site", PUBLIC)

    async def first() -> None:
        async with watching() as scene:
            await scene.until(lambda: scene.lane.board.uplink.counted == {"uplink:1"})
            scene.result("site", "up")
            scene.look.sees = OFFLINE
            scene.result("site", "down", "connect.timeout")
            await scene.until(lambda: scene.state("site") == "unknown")
            await scene.written()

    async def second() -> None:
        async with watching() as scene:
            scene.look.sees = OFFLINE
            for _ in range(4):
                scene.result("site", "down", "connect.timeout")
            assert scene.state("site") == "unknown"
            scene.result("site", "up")
            assert scene.state("site") == "up"
            assert not scene.lane.board.uplink.lost

    run(first())
    run(second())


def test_a_start_in_the_middle_of_a_cut_knows_what_it_misses() -> None:
    monitor("site", PUBLIC)

    async def first() -> None:
        async with watching() as scene:
            scene.result("site", "up")
            scene.lane.board.uplink.counted = {"uplink:1"}

    async def second() -> None:
        async with watching(sees=OFFLINE) as scene:
            scene.result("site", "down", "connect.timeout")
            scene.result("site", "down", "connect.timeout")
            await scene.until(lambda: scene.state("site") == "unknown")
            await scene.written()
            assert await journal("monitor.went_down") == []

    run(first())
    run(second())


def test_parents_are_asked_and_their_children_excused() -> None:
    monitor("gateway")
    monitor("api", parents=["gateway"])

    async def main() -> None:
        async with watching() as scene:
            scene.result("gateway", "up")
            scene.result("api", "up")
            scene.result("api", "down")
            assert (scene.uid("gateway"), 0.0) in scene.probers.rechecked
            scene.result("gateway", "down")
            scene.result("api", "down")
            scene.result("gateway", "down")
            await scene.written()
            told = {entry.subject: entry.data["suppressed_by"] for entry in await journal("monitor.went_down")}
            assert told == {"monitor/api": "gateway", "monitor/gateway": ""}
            scene.result("gateway", "up")
            scene.result("gateway", "up")
            scene.result("api", "down")
            scene.result("api", "down")
            await scene.written()
            assert [entry.subject for entry in await journal("monitor.stayed_down")] == ["monitor/api"]

    run(main())


@contextmanager
def locked_database() -> Iterator[None]:
    """Somebody else holds the state database."""
    settings = current_settings()
    if settings.database:
        import psycopg

        with psycopg.connect(settings.database) as holder:
            holder.execute("LOCK TABLE journal_head IN ACCESS EXCLUSIVE MODE")
            yield
        return
    holder = sqlite3.connect(settings.data / "state.sqlite3", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        holder.execute("ROLLBACK")
        holder.close()


def test_a_locked_database_stops_no_decision_and_loses_none() -> None:
    monitor("api")

    def impatient() -> None:
        if connection.vendor == "sqlite":
            with connection.cursor() as cursor:
                cursor.execute("PRAGMA busy_timeout=50")

    async def main() -> None:
        async with watching() as scene:
            await scene.writer.run(impatient)
            scene.result("api", "up")
            await scene.written()
            with locked_database():
                for _ in range(2):
                    for verdict in ("down", "down", "up", "up"):
                        scene.result("api", verdict)  # type: ignore[arg-type]
                await asyncio.sleep(0.5)
                assert scene.state("api") == "up"
                assert scene.lane.waiting == 4
                assert len(scene.telemetry.samples) == 9
            await scene.written()
            kinds = [entry.kind.removeprefix("monitor.went_") for entry in await journal()]
            assert kinds == ["up", *("down", "up") * 2]

    run(main())
    assert verify().broken_at is None


def test_a_change_that_cannot_be_written_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monitor("bad")
    monitor("good")

    def poisoned(_work: Work, event: Event) -> None:
        if event.subject == "monitor/bad" and poison:
            raise UserError("a change that is refused")

    poison = [True]
    monkeypatch.setitem(work._guards, "monitor.went_up", [poisoned])

    async def main() -> None:
        async with watching() as scene:
            scene.result("bad", "up")
            scene.result("good", "up")
            await scene.written()
            await scene.until(lambda: scene.state("bad") == "unknown")  # read anew, as it is in the database
            assert [entry.subject for entry in await journal("monitor.went_up")] == ["monitor/good"]
            poison.clear()
            scene.result("bad", "up")
            await scene.written()
            assert len(await journal("monitor.went_up")) == 2

    run(main())


def test_counters_are_saved_and_read_back() -> None:
    uid = monitor("api")

    async def main() -> None:
        async with watching() as scene:
            scene.result("api", "up")
            scene.result("api", "up")
        row = await in_thread(lambda: MonitorStateRow.objects.get(uid=uid))
        assert (row.last_verdict, row.last_duration, row.state) == ("up", 0.01, "up")
        assert json.loads(row.counters)["up_streak"] == 2

    run(main())
