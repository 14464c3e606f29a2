"""What others may know of accounts."""

from __future__ import annotations

from mainstay.accounts.events import EVENTS
from mainstay.accounts.settings import SETTINGS
from mainstay.kernel.capability import Capability, Command, MenuEntry, Routes, Scope

CAPABILITY = Capability(
    name="accounts",
    order=60,
    about="Who may do what",
    app="tables",
    kinds="mainstay.accounts.spec:kinds",
    scopes=(
        Scope("tokens:write", "create and revoke API tokens", "operations", granting=True),
        Scope(
            "users:write", "invite people, change roles and policies, and how people sign in", "admin", granting=True
        ),
    ),
    guards="mainstay.accounts.guards",
    followers="mainstay.accounts.followers",
    pages="mainstay.accounts.page_urls",
    menu=(
        MenuEntry("Set up", 170, "People", "/users/", "user", "users:write"),
        MenuEntry("Set up", 180, "API tokens", "/account/tokens/", "shield", "tokens:write"),
    ),
    routes=(Routes("/tokens", "mainstay.accounts.tokens_api", "Tokens"),),
    commands=(
        Command("token", 220, "mainstay.accounts.commands:token", "Create and revoke API tokens and the ping key"),
        Command("users", 230, "mainstay.accounts.commands:users", "List people, add them, change their roles"),
        Command("access", 240, "mainstay.accounts.access_command:access", "Regain access when nobody can sign in"),
    ),
    events=EVENTS,
    lanes="mainstay.accounts.lanes:lanes",
    settings=SETTINGS,
)
