"""Settings of how people sign in."""

from __future__ import annotations

from mainstay.kernel.settings import declarable

REQUIRE_SECOND_FACTOR = declarable(
    "require_second_factor",
    "admin,operations,support",
    "roles, comma-separated, that need a second factor; empty: none",
    "Sign-in",
    check="mainstay.accounts.spec:check_roles",
    title="Roles that need a second factor",
)
SECOND_FACTOR_GRACE_DAYS = declarable(
    "second_factor_grace_days",
    7,
    "days that a new person may postpone the second factor; until it is set up they cannot grant access to others",
    "Sign-in",
    title="Time to set it up, in days",
    ge=0,
    le=365,
)

SETTINGS = (
    REQUIRE_SECOND_FACTOR,
    SECOND_FACTOR_GRACE_DAYS,
)
