"""Followers: each entry at least once, in order, from a cursor; what fails holds nothing else up and is told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from django.db import OperationalError, connections
from tests.rigs.changeable import wait_for
from tests.rigs.clocks import FakeClock
from tests.rigs.receivers import happen, in_thread
from tests.rigs.told import Told

from mainstay.alerting import queries
from mainstay.frames.boot import current_settings
from mainstay.kernel.actor import system
from mainstay.kernel.errors import Conflict, StoreBusy
from mainstay.runtime.composition import Parts
from mainstay.runtime.upgrade import open_data
from mainstay.store import followers
from mainstay.store.followers import FOLLOWERS, Follower, begin, catch_up, follow, lag
from mainstay.store.journal import Entry, entries, head
from mainstay.store.models import FactRow, FollowerRow
from mainstay.store.seals.proving import verify
from mainstay.store.work import Work, unit_of_work

pytestmark = pytest.mark.usefixtures("store")
ME = system("test")


@dataclass
class Notes:
    """A follower of calm and flapping monitors that writes down what it follows; `errors` by subject."""

    seen: list[str] = field(default_factory=list)
    errors: dict[str, Exception] = field(default_factory=dict)

    @property
    def follower(self) -> Follower:
        return FOLLOWERS["test.notes"]

    def handle(self, work: Work, entry: Entry) -> None:
        self.seen.append(entry.subject)
        FactRow.objects.create(key=f"followed.{entry.seq}", value=entry.subject)
        if entry.subject == "monitor/loud":
            work.record(Told("monitor.resumed", entry.subject, {"previous": "paused"}))
        if entry.subject in self.errors:
            raise self.errors[entry.subject]

    def followed(self) -> list[str]:
        return list(FactRow.objects.filter(key__startswith="followed.").order_by("key").values_list("value", flat=True))


@pytest.fixture
def notes() -> Iterator[Notes]:
    made = Notes()
    follow("test.notes", "monitor.flapping_stopped")(made.handle)
    yield made
    del FOLLOWERS["test.notes"]


def _calm(*names: str) -> None:
    for name in names:
        happen("monitor.flapping_stopped", f"monitor/{name}")


def test_it_follows_its_kinds_in_order_and_goes_on_where_it_was(notes: Notes) -> None:
    _calm("a", "b")
    happen("monitor.history_erased", "monitor/c")
    assert lag(notes.follower, 0.0).entries == 2
    assert catch_up(notes.follower) is None
    _calm("d")
    assert catch_up(notes.follower) is None
    assert notes.seen == ["monitor/a", "monitor/b", "monitor/d"]
    assert FollowerRow.objects.get(name="test.notes").seq == head().seq
    assert (lag(notes.follower, 0.0).entries, lag(notes.follower, 0.0).seconds) == (0, 0.0)


def test_what_it_writes_and_the_step_of_its_cursor_are_one(notes: Notes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that goes away in between undoes both, and the entry is done once."""
    _calm("a", "b")
    notes.errors["monitor/b"] = OperationalError("connection lost")
    with pytest.raises(StoreBusy):
        catch_up(notes.follower)
    assert notes.followed() == []
    notes.errors.clear()
    catch_up(notes.follower)
    assert notes.followed() == ["monitor/a", "monitor/b"]


def test_what_it_records_is_one_with_its_cursor_too(notes: Notes) -> None:
    _calm("loud")
    catch_up(notes.follower)
    assert [entry.kind for entry in entries(newest_first=False)] == ["monitor.flapping_stopped", "monitor.resumed"]
    assert notes.followed() == ["monitor/loud"]
    assert verify().broken_at is None


@pytest.mark.parametrize("error", [KeyError("no such thing"), Conflict("not now")])
def test_an_entry_that_fails_is_tried_again_later_and_those_before_it_are_done(
    notes: Notes, clock: FakeClock, error: Exception
) -> None:
    _calm("a", "b", "c")
    notes.errors["monitor/b"] = error
    assert catch_up(notes.follower, clock) == 1.0
    assert notes.followed() == ["monitor/a"]
    clock.advance(0.5)
    assert catch_up(notes.follower, clock) == pytest.approx(0.5)
    assert notes.seen == ["monitor/a", "monitor/b"]
    clock.advance(0.5)
    assert catch_up(notes.follower, clock) == 2.0
    notes.errors.clear()
    clock.advance(2.0)
    assert catch_up(notes.follower, clock) is None
    assert notes.followed() == ["monitor/a", "monitor/b", "monitor/c"]
    assert queries.alerts(status="firing") == []


