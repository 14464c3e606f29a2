"""The stages between an alert and its messages: what each holds and why, and in which order they are asked."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.alerting.route_spec import RouteSpec
from mainstay.alerting.stages import STAGES, Case, Facts, explained, walk

NOW = 1000.0
CASE = Case(labels={"severity": "P1"}, news="down is confirmed")
FACTS = Facts(("hook", "mail"))
ONLY_P0 = [("urgent", RouteSpec(match=["severity=P0"], to=["hook"]))]


def test_the_list_is_the_order_in_which_they_are_asked() -> None:
    names = ["suppress", "silence", "inhibit", "route", "group", "dedup", "repeat", "rate", "escalate"]
    assert [stage.name for stage in STAGES] == names
    assert all(stage.asks for stage in STAGES)


@pytest.mark.parametrize(
    ("case", "facts", "stage", "reason", "next_at"),
    [
        (replace(CASE, suppressed_by="gw", muted_until=2e3), FACTS, "suppress", "its parent gw is failing too", None),
        (replace(CASE, aside="maintenance", muted_until=2e3), FACTS, "silence", "maintenance", None),
        (replace(CASE, muted_until=2e3), FACTS, "silence", "the alert is muted until 1970-01-01T00:33:20.000Z", 2e3),
        (CASE, Facts(), "route", "no channel is declared", None),
        (CASE, Facts(("hook",), ONLY_P0), "route", "no route matches its labels", None),
    ],
)
def test_what_holds_it_has_a_name_a_reason_and_perhaps_an_end(
    case: Case, facts: Facts, stage: str, reason: str, next_at: float | None
) -> None:
    way = walk(case, facts, NOW)
    assert way.held is not None
    assert (way.held.stage, way.held.decision.reason, way.next_at, dict(way.to)) == (stage, reason, next_at, {})


def test_a_mute_ends_at_its_moment() -> None:
    muted = replace(CASE, muted_until=NOW)
    assert walk(muted, FACTS, NOW - 1).held
    assert list(walk(muted, FACTS, NOW).to) == ["hook", "mail"]


@pytest.mark.parametrize(
    ("told", "news", "over", "to"),
    [
        ({}, "it began", False, ["hook", "mail"]),
        ({"hook": "delivered"}, "it got worse", False, ["hook", "mail"]),
        ({"hook": "delivered"}, "", False, ["mail"]),
        ({"hook": "pending", "mail": "delivering"}, "", False, []),
        ({"hook": "suppressed", "mail": "refused"}, "", False, ["hook", "mail"]),
        ({}, "it began", True, ["hook", "mail"]),
        ({"hook": "suppressed", "mail": "refused"}, "it got worse", True, []),
    ],
)
def test_news_is_for_all_and_else_for_whom_nothing_reached(
    told: dict[str, str], news: str, over: bool, to: list[str]
) -> None:
    way = walk(replace(CASE, news=news, over=over), replace(FACTS, told=told), NOW)
    assert list(way.to) == to
    assert way.held is None


def test_each_step_says_why_for_whoever_asks_why_they_were_woken() -> None:
    routes = [("all", RouteSpec(to=["hook", "mail"])), ("more", RouteSpec(to=["mail"]))]
    way = walk(CASE, Facts(("hook", "mail"), routes), NOW)
    assert [(step.stage, step.decision.reason) for step in way.steps] == [
        ("suppress", "no other failure explains it"),
        ("silence", "it is not muted, and neither a silence nor maintenance covers it"),
        ("route", "route all: hook, mail"),
        ("group", "no route groups it"),
        ("dedup", "news: down is confirmed"),
    ]


def test_a_cause_with_an_alert_of_its_own_is_named_in_words() -> None:
    assert explained("uplink/network") == "this machine has no network, which has an alert of its own"
    assert explained("uplink/resolver/b").startswith("the server b cannot resolve names, ")


@given(
    st.builds(
        Case,
        labels=st.dictionaries(st.sampled_from(["severity", "team"]), st.sampled_from(["P0", "web"])),
        news=st.sampled_from(["", "it began"]),
        suppressed_by=st.sampled_from(["", "gw", "uplink/network"]),
        aside=st.sampled_from(["", "maintenance"]),
        muted_until=st.none() | st.floats(0, 2000),
        over=st.booleans(),
    ),
    st.builds(
        Facts,
        st.lists(st.sampled_from(["hook", "mail"]), unique=True),
        st.sampled_from([[], ONLY_P0]),
        st.dictionaries(
            st.sampled_from(["hook", "mail"]), st.sampled_from(["pending", "delivered", "suppressed", "refused"])
        ),
    ),
)
def test_every_way_is_explained_and_comes_out_the_same_again(case: Case, facts: Facts) -> None:
    way = walk(case, facts, NOW)
    assert way == walk(case, facts, NOW)
    assert all(step.decision.reason for step in way.steps)
    assert set(way.to) <= set(facts.channels)
    assert way.held is None or not way.to
    assert way.next_at is None or way.next_at > NOW
