from __future__ import annotations

import asyncio
import base64
import time
from dataclasses import replace
from typing import Any, cast

import pytest
from django.conf import settings as django_settings
from django.db.models import F
from tests.rigs.accounts_browser import TEST, browser, person, signed_in, switch_factor_on
from tests.rigs.receivers import in_thread

from mainstay.accounts import queries, rules, verbs
from mainstay.accounts.doors import token_actor
from mainstay.accounts.lanes import lanes
from mainstay.accounts.models import Token
from mainstay.accounts.spec import role_scopes
from mainstay.kernel.actor import Actor
from mainstay.kernel.clock import Steps
from mainstay.kernel.errors import Conflict, Forbidden, NotFound, UserError
from mainstay.store.journal import Filter, entries
from mainstay.store.resources.apply import declare, remove
from mainstay.store.running import Running
from mainstay.store.writer import Writer

pytestmark = pytest.mark.usefixtures("store")


@pytest.fixture(autouse=True)
def _quick() -> None:
    queries.forget_tokens()


def _actor(email: str, role: str) -> Actor:
    return Actor("user", email, role_scopes(role))


def test_a_token_acts_with_its_scopes_and_its_name() -> None:
    text = verbs.create_token(TEST, " ci   deploy ", ["monitors:read", "resources:write"])
    actor = queries.actor_of_token(text)
    assert actor is not None
    assert actor.scopes == {"monitors:read", "resources:write"}
    assert actor.name.startswith("ci deploy (")
    row = Token.objects.get()
    assert text.rsplit("_", 1)[1][:43] not in repr(row.__dict__), "only a hash is kept"
    assert all(text.rsplit("_", 1)[1] not in str(entry.as_dict()) for entry in entries())


@pytest.mark.parametrize(
    ("name", "scopes", "days", "error"),
    [
        ("", ["monitors:read"], 90, UserError),
        ("x" * 101, ["monitors:read"], 90, UserError),
        ("x", [], 90, UserError),
        ("x", ["nothing:read"], 90, UserError),
        ("x", ["users:write"], 90, Forbidden),
        ("x", ["monitors:read"], 0, UserError),
        ("x", ["monitors:read"], 4000, UserError),
    ],
)
def test_what_cannot_be_made(name: str, scopes: list[str], days: float, error: type[Exception]) -> None:
    person("second@example.com", "operations")
    with pytest.raises(error):
        verbs.create_token(_actor("second@example.com", "operations"), name, scopes, days)
    assert not Token.objects.exists()


def test_wrong_expired_and_revoked_tokens_are_nobody() -> None:
    text = verbs.create_token(TEST, "ci", ["monitors:read"])
    parsed = rules.parse_token(text)
    assert parsed is not None
    other = str(rules.TokenText(parsed.id, rules.new_token().secret))
    unknown = str(rules.new_token())
    assert [queries.actor_of_token(wrong) for wrong in (other, unknown, text[:-1], text + "x")] == [None] * 4
    assert queries.actor_of_token(text, now=time.time() + 91 * rules.DAY) is None
    assert queries.actor_of_token(text) is not None
    verbs.revoke_token(TEST, parsed.id)
    assert queries.actor_of_token(text) is None, "also from memory, at once"
    verbs.revoke_token(TEST, parsed.id)
    assert [entry.kind for entry in entries()] == ["token.revoked", "token.created"]


def test_a_token_that_was_made_while_the_clock_was_ahead_lives_as_long_as_it_was_meant_to(clock: Any) -> None:
    verbs.create_token(TEST, "before", ["monitors:read"], days=60)
    text = verbs.create_token(TEST, "ahead", ["monitors:read"], days=30)
    made, year = time.time(), int(365 * rules.DAY * 1e6)
    Token.objects.filter(name="ahead").update(
        created_us=F("created_us") + year, expires_us=F("expires_us") + year
    )  # as a clock that is a year ahead makes it

    async def play() -> None:
        writer = Writer()
        (lane,) = lanes(Running(django_settings.MAINSTAY, writer, cast("Any", None), clock))
        await lane.turn()
        clock.advance(Steps.STEADY)
        await lane.turn()
        await in_thread(writer.stop)

    clock.at = made
    asyncio.run(play())
    made = clock.at
    queries.forget_tokens()
    assert queries.actor_of_token(text, now=made + 29 * rules.DAY) is not None
    assert queries.actor_of_token(text, now=made + 31 * rules.DAY) is None
    lifetimes = {row.name: round((row.expires_us / 1e6 - made) / rules.DAY) for row in Token.objects.all()}
    assert lifetimes == {"before": 60, "ahead": 30}


