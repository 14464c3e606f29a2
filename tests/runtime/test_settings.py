"""Settings that are declared: which value holds, who may say it, and that it holds without a new start."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from django.conf import settings as django_settings
from django.test import override_settings
from tests.rigs.accounts_browser import TEST, browser, person, signed_in
from tests.rigs.channel_rigs import Mailbox, mail_server, notification
from tests.rigs.clocks import FakeClock
from tests.rigs.settings import having

from mainstay.accounts import announcements
from mainstay.alerting.handover import hand_over
from mainstay.frames.boot import load_settings, remember_address
from mainstay.frames.limits import Limits
from mainstay.kernel.actor import Actor
from mainstay.kernel.capability import CAPABILITIES
from mainstay.kernel.errors import Forbidden, InvalidInput
from mainstay.kernel.resource import KINDS
from mainstay.kernel.settings import KIND, Settings
from mainstay.runtime.doctor import _settings as examined
from mainstay.runtime.health_page import settings_shown
from mainstay.runtime.settings_lane import lanes
from mainstay.snapshots.lane import SnapshotLane
from mainstay.store.columns.opening import opened
from mainstay.store.declared_settings import take_declared
from mainstay.store.journal import entries
from mainstay.store.resources import queries
from mainstay.store.resources.apply import apply, declare, remove, rollback
from mainstay.store.resources.export import export_yaml
from mainstay.store.resources.files import read_body
from mainstay.store.resources.plan import Plan
from mainstay.store.resources.planning import Terms, plan_reading
from mainstay.store.running import Running
from mainstay.store.writer import Writer
from mainstay.watch.results.results import Results
from mainstay.watch.results.values import Sample
from mainstay.watch.settings import DAY_DAYS, HOUR_DAYS, RAW_DAYS

EVERYTHING: dict[str, Any] = {
    "smtp": "smtps://me:${vault:SMTP}@mail.example.com:465",
    "mail_from": "Mainstay <ops@example.com>",
    "notification_expiry": 3600,
    "channel_proxy": "http://proxy.example.com:3128",
    "raw_days": 3,
    "minute_days": 4,
    "hour_days": 5,
    "day_days": 6,
    "archive_to": "/srv/archive",
    "archive_days": 7,
    "alert_days": 8,
    "pings_kept": 9,
    "snapshot_to": "/srv/snapshots",
    "snapshot_every": "1d",
    "snapshot_keep": "2d",
    "journal_days": 10,
    "journal_segment_days": 11,
    "seal_channel": "ops",
    "require_second_factor": "admin",
    "second_factor_grace_days": 1,
    "ping_body_limit": 12,
    "requests_per_address": 13,
    "reports_per_key": 14,
}


@pytest.fixture
def here(store: None, tmp_path: Path) -> Iterator[Settings]:
    """Settings of a server of the test's own, with nothing in the environment; those of the process are put back."""
    yield dataclasses.replace(django_settings.MAINSTAY, data=tmp_path, declared={}, revision=0)
    django_settings.MAINSTAY.take({}, 0)


def say(document: dict[str, Any], *taking: Settings) -> None:
    declare(TEST, KIND, KIND, document, manager="page")
    for one in taking:
        take_declared(one)


def plan(text: str, actor: Actor = TEST) -> Plan:
    return plan_reading(actor, read_body(text.encode(), "f"), Terms("file", "f"))


# Which value holds


def test_the_environment_wins_over_what_is_declared_and_that_over_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MAINSTAY_RAW_DAYS", "7")  # as by default, and said all the same
    loaded = load_settings(data=tmp_path)
    loaded.take({"raw_days": 3, "hour_days": 50}, 4)
    assert (loaded[RAW_DAYS], loaded[HOUR_DAYS], loaded[DAY_DAYS], loaded.revision) == (7, 50, 1100, 4)
    origins = [loaded.origin(name) for name in ("raw_days", "hour_days", "day_days", "data")]
    assert origins == ["environment", "declared", "default", "environment"]
    loaded.take({}, 0)
    assert (loaded[RAW_DAYS], loaded[HOUR_DAYS]) == (7, 100)


