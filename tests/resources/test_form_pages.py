"""Adding and changing resources by form: every kind and sort is drawn, saved, and told where it is wrong."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from django.test import Client
from tests.rigs.accounts_browser import TEST, browser, person

from mainstay.accounts import verbs
from mainstay.accounts.models import User
from mainstay.frames.web.forms.shape import variants
from mainstay.kernel.resource import KINDS
from mainstay.store.resources.apply import declare
from mainstay.store.resources.queries import find, resource, resources
from mainstay.watch.results.results import Results

EVERY = [(kind.name, variant.key) for kind in KINDS for variant in variants(kind.name)]


class _Inputs(HTMLParser):
    """What a browser would send of the form `draft`."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[str, str]] = []
        self._area: str | None = None
        self._select: str | None = None
        self._options: list[tuple[str, bool]] = []
        self.ids: list[str] = []
        self.described: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if "id" in given:
            self.ids.append(given["id"] or "")
        self.described += (given.get("aria-describedby") or "").split()
        name = given.get("name") or ""
        if tag == "textarea":
            self._area = name
            self.sent.append((name, ""))
        elif tag == "select":
            self._select, self._options = name, []
        elif tag == "option" and self._select is not None:
            self._options.append((given.get("value") or "", "selected" in given))
        elif tag == "input" and name and (given.get("type") not in ("checkbox", "radio") or "checked" in given):
            self.sent.append((name, given.get("value") or ""))

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self.sent[-1] = (self._area, self.sent[-1][1] + data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._area is not None:
            self.sent[-1] = (self._area, self.sent[-1][1].removeprefix("\n"))
            self._area = None
        elif tag == "select" and self._select is not None:
            chosen = [value for value, here in self._options if here] or [value for value, _ in self._options][:1]
            self.sent += [(self._select, value) for value in chosen]
            self._select = None


def page(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200, url
    return str(response.content.decode())


def sent(text: str) -> dict[str, list[str]]:
    """The form of a page as it would be submitted untouched."""
    reader = _Inputs()
    reader.feed(text[text.index('<form id="draft"') : text.index("</form>", text.index('<form id="draft"'))])
    found: dict[str, list[str]] = {}
    for name, value in reader.sent:
        found.setdefault(name, []).append(value)
    return found


@pytest.fixture
def admin(store: None) -> Client:
    verbs.create_user(TEST, "first@example.com", "admin")
    client = browser()
    user = User.objects.get(email="first@example.com")
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def put(kind: str, name: str, document: object) -> None:
    declare(TEST, kind, name, document, manager="page")


@pytest.mark.parametrize(("kind", "sort"), EVERY)
def test_every_kind_and_sort_has_a_form_whose_parts_are_labelled(admin: Client, kind: str, sort: str) -> None:
    text = page(admin, f"/resources/new?kind={kind}&sort={sort}")
    reader = _Inputs()
    reader.feed(text)
    assert len(reader.ids) == len(set(reader.ids))
    assert set(reader.described) <= set(reader.ids)
    assert not re.search(
        r"<(input|select|textarea)(?![^>]*(?:id=|aria-label=|type=\"hidden\"|type=\"radio\"|value=))", text
    )


ADDED = {
    "monitor": {"name": "shop", "spec.http.url": "https://shop.example.com", "spec.every": "5m"},
    "channel": {"name": "mail", "sort": "email", "spec.email.to.0": "ops@example.com"},
    "window": {
        "name": "monthly",
        "spec.rule": "first tuesday 02:00-04:00",
        "spec.covers.0.label": "service",
        "spec.covers.0.value": "shop",
    },
    "status_page": {"name": "public", "spec.title": "Example", "spec.components.0.name": "Shop"},
    "heartbeat": {"name": "backup", "spec.+pick": "1", "spec.cron": "0 2 * * *"},
    "location": {"name": "frankfurt", "spec.silent_after": "1m"},
}
DECLARED = {
    "monitor": {"http": {"url": "https://shop.example.com"}, "every": "5m"},
    "channel": {"email": {"to": ["ops@example.com"]}},
    "window": {"rule": "first tuesday 02:00-04:00", "covers": ['service="shop"']},
    "status_page": {"title": "Example", "components": [{"name": "Shop"}]},
    "heartbeat": {"cron": "0 2 * * *"},
    "location": {"silent_after": "1m"},
}


@pytest.mark.parametrize("kind", ADDED)
def test_what_is_filled_in_is_declared_and_nothing_else(admin: Client, telemetry: Results, kind: str) -> None:
    filled = {**sent(page(admin, f"/resources/new?kind={kind}")), **ADDED[kind]}
    response = admin.post("/resources/save", filled)
    assert response.status_code == 302, response.content.decode()
    name = ADDED[kind]["name"]
    assert resource(kind, name).document == DECLARED[kind]
    followed = page(admin, response.url)
    assert "Saved as revision 1." in followed
    assert name in followed


@pytest.mark.parametrize("kind", ADDED)
def test_a_form_saved_untouched_changes_nothing(admin: Client, kind: str) -> None:
    name = ADDED[kind]["name"]
    put(kind, name, DECLARED[kind])
    response = admin.post("/resources/save", sent(page(admin, f"/resources/{kind}/{name}/edit")))
    assert response.status_code == 302
    assert resource(kind, name).revision == 1


def test_mistakes_stand_at_their_fields_and_nothing_is_saved(admin: Client) -> None:
    filled = sent(page(admin, "/resources/new?kind=monitor"))
    text = admin.post("/resources/save", {**filled, "spec.every": "often", "spec.labels.0.key": "a b"}).content.decode()
    assert "Nothing has been saved yet." in text
    for part in ("name", "spec-http-url", "spec-every", "spec-labels-0-value"):
        field = re.search(rf'<p class="error" id="f-{part}-e"[^>]*>(.+?)</p>', text)
        assert field is not None, part
    assert text.count("<code>often</code> is not a duration") == 2  # at the top and at its field
    assert "`" not in text
    assert re.search(r'id="f-spec-every"[^>]*aria-invalid="true"', text, re.DOTALL)
    assert 'value="often"' in text
    assert find("monitor", "new") is None


def test_of_an_empty_form_what_is_needed_is_told_at_its_field_and_nothing_is_unfolded(admin: Client) -> None:
    filled = sent(page(admin, "/resources/new?kind=monitor"))
    text = admin.post("/resources/save", filled).content.decode()
    assert re.search(r'id="f-spec-http-url-e"[^>]*>This is needed<', text)
    assert "needs exactly one of" not in text
    assert '<details class="further" open' not in text


def test_what_is_typed_is_looked_at_without_saving(admin: Client) -> None:
    filled = sent(page(admin, "/resources/new?kind=route"))
    text = admin.post("/resources/check", {**filled, "name": "a b", "spec.to": ["", "nobody"]}).content.decode()
    assert 'data-of="name"' in text
    assert re.search(r'data-of="spec.to">.*<code>nobody</code>', text)
    assert resources() == []


def test_a_name_that_is_taken_is_not_changed_from_the_form_of_a_new_one(admin: Client) -> None:
    put("monitor", "shop", DECLARED["monitor"])
    filled = {**sent(page(admin, "/resources/new?kind=monitor")), **ADDED["monitor"], "spec.every": "9m"}
    assert "there is a monitor of this name already" in admin.post("/resources/save", filled).content.decode()
    assert resource("monitor", "shop").document == DECLARED["monitor"]


def test_a_form_that_is_older_than_what_it_changes_says_so(admin: Client) -> None:
    put("monitor", "shop", DECLARED["monitor"])
    filled = sent(page(admin, "/resources/monitor/shop/edit"))
    put("monitor", "shop", {**DECLARED["monitor"], "severity": "P0"})
    text = admin.post("/resources/save", {**filled, "spec.every": "9m"}).content.decode()
    assert "it was changed in the meantime" in text
    assert resource("monitor", "shop").document["severity"] == "P0"


def test_both_tabs_hold_the_same_draft_and_its_comments(admin: Client) -> None:
    written = "monitors:\n  # our shop\n  shop:\n    http: https://shop.example.com  # the entrance\n    every: 5m\n"
    opened = sent(page(admin, "/resources/new?kind=monitor&as=yaml"))
    form = admin.post("/resources/draft", {**opened, "text": written, "do": "form"}).content.decode()
    filled = sent(form)
    assert filled["name"] == ["shop"]
    assert filled["spec.http.url"] == ["https://shop.example.com"]
    back = admin.post("/resources/draft", {**filled, "spec.every": "10m", "do": "yaml"}).content.decode()
    assert sent(back)["text"] == [written.replace("5m", "10m")]


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("monitors:\n  a: {http: https://a.example}\n  b: {http: https://b.example}\n", "declares more"),
        ("monitors:\n  a: {http: https://a.example, evry: 5m}\n", "evry"),
        ("monitors: {a: {http: https://a.example, every: [1]}}\n", "every"),
        ("monitors:\n\ta: b\n", "Line 2"),
        ("x-y: 1\nmonitors: {}\n", "more than one"),
        ("monitors: {a: {http: https://a.example, tcp: 'a:1'}}\n", "both"),
    ],
)
def test_yaml_that_a_form_cannot_show_stays_and_says_why(admin: Client, written: str, reason: str) -> None:
    opened = sent(page(admin, "/resources/new?kind=monitor&as=yaml"))
    text = admin.post("/resources/draft", {**opened, "text": written, "do": "form"}).content.decode()
    assert "The form cannot show this" in text
    assert reason in text
    assert sent(text)["text"] == [written]


