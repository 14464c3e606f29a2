"""Escalations: who is paged when, what stops them, and what happens if nobody can be reached."""

from __future__ import annotations

from typing import Any

import pytest
from tests.rigs.clocks import FakeClock
from tests.rigs.receivers import declare, happen

from mainstay.alerting import delivery, timers, verbs
from mainstay.alerting.models import AlertRow, EscalationRow, OutboxRow
from mainstay.alerting.rules import Failure
from mainstay.frames.boot import current_settings
from mainstay.kernel.actor import system
from mainstay.kernel.errors import Refused
from mainstay.kernel.ports import Receipt
from mainstay.store.journal import entries

pytestmark = pytest.mark.usefixtures("store")
LANE = system("delivery")
GROUPS, RUNS = timers.TIMERS
PERSON = {"email": "lead@example.com", "contact": [{"channel": "hook"}, {"channel": "bell", "after": "3m"}]}


@pytest.fixture
def clock() -> FakeClock:
    for name in ("hook", "bell", "mail"):
        declare("channel", name, {"webhook": {"url": f"https://hooks.example.com/{name}"}})
    declare("person", "lead", PERSON)
    declare("person", "owner", {"contact": [{"channel": "mail"}]})
    return FakeClock()


def _policy(**more: Any) -> None:
    steps = [{"to": ["person/lead"]}, {"after": "15m", "to": ["person/owner"]}]
    declare("escalation_policy", "default", {"steps": steps, **more})
    declare("route", "all", {"to": ["policy/default"]})


def _down(clock: FakeClock, name: str = "api", **more: Any) -> AlertRow:
    happen("monitor.went_down", f"monitor/{name}", clock, since=clock.now(), **more)
    return AlertRow.objects.get(name=name, status="firing")


def _go(clock: FakeClock, seconds: float = 0.0) -> list[str]:
    """Whom messages go to that are due within so many seconds, in order: `receiver kind`."""
    before = set(OutboxRow.objects.values_list("id", flat=True))
    end = clock.now() + seconds
    while True:
        for timer in timers.TIMERS:
            for key in timers.due(LANE, timer, clock):
                timers.go_off(LANE, timer, key, clock)
        if clock.now() >= end:
            break
        clock.advance(min(30.0, end - clock.now()))
    rows = OutboxRow.objects.exclude(id__in=before).order_by("created_at", "id")
    return [f"{row.channel} {row.kind}" for row in rows]


def _told(kind: str) -> list[dict[str, Any]]:
    return [entry.data for entry in entries(newest_first=False) if entry.kind == kind]


def test_each_step_comes_in_its_time_until_somebody_takes_it(clock: FakeClock) -> None:
    _policy()
    alert = _down(clock)
    assert _go(clock) == ["person/lead/0 firing"]
    assert _go(clock, 170) == []
    assert _go(clock, 10) == ["person/lead/1 firing"]
    assert _go(clock, 719) == []
    assert _go(clock, 1) == ["person/owner/0 firing"]
    verbs.acknowledge_alert(system("owner"), alert.id, clock)
    assert _go(clock, 7200) == []
    assert EscalationRow.objects.get().state == "acknowledged"
    steps = _told("escalation.stepped")
    assert [(one["step"], one["paged"]) for one in steps] == [
        (1, {"person/lead/0": "person/lead, by channel", "person/lead/1": "person/lead, by channel"}),
        (2, {"person/owner/0": "person/owner, by channel"}),
    ]


def test_who_was_paged_hears_the_end_and_nobody_is_paged_after_it(clock: FakeClock) -> None:
    _policy()
    _down(clock)
    assert _go(clock) == ["person/lead/0 firing"]
    happen("monitor.went_up", "monitor/api", clock)
    assert _go(clock, 3600) == ["person/lead/0 resolved"]
    assert EscalationRow.objects.get().state == "over"


def test_a_repeated_policy_ends_and_says_that_nobody_answered(clock: FakeClock) -> None:
    _policy(repeat=1)
    _down(clock)
    assert _go(clock, 3600) == [
        "person/lead/0 firing",
        "person/lead/1 firing",
        "person/owner/0 firing",
        "person/lead/0 firing",
        "person/lead/1 firing",
        "person/owner/0 firing",
    ]
    assert EscalationRow.objects.get().state == "exhausted"
    assert [one["reached"] for one in _told("escalation.exhausted")] == [True]
    assert _told("escalation.fell_back") == []


def test_a_page_that_can_reach_nobody_goes_to_every_channel_and_says_so(clock: FakeClock) -> None:
    declare("person", "new", {"email": "new@example.com"})  # an address that nobody has verified
    declare("route", "all", {"to": ["person/new"]})
    _down(clock)
    assert sorted(_go(clock)) == ["bell firing", "hook firing", "mail firing"]
    assert OutboxRow.objects.first().reason == "person/new could reach nobody, so every channel is notified"
    assert _told("escalation.stepped")[0]["missed"] == {"person/new": "new has no way to be reached that was verified"}


def test_a_page_that_there_are_no_means_for_has_reached_nobody(clock: FakeClock) -> None:
    declare("person", "nameless", {"contact": [{"push": {}}]})  # devices belong to accounts, which addresses name
    declare("route", "all", {"to": ["person/nameless"]})
    _down(clock)
    assert sorted(_go(clock)) == ["bell firing", "hook firing", "mail firing"]
    assert _told("escalation.stepped")[0]["missed"] == {"person/nameless/0": "this server has no means to reach it"}


