"""What an alert's page, command and API show of its groups and of who is paged step by step."""

from __future__ import annotations

import pytest
from tests.rigs.clocks import FakeClock
from tests.rigs.receivers import declare, happen

from mainstay.alerting import queries, timers, verbs
from mainstay.alerting.models import AlertRow, OutboxRow
from mainstay.alerting.showing import comes_next, step_of, told_of, why_of
from mainstay.kernel.actor import system

pytestmark = pytest.mark.usefixtures("store")
LANE = system("delivery")


@pytest.fixture
def clock() -> FakeClock:
    declare("channel", "hook", {"webhook": {"url": "https://hooks.example.com/x"}})
    declare("person", "lead", {"contact": [{"channel": "hook"}]})
    steps = [{"to": ["person/lead"]}, {"to": ["channel/hook"], "after": "15m"}]
    declare("escalation_policy", "default", {"steps": steps})
    declare("route", "all", {"to": ["policy/default", "hook"], "group_by": ["site"], "group_wait": "30s"})
    return FakeClock()


def _down(name: str, clock: FakeClock) -> None:
    happen("monitor.went_down", f"monitor/{name}", clock, labels={"site": "ber"}, since=clock.now())


def _go(clock: FakeClock, seconds: float) -> None:
    clock.advance(seconds)
    for timer in timers.TIMERS:
        for key in timers.due(LANE, timer, clock):
            timers.go_off(LANE, timer, key, clock)


def _whole(name: str) -> queries.WholeAlert:
    return queries.whole_alert(AlertRow.objects.get(name=name).id)


def test_an_alert_that_others_head_shows_the_messages_of_its_group(clock: FakeClock) -> None:
    _down("api", clock)
    _down("web", clock)
    _go(clock, 30)
    for name in ("api", "web"):
        whole = _whole(name)
        assert sorted(told_of(one, clock.now()).whom for one in whole.notifications) == ["hook", "lead"]
        assert comes_next(whole, clock.now()) == [
            ("Group site=ber of route all", "2 alerts, looked at next in 5 min"),
            ("policy/default", "1 of 2 steps taken, next in 15 min"),
        ]
        assert [one.text for one in map(step_of, whole.journal) if one.words == "Escalation step"] == [
            "step 1: lead (person/lead, by channel)"
        ]
        why = why_of(whole)
        assert why is not None
        assert why.outcome == "Its group is notified"


def test_an_alert_that_joined_later_shows_no_messages_of_before(clock: FakeClock) -> None:
    _down("api", clock)
    _go(clock, 30)
    clock.advance(1)
    _down("web", clock)
    assert _whole("web").notifications == []
    verbs.acknowledge_alert(system("lead"), AlertRow.objects.get(name="api").id, clock)
    assert len(_whole("api").notifications) == OutboxRow.objects.count() == 2


def test_what_was_left_out_says_why(clock: FakeClock) -> None:
    declare("silence", "known", {"match": ["site=ber"], "until": "2030-01-01"})
    _down("api", clock)
    _go(clock, 30)
    ((_, what),) = comes_next(_whole("api"), clock.now())
    assert what.startswith("1 alert, looked at next in 5 min; this one was left out, silence: silence known covers it")
