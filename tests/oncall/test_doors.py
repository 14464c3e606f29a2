"""Pages, API, command and calendar of on-call."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from tests.oncall.rig import EVERYTHING, PLANNER, declare_team
from tests.rigs.accounts_browser import browser, person

from mainstay.accounts.models import User
from mainstay.accounts.verbs import create_token
from mainstay.kernel.actor import Actor
from mainstay.kernel.clock import to_iso
from mainstay.oncall import verbs
from mainstay.oncall.feeds import calendar_text
from mainstay.oncall.queries import duty, pending_code
from mainstay.runtime.app import run
from mainstay.store.resources.apply import declare

pytestmark = pytest.mark.usefixtures("store")

DAY = 86_400


@pytest.fixture(autouse=True)
def team() -> None:
    """`lead` is on duty all the time, whenever the test runs."""
    declare_team()
    layer = {"rotation": "weekly", "people": ["lead"]}
    declare(EVERYTHING, "schedule", "primary", {"timezone": "Europe/Berlin", "layers": [layer]}, manager="file")
    step = {"to": ["schedule/primary"]}
    policy = {"steps": [step, {"to": ["person/deputy"], "after": "15m", "forced": True}], "repeat": 2}
    declare(EVERYTHING, "escalation_policy", "default", policy, manager="file")


@pytest.fixture
def planner() -> Client:
    client = browser()
    client.force_login(person("planner@example.com", "operations"))
    return client


@pytest.fixture
def deputy() -> Client:
    client = browser()
    client.force_login(person("deputy@example.com", "support"))
    return client


@pytest.fixture
def api() -> Client:
    token = create_token(Actor("command", "t", PLANNER.scopes | {"tokens:write"}), "t", PLANNER.scopes)
    return Client(headers={"host": "localhost", "authorization": f"Bearer {token}"})


def on(ahead: float = 0.0) -> list[str]:
    now = time.time()
    return [one.person for one in duty(now).on_duty("primary", now + ahead)]


def local(ahead: float) -> str:
    return datetime.fromtimestamp(time.time() + ahead, ZoneInfo("Europe/Berlin")).strftime("%Y-%m-%dT%H:%M")


def form(**more: str) -> dict[str, str]:
    return {"schedule": "primary", "start": local(DAY), "end": local(2 * DAY)} | more


def test_the_page_says_who_is_on_duty_and_draws_week_and_month(planner: Client) -> None:
    page = planner.get("/oncall/").content.decode()
    assert '<span class="oncall-people">lead</span>' in page
    assert page.count('class="oncall-day') == 7 + page.count('class="oncall-days')
    month = planner.get("/oncall/", {"view": "month", "date": "2026-12-24"}).content.decode()
    assert "December 2026" in month
    assert len(re.findall(r'class="oncall-day[ "]', month)) == 35
    assert planner.get("/oncall/", {"view": "month", "date": "nonsense"}).status_code == 200


def test_who_plans_overrides_by_form_and_removes_it(planner: Client) -> None:
    page = planner.get("/oncall/schedules/primary/", {"start": "1800000000", "end": "1800086400", "remove": "lead"})
    assert 'value="2027-01-15T09:00"' in page.content.decode()
    done = planner.post("/oncall/override", form(add="deputy", remove="lead", note="dentist"), follow=True)
    assert "deputy stands in for lead" in done.content.decode()
    assert on(1.5 * DAY) == ["deputy"]
    (address,) = re.findall(r'action="(/oncall/changes/[^"]+)"', done.content.decode())
    assert "Removed." in planner.post(address, {"schedule": "primary"}, follow=True).content.decode()
    assert on(1.5 * DAY) == ["lead"]


def test_a_person_takes_a_shift_and_answers_a_swap_but_plans_for_nobody_else(deputy: Client, planner: Client) -> None:
    assert deputy.post("/oncall/override", form(add="lead", remove="deputy")).status_code == 403
    planner.post("/oncall/swap", form(add="deputy", remove="lead"))
    page = deputy.get("/oncall/me/").content.decode()
    (address,) = re.findall(r'action="(/oncall/swaps/[^"]+)"', page)
    answered = deputy.post(address, {"answer": "accept"}, follow=True)
    assert "The shift has changed hands." in answered.content.decode()
    assert on(1.5 * DAY) == ["deputy"]


def test_my_page_verifies_a_contact_tests_it_and_gives_a_calendar(planner: Client) -> None:
    User.objects.filter(email="planner@example.com").update(email="lead@example.com")
    page = planner.get("/oncall/me/").content.decode()
    assert "You are on call" in page
    assert page.count("Not verified") == 1  # the number; the address is the one that is signed in with
    planner.post("/oncall/me/code", {"index": "0"})
    sent = pending_code("lead", 0, time.time())
    assert sent is not None
    assert "Verified." in planner.post("/oncall/me/code", {"index": "0", "code": sent[1]}, follow=True).content.decode()
    assert "on its way by every verified contact" in planner.post("/oncall/me/test", follow=True).content.decode()
    made = planner.post("/oncall/me/feed").content.decode()
    (address,) = re.findall(r"https?://[^/]+(/oncall/feed/[\w-]+\.ics)", made)
    assert "BEGIN:VCALENDAR" in browser().get(address).content.decode()


def test_my_page_of_somebody_who_is_no_person(planner: Client) -> None:
    assert "No person has your e-mail address" in planner.get("/oncall/me/").content.decode()
    assert planner.post("/oncall/me/test").status_code == 404


def test_a_policy_is_a_ladder(planner: Client) -> None:
    page = planner.get("/oncall/policies/default/").content.decode()
    assert "now lead" in page
    assert "Also if it is acknowledged" in page
    assert "2 times at most" in page
    assert planner.get("/oncall/policies/other/").status_code == 404


def test_the_calendar_has_stable_ids_in_utc_and_ends_with_a_new_address(planner: Client) -> None:
    verbs.override(EVERYTHING, "primary", (time.time() + DAY, time.time() + 2 * DAY), add="deputy", remove="lead")
    made = planner.post("/oncall/schedules/primary/feed").content.decode()
    (address,) = re.findall(r"https?://[^/]+(/oncall/feed/[\w-]+\.ics)", made)
    answer = browser().get(address)
    text = answer.content.decode()
    assert answer["Content-Type"] == "text/calendar; charset=utf-8"
    assert re.findall("SUMMARY:(.*)\r\n", text) == [f"On call: {name} (primary)" for name in ("lead", "deputy", "lead")]
    assert all(re.fullmatch(r"\d{8}T\d{6}Z", at) for at in re.findall("DT(?:START|END|STAMP):(.*)\r\n", text))
    uids = re.findall("UID:(.*)\r\n", text)
    assert len(set(uids)) == 3
    assert re.findall("UID:(.*)\r\n", browser().get(address).content.decode()) == uids
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    planner.post("/oncall/schedules/primary/feed")
    assert browser().get(address).status_code == 404


def test_the_api_reads_and_changes(api: Client) -> None:
    (found,) = api.get("/api/v1/oncall").json()
    assert found["on_duty"] == [{"person": "lead", "why": "by layer 1"}]
    outlook = api.get("/api/v1/oncall/schedules/primary", {"weeks": 2}).json()
    assert (outlook["gaps"], outlook["quality"]) == ([], 100)
    span = {"schedule": "primary", "start": to_iso(time.time() + DAY), "end": to_iso(time.time() + 2 * DAY)}
    made = api.post("/api/v1/oncall/overrides", span | {"add": "deputy"}, content_type="application/json")
    assert made.status_code == 201
    assert on(1.5 * DAY) == ["lead", "deputy"]
    assert api.delete(f"/api/v1/oncall/overrides/{made.json()['id']}").json() == {"changed": True}
    swap = api.post(
        "/api/v1/oncall/swaps", span | {"giver": "lead", "taker": "deputy"}, content_type="application/json"
    ).json()["id"]
    assert [one["id"] for one in api.get("/api/v1/oncall/swaps").json()] == [swap]
    answer = api.post(f"/api/v1/oncall/swaps/{swap}", {"answer": "accepted"}, content_type="application/json")
    assert answer.json() == {"changed": True}
    assert on(1.5 * DAY) == ["deputy"]
    shift = {key: span[key] for key in ("start", "end")} | {"person": "lead"}
    made = api.post("/api/v1/oncall/temporary", span | {"shifts": [shift]}, content_type="application/json")
    assert on(1.5 * DAY) == ["lead"]
    assert api.delete(f"/api/v1/oncall/temporary/{made.json()['id']}").json() == {"changed": True}


def test_the_command_says_who_and_changes(capsys: pytest.CaptureFixture[str]) -> None:
    assert "lead" in said(capsys, "oncall")
    assert json.loads(said(capsys, "oncall", "--json"))[0]["on_duty"][0]["person"] == "lead"
    assert "quality 100 of 100" in said(capsys, "oncall", "shifts", "primary", "--weeks", "1")
    times = ["--from", local(DAY), "--until", local(2 * DAY)]
    said(capsys, "oncall", "override", "primary", *times, "--add", "deputy", "--remove", "lead")
    assert on(1.5 * DAY) == ["deputy"]
    later = ["--from", local(3 * DAY), "--until", local(4 * DAY)]
    assert len(said(capsys, "oncall", "swap", "primary", "lead", "deputy", *later).strip()) == 26


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        run(list(words))
    assert ended.value.code in (0, None)
    return capsys.readouterr().out


def test_times_of_the_feed_are_those_of_the_shifts() -> None:
    now = datetime(2026, 12, 7, 12, tzinfo=UTC).timestamp()
    text = calendar_text(duty(now), "person", "lead", now)
    assert "DTSTART:20260101T000000Z" in text  # a shift that goes on begins with the year
    assert calendar_text(duty(now), "person", "gone", now).count("BEGIN:VEVENT") == 0
