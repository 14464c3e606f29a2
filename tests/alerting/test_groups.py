"""Alerts in groups: when a group is told of, what it says, and that whoever heard of something hears its end."""

from __future__ import annotations

from typing import Any

import pytest
from tests.rigs.clocks import FakeClock
from tests.rigs.receivers import declare, happen, remove

from mainstay.alerting import advancing, delivery, timers, verbs
from mainstay.alerting.models import AlertRow, GroupRow, MemberRow, OutboxRow
from mainstay.alerting.upkeep import prune_alerts
from mainstay.frames.boot import current_settings
from mainstay.kernel.actor import system
from mainstay.kernel.ports import Receipt
from mainstay.store.journal import entries

pytestmark = pytest.mark.usefixtures("store")
LANE = system("delivery")
START = 1_800_000_000.0
BY_SITE = {"to": ["hook"], "group_by": ["site"], "group_wait": "30s", "group_interval": "5m"}


@pytest.fixture
def clock() -> FakeClock:
    declare("channel", "hook", {"webhook": {"url": "https://hooks.example.com/x"}})
    return FakeClock(START)


def _down(name: str, clock: FakeClock, site: str = "ber", **more: Any) -> None:
    labels = {"monitor": name, "site": site, "severity": "P1"}
    happen("monitor.went_down", f"monitor/{name}", clock, labels=labels, since=clock.now(), **more)


def _up(name: str, clock: FakeClock) -> None:
    happen("monitor.went_up", f"monitor/{name}", clock)


def _flush(clock: FakeClock, seconds: float = 0.0) -> list[str]:
    """What is told after so many seconds: `kind title` of each message."""
    clock.advance(seconds)
    before = set(OutboxRow.objects.values_list("id", flat=True))
    for group in timers.due(LANE, timers.TIMERS[0], clock):
        assert timers.go_off(LANE, timers.TIMERS[0], group, clock)
    said = OutboxRow.objects.exclude(id__in=before).order_by("created_at", "id")
    return [f"{row.kind} {row.payload['alert']['title']}" for row in said]


def test_a_group_waits_for_others_and_makes_one_message(clock: FakeClock) -> None:
    declare("route", "all", BY_SITE)
    _down("a", clock)
    _down("b", clock)
    _down("c", clock, site="muc")
    assert _flush(clock, 29) == []
    assert sorted(_flush(clock, 1)) == ["firing 2 alerts firing: site=ber", "firing c is down"]
    assert _flush(clock, 299) == []
    assert _flush(clock, 1) == []
    told = OutboxRow.objects.exclude(payload__group__labels__site="muc").get().payload["group"]
    assert (told["firing"], told["resolved"], told["truncated"]) == (2, 0, 0)
    assert [one["title"] for one in told["alerts"]] == ["a is down", "b is down"]


def test_news_comes_with_the_interval_and_the_end_of_all_closes_the_group(clock: FakeClock) -> None:
    declare("route", "all", BY_SITE)
    _down("a", clock)
    assert _flush(clock, 30) == ["firing a is down"]
    _down("b", clock)
    assert _flush(clock, 299) == []
    assert _flush(clock, 1) == ["firing 2 alerts firing: site=ber"]
    _up("a", clock)
    assert _flush(clock, 300) == ["firing 1 alert firing: site=ber"]
    _up("b", clock)
    assert _flush(clock, 300) == ["resolved b is down"]
    assert _flush(clock, 3600) == []
    group = GroupRow.objects.get()
    assert (group.closed_at, group.next_at) == (START + 930, None)
    assert [one.kind for one in entries(newest_first=False) if one.kind.startswith("group.")] == [
        *["group.notified"] * 4,
        "group.closed",
    ]


def test_what_is_over_before_the_group_was_told_of_is_told_to_nobody(clock: FakeClock) -> None:
    declare("route", "all", BY_SITE)
    _down("a", clock)
    _up("a", clock)
    assert _flush(clock, 30) == []
    assert GroupRow.objects.get().closed_at == START + 30


