"""What people do to open alerts besides taking them, and who is told when a mute ends or a first channel appears."""

from __future__ import annotations

from typing import Any

import pytest
from tests.rigs.receivers import decide, declare, happen

from mainstay.alerting import delivery, queries, verbs
from mainstay.alerting.models import AlertRow, OutboxRow
from mainstay.frames.boot import current_settings
from mainstay.kernel.actor import Actor, system
from mainstay.kernel.errors import Conflict, UserError
from mainstay.store.journal import Entry, entries

pytestmark = pytest.mark.usefixtures("store")
ONCALL = Actor("user", "oncall@example.com", frozenset({"alerts:write"}))
LANE = system("delivery")


def _channel(name: str) -> None:
    declare("channel", name, {"webhook": {"url": "https://hooks.example.com/x"}})


def _down(clock: Any, name: str = "api") -> str:
    declare("monitor", name, {"http": f"https://{name}.example.com"})
    happen("monitor.went_down", f"monitor/{name}", clock)
    return queries.alerts(subject=f"monitor/{name}")[0].id


def _entries(kind: str) -> list[Entry]:
    return [entry for entry in entries(limit=0) if entry.kind == kind]


def _pending() -> list[str]:
    return list(OutboxRow.objects.filter(state="pending").order_by("channel").values_list("channel", flat=True))


def _deliver(clock: Any) -> list[str]:
    claims = delivery.claim_due(LANE, current_settings(), delivery.Room(lambda *_: 9), 60, clock)
    for claim in claims:
        delivery.mark_delivered(LANE, claim, verbs.Receipt(), clock)
    return [claim.channel for claim in claims]


def test_who_was_spared_by_a_mute_is_told_when_it_ends_and_the_trouble_goes_on(clock: Any) -> None:
    _channel("hook")
    alert = _down(clock)
    verbs.mute_alert(ONCALL, alert, clock.now() + 3600, clock)
    assert [decide(clock), decide(clock)] == [1, 0]
    assert _pending() == []
    clock.advance(3600)
    assert decide(clock) == 1
    assert _pending() == ["hook"]
    assert decide(clock) == 0
    assert [entry.data["reason"] for entry in _entries("alert.unmuted")] == ["its time is up"]
    assert queries.alert(alert).state(clock.now()) == "firing"


def test_who_knows_already_is_not_told_again_when_a_mute_ends(clock: Any) -> None:
    _channel("hook")
    alert = _down(clock)
    assert _deliver(clock) == ["hook"]
    verbs.mute_alert(ONCALL, alert, clock.now() + 60, clock)
    _channel("later")
    clock.advance(61)
    decide(clock)
    assert _pending() == ["later"]


def test_a_mute_that_outlives_its_trouble_tells_nobody(clock: Any) -> None:
    _channel("hook")
    verbs.mute_alert(ONCALL, _down(clock), clock.now() + 60, clock)
    happen("monitor.went_up", "monitor/api", clock)
    clock.advance(61)
    assert decide(clock) == 0
    assert _pending() == []


def test_the_first_channel_is_told_of_what_is_open_already(clock: Any) -> None:
    alert = _down(clock)
    assert queries.alert(alert).untold == "no channel is declared"
    _channel("hook")
    decide()
    assert queries.alert(alert).untold == ""
    assert _pending() == ["hook"]
    _channel("second")
    assert decide() == 0
    assert _pending() == ["hook"]
    assert [entry.data["channels"] for entry in _entries("alert.told")] == [["hook"]]


def test_the_first_route_that_fits_tells_what_is_open_already(clock: Any) -> None:
    _channel("hook")
    declare("route", "others", {"match": ["team=data"], "to": ["hook"]})
    alert = _down(clock)
    assert queries.alert(alert).untold == "no route matches its labels"
    declare("route", "all", {"to": ["hook"]})
    decide()
    assert queries.alert(alert).untold == ""
    assert _pending() == ["hook"]


def test_a_person_sends_an_open_alert_to_who_has_not_heard_of_it(clock: Any) -> None:
    alert = _down(clock)
    with pytest.raises(Conflict, match="no channel is declared"):
        verbs.send_alert(ONCALL, alert, clock)
    _channel("hook")
    decide()
    assert _deliver(None) == ["hook"]  # written when the channel was declared, by the real clock
    _channel("second")
    assert verbs.send_alert(ONCALL, alert, clock) == ["second"]
    assert verbs.send_alert(ONCALL, alert, clock) == []
    verbs.mute_alert(ONCALL, alert, clock.now() + 60, clock)
    with pytest.raises(Conflict, match="muted"):
        verbs.send_alert(ONCALL, alert, clock)


def test_an_acknowledgement_is_taken_back_once(clock: Any) -> None:
    alert = _down(clock)
    verbs.acknowledge_alert(ONCALL, alert, clock)
    verbs.unacknowledge_alert(ONCALL, alert, clock)
    verbs.unacknowledge_alert(ONCALL, alert, clock)
    assert queries.alert(alert).acknowledged_at is None
    told = [entry.data["acknowledged_by"] for entry in _entries("alert.unacknowledged")]
    assert told == ["user:oncall@example.com"]


def test_a_note_stays_with_its_writer_and_is_taken_away(clock: Any) -> None:
    alert = _down(clock)
    verbs.note_alert(ONCALL, alert, " disk is full, ordered more ", clock)
    verbs.note_alert(ONCALL, alert, "disk is full, ordered more", clock)
    found = queries.alert(alert)
    assert (found.note, found.noted_by) == ("disk is full, ordered more", "user:oncall@example.com")
    verbs.note_alert(ONCALL, alert, "", clock)
    assert queries.alert(alert).note == ""
    assert len(_entries("alert.noted")) == 2
    with pytest.raises(UserError, match="1000 characters"):
        verbs.note_alert(ONCALL, alert, "x" * 1001, clock)


def test_an_alert_is_closed_by_hand_with_a_reason_that_channels_hear(clock: Any) -> None:
    _channel("hook")
    alert = _down(clock)
    _deliver(clock)
    with pytest.raises(UserError, match="needs a reason"):
        verbs.resolve_alert(ONCALL, alert, "  ", clock)
    clock.advance(90)
    verbs.resolve_alert(ONCALL, alert, "the host is retired", clock)
    verbs.resolve_alert(ONCALL, alert, "again", clock)
    decide(clock)
    assert queries.alert(alert).resolved_reason == "closed manually: the host is retired"
    (entry,) = _entries("alert.resolved")
    assert (entry.actor, entry.data["seconds_open"]) == ("user:oncall@example.com", 90)
    assert OutboxRow.objects.get(kind="resolved").payload["evidence"]["ended"].endswith("the host is retired")
    happen("monitor.went_down", "monitor/api", clock)
    assert queries.open_count() == 1


def test_who_was_spared_before_alerts_went_through_stages_is_told_all_the_same(clock: Any) -> None:
    """As version 0.1.0 left it: no news, a message held back for each channel, and a mute that is to end."""
    _channel("hook")
    alert = _down(clock)
    verbs.mute_alert(ONCALL, alert, clock.now() + 60, clock)
    AlertRow.objects.update(news="", way=None, next_at=clock.now() + 60)
    assert list(OutboxRow.objects.values_list("state", flat=True)) == ["suppressed"]
    clock.advance(60)
    assert [decide(clock), decide(clock)] == [1, 0]
    assert _pending() == ["hook"]
