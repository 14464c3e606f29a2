"""A guard that raises: what it looked at stands, and somebody is told of the mistake, once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from tests.rigs.clocks import FakeClock
from tests.rigs.receivers import decide, declare, happen
from tests.rigs.told import Told
from tests.rigs.watching import moves

from mainstay.alerting import queries
from mainstay.alerting.models import OutboxRow
from mainstay.kernel.actor import system
from mainstay.kernel.errors import Conflict, StoreBusy
from mainstay.kernel.event import Event
from mainstay.store import work as units
from mainstay.store.journal import entries
from mainstay.store.models import FactRow
from mainstay.store.seals.proving import verify
from mainstay.store.work import Work, guard, unit_of_work
from mainstay.watch.models import MonitorStateRow
from mainstay.watch.verbs import record_transitions

pytestmark = pytest.mark.usefixtures("store")
LANE = system("watch")


@dataclass
class Mistake:
    """A guard of falls that raises while `error` is set, after it has written something."""

    error: Exception | None = None
    wrote: list[str] = field(default_factory=list)


@pytest.fixture
def mistake() -> Iterator[Mistake]:
    made = Mistake(KeyError("no such thing"))

    @guard("monitor.went_down", "heartbeat.went_up")
    def stumble(work: Work, event: Event) -> None:
        FactRow.objects.create(key=f"half.{work.now}.{event.subject}"[:60], value="written by halves")
        work.record(Told("monitor.flapping_started", event.subject, {"share": 1}))
        work.after_commit(lambda: made.wrote.append(event.subject))
        if made.error is not None:
            raise made.error

    yield made
    for guards in units._guards.values():
        if stumble in guards:
            guards.remove(stumble)


def _kinds() -> list[str]:
    return [entry.kind for entry in entries(newest_first=False) if not entry.kind.startswith("resources.")]


def test_the_transition_stands_and_its_alert_opens_though_another_guard_fails(mistake: Mistake) -> None:
    uid = declare("monitor", "api", {"http": "https://api.example.com"})
    declare("channel", "hook", {"webhook": {"url": "https://hooks.example.com/x"}})
    assert record_transitions(LANE, moves("api", "up", "down", "down")) == []
    assert MonitorStateRow.objects.get(uid=uid).state == "down"
    assert {alert.subject for alert in queries.alerts()} == {"monitor/api", "mainstay/test_faults.stumble"}
    assert _kinds()[1:] == ["monitor.went_down", "alert.fired", "mainstay.reaction_failed", "alert.fired"]
    assert decide() == 2
    assert OutboxRow.objects.filter(kind="firing").count() == 2
    assert not FactRow.objects.filter(key__startswith="half.").exists()
    assert mistake.wrote == []
    assert verify().broken_at is None


def test_it_is_told_once_and_over_when_it_works_for_all_that_it_failed_at(mistake: Mistake) -> None:
    for name in ("api", "web", "api"):
        happen("monitor.went_down", f"monitor/{name}")
    own = "mainstay/test_faults.stumble"
    assert _kinds().count("mainstay.reaction_failed") == 1
    mistake.error = None
    happen("heartbeat.went_up", "monitor/api")
    assert "mainstay.reaction_works" not in _kinds()
    happen("heartbeat.went_up", "monitor/web")
    assert _kinds().count("mainstay.reaction_works") == 1
    ended = next(alert for alert in queries.alerts(status="resolved") if alert.subject == own)
    assert (ended.title, ended.severity) == ("a part of Mainstay itself fails: test_faults.stumble", "P1")
    assert mistake.wrote == ["monitor/api", "monitor/web"]
    assert not FactRow.objects.filter(key__startswith="reaction.").exists()


@pytest.mark.parametrize("at", [1_000.0, 4e9])
def test_a_failure_of_long_ago_at_something_that_is_gone_holds_nothing_up(mistake: Mistake, at: float) -> None:
    """Nor does one while the clock was ahead."""
    happen("monitor.went_down", "monitor/gone", FakeClock(at))
    mistake.error = None
    happen("monitor.went_down", "monitor/api")
    assert _kinds().count("mainstay.reaction_works") == 1


def test_alerting_that_fails_at_its_own_alert_neither_loops_nor_loses_the_transition(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mainstay.alerting import guards

    def broken(*_args: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(guards, "_fire", broken)
    happen("monitor.went_down", "monitor/api")
    assert _kinds() == ["monitor.went_down", "mainstay.reaction_failed"]


@pytest.mark.parametrize("error", [Conflict("somebody has that role"), StoreBusy("locked")])
def test_a_refusal_and_trouble_of_the_database_undo_the_whole_unit(mistake: Mistake, error: Exception) -> None:
    mistake.error = error
    with pytest.raises(type(error)), unit_of_work(LANE) as work:
        work.record(Told("monitor.went_down", "monitor/api", {}))
    assert _kinds() == []