def test_another_sort_keeps_what_both_have(admin: Client) -> None:
    filled = {**sent(page(admin, "/resources/new?kind=monitor")), "name": "db", "spec.severity": "P0"}
    other = sent(admin.post("/resources/draft", {**filled, "sort": "dns", "do": ""}).content.decode())
    assert other["name"] == ["db"]
    assert other["spec.severity"] == ["P0"]
    assert "spec.dns.name" in other
    assert "spec.http.url" not in other


def test_rows_come_and_go(admin: Client) -> None:
    filled = sent(page(admin, "/resources/new?kind=status_page"))
    two = sent(admin.post("/resources/draft", {**filled, "do": "add:spec.components"}).content.decode())
    two["spec.components.0.name"] = ["Shop"]
    two = sent(admin.post("/resources/draft", {**two, "do": "add:spec.components"}).content.decode())
    assert (two["spec.components.0.name"], two["spec.components.1.name"]) == (["Shop"], [""])
    one = sent(admin.post("/resources/draft", {**two, "do": "remove:spec.components.0"}).content.decode())
    assert one["spec.components.0.name"] == [""]
    assert "spec.components.1.name" not in one


@pytest.mark.parametrize(
    "order", ["add:spec", "add:spec.nothing.7", "remove:spec.components.99", "remove:", "add:spec.title", "remove:spec"]
)
def test_buttons_that_no_form_has_do_nothing(admin: Client, order: str) -> None:
    filled = sent(page(admin, "/resources/new?kind=status_page"))
    assert sent(admin.post("/resources/draft", {**filled, "do": order}).content.decode()).keys() == filled.keys()