def test_a_group_that_goes_on_is_told_of_again_after_its_repeat_unless_somebody_took_it(clock: FakeClock) -> None:
    declare("route", "all", BY_SITE | {"repeat": "1h"})
    _down("a", clock)
    assert _flush(clock, 30) == ["firing a is down"]
    for _ in range(11):
        assert _flush(clock, 300) == []
    assert _flush(clock, 300) == ["firing a is down"]
    verbs.acknowledge_alert(system("lead"), AlertRow.objects.get().id, clock)
    for _ in range(13):
        assert _flush(clock, 300) == []


def test_whoever_heard_of_it_hears_its_end_though_it_is_silenced_by_then(clock: FakeClock) -> None:
    declare("route", "all", BY_SITE)
    _down("a", clock)
    assert _flush(clock, 30) == ["firing a is down"]
    declare("silence", "quiet", {"match": ["site=ber"], "until": "2030-01-01T00:00:00Z", "comment": "known"})
    _down("b", clock)
    assert _flush(clock, 300) == []
    held = MemberRow.objects.get(alert__name="b").held
    assert held == "silence: silence quiet (known) covers it until 2030-01-01T00:00:00.000Z"
    _up("a", clock)
    assert _flush(clock, 300) == ["resolved a is down"]
    remove("silence", "quiet")
    assert _flush(clock, 300) == ["firing b is down"]


def test_alerts_of_a_route_that_takes_them_no_more_go_to_the_others(clock: FakeClock) -> None:
    declare("route", "all", BY_SITE)
    _down("a", clock)
    assert _flush(clock, 30) == ["firing a is down"]
    declare("channel", "mail", {"webhook": {"url": "https://hooks.example.com/y"}})
    declare("route", "all", BY_SITE | {"match": ["site=muc"]})
    declare("route", "other", {"to": ["mail"]})
    assert _flush(clock, 300) == []
    advancing.advance_due(LANE, clock)
    assert OutboxRow.objects.get(channel="mail").payload["alert"]["title"] == "a is down"
    assert _flush(clock, 300) == []
    assert advancing.due_alerts(LANE, clock) == [], "it is rerouted once"
    _up("a", clock)
    assert _flush(clock, 300) == ["resolved a is down"]
    assert GroupRow.objects.get().closed_at is not None


def test_what_may_pass_by_itself_waits_for_its_own_time(clock: FakeClock) -> None:
    declare("route", "all", BY_SITE | {"hold": "2m"})
    _down("a", clock)
    _down("b", clock)
    assert _flush(clock, 30) == []
    _up("a", clock)
    assert _flush(clock, 89) == []
    assert _flush(clock, 1) == ["firing b is down"]


def test_groups_go_with_their_alerts(clock: FakeClock) -> None:
    declare("route", "all", BY_SITE)
    _down("a", clock)
    _flush(clock, 30)
    _up("a", clock)
    _flush(clock, 300)
    OutboxRow.objects.update(state="delivered")
    clock.advance(31 * 86_400)
    assert prune_alerts(system("alerts"), 30, clock) == 1
    assert not GroupRow.objects.exists()


def test_a_message_that_never_came_is_told_anew(clock: FakeClock) -> None:
    declare("route", "all", BY_SITE)
    _down("a", clock)
    assert _flush(clock, 30) == ["firing a is down"]
    OutboxRow.objects.update(state="refused", next_at=None)
    assert _flush(clock, 300) == ["firing a is down"]
    claims = delivery.claim_due(LANE, current_settings(), delivery.Room(lambda *_: 9), 60, clock)
    delivery.mark_delivered(LANE, claims[0], Receipt("ok"), clock)
    assert _flush(clock, 300) == []


def test_a_group_of_thousands_is_one_message(clock: FakeClock) -> None:
    declare("route", "all", {"to": ["hook"], "group_by": []})
    for number in range(60):
        _down(f"m{number}", clock)
    assert _flush(clock, 30) == ["firing 60 alerts firing"]
    told = OutboxRow.objects.get().payload["group"]
    assert (len(told["alerts"]), told["truncated"]) == (50, 10)
