from __future__ import annotations

from typing import Any

import pytest
from tests.rigs.receivers import Reply, decide, declare, happen, receiver

from mainstay.alerting import advancing, delivery, queries, verbs
from mainstay.alerting.models import OutboxRow
from mainstay.frames.boot import current_settings
from mainstay.kernel.actor import Actor, system
from mainstay.kernel.errors import Conflict, Forbidden, NotFound, Refused, Unavailable, UserError
from mainstay.store.journal import entries

pytestmark = pytest.mark.usefixtures("store")
ONCALL = Actor("user", "oncall@example.com", frozenset({"alerts:write", "channels:test"}))
READER = Actor("user", "reader@example.com", frozenset({"alerts:read"}))


@pytest.fixture
def alert_id(clock: Any) -> str:
    declare("monitor", "api", {"http": "https://api.example.com"})
    declare("channel", "hook", {"webhook": {"url": "https://hooks.example.com/x"}})
    happen("monitor.went_down", "monitor/api", clock)
    return queries.alerts()[0].id


def _count(kind: str) -> int:
    return sum(entry.kind == kind for entry in entries(limit=0))


def test_acknowledging_is_told_once_and_a_repeat_is_harmless(alert_id: str, clock: Any) -> None:
    verbs.acknowledge_alert(ONCALL, alert_id, clock)
    verbs.acknowledge_alert(system("other"), alert_id, clock)
    alert = queries.alert(alert_id)
    assert (alert.acknowledged_by, alert.acknowledged_at) == ("user:oncall@example.com", clock.now())
    assert _count("alert.acknowledged") == 1
    assert alert.state(clock.now()) == "acknowledged"


def test_every_verb_asks_for_its_scope(alert_id: str, clock: Any) -> None:
    room = delivery.Room(lambda *_: 1)
    for call in (
        lambda: verbs.acknowledge_alert(READER, alert_id, clock),
        lambda: verbs.mute_alert(READER, alert_id, clock.now() + 60, clock),
        lambda: verbs.unmute_alert(READER, alert_id, clock),
        lambda: advancing.due_alerts(READER, clock),
        lambda: advancing.advance_alerts(READER, [alert_id], clock),
        lambda: advancing.put_off(READER, alert_id, "x", clock),
        lambda: advancing.follow_clock_back(READER, clock),
        lambda: verbs.unacknowledge_alert(READER, alert_id, clock),
        lambda: verbs.note_alert(READER, alert_id, "mine", clock),
        lambda: verbs.resolve_alert(READER, alert_id, "planned", clock),
        lambda: verbs.send_alert(READER, alert_id, clock),
        lambda: verbs.test_channel(READER, "hook"),
        lambda: delivery.claim_due(READER, current_settings(), room, 60, clock),
        lambda: delivery.hasten(READER, "hook", clock),
        lambda: delivery.reclaim(READER, clock),
    ):
        with pytest.raises(Forbidden):
            call()
    assert queries.alert(alert_id).acknowledged_at is None


def test_muting_holds_back_what_was_not_handed_over_and_the_end_of_nothing_is_not_told(
    alert_id: str, clock: Any
) -> None:
    until = clock.now() + 3600
    verbs.mute_alert(ONCALL, alert_id, until, clock)
    verbs.mute_alert(ONCALL, alert_id, until, clock)
    assert _count("alert.muted") == 1
    row = OutboxRow.objects.get()
    assert row.state == "suppressed"
    assert row.reason.startswith("the alert is muted until")
    assert queries.alert(alert_id).state(clock.now()) == "muted"
    assert queries.alert(alert_id).state(until) == "firing"
    happen("monitor.went_up", "monitor/api", clock)
    assert OutboxRow.objects.count() == 1


def test_a_muted_alert_that_was_told_is_told_to_be_over(alert_id: str, clock: Any) -> None:
    claims = delivery.claim_due(system("lane"), current_settings(), delivery.Room(lambda *_: 9), 60, clock)
    delivery.mark_delivered(system("lane"), claims[0], verbs.Receipt(), clock)
    verbs.mute_alert(ONCALL, alert_id, clock.now() + 3600, clock)
    happen("monitor.went_up", "monitor/api", clock)
    assert OutboxRow.objects.get(kind="resolved").state == "pending"


def test_whoever_was_told_after_the_clock_was_set_back_is_not_told_again(alert_id: str, clock: Any) -> None:
    """The message before it was held back, and is of a later time by the clock that was ahead."""
    verbs.mute_alert(ONCALL, alert_id, clock.now() + 60, clock)
    clock.set(-3600.0)
    delivery.hasten(system("lane"), clock=clock)
    clock.advance(1.0)
    verbs.unmute_alert(ONCALL, alert_id, clock)
    decide(clock)
    claims = delivery.claim_due(system("lane"), current_settings(), delivery.Room(lambda *_: 9), 60, clock)
    delivery.mark_delivered(system("lane"), claims[0], verbs.Receipt(), clock)
    assert verbs.send_alert(ONCALL, alert_id, clock) == []


