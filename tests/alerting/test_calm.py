"""What keeps alerts from waking anybody for a while, and that they go their way once it is gone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.rigs.clocks import FakeClock
from tests.rigs.receivers import declare, happen, remove

from mainstay.alerting import advancing, verbs
from mainstay.alerting.models import AlertRow, OutboxRow
from mainstay.kernel.actor import system

pytestmark = pytest.mark.usefixtures("store")
LANE = system("delivery")
MONDAY = datetime(2027, 1, 4, 8, 0, tzinfo=UTC).timestamp()


@pytest.fixture
def clock() -> FakeClock:
    declare("channel", "hook", {"webhook": {"url": "https://hooks.example.com/x"}})
    return FakeClock(MONDAY)


def _down(name: str, clock: FakeClock, **labels: str) -> AlertRow:
    known = {"monitor": name, "severity": "P1", **labels}
    happen("monitor.went_down", f"monitor/{name}", clock, labels=known, severity=known["severity"], since=clock.now())
    return AlertRow.objects.get(name=name, status="firing")


def _told(clock: FakeClock, seconds: float = 0.0) -> list[str]:
    """Titles of the messages that are written within so many seconds."""
    before = set(OutboxRow.objects.values_list("id", flat=True))
    clock.advance(seconds)
    while advancing.advance_due(LANE, clock):
        pass
    rows = OutboxRow.objects.exclude(id__in=before).filter(kind="firing").order_by("created_at", "id")
    return [row.payload["alert"]["title"] for row in rows]


def _held(alert: AlertRow) -> tuple[str, str, str]:
    alert.refresh_from_db()
    step: dict[str, Any] = (alert.way or {})["steps"][-1]
    return step["stage"], step["verdict"], step["rule"]


def test_a_silence_holds_back_until_it_ends(clock: FakeClock) -> None:
    declare("silence", "load", {"match": ["service=batch"], "rule": "daily 07:00-09:00", "comment": "import"})
    alert = _down("import", clock, service="batch")
    assert OutboxRow.objects.count() == 0
    assert _held(alert) == ("silence", "hold", "load")
    assert _told(clock, 3599) == []
    assert _told(clock, 1) == ["import is down"]


def test_a_silence_that_is_taken_away_holds_back_nothing(clock: FakeClock) -> None:
    declare("silence", "load", {"match": ["service=batch"], "until": "2027-02-01"})
    _down("import", clock, service="batch")
    remove("silence", "load")
    assert _told(clock) == ["import is down"]


def test_matchers_see_the_severity_of_every_alert_as_its_priority(clock: FakeClock) -> None:
    declare("silence", "calm", {"match": ["priority=P3"], "until": "2027-02-01"})
    happen("monitor.went_down", "monitor/a", clock, labels={"severity": "warning"}, severity="P3", since=clock.now())
    assert _held(AlertRow.objects.get())[2] == "calm"


def test_an_alert_that_stands_for_others_holds_them_back_until_it_is_over(clock: FakeClock) -> None:
    rule = {"source": ["check=gateway"], "target": ['severity=~"P2|P3"'], "equal": ["site"]}
    declare("inhibition", "site-down", rule)
    _down("gw", clock, check="gateway", site="ber", severity="P1")
    held = _down("api", clock, site="ber", severity="P2")
    _down("far", clock, site="muc", severity="P2")
    assert {row.payload["alert"]["title"] for row in OutboxRow.objects.all()} == {"gw is down", "far is down"}
    assert _held(held) == ("inhibit", "hold", "site-down")
    happen("monitor.went_up", "monitor/gw", clock)
    _told(clock)
    assert {row.payload["alert"]["title"] for row in OutboxRow.objects.filter(kind="firing")} >= {"api is down"}


def test_one_whose_source_is_deleted_is_held_back_no_more(clock: FakeClock) -> None:
    declare("inhibition", "site-down", {"source": ["check=gateway"], "target": ["severity=P2"]})
    uid = declare("monitor", "gw", {"http": "https://gw.example.com"})
    labels = {"check": "gateway", "severity": "P1"}
    happen("monitor.went_down", "monitor/gw", clock, labels=labels, uid=uid, since=clock.now())
    _down("api", clock, severity="P2")
    remove("monitor", "gw")
    assert _told(clock) == ["api is down"]


def test_a_route_keeps_to_its_hours(clock: FakeClock) -> None:
    declare("time_interval", "office", {"rules": ["weekdays 09:00-18:00"]})
    declare("route", "all", {"to": ["hook"], "active": ["office"]})
    alert = _down("a", clock)
    assert _held(alert) == ("route", "hold", "office")
    assert _told(clock, 3599) == []
    assert _told(clock, 1) == ["a is down"]


def test_what_goes_on_is_told_again_until_somebody_takes_it(clock: FakeClock) -> None:
    declare("route", "all", {"to": ["hook"], "repeat": "1h"})
    alert = _down("a", clock)
    OutboxRow.objects.update(state="delivered", next_at=None)
    assert _told(clock, 3599) == []
    assert _told(clock, 1) == ["a is down"]
    OutboxRow.objects.update(state="delivered", next_at=None)
    verbs.acknowledge_alert(system("lead"), alert.id, clock)
    assert _told(clock, 7200) == []


def test_what_passes_by_itself_in_time_wakes_nobody(clock: FakeClock) -> None:
    declare("route", "all", {"to": ["hook"], "hold": "2m"})
    _down("a", clock)
    _down("b", clock)
    happen("monitor.went_up", "monitor/a", clock)
    assert _told(clock, 120) == ["b is down"]
