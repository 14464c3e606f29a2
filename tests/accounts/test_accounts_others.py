"""Who may touch whose account: every verb about a person, for people of every role."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.core.cache import cache
from tests.rigs.accounts_browser import PASSWORD, TEST, person, signed_in

from mainstay.accounts import erasure, policies, queries, rules, token_verbs, verbs
from mainstay.accounts.models import Token, User
from mainstay.kernel.actor import Actor, all_scopes
from mainstay.kernel.errors import Forbidden
from mainstay.store.resources.apply import declare

pytestmark = pytest.mark.usefixtures("store")

THEIRS = "them@example.com"
KEEPER = Actor("user", "hr@example.com", frozenset({"users:write", "tokens:write"}))

# Every verb that changes the account of another person, and how it is asked.
VERBS: dict[str, Callable[[Actor], Any]] = {
    "make_link": lambda actor: verbs.make_link(actor, THEIRS),
    "make_recovery_link": lambda actor: verbs.make_recovery_link(replace(actor, kind="command"), THEIRS),
    "change_role": lambda actor: verbs.change_role(actor, THEIRS, "lesser"),
    "change_address": lambda actor: verbs.change_address(actor, THEIRS, "other@example.com"),
    "deactivate": lambda actor: verbs.deactivate(actor, THEIRS),
    "reactivate": lambda actor: verbs.reactivate(actor, THEIRS),
    "reset_second_factor": lambda actor: verbs.reset_second_factor(actor, THEIRS),
    "erase_person": lambda actor: erasure.erase_person(actor, THEIRS),
    "rotate_token": lambda actor: token_verbs.rotate_token(actor, Token.objects.get().id),
    "revoke_token": lambda actor: token_verbs.revoke_token(actor, Token.objects.get().id),
}
ROLES = [*rules.ROLES, "humble"]


@pytest.fixture(autouse=True)
def _quick() -> None:
    cache.clear()


@pytest.fixture(autouse=True)
def _their_account(request: pytest.FixtureRequest, _quick: None) -> None:
    """An account of the role that the test is about, with a token, a second factor, and an administrator beside it."""
    for name in ("humble", "lesser"):
        declare(TEST, "role", name, {"scopes": ["users:write"], "second_factor": "optional"}, manager="page")
    if "role" not in request.fixturenames:
        return
    role = request.getfixturevalue("role")
    person("first@example.com", "admin")
    Authenticator.objects.create(user=person(THEIRS, role), type=Authenticator.Type.TOTP, data={})
    holder = Actor("user", THEIRS, policies.role(role).scopes | {"tokens:write"})
    token_verbs.create_token(holder, "deploy", ["users:write" if role == "humble" else "monitors:read"])


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("role", ROLES)
def test_nobody_touches_an_account_that_may_do_more(verb: str, role: str) -> None:
    if verb == "reactivate":
        verbs.deactivate(TEST, THEIRS)
    before, scopes = _state(), policies.role(role).scopes
    for lacking in [scopes - KEEPER.scopes, *({scope} for scope in sorted(scopes - KEEPER.scopes)[:1])]:
        if lacking:
            with pytest.raises(Forbidden):
                VERBS[verb](replace(KEEPER, scopes=all_scopes() - lacking))
            assert _state() == before, "refused, yet something changed"
    VERBS[verb](replace(KEEPER, scopes=scopes | KEEPER.scopes))
    assert _state() != before


def _state() -> tuple[Any, ...]:
    user = User.objects.filter(email=THEIRS).first()
    rows = [] if user is None else [user.role, user.is_active, bool(queries.users_with_factor([user.pk]))]
    links = [] if user is None else list(user.invitation_set.values_list("secret_hash"))
    return (*rows, *links, *Token.objects.values_list("id", "revoked_us").order_by("id"))


def test_the_table_holds_every_verb_about_a_person() -> None:
    about = {
        name
        for module in (verbs, erasure, token_verbs)
        for name, found in inspect.getmembers(module, inspect.isfunction)
        if not name.startswith("_") and found.__module__ == module.__name__
        for parameters in [inspect.signature(found).parameters]
        if "actor" in parameters and {"email", "token_id"} & set(parameters)
    }
    # These tell of what people do themselves, or make an account that is nobody's yet.
    notes = {"note_second_factor", "note_codes_shown", "note_sign_in", "create_user"}
    assert about - notes == set(VERBS)


def test_a_page_says_whom_to_ask() -> None:
    person("first@example.com", "admin")
    person("second@example.com", "humble")
    keeper = signed_in("second@example.com")
    keeper.post("/accounts/reauthenticate/", {"password": PASSWORD})
    change = {"email": "first@example.com", "change": "deactivate"}
    page = keeper.post("/users/change/", change, follow=True).content.decode()
    assert "may not change the account first@example.com" in page
    assert keeper.post("/users/change/", {**change, "change": "link"}).status_code == 403
    assert User.objects.get(email="first@example.com").is_active