def test_an_install_that_sets_everything_in_the_environment_stays_as_it_is(
    store: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said = {**EVERYTHING, "smtp": "smtps://me:plain@mail.example.com:465", "snapshot_every": "2h"}
    for name, value in said.items():
        monkeypatch.setenv(f"MAINSTAY_{name.upper()}", str(value))
    loaded = load_settings(data=tmp_path)
    before = {name: loaded[one] for name, one in CAPABILITIES.settings.items()}
    assert {name: before[name] for name in said} == said
    take_declared(loaded)
    say({"raw_days": 100, "smtp": "smtp://other.example.com"}, loaded)
    assert {name: loaded[one] for name, one in CAPABILITIES.settings.items()} == before


def test_every_declarable_setting_is_taken_over_and_checked(here: Settings) -> None:
    assert set(EVERYTHING) == {name for name, one in CAPABILITIES.settings.items() if one.group}
    declare(TEST, "channel", "ops", {"email": "ops@example.com"}, manager="page")
    say(EVERYTHING, here)
    assert {name: here[CAPABILITIES.settings[name]] for name in EVERYTHING} == EVERYTHING
    other = dataclasses.replace(here, declared={}, revision=0)
    assert take_declared(other) is None
    assert other[RAW_DAYS] == 3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("raw_days: 0", "f:2:13: "),
        ("smtp: smtps://me:secret@mail.example.com", "must be a reference"),
        ("channel_proxy: http://me:secret@proxy.example.com", "must be a reference"),
        ("smtp: mail.example.com", "smtp://host"),
        ("mail_from: nobody", "is not a sender"),
        ("snapshot_every: 5s", "a minute or more"),
        ("snapshot_every: often", "a duration such as 1d"),
        ("snapshot_keep: all", "does not say what to keep"),
        ("archive_to: gopher://x", "neither the full path of a folder"),
        ("snapshot_to: backups", "neither the full path of a folder"),
        ("require_second_factor: admin, boss", "`boss` is not a built-in role"),
        ("seal_channel: nobody", "no channel `nobody`"),
        ("telemetry: clickhouse://x", "unknown key `telemetry`"),
        ("probe_allow: metadata", "unknown key `probe_allow`"),
    ],
)
def test_a_mistake_is_told_where_it_stands(store: None, text: str, told: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        plan(f"settings:\n  {text}\n")
    (found,) = caught.value.diagnostics.errors
    assert told in f"{found.place}: {found.message} {found.hint}"
    assert found.path == f"settings.{text.partition(':')[0]}"


def test_a_file_has_them_right_below_their_key_and_an_export_as_well(store: None) -> None:
    apply(TEST, plan("settings:\n  raw_days: 14\n  snapshot_every: 1d\n"))
    assert export_yaml(queries.resources()) == "settings:\n  raw_days: 14\n  snapshot_every: 1d\n"
    assert plan(export_yaml(queries.resources())).is_empty
    assert plan("settings: {raw_days: 14}\n").differences[0].action == "update"


def test_there_is_one_of_it(store: None) -> None:
    with pytest.raises(InvalidInput, match="there is one resource"):
        declare(TEST, KIND, "other", {}, manager="api")


def test_a_roll_back_brings_them_back(here: Settings) -> None:
    say({"raw_days": 14}, here)
    number = queries.latest_revision()
    say({"raw_days": 15}, here)
    rollback(TEST, number)
    take_declared(here)
    assert here[RAW_DAYS] == 14


# Who may say it


def test_who_declares_or_deletes_them_needs_a_scope_of_its_own(store: None) -> None:
    operator = Actor("user", "op", TEST.scopes - {"settings:write"})
    with pytest.raises(Forbidden, match=r"settings:write"):
        declare(operator, KIND, KIND, {"raw_days": 1}, manager="page")
    declare(TEST, KIND, KIND, {"require_second_factor": "admin,operations,support,developer"}, manager="page")
    with pytest.raises(Forbidden, match=r"may not delete .* settings:write"):
        remove(operator, KIND, KIND, manager="page")
    remove(TEST, KIND, KIND, manager="page")
    assert queries.find(KIND, KIND) is None


# What the environment overrides


def test_a_plan_warns_of_what_the_environment_overrides(here: Settings) -> None:
    data = django_settings.MAINSTAY.data
    remember_address(dataclasses.replace(here, data=data, given=frozenset({"raw_days", "data"})))
    try:
        (warning,) = plan("settings:\n  hour_days: 50\n  raw_days: 14\n").warnings
    finally:
        (data / "server.settings").unlink()
        (data / "server.url").unlink()
    assert "MAINSTAY_RAW_DAYS" in warning.message
    assert (warning.path, warning.place.line) == ("settings.raw_days", 3)


def test_doctor_and_the_health_page_tell_where_each_comes_from(here: Settings) -> None:
    serving = having(here, raw_days=30, given=frozenset({"raw_days"}))
    say({"raw_days": 14, "hour_days": 50}, serving)
    (found,) = examined(serving)
    assert (found.state, "MAINSTAY_RAW_DAYS" in found.message) == ("warning", True)
    shown = {one.key: one for one in settings_shown(serving)}
    assert (shown["raw_days"].origin, shown["raw_days"].value, shown["raw_days"].declared) == (
        "environment",
        "30",
        "14",
    )
    assert (shown["hour_days"].origin, shown["day_days"].origin) == ("declared", "default")


# It holds without a new start


def test_a_server_takes_them_over_within_a_second(here: Settings) -> None:
    async def scene() -> None:
        writer = Writer()
        (lane,) = lanes(Running(here, writer, cast("Any", None), FakeClock()))
        await lane.turn()
        assert here[RAW_DAYS] == 7
        await writer.run(lambda: say({"raw_days": 14}))
        await lane.turn()
        assert (here[RAW_DAYS], lane.every <= 1) == (14, True)
        await writer.run(lambda: remove(TEST, KIND, KIND, manager="page"))
        await lane.turn()
        assert here[RAW_DAYS] == 7
        writer.stop()

    asyncio.run(scene())


def test_retention_follows(here: Settings, tmp_path: Path) -> None:
    store = Results(opened(here))
    now, day = 1_790_000_000.0, 86_400.0
    ages = (1, 3, 5)
    store.append(
        [Sample(uid="u", at=now - age * day, verdict="up", duration=0.1, charge="up", charged=1.0) for age in ages]
    )
    store.flush()
    store.maintain(now)
    assert len(store.results("u", now - 6 * day, now)) == 3
    say({"raw_days": 4}, here)
    store.maintain(now)
    assert len(store.results("u", now - 6 * day, now)) == 2
    say({"raw_days": 2, "archive_to": str(tmp_path / "archive")}, here)
    store.maintain(now)
    assert len(list((tmp_path / "archive").glob("*.parquet"))) == 1
    assert len(store.results("u", now - 6 * day, now)) == 2
    store.close()


def test_the_schedule_of_snapshots_follows(here: Settings) -> None:
    clock = FakeClock()
    lane = SnapshotLane(here, None, cast("Any", None), clock)
    clock.advance(1000.0)
    assert asyncio.run(lane.probe()) == "ok"
    say({"snapshot_every": "5m"}, here)
    assert asyncio.run(lane.probe()) == "there is none yet"


def test_the_mail_server_follows_for_accounts_and_for_channels(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POST", "s3cr/t")
    person("first@example.com")
    box, later = Mailbox(), Mailbox()
    with mail_server(box) as one, mail_server(later, login=("me", "s3cr/t")) as other:
        say({"smtp": f"smtp://127.0.0.1:{one}", "mail_from": "a@example.com"}, django_settings.MAINSTAY)
        with override_settings(EMAIL_BACKEND="mainstay.accounts.mail.Backend"):
            assert announcements.recovery_made("x@example.com", "me") == ""
            named = {"smtp": f"smtp://me:${{env:POST}}@127.0.0.1:{other}", "mail_from": "Ops <b@example.com>"}
            say(named, django_settings.MAINSTAY)
            assert announcements.recovery_made("x@example.com", "me") == ""
        spec: Any = KINDS["channel"].validate({"email": "ops@example.com"})
        hand_over(spec, notification(), django_settings.MAINSTAY, time.time())
    assert [(sender, people) for sender, people, _ in box.mails] == [("a@example.com", ["first@example.com"])]
    assert [people for _, people, _ in later.mails] == [["first@example.com"], ["ops@example.com"]]
    assert {sender for sender, *_ in later.mails} == {"b@example.com"}
    assert not any("s3cr/t" in str(entry.data) for entry in entries())


def test_a_limit_follows(here: Settings) -> None:
    limits = Limits(here)
    asked = {"client": ("192.0.2.7", 1), "path": "/", "headers": []}
    assert [limits.wait(asked, now=1.0) for _ in range(20)] == [0.0] * 20
    say({"requests_per_address": 1}, here)
    waits = [limits.wait(asked, now=1.0) for _ in range(20)]
    assert waits[0] == 0.0
    assert waits[-1] > 0.0


def test_who_needs_a_second_factor_follows(here: Settings) -> None:
    from mainstay.accounts.policies import role

    say({"require_second_factor": "developer"}, django_settings.MAINSTAY)
    assert (role("developer").needs_factor, role("admin").needs_factor) == (True, False)


# The page


def test_the_form_has_them_in_groups_and_saves_them(here: Settings) -> None:
    person()
    say({"require_second_factor": ""}, django_settings.MAINSTAY)
    client = signed_in()
    page = client.get(f"/resources/new?kind={KIND}", follow=True).content.decode()
    headings = ["Mail", "Messages", "Retention", "Snapshots", "Journal", "Sign-in", "Limits"]
    places = [page.index(f"<h2>{heading}</h2>") for heading in headings]
    assert places == sorted(places)
    assert "Duplicate" not in page
    fields = {"kind": KIND, "known": KIND, "seen": str(queries.latest_revision()), "at": "0", "text": "settings: {}\n"}
    answer = client.post("/resources/save", {**fields, "spec.raw_days": "30", "spec.pings_kept": "100"})
    assert answer.status_code == 302, answer.content.decode()
    found = queries.resource(KIND, KIND)
    assert found.document["raw_days"] == 30
    assert "pings_kept" not in found.document
    assert browser().get(f"/resources/new?kind={KIND}").status_code == 302