def _refuse(clock: FakeClock) -> None:
    for claim in delivery.claim_due(LANE, current_settings(), delivery.Room(lambda *_: 9), 60, clock):
        delivery.mark_failed(LANE, claim, Refused("no device is registered"), Failure(None, "refused"), clock)


def test_a_page_that_was_refused_lets_nobody_wait_for_the_next_step(clock: FakeClock) -> None:
    declare("person", "lead", {"contact": [{"channel": "hook"}]})
    _policy()
    _down(clock)
    assert _go(clock) == ["person/lead/0 firing"]
    _refuse(clock)
    assert _go(clock) == ["person/owner/0 firing"]
    assert EscalationRow.objects.get().state == "exhausted"
    _refuse(clock)
    assert sorted(_go(clock)) == ["bell firing", "hook firing", "mail firing"]
    _refuse(clock)
    assert _go(clock, 60) == []
    assert [one["channels"] for one in _told("escalation.fell_back")] == [["bell", "hook", "mail"]]


def test_an_escalation_that_ended_is_not_ended_again_when_one_alert_of_its_group_is_over(clock: FakeClock) -> None:
    _policy()
    declare("route", "all", {"to": ["policy/default"], "group_by": [], "group_wait": "30s", "group_interval": "5m"})
    _down(clock)
    _down(clock, "web")
    _down(clock, "db")
    _go(clock, 3600)
    assert EscalationRow.objects.get().state == "exhausted"
    happen("monitor.went_up", "monitor/web", clock)
    assert _go(clock, 60) == []
    for name in ("api", "db"):
        verbs.acknowledge_alert(system("lead"), AlertRow.objects.get(name=name).id, clock)
    _go(clock, 60)
    happen("monitor.went_up", "monitor/db", clock)
    assert _go(clock, 60) == []
    assert len(_told("escalation.exhausted")) == 1
    assert [one["reason"] for one in _told("escalation.ended")] == ["somebody took it"]


def test_a_running_escalation_keeps_the_policy_that_it_began_with(clock: FakeClock) -> None:
    _policy()
    _down(clock)
    assert _go(clock) == ["person/lead/0 firing"]
    declare("escalation_policy", "default", {"steps": [{"to": ["channel/hook"]}]})
    assert _go(clock, 900) == ["person/lead/1 firing", "person/owner/0 firing"]


def test_giving_an_alert_back_begins_anew(clock: FakeClock) -> None:
    _policy()
    alert = _down(clock)
    _go(clock)
    verbs.acknowledge_alert(system("lead"), alert.id, clock)
    assert _go(clock, 600) == []
    verbs.unacknowledge_alert(system("lead"), alert.id, clock)
    assert _go(clock) == ["person/lead/0 firing"]


def test_a_mute_holds_the_steps_back_until_it_ends(clock: FakeClock) -> None:
    _policy()
    alert = _down(clock)
    _go(clock)
    verbs.mute_alert(system("lead"), alert.id, clock.now() + 3600, clock)
    assert _go(clock, 3500) == []
    assert sorted(_go(clock, 200)) == ["person/lead/1 firing", "person/owner/0 firing"]


def test_a_group_is_paged_once_and_anew_when_it_has_news_after_it_was_taken(clock: FakeClock) -> None:
    _policy()
    declare("route", "all", {"to": ["policy/default"], "group_by": [], "group_wait": "30s", "group_interval": "5m"})
    first = _down(clock)
    _down(clock, "web")
    assert _go(clock, 30) == ["person/lead/0 firing"]
    assert OutboxRow.objects.get().payload["alert"]["title"] == "2 alerts firing"
    for alert in AlertRow.objects.all():
        verbs.acknowledge_alert(system("lead"), alert.id, clock)
    assert _go(clock, 600) == []
    assert first.status == "firing"
    _down(clock, "db")
    assert _go(clock, 300) == ["person/lead/0 firing"]
    for name in ("api", "web", "db"):
        happen("monitor.went_up", f"monitor/{name}", clock)
    assert _go(clock, 600) == ["person/lead/0 resolved"]


def test_conditions_skip_a_step_and_the_next_comes_at_once(clock: FakeClock) -> None:
    steps = [{"to": ["person/lead"], "severity": ["P0"]}, {"to": ["channel/mail"], "after": "15m"}]
    declare("escalation_policy", "default", {"steps": steps})
    declare("route", "all", {"to": ["policy/default"]})
    _down(clock)
    assert _go(clock) == []
    assert _go(clock, 1) == ["mail firing"]
    assert _told("escalation.stepped")[0]["skipped"] == "it is for P0 only"


def test_what_waits_waits_as_long_as_it_was_meant_to_when_the_clock_is_set(clock: FakeClock) -> None:
    _policy()
    _down(clock)
    _go(clock)
    clock.set(-3600)
    timers.follow_clock(LANE, -3600, clock)
    assert _go(clock, 170) == []
    assert _go(clock, 10) == ["person/lead/1 firing"]


def test_messages_to_people_are_claimed_and_delivered_like_others(clock: FakeClock) -> None:
    _policy()
    _down(clock)
    _go(clock)
    (claim,) = delivery.claim_due(LANE, current_settings(), delivery.Room(lambda *_: 9), 60, clock)
    assert (claim.channel, claim.spec.target.url) == ("person/lead/0", "https://hooks.example.com/hook")
    delivery.mark_delivered(LANE, claim, Receipt("ok"), clock)
    assert OutboxRow.objects.get().state == "delivered"
