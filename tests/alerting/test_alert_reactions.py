from __future__ import annotations

import contextlib
from typing import Any

import pytest
from tests.rigs.receivers import decide, declare, happen, occur, remove
from tests.rigs.told import Told

from mainstay.alerting import delivery, guards, queries, verbs
from mainstay.alerting.models import AlertRow, OutboxRow
from mainstay.alerting.rules import Failure
from mainstay.frames.boot import current_settings
from mainstay.kernel.actor import system
from mainstay.kernel.errors import Refused
from mainstay.kernel.ports import Receipt
from mainstay.store import work as work_of_store
from mainstay.store.journal import entries
from mainstay.store.work import unit_of_work

pytestmark = pytest.mark.usefixtures("store")
LANE = system("delivery")


def _monitor(name: str = "api", **more: Any) -> str:
    return declare("monitor", name, {"http": f"https://{name}.example.com", **more})


def _channel(name: str = "hook", **more: Any) -> None:
    declare("channel", name, {"webhook": {"url": "https://hooks.example.com/x"}, **more})


def _claims(clock: Any = None) -> list[delivery.Claim]:
    return delivery.claim_due(LANE, current_settings(), delivery.Room(lambda *_: 100, (), 1000), 60, clock)


def _deliver_all(clock: Any = None) -> list[str]:
    """Deliver until nothing is due: `channel kind` of each, in order."""
    done = []
    while claims := _claims(clock):
        for claim in claims:
            delivery.mark_delivered(LANE, claim, Receipt("ok"), clock)
            done.append(f"{claim.channel} {claim.message.status}")
    return done


def _states() -> list[tuple[str, str, str]]:
    return list(OutboxRow.objects.order_by("created_at", "kind", "channel").values_list("channel", "kind", "state"))


def _kinds() -> list[str]:
    return [entry.kind for entry in entries(newest_first=False) if not entry.kind.startswith("resources.")]


def test_a_fall_opens_one_alert_in_the_same_transaction_and_it_is_due_at_once() -> None:
    uid = _monitor(severity="P1", labels={"team": "web"})
    _channel()
    with contextlib.suppress(RuntimeError), unit_of_work(system("watch")) as work:
        work.record(Told("monitor.went_down", "monitor/api", {"uid": uid, "since": 5.0}))
        assert AlertRow.objects.count() == 1
        raise RuntimeError
    assert AlertRow.objects.count() == 0
    occur("monitor.went_down", "monitor/api", uid=uid, since=5.0)
    alert = queries.alerts()[0]
    assert (alert.title, alert.severity, alert.since, alert.status) == ("api is down", "P1", 5.0, "firing")
    assert _states() == []
    assert [decide(), decide()] == [1, 0]
    assert _states() == [("hook", "firing", "pending")]
    assert _kinds() == ["monitor.went_down", "alert.fired", "alert.told"]


def test_what_is_over_before_anybody_was_told_is_told_whole_and_in_order() -> None:
    _monitor()
    _channel()
    occur("monitor.went_down", "monitor/api")
    occur("monitor.went_up", "monitor/api")
    decide()
    assert _deliver_all() == ["hook firing", "hook resolved"]
    firing = OutboxRow.objects.get(kind="firing")
    assert (firing.payload["alert"]["until"], firing.payload["alert"]["title"]) == (None, "api is down")


def test_a_second_fall_updates_the_alert_and_tells_nobody_again() -> None:
    _monitor(severity="P1")
    _channel()
    happen("monitor.went_down", "monitor/api")
    happen("monitor.went_down", "monitor/api", message="timed out", code="wait.timeout")
    alert = queries.alerts()[0]
    assert (alert.message, alert.code) == ("timed out", "wait.timeout")
    assert len(queries.alerts()) == 1
    assert OutboxRow.objects.count() == 1


def test_the_end_goes_to_exactly_those_who_were_told_though_routes_changed() -> None:
    _monitor()
    for name in ("hook", "mail", "late"):
        _channel(name)
    declare("route", "r", {"to": ["hook", "mail"]})
    happen("monitor.went_down", "monitor/api")
    assert _deliver_all() == ["hook firing", "mail firing"]
    declare("route", "r", {"to": ["late"]})
    happen("monitor.went_up", "monitor/api")
    assert _deliver_all() == ["hook resolved", "mail resolved"]