def test_a_revocation_by_another_process_counts_within_a_second() -> None:
    text = verbs.create_token(TEST, "ci", ["monitors:read"])
    assert queries.actor_of_token(text) is not None
    Token.objects.update(revoked_us=1)  # behind the back of this process
    deadline = time.monotonic() + 3
    while queries.actor_of_token(text) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_token_shrinks_with_its_owner() -> None:
    person("first@example.com", "admin")
    person("second@example.com", "operations")
    text = verbs.create_token(_actor("second@example.com", "operations"), "ci", ["monitors:read", "resources:write"])
    verbs.change_role(TEST, "second@example.com", "support")
    actor = queries.actor_of_token(text)
    assert actor is not None
    assert actor.scopes == {"monitors:read"}
    verbs.deactivate(TEST, "second@example.com")
    assert queries.actor_of_token(text) is None


def test_a_token_makes_tokens_for_its_owner_within_its_scopes() -> None:
    user = person("second@example.com", "operations")
    first = verbs.create_token(_actor("second@example.com", "operations"), "maker", ["tokens:write", "monitors:read"])
    maker = queries.actor_of_token(first)
    assert maker is not None
    with pytest.raises(Forbidden):
        verbs.create_token(maker, "child", ["resources:write"])
    verbs.create_token(maker, "child", ["monitors:read"])
    assert Token.objects.get(name="child").owner_id == user.pk


def test_others_tokens_are_for_those_who_keep_people() -> None:
    person("first@example.com", "admin")
    person("second@example.com", "operations")
    first, second = _actor("first@example.com", "admin"), _actor("second@example.com", "operations")
    parsed = rules.parse_token(verbs.create_token(first, "hers", ["monitors:read"]))
    assert parsed is not None
    verbs.create_token(second, "his", ["monitors:read"])
    assert [token.name for token in queries.tokens(second)] == ["his"]
    assert {token.name for token in queries.tokens(first)} == {"hers", "his"}
    with pytest.raises(NotFound):
        verbs.revoke_token(second, parsed.id)
    verbs.revoke_token(first, parsed.id)
    with pytest.raises(Forbidden):
        queries.tokens(_actor("x@example.com", "support"))


def test_use_is_noted_without_the_request_waiting() -> None:
    text = verbs.create_token(TEST, "ci", ["monitors:read"])
    assert queries.actor_of_token(text) is not None
    deadline = time.monotonic() + 10
    while Token.objects.get().last_used_us is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_how_a_token_is_sent() -> None:
    text = verbs.create_token(TEST, "ci", ["monitors:read"])

    def basic(credentials: str) -> str:
        return "Basic " + base64.b64encode(credentials.encode()).decode()

    good = [f"Bearer {text}", f"bearer  {text} ", basic(f"any:{text}"), basic(f"{text}:"), basic(text)]
    assert all(token_actor(header) for header in good)
    bad: list[Any] = ["", text, "Bearer", f"Token {text}", "Basic !", "Basic /w==", f"Bearer {text}" + " " * 600]
    assert [header for header in bad if token_actor(header)] == []


# Service accounts, limits, rotation


def _service(name: str = "deploy", **document: object) -> None:
    declare(TEST, "service_account", name, {"scopes": ["monitors:read", "resources:write"], **document}, manager="page")


def test_a_service_account_has_tokens_that_end_with_it() -> None:
    _service(**{"from": ["10.0.0.0/8"]})
    text = verbs.create_token(TEST, "ci", [], service="deploy")
    assert queries.actor_of_token(text) is None, "from its networks only"
    actor = queries.actor_of_token(text, "10.1.1.1")
    assert actor is not None
    assert actor.scopes == {"monitors:read", "resources:write"}
    assert actor.kind == "token"
    listed = queries.tokens(TEST)[0]
    assert (listed.service, listed.owner, listed.holder) == ("deploy", "", "service account deploy")
    assert next(iter(entries(Filter(kind="token.created")))).data["service"] == "deploy"
    _service(scopes=["monitors:read"])
    actor = queries.actor_of_token(text)
    assert actor is not None
    assert actor.scopes == {"monitors:read"}, "it never does more than its account may now"
    remove(TEST, "service_account", "deploy", manager="page")
    assert queries.actor_of_token(text) is None


def test_tokens_of_service_accounts_are_for_those_who_keep_people() -> None:
    _service()
    with pytest.raises(Forbidden, match="users:write"):
        verbs.create_token(_actor("second@example.com", "operations"), "ci", [], service="deploy")
    with pytest.raises(NotFound, match="deploi"):
        verbs.create_token(TEST, "ci", [], service="deploi")
    with pytest.raises(UserError, match="may not journal:read"):
        verbs.create_token(TEST, "ci", ["journal:read"], service="deploy")