def test_an_entry_that_goes_on_failing_is_set_aside_and_told_until_the_follower_is_well(
    notes: Notes, clock: FakeClock
) -> None:
    _calm("a", "b")
    notes.errors["monitor/a"] = KeyError("no such thing")
    waited = 0.0
    while (wait := catch_up(notes.follower, clock)) is not None:
        clock.advance(wait)
        waited += wait
    assert notes.seen.count("monitor/a") in (followers.TRIES, followers.TRIES + 1)  # telling may take the turn anew
    assert waited == 123.0
    assert notes.followed() == ["monitor/b"]
    (alert,) = queries.alerts(status="firing")
    assert (alert.subject, alert.title) == ("mainstay/test.notes", "a part of Mainstay itself fails: test.notes")
    assert "entry 1 of the journal was tried 8 times and set aside" in alert.message
    notes.errors.clear()
    _calm("a")
    catch_up(notes.follower, clock)
    assert queries.alerts(status="firing") == []


def test_a_clock_that_was_set_back_delays_the_next_try_by_a_minute_at_most(notes: Notes, clock: FakeClock) -> None:
    _calm("a", "b")
    notes.errors["monitor/a"] = KeyError("no such thing")
    catch_up(notes.follower, clock)
    notes.errors.clear()
    clock.set(-86_400.0)
    waited = 0.0
    while (wait := catch_up(notes.follower, clock)) is not None and waited <= 60.0:
        clock.advance(wait)
        waited += wait
    assert waited <= 60.0
    assert notes.followed() == ["monitor/a", "monitor/b"]


def test_a_cursor_without_work_follows_the_end_of_the_journal(notes: Notes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followers, "_STEP", 3)
    for _ in range(2):
        happen("monitor.history_erased", "monitor/c")
    catch_up(notes.follower)
    assert not FollowerRow.objects.exists(), "a look writes nothing"
    happen("monitor.history_erased", "monitor/c")
    catch_up(notes.follower)
    assert FollowerRow.objects.get().seq == 3


def test_a_follower_that_is_new_in_a_version_begins_with_what_happens_from_then_on(notes: Notes) -> None:
    _calm("before")
    open_data(current_settings())
    _calm("after")
    catch_up(notes.follower)
    open_data(current_settings())
    assert notes.seen == ["monitor/after"]
    assert FollowerRow.objects.get(name="test.notes").seq == 2


def test_alerts_about_parts_that_a_version_has_no_more_end_with_the_upgrade(notes: Notes, clock: FakeClock) -> None:
    with unit_of_work(ME) as work:
        work.note("watch.reactions.gone", Told("monitor.went_up", "monitor/api"), KeyError("x"))
        work.note("test.notes", Told("monitor.went_up", "monitor/api"), KeyError("x"))
    begin()
    begin()
    assert [alert.subject for alert in queries.alerts(status="firing")] == ["mainstay/test.notes"]


def test_two_followers_of_one_name_are_refused(notes: Notes) -> None:
    with pytest.raises(AssertionError, match=r"test\.notes"):
        follow("test.notes", "monitor.went_up")(lambda _work, _entry: None)


def test_news_wake_its_lane_and_health_tells_how_late_it_is(notes: Notes) -> None:
    asyncio.run(_lane(notes))


async def _lane(notes: Notes) -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    parts = Parts(current_settings(), None)
    try:
        (lane,) = (one for one in parts.declared if one.name == "test.notes")
        assert lane.alone
        assert not lane.vital
        turn = asyncio.create_task(lane.turn())
        await asyncio.sleep(0)  # it listens, and perhaps has looked already
        await in_thread(_calm, "a")
        await asyncio.wait_for(turn, 3.0)  # sooner than it looks by itself
        turn = asyncio.create_task(lane.turn())
        await asyncio.to_thread(wait_for, lambda: notes.seen)
        await in_thread(_calm, "b")
        await asyncio.wait_for(turn, 3.0)
        assert (await in_thread(notes.followed))[0] == "monitor/a"
        assert await lane.probe() == "ok"
        await in_thread(happen, "monitor.flapping_stopped", "monitor/late", FakeClock(1_000.0))
        assert "of the journal to read, the oldest for " in await lane.probe()
    finally:
        await asyncio.to_thread(connections.close_all)
        parts.telemetry.close()
        parts.heartbeats.close()
        parts.writer.stop()
