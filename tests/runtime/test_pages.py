"""Every page for people on a real store: what it shows, what it changes, and who may."""

from __future__ import annotations

import base64
import json
import re
import time

import pytest
from django.test import Client
from tests.rigs import seeding
from tests.rigs.accounts_browser import TEST, browser, person

from mainstay.accounts import verbs
from mainstay.accounts.models import User
from mainstay.alerting.models import AlertRow
from mainstay.alerting.routing import NO_CHANNEL
from mainstay.frames.boot import current_settings
from mainstay.runtime.health_page import Report, set_reporter
from mainstay.store.journal import Filter, entries
from mainstay.store.models import RevisionRow
from mainstay.store.resources.apply import declare
from mainstay.store.resources.queries import latest_revision, resource, resources
from mainstay.store.seals.proving import verify
from mainstay.watch.results import set_current
from mainstay.watch.results.history import HISTORY
from mainstay.watch.results.results import Results
from mainstay.watch.results.values import Sample

PAGES = [
    "/",
    "/monitors/",
    "/monitors/checkout/",
    "/monitors/checkout/?range=90d",
    "/heartbeats/",
    "/heartbeats/nightly-backup/",
    "/alerts/",
    "/channels/",
    "/status-pages/",
    "/resources/",
    "/resources/route/urgent/",
    "/resources/window/monthly-updates/",
    "/resources/status_page/acme/",
    "/resources/new?kind=route",
    "/resources/monitor/api/edit",
    "/revisions/",
    "/revisions/1/",
    "/revisions/1/rollback",
    "/journal/",
    "/health/",
]


@pytest.fixture
def company(store: None, telemetry: Results) -> Client:
    """The seeded company, seen by its administrator."""
    now = time.time()
    seeding.declare_company(now)
    seeding.settle_company(telemetry, now, hours=3)
    return visitor()


