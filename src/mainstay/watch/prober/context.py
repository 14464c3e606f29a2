"""What the prober lends to its runs: the address guard, the resolver, and objects that all runs share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from mainstay.integrations.addresses import Guard
from mainstay.integrations.lookup import Lookup
from mainstay.kernel.probing import CheckFault, Configure

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Context:
    """See kernel.ports.CheckContext for what each part promises."""

    def __init__(
        self,
        guard: Guard | None = None,
        lookup: Lookup | None = None,
        ca_file: str = "",
        configured: Configure | None = None,
    ) -> None:
        self.configured = configured or Configure("self")
        self.guard = guard or Guard()
        self.ca_file = ca_file
        self._lookup = lookup or Lookup()
        self._shared: dict[str, Any] = {}

    async def addresses(self, host: str, family: int = 0) -> list[str]:
        found = await self._lookup.addresses(host, family)
        reasons = [(address, self.guard.refuses(address)) for address in found]
        allowed = [address for address, reason in reasons if not reason]
        if not allowed:
            reason = reasons[0][1] if reasons else f"the name {host} has no address"
            raise CheckFault("check.address_refused", reason, verdict="unknown")
        return allowed

    def shared(self, key: str, make: Callable[[], T]) -> T:
        if key not in self._shared:
            self._shared[key] = make()
        made: T = self._shared[key]
        return made

    def close(self) -> None:
        """Unacknowledge what the shared objects hold; runs still under way are lost."""
        for made in self._shared.values():
            close = getattr(made, "close", None)
            if close is not None:
                close()
        self._shared.clear()


class Preferring:
    """The same context for an order that prefers a version of IP: the other is a fallback, or none at all."""

    def __init__(self, lent: Context, version: int, *, fallback: bool) -> None:
        self._lent = lent
        self._version = version
        self._fallback = fallback

    @property
    def guard(self) -> Guard:
        return self._lent.guard

    @property
    def ca_file(self) -> str:
        return self._lent.ca_file

    @property
    def configured(self) -> Configure:
        return self._lent.configured

    async def addresses(self, host: str, family: int = 0) -> list[str]:
        found = await self._lent.addresses(host, family)
        wanted = [address for address in found if (":" in address) == (self._version == 6)]
        if not wanted and not self._fallback:
            raise CheckFault("lookup.not_found", f"{host} has no address of IP version {self._version}")
        return wanted or found

    def shared(self, key: str, make: Callable[[], T]) -> T:
        return self._lent.shared(key, make)
