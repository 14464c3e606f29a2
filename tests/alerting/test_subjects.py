"""Whatever can be wrong says so by one contract, so that alerting needs to know none of it by name."""

from __future__ import annotations

from typing import Any

import pytest

from mainstay.heartbeats.transitions import title_of
from mainstay.kernel.capability import CAPABILITIES
from mainstay.kernel.subject import Trouble, tells
from mainstay.watch.state import Decision, MonitorState, Reason, State, Transition
from mainstay.watch.telling import Facts, Finding, events_of, uplink_event
from mainstay.watch.uplink import Change

FACTS = Facts("uid", "api", severity="P1", labels={"team": "web"}, alert_on=("down", "unknown"))
FIELDS = set(Trouble.__struct_encode_fields__) - {"subject", "again"}


def said(to: str, **more: Any) -> dict[str, Any]:
    reason = more.pop("reason", Reason.CONFIRMED)
    decision = Decision(MonitorState(since=5.0), reason, Transition("up", to, 5.0, reason), **more)
    (event,) = events_of(FACTS, decision, Finding("code", "message", {"a": 1}))
    assert event.subject == "monitor/api"
    return event.data


@pytest.mark.parametrize(
    ("to", "title"), [("down", "api is down"), ("degraded", "api is degraded"), ("unknown", "api cannot be checked")]
)
def test_a_monitor_tells_its_trouble_whole(to: str, title: str) -> None:
    assert tells(CAPABILITIES.events[f"monitor.went_{to}"]) == "trouble"
    data = said(to)
    assert set(data) >= FIELDS
    assert (data["title"], data["level"], data["alert_on"]) == (title, to, ["down", "unknown"])
    assert data["labels"] == {"team": "web", "monitor": "api", "severity": "P1"}


def test_a_monitor_that_flaps_says_so_in_its_title() -> None:
    assert said("down", flapped=(4, 600.0))["title"] == "api is flapping"


@pytest.mark.parametrize("state", ["down", "degraded"])
def test_a_monitor_that_stays_wrong_after_flapping_says_so(state: State) -> None:
    decision = Decision(MonitorState(state=state, since=5.0), Reason.STEADY, flapping=False, tell_again=True)
    told, calm = events_of(FACTS, decision, Finding("code", "message", {}))
    assert (told.kind, told.data["title"], told.data["level"]) == (f"monitor.stayed_{state}", f"api is {state}", state)
    assert tells(CAPABILITIES.events[told.kind]) == "trouble"
    assert told.data["again"] == f"it no longer flaps and stays {state}"
    assert calm.kind == "monitor.flapping_stopped"


def test_the_end_of_flapping_is_another_reason_for_an_end() -> None:
    assert tells(CAPABILITIES.events["monitor.went_up"]) == "over"
    assert said("up", reason=Reason.CALM_AGAIN)["over"] == "it no longer flaps"
    assert "over" not in said("up", reason=Reason.RECOVERED)
    assert said("degraded", reason=Reason.CALM_AGAIN)["again"] == "it no longer flaps and is degraded"


@pytest.mark.parametrize(
    ("code", "title"),
    [
        ("missed", "backup did not report in"),
        ("exit_3", "backup exited with 3"),
        ("fail", "backup reported a failure"),
        ("overran", "backup did not end in time"),
        ("not_started", "backup did not start in time"),
    ],
)
def test_a_job_says_what_it_failed_at(code: str, title: str) -> None:
    assert title_of("backup", code) == title


def test_the_machine_itself_is_a_subject_too() -> None:
    event = uplink_event(Change("network", True, 100.0, "no route"), "b")
    assert set(event.data) >= FIELDS
    assert (event.subject, event.data["title"]) == ("uplink/network/b", "the server b has no network")
    assert event.data["labels"] == {"uplink": "network/b", "severity": "P1"}
