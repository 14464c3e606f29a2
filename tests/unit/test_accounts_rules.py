from __future__ import annotations

import pytest

from mainstay.accounts import rules
from mainstay.accounts.rules import FactorPolicy
from mainstay.kernel.actor import ALL_SCOPES
from mainstay.kernel.errors import UserError

POLICY = FactorPolicy(frozenset({"admin", "operations", "support"}), grace_days=7)


def test_roles_hold_each_other_like_shells() -> None:
    admin, operations, support, developer = (rules.scopes_of(role) for role in rules.ROLES)
    assert admin == ALL_SCOPES
    assert developer < support < operations < admin
    assert "users:write" not in operations
    assert not any(scope.endswith((":write", ":check", ":test", ":export")) for scope in support)
    assert rules.scopes_of("king") == frozenset()


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
    found = rules.standing(role, has_factor=has_factor, since=0, policy=POLICY, now=day * rules.DAY)
    assert found.factor == state
    if state == "due":
        assert found.scopes == rules.scopes_of(role) - rules.GRANTING
    else:
        assert found.scopes == (frozenset() if state == "overdue" else rules.scopes_of(role))


def test_without_a_policy_nobody_has_to() -> None:
    found = rules.standing("admin", has_factor=False, since=0, policy=FactorPolicy(frozenset(), 7), now=9e9)
    assert (found.factor, found.scopes) == ("not_required", ALL_SCOPES)


def test_mistyped_roles_and_scopes_get_a_hint() -> None:
    with pytest.raises(UserError, match="did you mean `admin`"):
        rules.check_role("amdin")
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