def test_tokens_are_limited_by_labels() -> None:
    text = verbs.create_token(TEST, "wall", ["monitors:read"], limits=["team=core"])
    actor = queries.actor_of_token(text)
    assert actor is not None
    assert actor.limits == ('team="core"',)
    assert not actor.may("monitors:read")
    with pytest.raises(UserError, match="cannot be limited"):
        verbs.create_token(TEST, "wall", ["journal:read"], limits=["team=core"])
    with pytest.raises(UserError, match="not a matcher"):
        verbs.create_token(TEST, "wall", ["monitors:read"], limits=["team"])
    _service(scopes=["monitors:read"], limit=['severity="P0"'])
    both = queries.actor_of_token(verbs.create_token(TEST, "wall", [], service="deploy", limits=["team=core"]))
    assert both is not None
    assert both.limits == ('severity="P0"', 'team="core"')


def test_a_token_is_rotated_with_an_overlap() -> None:
    old = verbs.create_token(TEST, "ci", ["monitors:read"], 30, limits=["team=core"])
    old_id = old.split("_")[1]
    new = verbs.rotate_token(TEST, old_id, overlap=3600)
    now = time.time()
    assert queries.actor_of_token(old, now=now) is not None
    assert queries.actor_of_token(new, now=now) == replace(
        queries.actor_of_token(old, now=now), name=f"ci ({new.split('_')[1]})"
    )
    assert queries.actor_of_token(old, now=now + 3700) is None
    assert queries.actor_of_token(new, now=now + 29 * rules.DAY) is not None
    assert queries.actor_of_token(new, now=now + 31 * rules.DAY) is None
    told = next(iter(entries(Filter(kind="token.rotated"))))
    assert (told.subject, told.data["replaces"]) == (f"token/{new.split('_')[1]}", old_id)
    assert new not in str(told.data)
    at_once = verbs.rotate_token(TEST, new.split("_")[1], overlap=0)
    assert queries.actor_of_token(new) is None
    assert queries.actor_of_token(at_once) is not None
    with pytest.raises(Conflict, match="no longer works"):
        verbs.rotate_token(TEST, new.split("_")[1])
    with pytest.raises(UserError, match="30 days"):
        verbs.rotate_token(TEST, at_once.split("_")[1], overlap=31 * rules.DAY)


def test_an_overlap_prolongs_nothing() -> None:
    old = verbs.create_token(TEST, "ci", ["monitors:read"], 1)
    verbs.rotate_token(TEST, old.split("_")[1], overlap=20 * rules.DAY)
    assert queries.actor_of_token(old, now=time.time() + 1.1 * rules.DAY) is None


def test_only_ones_own_tokens_are_rotated() -> None:
    person("first@example.com", "operations")
    person("second@example.com", "operations")
    first, second = _actor("first@example.com", "operations"), _actor("second@example.com", "operations")
    hers = verbs.create_token(first, "hers", ["monitors:read"]).split("_")[1]
    with pytest.raises(NotFound):
        verbs.rotate_token(second, hers)
    with pytest.raises(Forbidden):
        verbs.rotate_token(Actor("user", "first@example.com"), hers)
    with pytest.raises(Forbidden, match="cannot grant"):
        verbs.rotate_token(Actor("user", "first@example.com", frozenset({"tokens:write"})), hers)
    assert queries.actor_of_token(verbs.rotate_token(first, hers)) is not None


def test_tokens_are_rotated_over_the_api_and_on_the_page() -> None:
    text = verbs.create_token(TEST, "ci", ["tokens:write", "monitors:read", "users:write"])
    bearer = {"authorization": f"Bearer {text}"}
    path = f"/api/v1/tokens/{text.split('_')[1]}/rotate"
    made = browser().post(path, '{"overlap": "1h"}', content_type="application/json", headers=bearer)
    assert made.status_code == 201
    assert queries.actor_of_token(made.json()["token"]) is not None
    wrong = browser().post(path, '{"overlap": "soon"}', content_type="application/json", headers=bearer)
    assert wrong.status_code == 422
    person()
    client = signed_in()
    switch_factor_on(client)
    page = client.post(f"/account/tokens/{made.json()['id']}/rotate/")
    assert "mst_" in page.content.decode()
    assert page.headers["cache-control"] == "no-store"
    _service()
    page = client.get("/account/tokens/new/").content.decode()
    assert "service account deploy" in page
    form = {"name": "ci", "days": "9", "service": "deploy", "limit": "", "scopes": []}
    assert "mst_" in client.post("/account/tokens/new/", form).content.decode()
    assert "service account deploy" in client.get("/account/tokens/").content.decode()