def test_an_end_waits_for_its_beginning_on_the_same_channel() -> None:
    _monitor()
    _channel()
    happen("monitor.went_down", "monitor/api")
    happen("monitor.went_up", "monitor/api")
    assert [claim.message.status for claim in _claims()] == ["firing"]
    assert _claims() == []
    firing, resolved = OutboxRow.objects.order_by("kind")
    assert (resolved.after_id, resolved.next_at) == (firing.id, None)
    claim = delivery.Claim("hook", None, 1, delivery.message_of(firing, current_settings()))  # type: ignore[arg-type]
    delivery.mark_delivered(LANE, claim, Receipt())
    assert [claim.message.status for claim in _claims()] == ["resolved"]


def test_a_beginning_that_was_refused_cancels_its_end_with_a_reason() -> None:
    _monitor()
    _channel()
    happen("monitor.went_down", "monitor/api")
    claim = _claims()[0]
    happen("monitor.went_up", "monitor/api")
    delivery.mark_failed(LANE, claim, Refused("no such hook"), Failure(None, "refused permanently"))
    assert _states() == [("hook", "firing", "refused"), ("hook", "resolved", "cancelled")]
    assert OutboxRow.objects.get(kind="resolved").reason == "the firing message never reached this channel"
    assert _kinds()[-2:] == ["notification.refused", "notification.cancelled"]


def test_an_end_after_a_refused_beginning_is_cancelled_too() -> None:
    _monitor()
    _channel()
    happen("monitor.went_down", "monitor/api")
    delivery.mark_failed(LANE, _claims()[0], Refused("no"), Failure(None, "refused permanently"))
    happen("monitor.went_up", "monitor/api")
    assert _states()[-1] == ("hook", "resolved", "cancelled")


def test_channels_that_do_not_want_ends_get_none_and_the_journal_says_why() -> None:
    _monitor()
    _channel(resolved=False)
    happen("monitor.went_down", "monitor/api")
    happen("monitor.went_up", "monitor/api")
    assert _deliver_all() == ["hook firing"]
    assert _states()[-1] == ("hook", "resolved", "suppressed")
    assert "notification.suppressed" in _kinds()


@pytest.mark.parametrize(
    ("alert_on", "events", "statuses"),
    [
        (["down"], ["went_degraded"], []),
        (["down", "degraded"], ["went_degraded", "went_down", "went_up"], ["firing", "firing", "resolved"]),
        (["down", "degraded"], ["went_down", "went_degraded", "went_up"], ["firing", "resolved"]),
        (["down"], ["went_down", "went_degraded"], ["firing", "resolved"]),
        (["down"], ["went_down", "went_unknown", "went_down", "went_up"], ["firing", "resolved"]),
        (["down", "unknown"], ["went_unknown", "went_up"], ["firing", "resolved"]),
        (["down", "unknown"], ["went_down", "went_unknown", "went_down"], ["firing"]),
        (["unknown"], ["went_down"], []),
    ],
)
def test_alert_on_decides_and_getting_worse_is_told_again(
    alert_on: list[str], events: list[str], statuses: list[str]
) -> None:
    _monitor(alert_on=alert_on)
    _channel()
    for event in events:
        happen(f"monitor.{event}", "monitor/api")
    assert [told.removeprefix("hook ") for told in _deliver_all()] == statuses
    assert AlertRow.objects.count() == (1 if statuses else 0)


def test_a_failing_parent_holds_messages_back_until_it_is_back() -> None:
    _monitor()
    _channel()
    happen("monitor.went_down", "monitor/api", suppressed_by="gateway")
    assert _states() == []
    (held,) = [entry for entry in entries() if entry.kind == "alert.held"]
    assert (held.data["stage"], held.data["reason"]) == ("suppress", "its parent gateway is failing too")
    alert = queries.alerts()[0]
    assert (alert.suppressed_by, alert.state(0)) == ("gateway", "suppressed")
    happen("monitor.stayed_down", "monitor/api")
    assert _deliver_all() == ["hook firing"]
    assert queries.alerts()[0].suppressed_by == ""
    assert "alert.unsuppressed" in _kinds()
    happen("monitor.stayed_down", "monitor/api")
    assert _deliver_all() == []


def test_a_suppressed_alert_that_ends_tells_nobody() -> None:
    _monitor()
    _channel()
    happen("monitor.went_down", "monitor/api", suppressed_by="gateway")
    happen("monitor.went_up", "monitor/api")
    assert _deliver_all() == _states() == []


def test_staying_down_without_an_alert_opens_one() -> None:
    _monitor()
    _channel()
    happen("monitor.stayed_down", "monitor/api")
    assert _deliver_all() == ["hook firing"]


def test_a_pause_ends_the_alert_and_says_so() -> None:
    _monitor()
    _channel()
    happen("monitor.went_down", "monitor/api")
    happen("monitor.went_paused", "monitor/api")
    assert queries.alerts()[0].resolved_reason == "the monitor was paused"
    assert _deliver_all() == ["hook firing", "hook resolved"]


