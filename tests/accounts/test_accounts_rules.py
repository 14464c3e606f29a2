from __future__ import annotations

import pytest

from mainstay.accounts import rules
from mainstay.accounts.spec import BUILT_IN, RoleSpec, ServiceAccountSpec, SignInSpec
from mainstay.kernel.actor import Actor, all_scopes
from mainstay.kernel.errors import Forbidden, UserError

NEEDING = frozenset({"admin", "operations", "support"})


def _role(name: str, **declared: object) -> rules.Role:
    return rules.role_of(name, RoleSpec.model_validate(declared) if declared else None, NEEDING)


def test_roles_hold_each_other_like_shells() -> None:
    admin, operations, support, developer = (_role(role).scopes for role in rules.ROLES)
    assert admin == all_scopes()
    assert operations == admin - {"users:write", "programs:write", "settings:write"}
    assert support - developer == {"alerts:read", "journal:read", "metrics:read", "oncall:read", "settings:read"}
    assert developer == {"monitors:read", "resources:read"}
    assert developer < support < operations
    assert _role("king").scopes == frozenset()
    assert tuple(rules.ROLES) == BUILT_IN


@pytest.mark.parametrize(
    ("role", "has_factor", "day", "state"),
    [
        ("admin", True, 100, "active"),
        ("admin", False, 0, "due"),
        ("admin", False, 6.99, "due"),
        ("admin", False, 7, "overdue"),
        ("support", False, 8, "overdue"),
        ("developer", False, 100, "not_required"),
        ("developer", True, 100, "active"),
    ],
)
def test_when_a_second_factor_is_due(role: str, has_factor: bool, day: float, state: str) -> None:
    known = _role(role)
    found = rules.standing(known, has_factor=has_factor, since=0, grace_days=7, now=day * rules.DAY)
    assert found.factor == state
    if state == "due":
        assert found.scopes == known.scopes - rules.granting()
    else:
        assert found.scopes == (frozenset() if state == "overdue" else known.scopes)
    assert found.scopes | found.withheld == known.scopes