def test_no_new_messages_while_muted_and_again_after_unmuting(clock: Any) -> None:
    declare("monitor", "api", {"http": "https://api.example.com", "alert_on": ["down", "degraded"]})
    declare("channel", "hook", {"webhook": {"url": "https://hooks.example.com/x"}})
    happen("monitor.went_degraded", "monitor/api", clock)
    alert = queries.alerts()[0]
    verbs.mute_alert(ONCALL, alert.id, clock.now() + 60, clock)
    happen("monitor.went_down", "monitor/api", clock)
    assert set(OutboxRow.objects.values_list("state", flat=True)) == {"suppressed"}
    verbs.unmute_alert(ONCALL, alert.id, clock)
    verbs.unmute_alert(ONCALL, alert.id, clock)
    assert _count("alert.unmuted") == 1
    decide(clock)
    assert OutboxRow.objects.filter(state="pending").count() == 1
    happen("monitor.went_down", "monitor/api", clock, severity="P0")
    assert OutboxRow.objects.filter(state="pending").count() == 2


@pytest.mark.parametrize("offset", [-1, 0, 31 * 86_400])
def test_a_mute_ends_in_the_next_thirty_days(alert_id: str, clock: Any, offset: float) -> None:
    with pytest.raises(UserError, match="30 days"):
        verbs.mute_alert(ONCALL, alert_id, clock.now() + offset, clock)


def test_what_is_over_cannot_be_taken(alert_id: str, clock: Any) -> None:
    happen("monitor.went_up", "monitor/api", clock)
    with pytest.raises(Conflict, match="is resolved"):
        verbs.acknowledge_alert(ONCALL, alert_id, clock)
    with pytest.raises(NotFound):
        verbs.acknowledge_alert(ONCALL, "nonsense", clock)


def test_a_test_message_is_sent_recorded_and_never_pending() -> None:
    with receiver() as hook:
        declare("channel", "hook", {"webhook": {"url": hook.url}})
        receipt = verbs.test_channel(ONCALL, "hook")
        assert receipt.detail == "200 ok"
        sent = hook.requests[0].json
        assert (sent["status"], sent["alert"]["id"][:5]) == ("test", "test-")
        hook.answer = lambda _: Reply(404, body=b"gone")
        with pytest.raises(Refused, match="404: gone"):
            verbs.test_channel(ONCALL, "hook")
        hook.answer = lambda _: Reply(503)
        with pytest.raises(Unavailable):
            verbs.test_channel(ONCALL, "hook")
    assert _count("channel.tested") == 3
    assert [row.state for row in OutboxRow.objects.order_by("id")] == ["delivered", "refused", "refused"]
    health = queries.channel_health()[0]
    assert (health.state, health.pending) == ("down", 0)
    assert "503" in health.problem


def test_testing_a_channel_that_is_not_there_gets_a_guess() -> None:
    declare("channel", "hook", {"webhook": {"url": "https://hooks.example.com/x"}})
    with pytest.raises(NotFound, match="did you mean `hook`"):
        verbs.test_channel(ONCALL, "hok")


def test_channel_health_shows_a_refusal_until_the_next_success(alert_id: str, clock: Any) -> None:
    assert queries.channel_health()[0].state == "unknown"
    lane, room = system("lane"), delivery.Room(lambda *_: 9)
    claim = delivery.claim_due(lane, current_settings(), room, 60, clock)[0]
    delivery.mark_failed(lane, claim, Refused("no such hook"), delivery.Failure(None, "refused permanently"), clock)
    health = queries.channel_health()[0]
    assert (health.state, health.problem, health.refused) == ("down", "no such hook", 1)
    clock.advance(60)
    happen("monitor.went_up", "monitor/api", clock)
    happen("monitor.went_down", "monitor/api", clock)
    claim = delivery.claim_due(lane, current_settings(), room, 60, clock)[0]
    delivery.mark_delivered(lane, claim, verbs.Receipt("200"), clock)
    health = queries.channel_health()[0]
    assert (health.state, health.problem, health.delivered, health.refused) == ("up", "", 1, 1)


def test_lists_show_what_is_open_and_worst_first(clock: Any) -> None:
    for name, severity, parent in (("a", "P2", ""), ("b", "P0", ""), ("c", "P0", "b"), ("delta", "P3", "")):
        declare("monitor", name, {"http": f"https://{name}.example.com"})
        happen("monitor.went_down", f"monitor/{name}", clock, severity=severity, suppressed_by=parent)
    happen("monitor.went_up", "monitor/delta", clock)
    assert [alert.name for alert in queries.alerts()] == ["b", "a", "c", "delta"]
    assert [alert.name for alert in queries.alerts(status="firing", severity="P0")] == ["b", "c"]
    assert [alert.name for alert in queries.alerts(text="DELTA is")] == ["delta"]
    assert set(queries.open_alerts_by_subject(["monitor/a", "monitor/delta"])) == {"monitor/a"}


def test_one_alert_reads_with_its_journal_and_notifications(alert_id: str, clock: Any) -> None:
    verbs.acknowledge_alert(ONCALL, alert_id, clock)
    alert = queries.whole_alert(alert_id)
    kinds = [entry.kind for entry in alert.journal]
    assert kinds == ["monitor.went_down", "alert.fired", "alert.told", "alert.acknowledged"]
    assert [one.channel for one in alert.notifications] == ["hook"]
    assert [one.id for one in queries.notifications_of("monitor/api")] == [OutboxRow.objects.get().id]
    assert alert.as_dict()["acknowledged_at"].endswith("Z")