@pytest.mark.parametrize(("end", "told"), [("went_up", ["hook resolved"]), ("went_down", [])])
def test_a_window_over_an_open_alert_is_silent_and_its_end_begins_nothing_new(end: str, told: list[str]) -> None:
    _monitor()
    _channel()
    happen("monitor.went_down", "monitor/api")
    assert _deliver_all() == ["hook firing"]
    alert = queries.alerts()[0]
    verbs.acknowledge_alert(LANE, alert.id)
    happen("monitor.went_maintenance", "monitor/api", window="monthly")
    assert _deliver_all() == []
    assert queries.alert(alert.id).state(0) == "acknowledged"
    happen(f"monitor.{end}", "monitor/api", previous="maintenance")
    assert _deliver_all() == told
    (after,) = queries.alerts()
    assert (after.id, after.opened_at, after.acknowledged_by) == (alert.id, alert.opened_at, str(LANE))


def test_deleting_a_monitor_ends_its_alert() -> None:
    uid = _monitor()
    _channel()
    happen("monitor.went_down", "monitor/api", uid=uid)
    remove("monitor", "api")
    decide()
    assert queries.alerts()[0].resolved_reason == "the monitor was deleted"
    assert _deliver_all() == ["hook firing", "hook resolved"]


def test_deleting_a_channel_cancels_what_waits_for_it() -> None:
    _monitor()
    _channel()
    _channel("other")
    happen("monitor.went_down", "monitor/api")
    happen("monitor.went_up", "monitor/api")
    remove("channel", "hook")
    assert {(channel, state) for channel, _, state in _states()} == {("hook", "cancelled"), ("other", "pending")}
    assert _deliver_all() == ["other firing", "other resolved"]


def test_heartbeats_fall_and_rise_alike() -> None:
    declare("heartbeat", "backup", {"every": "1h"})
    _channel()
    happen("heartbeat.went_down", "heartbeat/backup", labels={"heartbeat": "backup"})
    assert queries.alerts()[0].title == "backup did not report in"
    happen("heartbeat.went_up", "heartbeat/backup")
    assert _deliver_all() == ["hook firing", "hook resolved"]


def test_a_lost_uplink_is_one_alert_about_the_machine() -> None:
    _channel()
    for _ in range(2):
        labels = {"uplink": "network", "severity": "P1"}
        happen("uplink.lost", "uplink/network", labels=labels, message="no target answered", code="", address="")
    alert = queries.alerts()[0]
    assert (alert.title, alert.severity, alert.kind) == ("this machine has no network", "P1", "uplink")
    assert alert.labels == {"uplink": "network", "severity": "P1"}
    assert "monitor" not in _claims()[0].message.links
    happen("uplink.restored", "uplink/resolver")
    assert queries.open_count() == 1
    happen("uplink.restored", "uplink/network")
    assert queries.open_count() == 0


def test_what_a_lost_uplink_explains_is_held_back() -> None:
    _monitor(alert_on=["down", "unknown"])
    _channel()
    happen("monitor.went_unknown", "monitor/api", suppressed_by="uplink/network")
    (held,) = [entry for entry in entries() if entry.kind == "alert.held"]
    assert held.data["reason"] == "this machine has no network, which has an alert of its own"
    happen("monitor.went_down", "monitor/api", suppressed_by="")
    assert _deliver_all() == ["hook firing"]


def test_an_alert_that_reaches_nobody_says_so() -> None:
    _monitor()
    happen("monitor.went_down", "monitor/api")
    assert queries.alerts()[0].untold == "no channel is declared"
    held = next(entry for entry in entries() if entry.kind == "alert.held")
    assert (held.data["stage"], held.data["reason"]) == ("route", "no channel is declared")


def test_what_changed_lately_is_told_without_values() -> None:
    _channel()
    _monitor(every="30s")
    declare("monitor", "api", {"http": "https://api.example.com/secret-path", "every": "45s"})
    happen("monitor.went_down", "monitor/api")
    newest, first = _claims()[0].message.changes
    assert "changed by system:test (revision 3): every, http" in newest
    assert "declared by system:test" in first
    assert "secret-path" not in newest


def test_long_evidence_fits_its_columns() -> None:
    _monitor()
    happen("monitor.went_down", "monitor/api", message="x" * 5000, reason="y" * 5000, code="z" * 500)
    assert len(queries.alerts()[0].message) == 1000


