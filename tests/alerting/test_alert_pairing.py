"""Whatever happens, in whatever order: each channel hears of an alert in order, once for each news of it, down and up
pair, and nobody is spared for ever."""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.rigs.receivers import decide, declare, occur

from mainstay.alerting import delivery, verbs
from mainstay.alerting.models import AlertRow, OutboxRow
from mainstay.alerting.rules import FINAL, Failure
from mainstay.frames.boot import current_settings
from mainstay.kernel.actor import system
from mainstay.kernel.errors import Conflict, Refused, Unavailable
from mainstay.kernel.ports import Receipt
from mainstay.store.journal import Filter, entries
from mainstay.store.seals.proving import verify

pytestmark = pytest.mark.usefixtures("store")
LANE = system("delivery")
CHANNELS = ("a", "b", "quiet")
_serial = itertools.count()

_events = st.sampled_from(
    ["went_down", "went_degraded", "went_unknown", "went_up", "went_paused", "went_maintenance", "stayed_down"]
)
_steps = st.one_of(
    st.tuples(st.just("event"), _events, st.sampled_from(["", "", "", "gateway"])),
    st.tuples(st.just("deliver"), st.sampled_from(["ok", "later", "refused", "crash"]), st.just("")),
    st.tuples(st.sampled_from(["mute", "unmute", "acknowledge", "send", "stages"]), st.just(""), st.just("")),
)


class Story:
    """One monitor's life, and what each channel heard."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock
        self.name = f"m{next(_serial)}"
        self.heard: dict[str, list[str]] = defaultdict(list)  # channel -> keys, in order of first arrival
        declare("monitor", self.name, {"http": "https://x.example.com", "alert_on": ["down", "degraded"]})

    def play(self, step: tuple[str, str, str]) -> None:
        self.clock.advance(1)
        what, how, more = step
        if what == "event":
            occur(f"monitor.{how}", f"monitor/{self.name}", self.clock, suppressed_by=more)
        elif what == "deliver":
            self.deliver(how)
        elif what == "stages":
            decide(self.clock)
            self.check_spared()
        else:
            self.decide(what)

    def deliver(self, how: str) -> int:
        room = delivery.Room(lambda *_: 10)
        claims = delivery.claim_due(LANE, current_settings(), room, 30, self.clock)
        for claim in claims:
            if how in ("ok", "crash") and claim.message.id not in self.heard[claim.channel]:
                self.heard[claim.channel].append(claim.message.id)
            if how == "ok":
                delivery.mark_delivered(LANE, claim, Receipt(), self.clock)
            elif how == "later":
                delivery.mark_failed(LANE, claim, Unavailable("busy"), Failure(2.0, "later"), self.clock)
            elif how == "refused":
                delivery.mark_failed(LANE, claim, Refused("no"), Failure(None, "refused"), self.clock)
        return len(claims)

    def decide(self, what: str) -> None:
        alert = AlertRow.objects.filter(name=self.name).order_by("-id").first()
        if alert is None:
            return
        try:
            if what == "mute":
                verbs.mute_alert(LANE, alert.id, self.clock.now() + 3, self.clock)
            elif what == "unmute":
                verbs.unmute_alert(LANE, alert.id, self.clock)
            elif what == "send":
                verbs.send_alert(LANE, alert.id, self.clock)
            else:
                verbs.acknowledge_alert(LANE, alert.id, self.clock)
        except Conflict:
            assert alert.status == "resolved" or what == "send"

    def check_spared(self) -> None:
        """Whoever has not heard of an open alert is spared for a reason that ends: a time, or an event that is due."""
        for alert in AlertRow.objects.filter(name=self.name, status="firing"):
            held = alert.way["steps"][-1]["verdict"] == "hold"
            assert held == bool(alert.suppressed_by or alert.aside or alert.muted_until)
            assert (alert.next_at is not None) == (held and not alert.suppressed_by and not alert.aside)
            assert held or not alert.news
            newest = dict(alert.notifications.order_by("created_at", "id").values_list("channel", "state"))
            assert held or (set(newest) == set(CHANNELS) and "suppressed" not in newest.values())

    def finish(self) -> None:
        """Everything gets through in the end."""
        occur("monitor.went_up", f"monitor/{self.name}", self.clock)
        for _ in range(8):
            self.clock.advance(31)
            decide(self.clock)
            self.deliver("ok")
        assert self.deliver("ok") == 0


@pytest.fixture
def channels(store: None) -> None:
    for name in CHANNELS:
        declare("channel", name, {"webhook": "https://h.example.com/x", "resolved": name != "quiet"})


@pytest.mark.usefixtures("channels")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(_steps, max_size=20))
def test_down_and_up_pair_on_every_channel(clock: Any, steps: list[tuple[str, str, str]]) -> None:
    story = Story(clock)
    for step in steps:
        story.play(step)
        assert AlertRow.objects.filter(name=story.name, status="firing").count() <= 1
    story.finish()
    alerts = list(AlertRow.objects.filter(name=story.name))
    assert all((alert.status, alert.next_at, alert.news) == ("resolved", None, "") for alert in alerts)
    for alert, channel in itertools.product(alerts, CHANNELS):
        rows = list(OutboxRow.objects.filter(alert=alert, channel=channel))
        _check(rows, story.heard[channel])
        got_through = sum(row.kind == "firing" and row.state == "delivered" for row in rows)
        assert got_through <= _news_of(alert), "nobody hears of the same thing by two messages"
    assert verify().broken_at is None


def _news_of(alert: AlertRow) -> int:
    kinds = ("alert.fired", "alert.escalated", "alert.unsuppressed")
    told = entries(Filter(subject=alert.subject), limit=0)
    return sum(entry.kind in kinds and entry.data["alert"] == alert.id for entry in told)


def _check(rows: list[OutboxRow], heard: list[str]) -> None:
    assert all(row.state in FINAL for row in rows)
    assert all(row.reason for row in rows if row.state in ("suppressed", "cancelled")), "explained"
    delivered = {row.id: row for row in rows if row.state == "delivered"}
    kinds = [delivered[key].kind for key in heard if key in delivered]
    assert kinds.count("resolved") <= 1
    if "resolved" in kinds:
        assert kinds[-1] == "resolved", "the end comes last"
        assert "firing" in kinds, "nobody hears of the end of what they never heard of"
    elif "firing" in kinds:
        endings = [row for row in rows if row.kind == "resolved"]
        assert [row.state for row in endings] in (["suppressed"], ["refused"], ["expired"]), "an end is never just lost"
