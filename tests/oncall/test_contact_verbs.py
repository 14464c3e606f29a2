"""A way to reach a person is used once it is proved to be theirs."""

from __future__ import annotations

import pytest
from tests.oncall.rig import DEPUTY, EVERYTHING, LEAD, NOBODY, PLANNER, at, declare_team, told
from tests.rigs.clocks import FakeClock

from mainstay.accounts.models import User
from mainstay.kernel.errors import Conflict, Forbidden, NotFound, UserError
from mainstay.oncall import contact_verbs
from mainstay.oncall.queries import digest_of, duty, pending_code
from mainstay.store.resources.apply import declare_all
from mainstay.store.resources.planning import Terms, plan_resources

pytestmark = pytest.mark.usefixtures("store")


@pytest.fixture(autouse=True)
def team() -> None:
    declare_team()


def usable(person: str) -> list[str]:
    return [one.kind for one in duty().reach(person, "P0", at("2026-12-08T10:00")).methods]


def test_a_code_that_comes_back_verifies_the_contact() -> None:
    clock = FakeClock()
    assert usable("lead") == []
    assert contact_verbs.ask_code(LEAD, "lead", 0, clock=clock)
    assert not contact_verbs.ask_code(LEAD, "lead", 0, clock=clock)  # one is on its way
    sent = pending_code("lead", 0, clock.now())
    assert sent is not None
    method, code = sent
    assert (method.target["topic"], len(code)) == ("lead-alerts", 6)
    wrong = "000000" if code != "000000" else "000001"
    with pytest.raises(UserError, match="not the code"):
        contact_verbs.confirm_code(LEAD, "lead", 0, wrong, clock=clock)
    assert contact_verbs.confirm_code(LEAD, "lead", 0, f" {code} ", clock=clock)
    assert not contact_verbs.confirm_code(LEAD, "lead", 0, code, clock=clock)
    assert usable("lead") == ["ntfy"]
    assert duty().is_verified("ntfy", {"topic": "lead-alerts", "server": "https://ntfy.sh"})
    assert digest_of("sms", {"number": "+49151"}) == digest_of("call", {"number": "+49151"}), "a number is one"
    assert [len(told(kind)) for kind in ("contact.code_asked", "contact.verified")] == [1, 1]
    assert code not in str(told("contact.code_asked"))
    assert pending_code("lead", 0, clock.now()) is None


def test_a_code_is_guessed_at_five_times_and_lasts_ten_minutes() -> None:
    clock = FakeClock()
    contact_verbs.ask_code(LEAD, "lead", 0, clock=clock)
    sent = pending_code("lead", 0, clock.now())
    assert sent is not None
    wrong = "000000" if sent[1] != "000000" else "000001"
    for _ in range(5):
        with pytest.raises(UserError, match="not the code"):
            contact_verbs.confirm_code(LEAD, "lead", 0, wrong, clock=clock)
    with pytest.raises(UserError, match="not the code"):
        contact_verbs.confirm_code(LEAD, "lead", 0, sent[1], clock=clock)
    clock.advance(61)
    assert contact_verbs.ask_code(LEAD, "lead", 0, clock=clock)
    again = pending_code("lead", 0, clock.now())
    assert again is not None
    clock.advance(601)
    with pytest.raises(UserError, match="too old"):
        contact_verbs.confirm_code(LEAD, "lead", 0, again[1], clock=clock)


def test_an_address_that_somebody_signs_in_with_needs_no_code() -> None:
    user = User(email="deputy@example.com")
    user.set_unusable_password()
    user.save()
    assert usable("deputy") == []
    user.set_password("correct horse battery staple")
    user.save()
    assert usable("deputy") == ["email"]


def test_only_the_person_and_who_plans_duty_may() -> None:
    for actor in (DEPUTY, NOBODY):
        with pytest.raises(Forbidden):
            contact_verbs.ask_code(actor, "lead", 0)
        with pytest.raises(Forbidden):
            contact_verbs.confirm_code(actor, "lead", 0, "123456")
        with pytest.raises(Forbidden):
            contact_verbs.make_feed(actor, "person", "lead")
    assert contact_verbs.ask_code(PLANNER, "lead", 0)
    with pytest.raises(NotFound):
        contact_verbs.ask_code(PLANNER, "lead", 7)


def test_no_code_is_promised_that_nothing_can_send() -> None:
    person = {"phone": "+4915112345678", "contact": [{"sms": {}}, {"email": "lead@example.com"}]}
    plan = plan_resources(EVERYTHING, [("person", "lead", person)], Terms("file", "test"))
    assert "no means yet to send text messages" in str(plan.warnings[0])
    declare_all(EVERYTHING, [("person", "lead", person | {"email": "lead@example.com"})], manager="file")
    with pytest.raises(Conflict, match="no means yet"):
        contact_verbs.ask_code(LEAD, "lead", 0)
