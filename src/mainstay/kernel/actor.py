"""Who does something: every verb takes an actor and checks its scope first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mainstay.kernel.capability import CAPABILITIES
from mainstay.kernel.errors import Forbidden
from mainstay.kernel.matchers import all_match

if TYPE_CHECKING:
    from collections.abc import Mapping

ActorKind = Literal["user", "token", "system", "command", "file", "link", "public"]


def all_scopes() -> frozenset[str]:
    """Every scope that a capability declares."""
    if not CAPABILITIES.scopes:
        raise AssertionError("the capabilities are not loaded yet, so nothing is permitted")
    return frozenset(CAPABILITIES.scopes)


def limitable() -> frozenset[str]:
    """Scopes whose doors can show and change a part only, chosen by labels. An actor with limits holds no others."""
    return frozenset(name for name, scope in CAPABILITIES.scopes.items() if scope.limited)


@dataclass(frozen=True, slots=True)
class Actor:
    """`name` goes to the journal: a user's e-mail, a token's name, a file's path, a lane's name.

    limits: label matchers, all of which must match whatever the actor sees or changes; none: everything.
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
        if scope not in CAPABILITIES.scopes:
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
    return Actor("system", name, all_scopes())


def command(name: str) -> Actor:
    """A person at the command line of the machine itself: whoever owns the data folder owns it all."""
    return Actor("command", name, all_scopes())