def test_a_secret_typed_out_is_refused_and_not_shown_again(admin: Client) -> None:
    filled = sent(page(admin, "/resources/new?kind=channel&sort=slack"))
    filled = {**filled, "name": "chat", "spec.slack.url": "https://hooks.example.com/hunter2"}
    for address, order in (("save", ""), ("draft", "yaml"), ("draft", "add:spec.tags"), ("check", "")):
        text = admin.post(f"/resources/{address}", {**filled, "do": order}).content.decode()
        assert "hunter2" not in text, address
    saved = admin.post("/resources/save", filled).content.decode()
    assert "anybody who knows the webhook" in saved


def test_a_route_takes_its_place_among_the_others(admin: Client) -> None:
    put("channel", "mail", DECLARED["channel"])
    for name in ("first", "second"):
        put("route", name, {"to": ["mail"]})
    filled = sent(page(admin, "/resources/new?kind=route"))
    added = {**filled, "name": "between", "order": "1", "spec.to": ["", "mail"]}
    assert admin.post("/resources/save", added).status_code == 302
    assert [one.name for one in resources("route")] == ["first", "between", "second"]
    moved = {**sent(page(admin, "/resources/route/between/edit")), "order": "2"}
    assert admin.post("/resources/save", moved).status_code == 302
    assert [one.name for one in resources("route")] == ["first", "second", "between"]


def test_a_copy_leaves_out_what_is_the_originals_alone(admin: Client) -> None:
    uuid = "6f1e2b7c-0d2a-4c55-9a3e-1f0b5c8d7e21"
    put("heartbeat", "backup", {"every": "1h", "uuid": uuid, "grace": "7m"})
    filled = sent(page(admin, "/resources/new?kind=heartbeat&like=backup"))
    assert filled["name"] == [""]
    assert filled["spec.grace"] == ["7m"]
    assert filled["spec.uuid"] == [""]


def test_who_may_only_read_is_shown_no_form(admin: Client, store: None) -> None:
    put("monitor", "shop", DECLARED["monitor"])
    filled = sent(page(admin, "/resources/monitor/shop/edit"))
    reader = browser()
    reader.force_login(
        person("reader@example.com", "developer"), backend="allauth.account.auth_backends.AuthenticationBackend"
    )
    assert reader.get("/resources/monitor/shop/edit").status_code == 403
    for address in ("draft", "check", "save"):
        assert reader.post(f"/resources/{address}", filled).status_code == 403
    assert resource("monitor", "shop").revision == 1


def test_a_text_beyond_the_bound_is_refused(admin: Client) -> None:
    filled = sent(page(admin, "/resources/new?kind=monitor"))
    assert admin.post("/resources/check", {**filled, "text": "x" * 2_000_001}).status_code == 413


def test_more_than_a_form_can_hold_is_shown_as_yaml(admin: Client) -> None:
    put("status_page", "public", {"title": "Example", "components": [{"name": f"Part {at}"} for at in range(300)]})
    text = page(admin, "/resources/status_page/public/edit")
    assert "The form cannot show this" in text
    assert "Part 299" in text


def test_a_name_that_is_there_twice_is_told_and_neither_is_lost(admin: Client) -> None:
    given = {"kind": "monitor", "name": "shop", "sort": "http", "spec.http.url": "https://shop.example.com"}
    given |= {f"spec.labels.{row}.{part}": text for row in "01" for part, text in (("key", "team"), ("value", row))}
    for door, order in (("save", "save"), ("check", ""), ("draft", "yaml")):
        text = admin.post(f"/resources/{door}", {**given, "do": order}).content.decode()
        assert "this name is there twice" in text
    assert sent(text)["spec.labels.0.value"] + sent(text)["spec.labels.1.value"] == ["0", "1"]
    assert find("monitor", "shop") is None
    given["spec.labels.1.key"] = "service"
    assert admin.post("/resources/save", {**given, "do": "save"}).status_code == 302
    assert resource("monitor", "shop").document["labels"] == {"team": "0", "service": "1"}
