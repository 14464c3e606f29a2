"""Overrides, swaps and temporary schedules: what they change, who may, and that a repeat does no harm."""

from __future__ import annotations

import pytest
from tests.oncall.rig import DEPUTY, LEAD, NOBODY, PLANNER, STRANGER, at, declare_team, told
from tests.rigs.clocks import FakeClock

from mainstay.kernel.errors import Conflict, Forbidden, NotFound, UserError
from mainstay.oncall import verbs
from mainstay.oncall.queries import duty

pytestmark = pytest.mark.usefixtures("store")

CLOCK = FakeClock(at("2026-12-07T12:00"))
DAY = (at("2026-12-08T09:00"), at("2026-12-09T09:00"))
NEXT_WEEK = (at("2026-12-15T09:00"), at("2026-12-16T09:00"))


@pytest.fixture(autouse=True)
def team() -> None:
    declare_team()


def on(text: str) -> list[tuple[str, str]]:
    return [(one.person, one.why) for one in duty(CLOCK.now()).on_duty("primary", at(text))]


def test_who_stands_in_for_another_is_on_duty_for_the_time_of_it() -> None:
    verbs.override(PLANNER, "primary", DAY, add="deputy", remove="lead", note="dentist", clock=CLOCK)
    assert [on(text)[0][0] for text in ("2026-12-08T08:59", "2026-12-08T09:00", "2026-12-09T09:00")] == [
        "lead",
        "deputy",
        "lead",
    ]
    assert on("2026-12-08T09:00") == [("deputy", "by an override")]
    (event,) = told("schedule.overridden")
    assert (event["add"], event["remove"], event["note"]) == ("deputy", "lead", "dentist")


def test_an_override_that_adds_or_removes() -> None:
    verbs.override(PLANNER, "primary", DAY, add="deputy", clock=CLOCK)
    assert [person for person, _ in on("2026-12-08T10:00")] == ["lead", "deputy"]
    verbs.override(PLANNER, "primary", DAY, remove="lead", clock=CLOCK)
    assert on("2026-12-08T10:00") == [("deputy", "by an override")]


def test_the_same_override_again_is_no_second_one() -> None:
    first = verbs.override(PLANNER, "primary", DAY, add="deputy", remove="lead", clock=CLOCK)
    assert verbs.override(PLANNER, "primary", DAY, add="deputy", remove="lead", clock=CLOCK) == first
    assert len(told("schedule.overridden")) == 1


def test_a_person_may_take_a_shift_and_give_it_back_but_not_give_it_to_another() -> None:
    taken = verbs.override(DEPUTY, "primary", DAY, add="deputy", remove="lead", clock=CLOCK)
    with pytest.raises(Forbidden):
        verbs.remove_override(LEAD, taken, clock=CLOCK)
    assert verbs.remove_override(DEPUTY, taken, clock=CLOCK)
    assert not verbs.remove_override(DEPUTY, taken, clock=CLOCK)
    assert on("2026-12-08T10:00") == [("lead", "by layer 1")]
    for actor, people in ((LEAD, ("deputy", "lead")), (LEAD, ("", "lead")), (STRANGER, ("deputy", "lead"))):
        with pytest.raises(Forbidden):
            verbs.override(actor, "primary", DAY, add=people[0], remove=people[1], clock=CLOCK)


def test_an_override_that_began_is_over_when_it_is_removed() -> None:
    taken = verbs.override(
        PLANNER, "primary", (at("2026-12-07T10:00"), DAY[1]), add="deputy", remove="lead", clock=CLOCK
    )
    assert verbs.remove_override(PLANNER, taken, clock=CLOCK)
    assert [on(text)[0][0] for text in ("2026-12-07T11:00", "2026-12-07T12:00")] == ["deputy", "lead"]


def test_a_swap_is_asked_for_and_accepted_by_the_other() -> None:
    swap = verbs.ask_swap(LEAD, "primary", DAY, ("lead", "deputy"), back=NEXT_WEEK, note="wedding", clock=CLOCK)
    assert verbs.ask_swap(LEAD, "primary", DAY, ("lead", "deputy"), back=NEXT_WEEK, clock=CLOCK) == swap
    assert on("2026-12-08T10:00")[0][0] == "lead"
    for actor in (LEAD, STRANGER):
        with pytest.raises(Forbidden):
            verbs.answer_swap(actor, swap, "accepted", clock=CLOCK)
    assert verbs.answer_swap(DEPUTY, swap, "accepted", clock=CLOCK)
    assert not verbs.answer_swap(DEPUTY, swap, "accepted", clock=CLOCK)
    assert [on(text)[0][0] for text in ("2026-12-08T10:00", "2026-12-15T10:00")] == ["deputy", "lead"]
    with pytest.raises(Conflict):
        verbs.answer_swap(LEAD, swap, "withdrawn", clock=CLOCK)
    assert [event["answer"] for event in told("schedule.swap_answered")] == ["accepted"]
    assert len(told("schedule.swap_asked")) == 1


