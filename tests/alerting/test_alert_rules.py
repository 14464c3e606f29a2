from __future__ import annotations

import pytest

from mainstay.alerting.route_spec import RouteSpec
from mainstay.alerting.routing import find_routes
from mainstay.alerting.rules import (
    LONGEST_PAUSE,
    LONGEST_RETRY_AFTER,
    after_failure,
    backoff,
    on_trouble,
    resolved_twin,
)
from mainstay.kernel.errors import Refused, Unavailable
from mainstay.kernel.patterns import stored

DOWN, ALL = {"down"}, {"down", "degraded", "unknown"}


@pytest.mark.parametrize(
    ("level", "alert_on", "current", "action"),
    [
        ("down", DOWN, None, "open"),
        ("degraded", DOWN, None, "ignore"),
        ("unknown", DOWN, None, "ignore"),
        ("degraded", ALL, None, "open"),
        ("unknown", ALL, None, "open"),
        ("down", ALL, "degraded", "escalate"),
        ("down", ALL, "unknown", "escalate"),
        ("degraded", ALL, "unknown", "escalate"),
        ("degraded", ALL, "down", "ease"),
        ("degraded", DOWN, "down", "resolve"),
        ("unknown", DOWN, "down", "ignore"),
        ("unknown", ALL, "down", "ignore"),
        ("unknown", ALL, "unknown", "update"),
        ("down", DOWN, "down", "update"),
        ("degraded", {"unknown"}, "unknown", "resolve"),
    ],
)
def test_what_a_state_does_to_an_alert(level: str, alert_on: set[str], current: str | None, action: str) -> None:
    decision = on_trouble(level, alert_on, current)
    assert decision.action == action
    assert decision.reason


def test_a_worse_severity_escalates_and_a_milder_one_does_not() -> None:
    assert on_trouble("down", DOWN, "down", ("P2", "P0")).action == "escalate"
    assert on_trouble("down", DOWN, "down", ("P0", "P2")).action == "update"


def _route(*to: str, match: tuple[str, ...] = (), stop: bool = False) -> RouteSpec:
    return RouteSpec(match=list(match), to=list(to), stop=stop)


def test_every_fitting_route_adds_its_channels_once_and_stop_ends_it() -> None:
    routes = [
        ("first", _route("hook", "mail", match=('severity=~"P0|P1"',))),
        ("other", _route("pager", match=('team="db"',))),
        ("second", _route("mail", "chat", stop=True)),
        ("never", _route("pager")),
    ]
    chosen = find_routes(routes, ["hook", "mail", "chat", "pager"], {"severity": "P1"})
    assert dict(chosen.channels) == {"hook": "route first", "mail": "route first", "chat": "route second"}
    assert chosen.untold == ""


def test_a_route_with_a_pattern_that_is_refused_by_now_tells_rather_than_keeps_still() -> None:
    with stored():
        routes = [("old", _route("a", match=('team!~"(?=x)"',), stop=True)), ("new", _route("b"))]
    chosen = find_routes(routes, ["a", "b"], {"team": "web"})
    assert chosen.channels == {"a": "route old, whose matchers cannot be read", "b": "route new"}


def test_without_routes_everybody_is_told_and_without_a_fitting_one_nobody_with_a_reason() -> None:
    assert list(find_routes([], ["a", "b"], {}).channels) == ["a", "b"]
    unfit = find_routes([("only", _route("a", match=("team=db",)))], ["a"], {})
    assert (dict(unfit.channels), unfit.untold) == ({}, "no route matches its labels")
    assert find_routes([], [], {}).untold == "no channel is declared"
    person = find_routes([("only", _route("person/lead"))], [], {})  # who is reached without any channel
    assert dict(person.channels) == {"person/lead": "route only"}


@pytest.mark.parametrize(
    ("states", "wanted", "expected"),
    [
        (["delivered"], True, "pending"),
        (["pending"], True, "pending"),
        (["delivering"], True, "pending"),
        (["refused"], True, "cancelled"),
        (["expired", "refused"], True, "cancelled"),
        (["refused", "delivered"], True, "pending"),
        (["delivered"], False, "suppressed"),
        (["delivered"], None, "cancelled"),
        (["suppressed"], True, None),
        ([], True, None),
    ],
)
def test_who_hears_that_it_is_over(states: list[str], wanted: bool | None, expected: str | None) -> None:
    twin = resolved_twin(states, wanted=wanted)
    assert (twin.state if twin else None) == expected
    assert twin is None or twin.state == "pending" or twin.reason


def test_backoff_doubles_up_to_five_minutes_with_jitter() -> None:
    assert [backoff(attempt, 0.5) for attempt in (1, 2, 3, 4)] == [1, 2, 4, 8]
    assert backoff(50, 0.5) == LONGEST_PAUSE
    assert backoff(10_000, 1.0) == LONGEST_PAUSE * 1.25
    assert backoff(3, 0.0) < backoff(3, 0.99)


def test_retry_after_is_honoured_within_bounds_and_refusals_are_final() -> None:
    assert after_failure(Refused("no"), 1, 0.5).again_in is None
    assert after_failure(Unavailable("busy"), 1, 0.5).again_in == 1
    assert after_failure(Unavailable("busy", retry_after=90), 1, 0.5).again_in == 90
    assert after_failure(Unavailable("busy", retry_after=0), 4, 0.5).again_in == 8
    assert after_failure(Unavailable("busy", retry_after=1e9), 1, 0.5).again_in == LONGEST_RETRY_AFTER
