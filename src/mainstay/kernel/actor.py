"""Who does something: every verb takes an actor and checks its scope first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mainstay.kernel.errors import Forbidden

ActorKind = Literal["user", "token", "system", "command", "file", "link", "public"]

# One place for every scope, so that a misspelt one fails at import and the reference lists them all.
SCOPES: dict[str, str] = {
    "resources:read": "see declared resources, their revisions and differences",
    "resources:write": "plan, apply, edit, delete and roll back resources",
    "monitors:read": "see states, results and history of monitors and heartbeats",
    "monitors:check": "run a check now, pause and resume, probe a target",
    "alerts:read": "see alerts and notifications",
    "alerts:write": "acknowledge, mute and unmute alerts",
    "channels:test": "send a test notification",
    "journal:read": "read, search and follow the journal",
    "journal:export": "export the journal",
    "metrics:read": "scrape metrics",
    "tokens:write": "create and revoke API tokens",
    "users:write": "invite people and change their roles",
    "snapshots:write": "take, restore and move snapshots of everything, secrets included",
    "settings:read": "see health details and settings",
}
ALL_SCOPES = frozenset(SCOPES)


@dataclass(frozen=True, slots=True)
class Actor:
    """`name` goes to the journal: a user's e-mail, a token's name, a file's path, a lane's name."""

    kind: ActorKind
    name: str
    scopes: frozenset[str] = frozenset()

    def require(self, scope: str) -> None:
        """Raise Forbidden unless the actor holds `scope`."""
        if scope not in ALL_SCOPES:
            raise AssertionError(f"undeclared scope {scope}")
        if scope not in self.scopes:
            raise Forbidden(
                f"{self} may not do this: the scope {scope} is missing",
                hint="ask an administrator for a role or a token that has it",
            )

    def may(self, scope: str) -> bool:
        return scope in self.scopes

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


def system(name: str) -> Actor:
    """A lane of Mainstay itself; it may do everything that it is written to do."""
    return Actor("system", name, ALL_SCOPES)


def command(name: str) -> Actor:
    """A person at the command line of the machine itself: whoever owns the data folder owns it all."""
    return Actor("command", name, ALL_SCOPES)