@pytest.mark.parametrize(
    ("name", "declared", "needs"),
    [
        ("admin", {"like": "admin"}, True),
        ("admin", {"like": "admin", "second_factor": "optional"}, False),
        ("developer", {"like": "developer"}, False),
        ("developer", {"like": "developer", "second_factor": "required"}, True),
        ("own", {"scopes": ["monitors:read"]}, True),
        ("own", {"like": "developer"}, False),
        ("own", {"like": "support"}, True),
        ("own", {"scopes": ["monitors:read"], "second_factor": "optional"}, False),
    ],
)
def test_policies_say_who_needs_a_second_factor(name: str, declared: dict[str, object], needs: bool) -> None:
    role = _role(name, **declared)
    assert role.needs_factor is needs
    found = rules.standing(role, has_factor=False, since=0, grace_days=7, now=9e9)
    assert found.factor == ("overdue" if needs else "not_required")


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({}, "either `scopes`"),
        ({"like": "admin", "scopes": ["monitors:read"]}, "either `scopes`"),
        ({"scopes": ["monitor:read"]}, "did you mean `monitors:read`"),
        ({"scopes": ["journal:read"], "limit": ['team="core"']}, "cannot be limited"),
        ({"like": "support", "limit": ['team="core"']}, "cannot be limited"),
        ({"scopes": ["monitors:read"], "limit": ["team core"]}, "is not a matcher"),
        ({"scopes": ["monitors:read"], "from": ["10.0.0.1/8"]}, "host bits"),
        ({"scopes": ["monitors:read"], "from": ["home"]}, "not an address or network"),
    ],
)
def test_mistakes_in_roles_are_told(document: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        RoleSpec.model_validate(document)


def test_a_service_account_does_something() -> None:
    with pytest.raises(ValueError, match="at least one scope"):
        ServiceAccountSpec.model_validate({})


@pytest.mark.parametrize(
    ("address", "networks", "fits"),
    [
        ("10.1.2.3", (), True),
        ("", (), True),
        ("", ("10.0.0.0/8",), False),
        ("10.1.2.3", ("10.0.0.0/8",), True),
        ("::ffff:10.1.2.3", ("10.0.0.0/8",), True),
        ("11.1.2.3", ("10.0.0.0/8", "192.0.2.7"), False),
        ("192.0.2.7", ("10.0.0.0/8", "192.0.2.7"), True),
        ("2001:db8::1", ("10.0.0.0/8",), False),
        ("2001:db8::1", ("2001:db8::/32",), True),
        ("unix:", ("0.0.0.0/0",), False),
    ],
)
def test_where_a_role_may_be_used(address: str, networks: tuple[str, ...], fits: bool) -> None:
    assert rules.within(networks, address) is fits


def _provider(**more: object) -> SignInSpec:
    return SignInSpec.model_validate({"server": "https://login.example.com", "client_id": "m", **more})


def test_the_first_group_that_fits_gives_the_role() -> None:
    spec = _provider(roles=[{"group": "leads", "role": "admin"}, {"group": "sre", "role": "operations"}])
    assert rules.mapped_role(("sre", "leads"), spec) == "admin"
    assert rules.mapped_role(["sre", "other"], spec) == "operations"
    assert rules.mapped_role((), spec) is None
    assert rules.mapped_role((), _provider(default_role="support")) == "support"


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({}, "nobody could sign in"),
        ({"default_role": "support", "server": "http://login.example.com"}, "https"),
        ({"default_role": "support", "server": "https://u:p@login.example.com"}, "https"),
        ({"default_role": "support", "client_secret": "open"}, "reference"),
        ({"default_role": "support", "domains": ["@example.com"]}, "not a domain"),
    ],
)
def test_mistakes_in_providers_are_told(document: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        _provider(**document)


def test_domains_are_whole() -> None:
    assert rules.domain_fits("a@x.org", [])
    assert rules.domain_fits("a@EXAMPLE.com", ["example.com"])
    for email in ("a@sub.example.com", "a@example.com.evil.org", "a@notexample.com", "example.com", ""):
        assert not rules.domain_fits(email, ["example.com"])


def test_an_actor_with_limits_is_refused_by_whatever_does_not_know_of_them() -> None:
    actor = Actor("user", "second", frozenset({"monitors:read"}), ('team="core"',))
    actor.require_some("monitors:read")
    actor.require("monitors:read", {"team": "core", "tier": "1"})
    for labels in (None, {}, {"team": "web"}):
        with pytest.raises(Forbidden, match="only where team"):
            actor.require("monitors:read", labels)
    with pytest.raises(Forbidden, match="is missing"):
        actor.require("monitors:check", {"team": "core"})
    assert actor.sees({"team": "core"})
    assert not actor.sees({})
    assert Actor("user", "second").sees({})


def test_mistyped_roles_and_scopes_get_a_hint() -> None:
    with pytest.raises(UserError, match="did you mean `admin`"):
        rules.check_role("amdin", BUILT_IN)
    with pytest.raises(UserError, match="did you mean `monitors:read`"):
        rules.check_scopes(["monitor:read"])
    with pytest.raises(UserError, match="at least one"):
        rules.check_scopes([])


@pytest.mark.parametrize("days", [0, -1, 3651, float("inf"), float("nan")])
def test_tokens_live_within_bounds(days: float) -> None:
    with pytest.raises(UserError):
        rules.check_lifetime(days)


@pytest.mark.parametrize(
    "text",
    ["", "mst_", "mst__", "Bearer", "x" * 64, "mst_" + "0" * 10 + "_" + "0" * 49, "mst_" + "é" * 60, "\x00" * 64],
)
def test_malformed_tokens_are_nothing(text: str) -> None:
    assert rules.parse_token(text) is None


def test_a_token_hides_its_secret_from_tracebacks() -> None:
    token = rules.new_token()
    assert token.secret not in repr(token)
    assert len(str(token)) == rules.TOKEN_LENGTH
    assert rules.same_secret(token.secret, rules.hash_secret(token.secret))
    assert not rules.same_secret(token.secret[:-1] + "!", rules.hash_secret(token.secret))


@pytest.mark.parametrize(
    "password",
    ["aaaaaaaaaaaa", "abcabcabcabc", "abcabcabcabca", "abcdefghijkl", "lkjihgfedcba", "Aa1Aa1Aa1Aa1", "ababababcdcd"],
)
def test_long_passwords_that_say_little_are_refused(password: str) -> None:
    assert rules.is_monotonous(password)


@pytest.mark.parametrize(
    "password", ["correct horse battery", "another fine password", "x7#kQ!92mLpz", "пароль длинный"]
)
def test_others_are_not(password: str) -> None:
    assert not rules.is_monotonous(password)