def test_what_this_version_cannot_read_stops_nothing_else() -> None:
    from mainstay.store.models import ResourceRow

    _monitor()
    _channel("hook")
    _channel("later")
    declare("route", "r", {"to": ["hook", "later"]})
    ResourceRow.objects.filter(name="later").update(document='{"webhook": {"url": "x", "newer": 1}}')
    ResourceRow.objects.filter(name="api").update(document='{"newer": 1}')
    happen("monitor.went_down", "monitor/api")
    assert _deliver_all() == ["hook firing"]
    assert _states() == [("hook", "firing", "delivered"), ("later", "firing", "pending")]
    assert "cannot read" in queries.channel_health()[1].problem


def test_patterns_that_are_refused_by_now_stop_nothing_and_silence_nobody() -> None:
    from mainstay.accounts import policies
    from mainstay.store.models import ResourceRow
    from mainstay.store.secrets import SecretSource
    from mainstay.watch.directory import Directory
    from mainstay.windows.queries import covering

    _monitor(labels={"team": "web"})
    _channel("hook")
    _channel("mail")
    declare("route", "old", {"match": ['team="x"'], "to": ["mail"], "stop": True})
    declare("route", "new", {"to": ["hook"]})
    declare("window", "w", {"rule": "daily 00:00-24:00", "covers": ['team="x"']})
    declare("role", "web", {"scopes": ["monitors:read"], "limit": ['team="x"']})
    for row in ResourceRow.objects.exclude(kind="channel"):
        document = row.document.replace('team=\\"x\\"', 'team=~\\"(?!x).*\\"')
        if row.kind == "monitor":
            document = document.replace("{", '{"expect": {"regex": "(?=ok)"}, ', 1)
        assert (document != row.document) == (row.name != "new")
        ResourceRow.objects.filter(uid=row.uid).update(document=document)
    assert policies.role("web").limits == ('team=~"(?!x).*"',)
    assert covering({"team": "web"}, 1e9) is None
    (monitor,) = Directory(SecretSource(current_settings())).refresh().monitors.values()
    assert monitor.options["expect"] == {"regex": "(?=ok)"}
    happen("monitor.went_down", "monitor/api", labels={"team": "web"})
    assert sorted(_deliver_all()) == ["hook firing", "mail firing"]
    assert "cannot be read" in OutboxRow.objects.get(channel="mail").reason


def test_flapping_is_said_in_the_message_that_it_begins_with_and_calm_in_its_end() -> None:
    _monitor()
    _channel()
    happen("monitor.went_down", "monitor/api", flapping="it went down 3 times within 30 min", message="timed out")
    alert = queries.alerts()[0]
    assert alert.title == "api is flapping"
    assert alert.message == (
        "it went down 3 times within 30 min, so the next message comes when it has stopped flapping; timed out"
    )
    happen("monitor.went_up", "monitor/api", reason="calm_again", over="it no longer flaps")
    assert queries.alert(alert.id).resolved_reason == "it no longer flaps"
    assert _deliver_all() == ["hook firing", "hook resolved"]


def test_what_stays_down_after_flapping_is_told_once_more() -> None:
    _monitor()
    _channel()
    happen("monitor.went_down", "monitor/api", flapping="it went down 3 times within 30 min", message="timed out")
    again = "it no longer flaps and stays down"
    happen("monitor.stayed_down", "monitor/api", title="api is down", message="timed out", again=again)
    alert = queries.alerts()[0]
    assert (alert.title, alert.message) == ("api is down", "timed out")
    assert _deliver_all() == ["hook firing", "hook firing"]


def test_who_has_not_heard_yet_is_spared_by_a_window_and_told_at_its_end() -> None:
    _monitor()
    happen("monitor.went_down", "monitor/api")
    declare("window", "works", {"rule": "daily 00:00-24:00", "covers": ['monitor="api"', 'kind="http"']})
    happen("monitor.went_maintenance", "monitor/api", window="works")
    _channel()
    assert _deliver_all() == []
    declare("window", "works", {"from": "2020-01-01T00:00:00Z", "until": "2020-01-02T00:00:00Z"})
    happen("monitor.went_down", "monitor/api", previous="maintenance")
    assert _deliver_all() == ["hook firing"]
    happen("monitor.went_down", "monitor/api", previous="maintenance")
    assert _deliver_all() == []


def test_alerts_that_a_crash_left_behind_deleted_monitors_end_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many, most are ended after the deletion was committed."""
    uid = _monitor()
    happen("monitor.went_down", "monitor/api", uid=uid)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(work_of_store, "SLICE", 0)
    monkeypatch.setattr(guards, "_end_of_deleted", killed)
    with pytest.raises(KeyboardInterrupt):
        remove("monitor", "api")
    assert queries.alerts()[0].resolved_reason == ""
    decide()
    assert queries.alerts()[0].resolved_reason == "the monitor was deleted"
