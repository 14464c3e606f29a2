"""What other capabilities ask of on-call: who is on duty, what comes next, and how a person is reached."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.oncall.test_duty_turns import at

from mainstay.kernel.actor import Actor, system
from mainstay.kernel.errors import InvalidInput, NotFound
from mainstay.oncall.queries import Duty, digest_of, duty
from mainstay.oncall.search import search
from mainstay.store.resources.apply import apply_files
from mainstay.store.resources.planning import Terms, plan_resources
from mainstay.store.resources.queries import resource

pytestmark = pytest.mark.usefixtures("store")

FILE = """
channels:
  mail: {webhook: {url: https://hooks.example.com/a}}
people:
  lead: {email: lead@example.com, phone: "+4915112345678",
         contact: [{push: {}}, {sms: {}, after: 3m}, {call: {}, after: 6m}],
         hours: [{severity: [P1, P2, P3], only: "mon-fri 09:00-18:00", timezone: Europe/Berlin}]}
  deputy: {email: Deputy@example.com, timezone: Europe/Berlin, do_not_disturb: [{only: "22:00-07:00"}],
           contact: [{channel: mail}, {email: {}, after: 1m, severity: [P0]}]}
  owner: {absences: [{from: 2026-12-24, until: 2027-01-04, reason: holiday}], contact: [{channel: mail}]}
  silent: {}
teams:
  core: {people: [lead, deputy]}
schedules:
  primary:
    timezone: Europe/Berlin
    layers:
      - {rotation: weekly, handover: "mon 09:00", from: 2026-12-07, people: [lead, deputy], only: "mon-fri 08:00-20:00"}
  always: {layers: [{rotation: weekly, people: [owner]}]}
escalation_policies:
  default:
    steps: [{to: [schedule/primary]}, {after: 15m, to: [person/owner]}, {after: 15m, to: [channel/mail]}]
    repeat: 2
"""


@pytest.fixture
def declared(tmp_path: Path) -> Duty:
    (tmp_path / "mainstay.yaml").write_text(FILE)
    apply_files(system("test"), [str(tmp_path / "mainstay.yaml")])
    return duty()


def test_who_is_on_duty_and_what_comes_next(declared: Duty) -> None:
    (found,) = declared.on_duty("primary", at("2026-12-07T09:00"))
    assert (found.person, found.why) == ("lead", "by layer 1")
    assert declared.on_duty("primary", at("2026-12-07T20:00")) == ()
    later = declared.next_handover("primary", at("2026-12-11T20:00"))
    assert later is not None
    assert (later.at, later.people) == (at("2026-12-14T08:00"), ("lead",))
    assert declared.next_handover("always", at("2027-02-01T00:00")) is None
    with pytest.raises(NotFound):
        declared.on_duty("other", 0.0)


def test_policies_and_teams_are_as_declared(declared: Duty) -> None:
    policy = declared.policy("default")
    assert policy is not None
    assert [(step.after, step.to) for step in policy.steps] == [
        (0, ["schedule/primary"]),
        (900, ["person/owner"]),
        (900, ["channel/mail"]),
    ]
    assert policy.repeat == 2
    assert declared.policy("other") is None
    assert declared.members("core") == ("lead", "deputy")


def test_how_a_person_is_reached(declared: Duty) -> None:
    proved = [digest_of("call", {"number": "+4915112345678"}), digest_of("email", {"address": "deputy@example.com"})]
    sure = replace(declared, verified=frozenset(proved))
    reach = sure.reach("lead", "P0", at("2026-12-05T03:00"))
    assert [(one.index, one.kind, one.delay) for one in reach.methods] == [
        (0, "push", 0),
        (1, "sms", 180),
        (2, "call", 360),
    ]
    assert reach.methods[1].target == {"number": "+4915112345678"}
    assert [one.kind for one in declared.reach("lead", "P0", at("2026-12-05T03:00")).methods] == ["push"]
    night = at("2026-12-04T23:00")
    assert [one.kind for one in sure.reach("deputy", "P0", night).methods] == ["channel", "email"]
    assert [one.kind for one in sure.reach("deputy", "P1", at("2026-12-04T12:00")).methods] == ["channel"]


@pytest.mark.parametrize(
    ("person", "severity", "moment", "reason", "until"),
    [
        ("lead", "P1", "2026-12-05T03:00", "outside_hours", "2026-12-07T09:00"),
        ("deputy", "P1", "2026-12-04T23:00", "do_not_disturb", "2026-12-05T07:00"),
        ("silent", "P0", "2026-12-04T23:00", "no_contact", None),
        ("unknown", "P0", "2026-12-04T23:00", "unknown_person", None),
    ],
)
def test_why_nobody_is_reached_and_until_when(
    declared: Duty, person: str, severity: str, moment: str, reason: str, until: str | None
) -> None:
    reach = declared.reach(person, severity, at(moment))
    assert (reach.methods, reach.reason) == ((), reason)
    assert reach.until == (at(until) if until else None)
    assert reach.words.startswith(person)


def test_who_is_away_is_neither_on_duty_nor_reached(declared: Duty) -> None:
    away = datetime(2026, 12, 24, 12, tzinfo=UTC).timestamp()
    assert declared.on_duty("always", away) == ()
    reach = declared.reach("owner", "P0", away)
    assert (reach.methods, reach.reason) == ((), "absent")
    assert reach.until == datetime(2027, 1, 4, tzinfo=UTC).timestamp()
    assert [one.person for one in declared.on_duty("always", reach.until)] == ["owner"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[lead, deputy], only", "[lead, debuty], only", "no person `debuty`"),
        ("schedule/primary", "schedule/primery", "no schedule `primery`"),
        ("person/owner", "persons/owner", "is not a target such as"),
        ("to: [channel/mail]", "to: [webhook/mail]", "a webhook is a channel"),
        ("{channel: mail}, {email", "{channel: post}, {email", "no channel `post`"),
        ("{push: {}}", "{push: {}, sms: {}}", "a contact needs exactly one of"),
        ('phone: "+4915112345678"', 'phone: "0151 12345678"', "is not a phone number with its country"),
        ("mon 09:00", "day 1 09:00", "is not a weekday"),
        ("silent: {}", "nobody: {}", "is a word of rotations"),
        ("until: 2027-01-04", "until: 2026-12-24", "must be after `from`"),
        ("mon-fri 08:00-20:00", "mo-fr 08:00-20:00", "is not a list of hours"),
    ],
)
def test_mistakes_are_told_at_plan_time(tmp_path: Path, old: str, new: str, message: str) -> None:
    (tmp_path / "mainstay.yaml").write_text(FILE.replace(old, new))
    with pytest.raises(InvalidInput) as refused:
        apply_files(system("test"), [str(tmp_path / "mainstay.yaml")])
    errors = [str(one) for one in refused.value.diagnostics if one.severity == "error"]
    assert len(errors) == 1
    assert message in errors[0]


def test_the_plan_warns_of_gaps(declared: Duty) -> None:
    document = resource("schedule", "primary").document
    plan = plan_resources(system("test"), [("schedule", "primary", document)], Terms("file", "test"))
    assert [str(one) for one in plan.warnings if "nobody is on duty from" in str(one)] != []
    meant = document | {"covers": "mon-fri 09:00-20:00"}
    plan = plan_resources(system("test"), [("schedule", "primary", meant)], Terms("file", "test"))
    assert [str(one) for one in plan.warnings if "nobody is on duty from" in str(one)] == []


def test_a_search_finds_schedules_and_policies_for_who_may_see_them(declared: Duty) -> None:
    reader = Actor("user", "a@example.com", frozenset({"oncall:read"}))
    assert [one.address for one in search(reader, "prim", 5)][:1] == ["/oncall/schedules/primary/"]
    assert "/oncall/policies/default/" in [one.address for one in search(reader, "default", 5)]
    assert search(Actor("user", "a@example.com", frozenset()), "prim", 5) == []
