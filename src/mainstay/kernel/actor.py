"""Who does something: every verb takes an actor and checks its scope first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mainstay.kernel.errors import Forbidden
from mainstay.kernel.matchers import all_match

if TYPE_CHECKING:
    from collections.abc import Mapping

ActorKind = Literal["user", "token", "system", "command", "file", "link", "public"]

# One place for every scope, so that a misspelt one fails at import and the reference lists them all.
SCOPES: dict[str, str] = {
    "resources:read": "see declared resources, their revisions and differences",
    "resources:write": "plan, apply, edit, delete and roll back resources",
    "programs:write": "declare what runs a program here or speaks to what could: checks of the kinds plugin, browser "
    "and docker",
    "monitors:read": "see states, results and history of monitors and heartbeats",
    "monitors:check": "run a check now, pause and resume, probe a target",
    "probes:join": "check from another place: be sent orders with their secrets, and send results; needs a limit "
    "to one location",
    "alerts:read": "see alerts and notifications",
    "alerts:write": "acknowledge, mute and unmute alerts",
    "channels:test": "send a test notification",
    "journal:read": "read, search and follow the journal",
    "journal:export": "export the journal",
    "metrics:read": "scrape metrics",
    "tokens:write": "create and revoke API tokens",
    "secrets:write": "set, list and remove secrets of the vault, and rotate its key; values are never shown",
    "users:write": "invite people, change roles and policies, and how people sign in",
    "snapshots:write": "take, restore and move snapshots of everything, secrets included",
    "settings:read": "see health details, settings and the servers of this install",
    "nodes:write": "let a server hand over its share, and forget one that is gone",
}
ALL_SCOPES = frozenset(SCOPES)


# Scopes whose doors can show and change a part only, chosen by labels. An actor with limits holds no others.
LIMITABLE = frozenset({"monitors:read", "monitors:check", "alerts:read", "alerts:write", "probes:join"})


@dataclass(frozen=True, slots=True)
class Actor:
    """`name` goes to the journal: a user's e-mail, a token's name, a file's path, a lane's name.

    limits: label matchers, all of which must fit whatever the actor sees or changes; none: everything.
    """

    kind: ActorKind
    name: str
    scopes: frozenset[str] = frozenset()
    limits: tuple[str, ...] = ()

    def require(self, scope: str, labels: Mapping[str, str] | None = None) -> None:
        """Raise Forbidden unless the actor holds `scope` for what carries these labels.

        Without labels it is about everything, which an actor with limits never holds: what does not know of limits
        refuses such an actor, rather than show or change too much.
        """
        self.require_some(scope)
        if self.limits and (labels is None or not all_match(self.limits, labels)):
            raise Forbidden(
                f"{self} may do this only where {' and '.join(self.limits)}",
                hint="ask an administrator for a role or a token without this limit",
            )

    def require_some(self, scope: str) -> None:
        """Raise Forbidden unless the actor holds `scope` for something: what follows must heed `sees` by itself."""
        if scope not in ALL_SCOPES:
            raise AssertionError(f"undeclared scope {scope}")
        if scope not in self.scopes:
            raise Forbidden(
                f"{self} may not do this: the scope {scope} is missing",
                hint="ask an administrator for a role or a token that has it",
            )

    def may(self, scope: str) -> bool:
        """Whether the actor holds `scope` for everything."""
        return scope in self.scopes and not self.limits

    def may_some(self, scope: str) -> bool:
        """Whether the actor holds `scope`, if only for what it `sees`."""
        return scope in self.scopes

    def sees(self, labels: Mapping[str, str]) -> bool:
        """Whether what carries these labels is within the actor's limits."""
        return not self.limits or all_match(self.limits, labels)

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


def system(name: str) -> Actor:
    """A lane of Mainstay itself; it may do everything that it is written to do."""
    return Actor("system", name, ALL_SCOPES)


def command(name: str) -> Actor:
    """A person at the command line of the machine itself: whoever owns the data folder owns it all."""
    return Actor("command", name, ALL_SCOPES)