def visitor(email: str = "first@example.com", role: str = "admin") -> Client:
    """A signed-in person; passwords are tested elsewhere and cost half a second each."""
    verbs.create_user(TEST, email, role)
    client = browser()
    client.force_login(User.objects.get(email=email), backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def text_of(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200, url
    return response.content.decode()


def test_every_page_keeps_the_strict_policy(company: Client) -> None:
    alert = re.search(r'href="(/alerts/[^"/]+/)"', text_of(company, "/alerts/"))
    assert alert is not None
    for url in [*PAGES, alert[1]]:
        page = text_of(company, url)
        assert "<style" not in page, url
        assert not re.search(r"\sstyle=", page), url
        assert not re.search(r"\son[a-z]+=", page), url
        assert not re.search(r"<script(?![^>]*(src=|application/json))", page), url
        assert "{{" not in page, url
        assert "{%" not in page, url


def test_nobody_sees_a_page_without_signing_in(company: Client) -> None:
    stranger = browser()
    for url in PAGES:
        response = stranger.get(url)
        assert response.status_code == 302, url
        assert "/accounts/login/" in response["Location"]


def test_the_overview_tells_what_is_wrong_first(company: Client) -> None:
    page = text_of(company, "/")
    wrong, everything = page.index("What is wrong now"), page.index('id="everything"')
    assert page.index('aria-label="Address to watch"') < wrong
    assert wrong < page.index("the status is 503, expected 200-299") < everything
    assert "4 things are wrong" in page
    assert page.count("the status is 503") == 1, "each trouble is said once"
    assert page.index(">checkout<") < page.index(">api-search<")


def test_the_overview_folds_groups_and_puts_what_has_none_last(company: Client) -> None:
    for number in range(4):
        declare(seeding.SEED, "monitor", f"lone-{number}", {"tcp": f"lone{number}.acme.example:22"}, manager="page")
    now = time.time()
    seeding.set_state(resource("monitor", "lone-1").uid, "down", now - 60, now, message="nobody listens there")
    page = text_of(company, "/")
    names = re.findall(r'<details class="block group" id="group-([^"]+)"( open)?>', page)
    assert [name for name, _ in names][-1] == "Others"
    assert {opened for _, opened in names} == {""}, "more than a dozen are folded"


def test_a_few_monitors_are_shown_unfolded(store: None, telemetry: Results) -> None:
    declare(seeding.SEED, "monitor", "alone", {"http": "https://alone.example"}, manager="page")
    page = text_of(visitor(), "/")
    assert 'id="group-Monitors" open>' in page
    assert "Waiting for the first results" in page
    assert " up</h1>" not in page, "nothing has reported yet"


def test_an_address_that_is_watched_already_is_added_only_when_asked_again(company: Client) -> None:
    address = "https://shop.acme.example/"
    asked = company.post("/add", {"address": address})
    page = asked.content.decode()
    assert asked.status_code == 409
    assert "This address is already watched" in page
    assert 'href="/monitors/shop/">shop</a>' in page
    assert "shop.acme.example" not in {one.name for one in resources("monitor")}
    again = company.post("/add", {"address": address, "again": "1"})
    assert again["Location"] == "/monitors/shop.acme.example/"
    assert company.post("/add", {"address": "http://a b/"}).status_code == 422
    assert company.post("/add", {"address": "HTTPS://Shop.acme.example:443"}).status_code == 409, "written otherwise"
    assert 'id="problems"' in text_of(company, "/add")  # what the page that tells of it asks for to stay current


def test_an_empty_install_says_what_to_do(store: None, telemetry: Results) -> None:
    client = visitor()
    assert "Nothing is watched yet" in text_of(client, "/")
    for url in ("/monitors/", "/heartbeats/", "/alerts/", "/channels/", "/resources/", "/revisions/", "/journal/"):
        text_of(client, url)
    response = client.post("/add", {"address": "https://new.example/health"})
    assert response.status_code == 302
    assert resource("monitor", "new.example-health").manager == "page"
    assert "new.example-health" in text_of(client, response["Location"])
    refused = client.post("/add", {"address": "not an address"})
    assert refused.status_code == 422
    assert "is not an address to watch" in refused.content.decode()


def test_monitors_are_searched_filtered_and_sorted(company: Client) -> None:
    def names(url: str) -> list[str]:
        return re.findall(r"data-row>([^<]+)</a>", text_of(company, url))

    assert names("/monitors/?q=api")[0] == "api-search"
    assert names("/monitors/?state=paused") == ["resolver"]
    assert names("/monitors/?tag=service%3Dshop") == ["checkout", "shop"]
    assert names("/monitors/?sort=name") == sorted(seeding.MONITORS)
    assert names("/monitors/?q=nothing-like-this") == []
    assert text_of(company, "/monitors/").count(" data-in-file>") == len(seeding.MONITORS), "a deletion says so"
    assert len(names("/monitors/?page=99")) == len(seeding.MONITORS)


def test_many_monitors_are_paused_resumed_checked_and_deleted(company: Client) -> None:
    def order(what: str, **data: object) -> str:
        response = company.post("/monitors/orders", {"order": what, **data}, follow=True)
        assert response.status_code == 200
        return response.content.decode()

    assert "Paused 2 monitors." in order("pause", names=["api", "website"])
    assert "Resumed 1 monitor." in order("resume", names=["api"])
    assert "Requested a check of 2 monitors." in order("check", names=["api", "shop"])
    assert "Paused 2 monitors." in order("pause", q="shop.acme", everything="1")
    assert "Nothing was selected." in order("pause")
    assert "Nothing was deleted" in order("delete", names=["staging", "website"])  # a status page names it
    assert resource("monitor", "staging")
    refused = company.post("/monitors/orders", {"order": "delete", "names": ["website"], "q": "acme"}, follow=True)
    assert re.findall(r'value="([^"]+)"\s+aria-label="Choose [^"]+" checked', refused.content.decode()) == ["website"]
    assert "Deleted 1 monitor in revision" in order("delete", names=["staging"])
    assert "staging" not in {one.name for one in resources("monitor")}
    assert company.post("/monitors/orders", {"order": "explode", "names": ["api"]}).status_code == 400


def test_a_monitor_shows_phases_results_and_who_was_told(company: Client) -> None:
    page = text_of(company, "/monitors/checkout/")
    assert "Down for" in page
    assert "route urgent" in page
    points = json.loads(re.search(r'id="points">(.*?)</script>', page)[1])["points"]  # type: ignore[index]
    assert {"lookup", "connect", "tls", "wait", "transfer"} <= set(points[0]["phases"])
    assert any(point["failures"] for point in points)
    assert text_of(company, "/monitors/checkout/?range=90d").count('"at":') >= 1
    assert company.get("/monitors/nothing/").status_code == 404


def test_an_alert_is_taken_muted_and_unmuted(company: Client) -> None:
    url = re.search(r'href="(/alerts/[^"/]+/)"', text_of(company, "/alerts/"))[1]  # type: ignore[index]
    assert company.post(f"{url}acknowledge", {"next": "/"})["Location"] == "/"
    assert "first@example.com, since" in text_of(company, url)
    assert company.post(f"{url}mute", {"for": "2h"})["Location"] == url
    assert "Muted until" in text_of(company, url)
    company.post(f"{url}unmute")
    assert "Muted until" not in text_of(company, url)
    assert company.post(f"{url}mute", {"for": "soon"}).status_code == 400
    for elsewhere in ("https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)"):
        assert company.post(f"{url}acknowledge", {"next": elsewhere})["Location"] == url
    kinds = [entry.kind for entry in entries(Filter(kind="alert.*"))]
    assert {"alert.acknowledged", "alert.muted", "alert.unmuted"} <= set(kinds)


def test_the_editor_tells_mistakes_with_their_place_then_plans_then_applies(company: Client) -> None:
    wrong = "monitors:\n  shop-2:\n    http: https://shop.example\n    expct: {status: 200}\n    every: sometimes\n"
    page = company.post("/resources/plan", {"text": wrong}).content.decode()
    assert 'data-wrong-lines="4 5"' in page
    assert "did you mean" in page
    right = "monitors:\n  shop-2:\n    http: https://shop.example\n    every: 5m\n"
    page = company.post("/resources/plan", {"text": right.replace("\n", "\r\n")}).content.decode()
    assert "New: monitor shop-2" in page
    base = re.search(r'"base": "(\d+)"', page.replace("&quot;", '"'))[1]  # type: ignore[index]
    stale = company.post("/resources/apply", {"text": right, "base": "0"}).content.decode()
    assert "applied in the meantime" in stale
    done = company.post("/resources/apply", {"text": right, "base": base})
    assert done["HX-Redirect"] == "/monitors/shop-2/"
    assert resource("monitor", "shop-2").manager == "page"
    again = company.post("/resources/plan", {"text": right}).content.decode()
    assert "No difference" in again


def test_what_a_file_keeps_is_changed_only_when_it_is_taken_over(company: Client) -> None:
    text = "monitors:\n  api:\n    http: https://api.acme.example/health\n    every: 15s\n    severity: P0\n"
    assert "is managed by the file" in company.post("/resources/plan", {"text": text}).content.decode()
    assert "Changed: monitor api" in company.post("/resources/plan", {"text": text, "takeover": "1"}).content.decode()


def test_a_deleted_resource_comes_back_by_rolling_back(company: Client) -> None:
    before = latest_revision()
    assert company.post("/resources/route/rest/delete", {"takeover": "1"})["Location"] == f"/revisions/{before + 1}/"
    assert "rest" not in {one.name for one in resources("route")}
    page = text_of(company, f"/revisions/{before}/rollback")
    assert "New: route rest" in page
    assert company.post(f"/revisions/{before}/rollback", {"base": "0"}).status_code == 409
    company.post(f"/revisions/{before}/rollback", {"base": str(before + 1)})
    assert "rest" in {one.name for one in resources("route")}
    refused = company.post("/resources/channel/pager/delete", {"takeover": "1"}, follow=True)
    assert "pager" in {one.name for one in resources("channel")}
    assert refused.status_code == 200


def test_many_resources_are_deleted_after_a_look_at_the_plan(company: Client) -> None:
    for name in ("spare-a", "spare-b"):
        declare(TEST, "monitor", name, {"http": "https://spare.example"}, manager="page")

    def ask(**data: object) -> str:
        response = company.post("/resources/removal", data, follow=True)
        assert response.status_code == 200
        return response.content.decode()

    assert "Nothing was selected." in ask()
    both = {"chosen": ["monitor/spare-a", "monitor/spare-b"]}
    shown = ask(**both)
    assert all(f"Deleted: monitor {name}" in shown for name in ("spare-a", "spare-b"))
    assert resource("monitor", "spare-a"), "only shown so far"
    assert re.findall('name="chosen" value="(.+)"', shown) == both["chosen"]
    assert company.post("/resources/removal", {**both, "base": "0"}).status_code == 409
    assert "Deleted 2 resources in revision" in ask(**both, base=str(latest_revision()))
    assert "spare-a" not in {one.name for one in resources("monitor")}


def test_what_a_file_or_another_resource_needs_is_not_deleted_with_many(company: Client) -> None:
    declare(TEST, "monitor", "spare", {"http": "https://spare.example"}, manager="page")
    before = latest_revision()
    for chosen, why in (("route/rest", "is managed by the file"), ("monitor/website", "cannot be deleted")):
        data = {"chosen": ["monitor/spare", chosen], "q": "s"}
        refused = company.post("/resources/removal", data, follow=True)
        assert "Nothing was deleted" in refused.content.decode()
        assert why in refused.content.decode()
        assert refused.request["QUERY_STRING"] == "q=s"
    page = {"everything": "1", "q": "spare", "manager": "page"}
    assert "Delete 1 resource<" in company.post("/resources/removal", page).content.decode()
    assert latest_revision() == before
    reader = visitor("reader@example.com", "developer")
    assert reader.post("/resources/removal", page).status_code == 403
    assert 'id="removal"' not in text_of(reader, "/resources/")


def test_before_it_is_deleted_a_resource_says_what_names_it(company: Client) -> None:
    page = text_of(company, "/resources/monitor/website/")
    told = "Delete the monitor website? It is referred to by status page acme, which must be changed first."
    assert told in " ".join(page.split())
    assert "It is referred to by" not in text_of(company, "/resources/route/rest/")


def test_the_export_applies_without_a_difference(company: Client) -> None:
    text = company.get("/resources/export").content.decode()
    assert "No difference" in company.post("/resources/plan", {"text": text}).content.decode()


def test_the_journal_is_filtered_verified_and_exported(company: Client) -> None:
    assert "monitor.went_down" in text_of(company, "/journal/?kind=monitor.*")
    assert 'strong">user.signed_in' not in text_of(company, "/journal/?kind=monitor.*")
    assert "alert.fired" in text_of(company, "/journal/?subject=monitor/checkout")
    assert "Nothing matches" in text_of(company, "/journal/?text=no-such-words")
    assert company.get("/journal/?before=many").status_code == 400
    assert company.get("/journal/?since=yesterday").status_code == 400
    assert "are intact" in company.post("/journal/verify").content.decode()
    assert verify().broken_at is None
    exported = b"".join(company.get("/journal/export?kind=alert.*").streaming_content)  # type: ignore[attr-defined]
    assert {json.loads(line)["kind"] for line in exported.splitlines()} == {"alert.fired", "alert.told"}


def test_a_heartbeat_shows_how_to_report_and_what_came(company: Client) -> None:
    page = text_of(company, "/heartbeats/nightly-backup/")
    assert "/ping/" in page
    assert "curl -fsS" in page
    body = text_of(company, "/heartbeats/nightly-backup/pings/240")
    assert "dumped 4 databases" in body
    assert "Resume" in company.post("/heartbeats/nightly-backup/pause", follow=True).content.decode()
    assert company.post("/heartbeats/nightly-backup/dance").status_code == 400


def test_settings_are_shown_without_their_secrets(company: Client) -> None:
    from mainstay.kernel.settings import Settings
    from mainstay.runtime.health_page import settings_shown

    shown = {one.name: one.value for one in settings_shown(Settings(smtp="smtps://me:topsecret@mail.example:465"))}
    assert shown["MAINSTAY_SMTP"] == "smtps://me:***@mail.example:465"
    assert "MAINSTAY_DATABASE" in text_of(company, "/health/")


def test_health_names_its_parts_in_words(company: Client) -> None:
    set_reporter(lambda: Report(services={"database": "ok", "lanes": "stuck", "crew.drills": "ok"}))
    try:
        page = text_of(company, "/health/")
    finally:
        set_reporter(Report)
    assert "Unhealthy: Background work" in page
    named = re.findall(r'<span class="strong">([^<]+)</span>', page)
    assert named[:3] == ["Database", "Background work", "Crew: drills"]


def test_an_alert_that_reaches_nobody_leads_to_what_is_missing(store: None, telemetry: Results) -> None:
    uid = declare(seeding.SEED, "monitor", "alone", {"tcp": "127.0.0.1:9"}, manager="page").uid
    AlertRow.objects.create(
        id="a1", subject="monitor/alone", uid=uid, name="alone", severity="P1", level="down", labels={},
        status="firing", title="alone is down", opened_at=time.time(), since=time.time(), untold=NO_CHANNEL,
    )  # fmt: skip
    admin = visitor()
    for url in ("/alerts/", "/alerts/a1/"):
        assert f'<a href="/resources/new?kind=channel">{NO_CHANNEL}</a>' in text_of(admin, url)
    assert "kind=channel" not in text_of(visitor("reader@example.com", "support"), "/alerts/")


def test_who_may_only_look_gets_no_way_to_change(company: Client) -> None:
    intruder = visitor("intruder@example.com", "support")
    for url in ("/", "/monitors/", "/monitors/api/", "/alerts/"):
        assert intruder.get(url).status_code == 200, url
    assert intruder.post("/add", {"address": "https://x.example"}).status_code == 403
    assert intruder.post("/resources/route/rest/delete").status_code == 403
    assert intruder.get("/resources/monitor/api/edit").status_code == 403
    assert "Address to watch" not in text_of(intruder, "/")


def test_names_of_any_script_have_their_pages(company: Client) -> None:
    text = 'monitors:\n  "büro-東京":\n    http: https://x.example\n    description: "<b>bold</b>"\n'
    assert company.post("/resources/plan", {"text": text}).status_code == 200
    company.post("/resources/apply", {"text": text, "base": str(latest_revision())})
    page = text_of(company, "/monitors/b%C3%BCro-%E6%9D%B1%E4%BA%AC/")
    assert "büro-東京" in page
    assert "<b>bold" not in page


def test_a_thousand_monitors_fit_on_one_overview(company: Client) -> None:
    seeding.declare_many(300, groups=40)
    page = text_of(company, "/")
    assert page.count('data-state="') < 260
    assert "more in service-" in page
    assert "Page 1 of 7" in text_of(company, "/monitors/")


def test_status_pages_are_listed_with_what_they_tell_now(company: Client) -> None:
    text = company.get("/status-pages/").content.decode()
    assert 'href="http://127.0.0.1:8800/status/acme"' in text
    assert "Some systems are disrupted" in text or "All systems operational" in text
    assert "/resources/status_page/acme/edit" in text


def test_a_heartbeat_shows_its_uptime(company: Client, telemetry: Results) -> None:
    uid = resource("heartbeat", "nightly-backup").uid
    assert "no data" in company.get("/heartbeats/nightly-backup/").content.decode()
    now = time.time()
    HISTORY.forget()
    whole = Sample(uid=uid, at=now - 60, verdict="up", duration=0.0, charge="up", charged=90.0)
    lost = Sample(uid=uid, at=now, verdict="down", duration=0.0, charge="down", charged=10.0)
    telemetry.append([whole, lost])
    telemetry.flush()
    text = company.get("/heartbeats/nightly-backup/").content.decode()
    assert "90" in text
    assert "10 s down" in text


def test_a_trace_is_handed_out_to_whoever_sees_the_monitor(company: Client, telemetry: Results) -> None:
    uid = resource("monitor", "checkout").uid
    folder = current_settings().data / "traces"
    folder.mkdir(exist_ok=True)
    name = f"{uid}-{time.time_ns() // 1_000_000}.zip"
    (folder / name).write_bytes(b"PK trace")
    evidence = {"trace": name, "trace left out": "no"}
    telemetry.append([Sample(uid=uid, at=time.time(), verdict="down", duration=1.0, charge="down", charged=1.0,
                             message="gone", evidence=evidence)])  # fmt: skip
    telemetry.flush()
    address = f"/monitors/checkout/traces/{name}"
    assert f'href="{address}"' in company.get("/monitors/checkout/").content.decode()
    answer = company.get(address)
    assert (answer.status_code, b"".join(answer.streaming_content)) == (200, b"PK trace")
    assert answer["Content-Disposition"].startswith("attachment")
    for wrong in (f"/monitors/api/traces/{name}", "/monitors/checkout/traces/x.zip", address.replace(uid, uid[:-1])):
        assert company.get(wrong).status_code == 404
    (folder / name).unlink()
    assert company.get(address).status_code == 404


def test_a_picture_is_a_file_that_whoever_sees_the_monitor_sees(company: Client) -> None:
    uid, content = resource("monitor", "checkout").uid, b"\xff\xd8 a page"
    inline = "data:image/jpeg;base64," + base64.b64encode(content).decode()
    opened = Results.embedded(current_settings().data / "pictured.duckdb")
    set_current(opened)
    opened.append([Sample(uid=uid, at=time.time(), verdict="down", duration=1.0, charge="down", charged=1.0,
                          evidence={"screenshot": inline})])  # fmt: skip
    opened.flush()
    name = opened.latest(uid, 1)[0].evidence["screenshot"]
    assert f'src="pictures/{name}"' in company.get("/monitors/checkout/").content.decode()
    answer = company.get(f"/monitors/checkout/pictures/{name}")
    assert (answer["Content-Type"], answer.content) == ("image/jpeg", content)
    assert company.get(f"/monitors/api/pictures/{name}").status_code == 404
    opened.forget([uid])
    opened.close()
    assert company.get(f"/monitors/checkout/pictures/{name}").status_code == 404


def test_maintenance_begins_shows_and_ends_on_pages(company: Client) -> None:
    client = company
    page = client.get("/monitors/shop/").content.decode()
    assert 'name="for" value="1h"' in page
    begin = {"kind": "monitor", "name": "shop", "custom": "90m", "reason": "new disks", "for": "1h"}
    told = client.post("/maintenance", begin, follow=True)
    assert "shop is in maintenance until" in told.content.decode()
    assert "End maintenance" in client.get("/monitors/shop/").content.decode()
    window = resource("window", "maintenance-shop")
    assert window.spec.until.timestamp() - window.spec.start.timestamp() == pytest.approx(5400, abs=1)
    listed = client.get("/windows/").content.decode()
    assert listed.index("new disks") < listed.index("first Tuesday of every month, 02:00 to 04:00 UTC")
    assert re.search(r"Ends <time [^>]+>in 1 h (29|30) min", listed)
    assert re.search(r", <time [^>]+>in \d+ ", listed), "the next of the recurring one"
    client.post("/windows/maintenance-shop/end")
    listed = client.get("/windows/").content.decode()
    assert listed.index("<h2>Past</h2>") < listed.index("new disks")
    client.post("/maintenance", {"kind": "heartbeat", "name": "nightly-backup", "for": "2h"})
    assert "End maintenance" in client.get("/heartbeats/nightly-backup/").content.decode()
    client.post("/maintenance", {"kind": "heartbeat", "name": "nightly-backup", "order": "end"})
    assert "End maintenance" not in client.get("/heartbeats/nightly-backup/").content.decode()
    assert client.post("/maintenance", {"name": "shop", "for": "soon"}).status_code == 400


def test_a_window_has_no_past_before_it_was_declared(company: Client) -> None:
    def past() -> int:
        return company.get("/windows/").content.decode().partition("<h2>Past</h2>")[2].count(">naps<")

    spec = {"rule": "daily 00:00-00:01", "covers": ["monitor=shop"]}
    declare(TEST, "window", "naps", spec, manager="page")
    assert past() == 0
    RevisionRow.objects.update(at_us=int((time.time() - 10.5 * seeding.DAY) * 1_000_000))
    assert past() in (10, 11)
    declare(TEST, "window", "naps", {**spec, "description": "sleep"}, manager="page")
    assert past() in (10, 11), "it covered the same"
    declare(TEST, "window", "naps", {**spec, "covers": ["monitor=api"]}, manager="page")
    assert past() == 0, "that is another window from now on"


def test_the_list_of_resources_tells_every_kind_of_schedule(company: Client) -> None:
    text = "heartbeats: {pay: {on_calendar: 'Mon..Fri 06:00', timezone: Asia/Kolkata}, tidy: {cron: 0 2 * * *}}"
    company.post("/resources/apply", {"text": text, "base": str(latest_revision())})
    page = text_of(company, "/resources/?kind=heartbeat")
    assert "Mon..Fri 06:00 Asia/Kolkata" in page
    assert "cron 0 2 * * * UTC" in page


def test_an_address_that_takes_no_such_request_says_which_it_takes(company: Client) -> None:
    refused = company.get("/maintenance")
    assert (refused.status_code, refused["Allow"]) == (405, "POST")
    page = refused.content.decode()
    assert "<h1>That did not work</h1>" in page
    assert "It accepts POST." in page


def test_a_fresh_install_says_where_the_set_up_link_is(store: None) -> None:
    stranger = browser()
    page = stranger.get("/", follow=True).content.decode()
    assert "Set up this Mainstay" in page
    assert "mainstay access setup" in page
    assert 'name="login"' not in page
    verbs.create_user(TEST, "later@example.com", "admin")
    assert "Set up this Mainstay" in browser().get("/accounts/login/").content.decode(), "an invitation is no way in"
    person()
    assert 'name="login"' in browser().get("/accounts/login/").content.decode()


def test_routes_have_a_page_of_their_own(company: Client) -> None:
    page = text_of(company, "/routes/")
    assert "<h1>Routes</h1>" in page
    assert re.findall(r"data-row>([^<]+)</a>", page) == ["urgent", "rest"]
    assert re.findall(r"data-row>([^<]+)</a>", text_of(company, "/routes/?q=urgent")) == ["urgent"]
