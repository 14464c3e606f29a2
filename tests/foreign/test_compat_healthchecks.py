"""The management API of Healthchecks: https://healthchecks.io/docs/api/ (v3), /docs/apiv2/, /docs/apiv1/."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client
from tests.rigs.pinging import ACTOR, heartbeat

from mainstay.accounts.verbs import create_token
from mainstay.heartbeats import queries
from mainstay.heartbeats.coverage import Coverage
from mainstay.heartbeats.intake import Incoming, take_in
from mainstay.heartbeats.rules import Ping, PingKind
from mainstay.kernel.actor import system
from mainstay.store.journal import Filter, entries
from mainstay.store.resources.apply import declare
from mainstay.store.resources.queries import find, latest_revision, resource, revision

pytestmark = pytest.mark.usefixtures("store")

FULL = ["resources:write", "monitors:check", "monitors:read"]
# Example response of "Get a Single Check" in the documentation of version 3, without `channels` and addresses.
COMMON = {
    "name",
    "slug",
    "tags",
    "desc",
    "grace",
    "n_pings",
    "status",
    "started",
    "last_ping",
    "next_ping",
    "manual_resume",
    "methods",
    "subject",
    "subject_fail",
    "start_kw",
    "success_kw",
    "failure_kw",
    "filter_subject",
    "filter_body",
    "filter_http_body",
    "filter_default_fail",
    "badge_url",
}
WRITABLE = {"uuid", "ping_url", "update_url", "pause_url", "resume_url", "channels"}


class Api:
    """One key and one version of the API."""

    def __init__(self, *scopes: str, version: int = 3, key: str | None = None) -> None:
        self.key = create_token(ACTOR, "hc", list(scopes or FULL)) if key is None else key
        self.version = version
        self.client = Client(enforce_csrf_checks=True, headers={"host": "localhost"})

    def __call__(self, method: str, path: str, document: Any = None, **headers: str) -> Any:
        given = {"x-api-key": self.key, **headers} if self.key else headers
        body = document if isinstance(document, bytes | str) else json.dumps(document) if document is not None else ""
        return self.client.generic(
            method, f"/api/v{self.version}/{path}", body, content_type="application/json", headers=given
        )

    def create(self, **document: Any) -> dict[str, Any]:
        response = self("POST", "checks/", document)
        assert response.status_code == 201, response.content
        return dict(response.json())


def ping(name: str, kind: PingKind, at: float, body: bytes = b"", rid: str = "") -> None:
    view = queries.heartbeat(name)
    entry = queries.load_directory().by_uid[view.uid]
    incoming = Incoming(entry, Ping(at, kind, rid), "POST", "http", "192.0.2.1", "curl/8", body or None, len(body))
    take_in(system("pings"), [incoming], kept=100, covering=Coverage())


def test_a_created_check_has_the_documented_fields_and_defaults() -> None:
    api = Api()
    check = api.create(name="Backups", tags="prod www", timeout=3600, grace=60)
    assert set(check) == COMMON | WRITABLE | {"timeout"}
    assert {key: check[key] for key in ("name", "slug", "tags", "desc", "grace", "n_pings", "status", "timeout")} == {
        "name": "Backups",
        "slug": "",
        "tags": "prod www",
        "desc": "",
        "grace": 60,
        "n_pings": 0,
        "status": "new",
        "timeout": 3600,
    }
    assert (check["last_ping"], check["next_ping"], check["started"], check["methods"]) == (None, None, False, "")
    own = f"http://127.0.0.1:8800/api/v3/checks/{check['uuid']}"
    assert (check["update_url"], check["pause_url"], check["resume_url"]) == (own, f"{own}/pause", f"{own}/resume")
    assert check["ping_url"] == f"http://127.0.0.1:8800/ping/{check['uuid']}"
    plain = api.create()
    assert (plain["name"], plain["timeout"], plain["grace"]) == ("", 86_400, 3_600)


def test_a_check_is_a_heartbeat_with_a_manager_a_revision_and_a_journal_entry() -> None:
    check = Api().create(name="Filesystem Backup", timeout=3600)
    declared = resource("heartbeat", "filesystem-backup")
    assert (declared.manager, declared.document["title"]) == ("api", "Filesystem Backup")
    assert queries.heartbeat("filesystem-backup").uuid == check["uuid"]
    assert revision(latest_revision()).manager == "api"
    applied = next(entries(Filter(kind="resources.applied"), limit=1))
    assert applied.actor.startswith("token:hc")


@pytest.mark.parametrize(("version", "slug"), [(1, "db-backup"), (2, "db-backup"), (3, "")])
def test_the_slug_follows_the_name_until_version_3(version: int, slug: str) -> None:
    assert Api(version=version).create(name="DB Backup")["slug"] == slug


def test_version_3_takes_a_slug_by_which_pings_find_the_check() -> None:
    api = Api()
    check = api.create(name="DB Backup", slug="my_db")
    assert check["slug"] == "my_db"
    assert [entry.uuid for entry in queries.load_directory().by_slug["my_db"]] == [check["uuid"]]
    assert [one["uuid"] for one in api("GET", "checks/?slug=my_db").json()["checks"]] == [check["uuid"]]
    assert api("GET", "checks/?slug=other").json() == {"checks": []}


def test_cron_checks_win_over_timeouts_and_keep_their_zone() -> None:
    api = Api()
    check = api.create(name="nightly", timeout=300, schedule="15 5 * * *", tz="Europe/Riga")
    assert (check["schedule"], check["tz"]) == ("15 5 * * *", "Europe/Riga")
    assert "timeout" not in check
    changed = api("POST", f"checks/{check['uuid']}", {"timeout": 600}).json()
    assert changed["timeout"] == 600
    assert "schedule" not in changed
    again = api("POST", f"checks/{check['uuid']}", {"schedule": "0 1 * * *"}).json()
    assert again["tz"] == "Europe/Riga"


def test_all_that_can_be_written_is_read_back_as_it_was_written() -> None:
    fields: dict[str, Any] = {
        "name": "Ünicode & <tags>",
        "tags": "a b",
        "desc": "Runs ~/db-backup.sh\nnightly",
        "timeout": 31_536_000,
        "grace": 31_536_000,
        "manual_resume": True,
        "methods": "POST",
        "start_kw": "STARTED",
        "success_kw": "SUCCESS, COMPLETED",
        "failure_kw": "FAILED,ERROR",
        "filter_subject": True,
        "filter_body": True,
        "filter_http_body": True,
        "filter_default_fail": True,
    }
    api = Api()
    check = api.create(**fields)
    assert {key: check[key] for key in fields} == fields
    assert (check["subject"], check["subject_fail"]) == ("SUCCESS, COMPLETED", "FAILED,ERROR")
    untouched = api("POST", f"checks/{check['uuid']}", {}).json()
    assert untouched == check
    assert latest_revision() == 1  # nothing was to be changed


def test_subject_and_subject_fail_are_the_keywords_of_the_first_version() -> None:
    api = Api(version=1)
    check = api.create(name="x", subject="OK", subject_fail="BAD")
    assert (check["success_kw"], check["failure_kw"], check["filter_subject"]) == ("OK", "BAD", True)
    cleared = api("POST", f"checks/{check['uuid']}", {"subject": "", "subject_fail": ""}).json()
    assert (cleared["subject"], cleared["filter_subject"]) == ("", False)


MISTAKES: list[tuple[Any, str]] = [
    (b"{", "could not parse request body"),
    (b"[" * 5000, "could not parse request body"),
    ([], "json validation error: value is not an object"),
    ({"name": 5}, "json validation error: name is not a string"),
    ({"name": None}, "json validation error: name is not a string"),
    ({"name": "x" * 101}, "json validation error: name is too long"),
    ({"slug": "Üb"}, "json validation error: slug does not match pattern"),
    ({"timeout": 59}, "json validation error: timeout is too small"),
    ({"timeout": 31_536_001}, "json validation error: timeout is too large"),
    ({"timeout": "60"}, "json validation error: timeout is not a number"),
    ({"timeout": True}, "json validation error: timeout is not a number"),
    ({"grace": 0}, "json validation error: grace is too small"),
    ({"manual_resume": "yes"}, "json validation error: manual_resume is not a boolean"),
    ({"methods": "PUT"}, "json validation error: methods has unexpected value"),
    ({"schedule": "* * *"}, "json validation error: schedule is not a valid cron or OnCalendar expression"),
    ({"schedule": "0 25 * * *"}, "json validation error: schedule is not a valid cron or OnCalendar expression"),
    ({"schedule": "*-*-* 25:00"}, "json validation error: schedule is not a valid cron or OnCalendar expression"),
    ({"tz": "Mars/Base"}, "json validation error: tz is not a valid timezone"),
    ({"unique": "name"}, "json validation error: unique is not an array"),
    ({"unique": ["status"]}, "json validation error: an item in 'unique' has unexpected value"),
    ({"success_kw": "x" * 201}, "json validation error: success_kw is too long"),
    ({"channels": "nobody"}, "invalid channel identifier: nobody"),
    ({"channels": ","}, "empty channel identifier"),
]


@pytest.mark.parametrize(("document", "message"), MISTAKES)
def test_mistakes_are_named_as_the_original_names_them_and_change_nothing(document: Any, message: str) -> None:
    api = Api()
    response = api("POST", "checks/", document)
    assert (response.status_code, response.json()) == (400, {"error": message})
    assert latest_revision() == 0


def test_a_body_beyond_the_limit_is_refused() -> None:
    assert Api()("POST", "checks/", {"desc": "x" * 70_000}).status_code == 413


def test_schedules_of_timers_come_and_go() -> None:
    api = Api()
    check = api.create(name="nightly", schedule="Mon..Fri 02:00\n*-*-01 04:00 UTC", tz="Europe/Riga")
    assert (check["schedule"], check["tz"]) == ("Mon..Fri 02:00\n*-*-01 04:00 UTC", "Europe/Riga")
    where = f"checks/{check['uuid']}"
    assert api("POST", where, {"schedule": "15 5 * * *"}).json()["schedule"] == "15 5 * * *"
    assert api("POST", where, {"schedule": "daily"}).json()["schedule"] == "daily"
    changed = api("POST", where, {"timeout": 3600}).json()
    assert (changed["timeout"], "schedule" in changed) == (3600, False)


def test_unique_updates_what_fits_and_else_creates() -> None:
    api = Api()
    first = api.create(name="Backups", tags="prod", timeout=300)
    response = api("POST", "checks/", {"name": "Backups", "grace": 120, "unique": ["name"]})
    assert (response.status_code, response.json()["uuid"], response.json()["grace"]) == (200, first["uuid"], 120)
    assert response.json()["timeout"] == 300
    response = api("POST", "checks/", {"name": "Backups", "tags": "dev", "unique": ["name", "tags"]})
    assert (response.status_code, response.json()["uuid"] != first["uuid"]) == (201, True)
    response = api("POST", "checks/", {"name": "Backups", "unique": ["name", "timeout"]})  # timeout is not given
    assert response.status_code == 201
    assert api("POST", "checks/", {"timeout": 300, "unique": ["timeout"]}).json()["uuid"] == first["uuid"]
    assert len(api("GET", "checks/").json()["checks"]) == 3


def test_two_checks_may_have_one_name() -> None:
    api = Api(version=1)
    codes = {api.create(name="same")["uuid"] for _ in range(3)}
    assert len(codes) == 3
    assert {view.title for view in queries.heartbeats()} == {"same"}
    assert len(queries.load_directory().by_slug["same"]) == 3  # a ping to the slug is ambiguous, as there


def test_lists_are_filtered_by_all_tags() -> None:
    api = Api()
    api.create(name="one", tags="a b")
    api.create(name="two", tags="a")
    names = [one["name"] for one in api("GET", "checks/?tag=a").json()["checks"]]
    assert names == ["one", "two"]
    assert [one["name"] for one in api("GET", "checks/?tag=a&tag=b").json()["checks"]] == ["one"]
    assert api("GET", "checks/?tag=c").json() == {"checks": []}


def test_a_read_only_key_sees_no_addresses_and_may_change_nothing() -> None:
    check = Api().create(name="Backups")
    reader = Api("monitors:read")
    (seen,) = reader("GET", "checks/").json()["checks"]
    assert set(seen) == COMMON | {"timeout", "unique_key"}
    key = hashlib.sha1(UUID(check["uuid"]).hex[:16].encode()).hexdigest()
    assert seen["unique_key"] == key
    assert reader("GET", f"checks/{key}").json() == seen
    assert reader("GET", f"checks/{check['uuid']}").json() == seen
    assert reader("GET", f"checks/{key}/flips/").status_code == 200
    assert reader("GET", "badges/").status_code == 200
    for method, path in (
        ("POST", "checks/"),
        ("POST", f"checks/{check['uuid']}"),
        ("DELETE", f"checks/{check['uuid']}"),
        ("POST", f"checks/{check['uuid']}/pause"),
        ("GET", f"checks/{check['uuid']}/pings/"),
        ("GET", "channels/"),
    ):
        response = reader(method, path, {} if method == "POST" else None)
        assert (response.status_code, response.json()) == (401, {"error": "wrong api key"}), path


def test_keys_stand_in_the_header_or_in_the_json() -> None:
    key = Api().key
    nobody = Api(key="")
    assert nobody("GET", "checks/").json() == {"error": "missing api key"}
    assert nobody("POST", "checks/", {"api_key": key, "name": "x"}).status_code == 201
    assert nobody("POST", "checks/", {"api_key": 5}).status_code == 401
    assert nobody("GET", "checks/", {"api_key": key}).status_code == 401
    assert Api(key="x" * 32)("GET", "checks/").json() == {"error": "wrong api key"}


def test_unknown_checks_and_methods() -> None:
    api = Api()
    for path in (f"checks/{uuid4()}", f"checks/{'0' * 40}", f"checks/{uuid4()}/flips/", f"checks/{uuid4()}/pings/"):
        assert api("GET", path).status_code == 404
    assert api("POST", f"checks/{uuid4()}/pause").status_code == 404
    refused = api("PUT", "checks/")
    assert (refused.status_code, refused["Allow"]) == (405, "GET, POST, OPTIONS")
    preflight = api("OPTIONS", "checks/")
    assert preflight.status_code == 204
    assert preflight["Access-Control-Allow-Origin"] == "*"
    assert preflight["Access-Control-Allow-Headers"] == "X-Api-Key"
    assert preflight["Access-Control-Allow-Methods"] == "GET, POST, OPTIONS"


def test_our_own_api_beside_it_is_not_touched() -> None:
    key = Api().key
    ours = Client(headers={"host": "localhost", "authorization": f"Bearer {key}"})
    assert ours.get("/api/v1/monitors").json() == {"monitors": [], "total": 0, "counts": ours_counts(ours)}
    assert ours.get("/api/v1/heartbeats").json() == []


def ours_counts(client: Client) -> Any:
    return client.get("/api/v1/monitors").json()["counts"]


def test_pause_and_resume() -> None:
    api = Api()
    check = api.create(name="Backups", timeout=300)
    ping("Backups", "success", 1_800_000_000.0)
    paused = api("POST", f"checks/{check['uuid']}/pause").json()
    assert (paused["status"], paused["next_ping"], paused["last_ping"]) == ("paused", None, "2027-01-15T08:00:00+00:00")
    assert api("POST", f"checks/{check['uuid']}/pause").status_code == 200
    resumed = api("POST", f"checks/{check['uuid']}/resume")
    assert (resumed.status_code, resumed.json()["status"]) == (200, "new")
    again = api("POST", f"checks/{check['uuid']}/resume")
    assert (again.status_code, again.content) == (409, b"check is not paused")


def test_started_checks_are_told_apart_since_version_2() -> None:
    check = Api().create(name="Backups")
    ping("Backups", "start", 1_800_000_000.0)
    first = Api(version=1)("GET", f"checks/{check['uuid']}").json()
    second = Api(version=2)("GET", f"checks/{check['uuid']}").json()
    assert (first["status"], second["status"], second["started"]) == ("started", "new", True)
    assert second["next_ping"] == "2027-01-15T08:00:00+00:00"  # when the grace of the run began


def test_a_manual_resume_check_stays_paused_when_pinged() -> None:
    api = Api()
    check = api.create(name="Backups", manual_resume=True)
    api("POST", f"checks/{check['uuid']}/pause")
    ping("Backups", "success", 1_800_000_000.0)
    assert api("GET", f"checks/{check['uuid']}").json()["status"] == "paused"
    (kept,) = api("GET", f"checks/{check['uuid']}/pings/").json()["pings"]
    assert kept["type"] == "ign"


def test_pings_with_bodies_newest_first() -> None:
    api = Api()
    check = api.create(name="Backups")
    rid = "123e4567-e89b-12d3-a456-426614174000"
    ping("Backups", "start", 1_800_000_000.0, rid=rid)
    ping("Backups", "fail", 1_800_000_002.5, b"no \xff space", rid=rid)
    done, start = api("GET", f"checks/{check['uuid']}/pings/").json()["pings"]
    body = f"/api/v3/checks/{check['uuid']}/pings/2/body"
    assert done == {
        "type": "fail",
        "date": "2027-01-15T08:00:02.500000+00:00",
        "n": 2,
        "scheme": "http",
        "remote_addr": "192.0.2.1",
        "method": "POST",
        "ua": "curl/8",
        "rid": rid,
        "duration": 2.5,
        "body_url": f"http://127.0.0.1:8800{body}",
    }
    assert (start["type"], start["body_url"], "duration" in start) == ("start", None, False)
    kept = api("GET", body.removeprefix("/api/v3/"))
    assert (kept["Content-Type"], kept.content) == ("text/plain", b"no \xff space")
    for missing in ("1", "3", str(10**30)):
        assert api("GET", f"checks/{check['uuid']}/pings/{missing}/body").status_code == 404


def test_flips_are_changes_between_up_and_down() -> None:
    api = Api()
    check = api.create(name="Backups")
    for kind in ("success", "success", "fail", "success"):
        ping("Backups", kind, 1_800_000_000.0)  # type: ignore[arg-type]
    address = f"checks/{check['uuid']}/flips/"
    flips = api("GET", address).json()
    assert [flip["up"] for flip in flips] == [1, 0, 1]
    assert flips[0]["timestamp"].endswith("+00:00")
    assert len(api("GET", f"{address}?seconds=3600").json()) == 3
    assert api("GET", f"{address}?end=1500000000").json() == []
    assert len(api("GET", f"{address}?start=1500000000&end=9000000000").json()) == 3
    for bad in ("start=abc", "start=-1", "seconds=99999999999", "end=12345678901234567890", "seconds=1.5"):
        assert api("GET", f"{address}?{bad}").status_code == 400, bad


def test_a_check_of_the_same_name_does_not_inherit_flips() -> None:
    api = Api()
    check = api.create(name="Backups")
    ping("Backups", "success", 1_800_000_000.0)
    assert api("DELETE", f"checks/{check['uuid']}").json()["name"] == "Backups"
    assert api("GET", f"checks/{check['uuid']}").status_code == 404
    again = api.create(name="Backups")
    assert api("GET", f"checks/{again['uuid']}/flips/").json() == []


def test_channels_are_listed_assigned_and_unassigned() -> None:
    declare(ACTOR, "channel", "hook", {"webhook": {"url": "http://127.0.0.1:9/"}}, manager="api")
    declare(ACTOR, "channel", "mail", {"email": {"to": ["ops@example.org"]}}, manager="api")
    declare(ACTOR, "route", "all", {"to": ["mail"]}, manager="api", position=1)
    api = Api()
    listed = {one["name"]: one for one in api("GET", "channels/").json()["channels"]}
    assert {name: one["kind"] for name, one in listed.items()} == {"hook": "webhook", "mail": "email"}
    hook, mail = listed["hook"]["id"], listed["mail"]["id"]
    assert api.create(name="plain")["channels"] == mail  # what the general routes choose
    check = api.create(name="Backups", channels="hook")
    assert check["channels"] == hook
    both = api("POST", f"checks/{check['uuid']}", {"channels": "*"}).json()
    assert both["channels"] == ",".join(sorted([hook, mail]))
    by_id = api("POST", f"checks/{check['uuid']}", {"channels": hook}).json()
    assert by_id["channels"] == hook
    none = api("POST", f"checks/{check['uuid']}", {"channels": ""}).json()
    assert none["channels"] == mail
    api("POST", f"checks/{check['uuid']}", {"channels": "hook"})
    uid = queries.by_uuid(check["uuid"]).uid
    assert find("route", f"heartbeat-{uid}") is not None
    api("DELETE", f"checks/{check['uuid']}")
    assert find("route", f"heartbeat-{uid}") is None


def test_what_a_file_keeps_is_not_changed_by_the_api() -> None:
    declare(ACTOR, "heartbeat", "kept", {"every": "1h"}, manager="file", source="a.yaml")
    code = queries.heartbeat("kept").uuid
    api = Api()
    for response in (api("POST", f"checks/{code}", {"grace": 60}), api("DELETE", f"checks/{code}")):
        assert response.status_code == 409
        assert "a.yaml" in response.json()["error"]
    assert queries.heartbeat("kept").grace == 300
    assert api("GET", f"checks/{code}").json()["timeout"] == 3600


def test_a_check_that_a_page_shows_is_not_deleted() -> None:
    api = Api()
    check = api.create(name="Backups")
    page = {"title": "Example", "components": [{"name": "Backups", "heartbeats": ["Backups"]}]}
    declare(ACTOR, "status_page", "public", page, manager="api")
    assert api("DELETE", f"checks/{check['uuid']}").status_code == 400
    assert api("GET", f"checks/{check['uuid']}").status_code == 200


def test_badges_of_every_tag_and_of_all() -> None:
    api = Api()
    api.create(name="one", tags="prod db/main")
    badges = api("GET", "badges/").json()["badges"]
    assert set(badges) == {"prod", "db/main", "*"}
    assert list(badges["prod"]) == ["svg", "svg3", "json", "json3", "shields", "shields3"]
    assert badges["prod"]["svg"].endswith("-2/prod.svg")
    assert badges["db/main"]["json3"].endswith("/db%2Fmain.json")
    assert badges["*"]["shields"].endswith("-2.shields")


@pytest.mark.parametrize("version", [1, 2, 3])
def test_service_status_is_open(version: int) -> None:
    response = Client(headers={"host": "localhost"}).get(f"/api/v{version}/status/")
    assert (response.status_code, response.content) == (200, b"OK")


def test_the_prometheus_endpoint_of_a_project() -> None:
    heartbeat("nightly", tags=["prod"])
    ping("nightly", "fail", 1_800_000_000.0)
    key = Api("monitors:read").key
    client = Client(headers={"host": "localhost"})
    address = f"/projects/{uuid4()}/metrics/"
    text = client.get(address + key).content.decode()
    labels = f'name="nightly",tags="prod",unique_key="{queries.unique_key_of(queries.heartbeat("nightly").uuid)}"'
    assert f"hc_check_up{{{labels}}} 0\n" in text
    for line in (f"hc_check_started{{{labels}}} 0", 'hc_tag_up{tag="prod"} 0', "hc_checks_total 1"):
        assert f"{line}\n" in text
    assert "hc_checks_down_total 1\n" in text
    assert client.get(address, headers={"authorization": f"Bearer {key}"}).content.decode() == text
    assert client.get(address).status_code == 401
    assert client.get(address + "x" * 32).status_code == 403


def test_a_wrong_key_in_an_address_does_not_reach_the_log(caplog: pytest.LogCaptureFixture) -> None:
    key = Api("channels:test").key
    assert Client(headers={"host": "localhost"}).get(f"/projects/{uuid4()}/metrics/{key}").status_code == 403
    assert key not in caplog.text