def test_a_swap_that_is_declined_or_withdrawn_changes_nothing() -> None:
    one = verbs.ask_swap(LEAD, "primary", DAY, ("lead", "deputy"), clock=CLOCK)
    verbs.answer_swap(DEPUTY, one, "declined", clock=CLOCK)
    other = verbs.ask_swap(LEAD, "primary", DAY, ("lead", "deputy"), clock=CLOCK)
    assert other != one
    with pytest.raises(Forbidden):
        verbs.answer_swap(DEPUTY, other, "withdrawn", clock=CLOCK)
    verbs.answer_swap(LEAD, other, "withdrawn", clock=CLOCK)
    assert on("2026-12-08T10:00")[0][0] == "lead"


def test_a_swap_is_of_a_shift_that_there_is() -> None:
    with pytest.raises(UserError, match="lead is not on duty then"):
        verbs.ask_swap(LEAD, "primary", NEXT_WEEK, ("lead", "deputy"), clock=CLOCK)
    with pytest.raises(Forbidden):
        verbs.ask_swap(DEPUTY, "primary", DAY, ("lead", "deputy"), clock=CLOCK)
    with pytest.raises(NotFound):
        verbs.answer_swap(DEPUTY, "00000000000000000000000000", "accepted", clock=CLOCK)


def test_a_temporary_schedule_stands_for_rotations_and_overrides() -> None:
    verbs.override(PLANNER, "primary", DAY, add="deputy", remove="lead", clock=CLOCK)
    span = (at("2026-12-08T00:00"), at("2026-12-09T00:00"))
    shifts = [(at("2026-12-08T00:00"), at("2026-12-08T12:00"), "lead")]
    made = verbs.make_temporary(PLANNER, "primary", span, shifts, note="move", clock=CLOCK)
    assert on("2026-12-08T10:00") == [("lead", "by a temporary schedule")]
    assert on("2026-12-08T12:00") == []
    assert verbs.remove_temporary(PLANNER, made, clock=CLOCK)
    assert not verbs.remove_temporary(PLANNER, made, clock=CLOCK)
    assert on("2026-12-08T10:00") == [("deputy", "by an override")]
    with pytest.raises(Forbidden):
        verbs.make_temporary(LEAD, "primary", span, shifts, clock=CLOCK)
    with pytest.raises(UserError, match="lies within"):
        verbs.make_temporary(PLANNER, "primary", span, [(span[0], span[1] + 1, "lead")], clock=CLOCK)


def test_what_makes_no_sense_is_refused() -> None:
    past = (at("2026-12-07T09:00"), at("2026-12-07T10:00"))
    for span in (past, (DAY[1], DAY[0]), (DAY[0], DAY[0] + 400 * 86_400)):
        with pytest.raises(UserError):
            verbs.override(PLANNER, "primary", span, add="deputy", clock=CLOCK)
    with pytest.raises(NotFound):
        verbs.override(PLANNER, "primary", DAY, add="nobody-else", clock=CLOCK)
    with pytest.raises(NotFound):
        verbs.override(PLANNER, "other", DAY, add="deputy", clock=CLOCK)
    for people in (("", ""), ("lead", "lead")):
        with pytest.raises(UserError):
            verbs.override(PLANNER, "primary", DAY, add=people[0], remove=people[1], clock=CLOCK)


def test_without_the_scope_nothing_is_changed() -> None:
    with pytest.raises(Forbidden):
        verbs.override(NOBODY, "primary", DAY, add="lead", clock=CLOCK)
    with pytest.raises(Forbidden):
        verbs.ask_swap(NOBODY, "primary", DAY, ("lead", "deputy"), clock=CLOCK)
    with pytest.raises(Forbidden):
        verbs.answer_swap(NOBODY, "x", "accepted", clock=CLOCK)
    with pytest.raises(Forbidden):
        verbs.remove_override(NOBODY, "x", clock=CLOCK)
    with pytest.raises(Forbidden):
        verbs.remove_temporary(NOBODY, "x", clock=CLOCK)
