"""The uplink guard's rules: does a failure lie on this machine's side? Pure; the lane gathers the evidence.

Network, any of
- no default route (of private targets: no interface that is up at all),
- every counted uplink target refuses a TCP connection. A target counts once it was reached, by this process or
  in the days before it, so that a machine that may not reach them is not thought to be offline for ever, and
  one that is started in the middle of a cut knows what it misses.
Resolver: a question about the root of the name space gets no answer. Where it does get one, a name that cannot be
looked up is at fault itself, unless the other names that are watched cannot be either.

A good check that began after the evidence was seen proves the opposite: the evidence is then worthless
(filtered targets, a proxy, another routing table) and counts again only after it was good in between.

Loopback targets are never excused. Private targets are excused when no interface is up, or when the uplink
targets are silent and no private check has succeeded since: a dead switch looks like that. So with the
internet gone and the local network alive, private targets are judged as ever, after the first success of
any of them; until then they are unknown, which is the safe side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from msgspec.structs import replace

from mainstay.kernel.probing import CheckResult
from mainstay.watch.reach import Reach, Scope
from mainstay.watch.state import Reason

Part = Literal["network", "resolver"]


def reached_fact(node: str = "") -> str:
    """The fact that keeps which targets were reached; each of several servers has a network of its own."""
    return f"uplink.reached.{node}"[:60] if node else "uplink.reached"


@dataclass(frozen=True, slots=True)
class Routes:
    """What the kernel's tables say; None where this system does not tell."""

    default: bool | None = None
    interface: bool | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """One look at the machine, begun at `at`: uplink targets by whether they answered, and the resolver.

    `resolver` is None if it was not asked.
    """

    at: float
    routes: Routes = Routes()
    targets: Mapping[str, bool] = field(default_factory=dict)
    resolver: bool | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """The network or the resolver went away or came back. `seconds`: how long it was away."""

    part: Part
    lost: bool
    since: float
    why: str
    seconds: float = 0.0


@dataclass(slots=True)
class Uplink:
    """What is known of this machine's way out. Feed it evidence and good checks; ask `excuse` for failures."""

    counted: set[str] = field(default_factory=set)
    routes_count: bool = True
    resolver_counts: bool = True
    lost: dict[Part, Change] = field(default_factory=dict)
    private_lost: bool = False

    def take(self, evidence: Evidence) -> list[Change]:
        """What changes by this evidence."""
        changes = []
        if evidence.routes.default:
            self.routes_count = True
        self.counted |= {target for target, answered in evidence.targets.items() if answered}
        why = self._network_fault(evidence)
        self.private_lost = bool(why) and self._private_fault(evidence)
        changes += self._set("network", why, evidence.at)
        # Without a network no name server can answer; that is one trouble, to be told once.
        if evidence.resolver:
            self.resolver_counts = True
        if evidence.resolver or (evidence.resolver is False and self.resolver_counts and "network" not in self.lost):
            changes += self._set("resolver", "" if evidence.resolver else _NO_RESOLVER, evidence.at)
        return changes

    def succeeded(self, reach: Reach, at: float, *, looked_up: bool) -> list[Change]:
        """A check that began at `at` found its target. Cheap while nothing is lost; then it may prove us wrong."""
        if not self.lost or reach.scope == "loopback":
            return []
        changes = []
        network, resolver = self.lost.get("network"), self.lost.get("resolver")
        if network is not None and at > network.since:
            self.private_lost = False
            if reach.scope == "public":
                self.counted.clear()
                self.routes_count = False
                changes += self._set("network", "", at)
        if resolver is not None and looked_up and reach.named and at > resolver.since:
            self.resolver_counts = False
            changes += self._set("resolver", "", at)
        return changes

    def excuse(self, reach: Reach, code: str) -> Reason | None:
        """Why a failure of a target there says nothing about the target; None if it does."""
        if not self.lost or reach.scope == "loopback":
            return None
        if "network" in self.lost and (reach.scope == "public" or self.private_lost):
            return Reason.UPLINK_LOST
        if "resolver" in self.lost and reach.named and is_lookup(code):
            return Reason.RESOLVER_DEAD
        return None

    def touches(self, reach: Reach, part: Part, code: str) -> bool:
        """Whether the loss of `part` makes a target there unknown at once; `code` is of its last result."""
        if part == "network":
            return self.excuse(reach, code) is Reason.UPLINK_LOST
        return reach.named and reach.scope != "loopback" and is_lookup(code)

    def _network_fault(self, evidence: Evidence) -> str:
        if self.routes_count and evidence.routes.interface is False:
            return "no network interface is up"
        if self.routes_count and evidence.routes.default is False:
            return "there is no default route"
        asked = [target for target in evidence.targets if target in self.counted]
        if asked and not any(evidence.targets.values()):
            return f"none of {', '.join(sorted(asked))} can be reached"
        return ""

    def _private_fault(self, evidence: Evidence) -> bool:
        if evidence.routes.interface is False:
            return True
        silent = any(target in self.counted for target in evidence.targets) and not any(evidence.targets.values())
        # Once a private check succeeded since the loss, the local network is known to be alive.
        return silent and ("network" not in self.lost or self.private_lost)

    def _set(self, part: Part, why: str, at: float) -> list[Change]:
        known = self.lost.get(part)
        if why and known is None:
            change = Change(part, True, at, why)
            self.lost[part] = change
            return [change]
        if not why and known is not None:
            del self.lost[part]
            return [Change(part, False, at, known.why, max(0.0, at - known.since))]
        return []


_NO_RESOLVER = "the name resolver does not answer"


def is_lookup(code: str) -> bool:
    """Whether a result's code says that a name could not be looked up; `not_found` is an answer."""
    return code in ("lookup.failed", "lookup.timeout")


def blamed(result: CheckResult) -> CheckResult:
    """A failed look-up as it counts where other names are found: the target's own name servers are at fault."""
    message = f"{result.message or result.code}, while other names can be resolved"
    return replace(result, verdict="down", message=message)


def routes_from(ipv4: str, ipv6: str) -> Routes:
    """Read /proc/net/route and /proc/net/ipv6_route (formats: Linux, net/ipv4/fib_trie.c and net/ipv6/route.c).

    Both empty means that this system has no such tables, so nothing is known.
    """
    if not ipv4 and not ipv6:
        return Routes()
    default = interface = False
    for line in ipv4.splitlines()[1:]:
        fields = line.split()
        if len(fields) >= 8 and fields[0] != "lo" and int(fields[3], 16) & _UP and not int(fields[3], 16) & _REJECT:
            interface = True
            default = default or (fields[1] == "00000000" and fields[7] == "00000000")
    for line in ipv6.splitlines():
        fields = line.split()
        if len(fields) >= 10 and fields[9] != "lo" and int(fields[8], 16) & _UP and not int(fields[8], 16) & _REJECT:
            multicast_or_link = fields[0].startswith(("ff", "fe80"))
            interface = interface or not multicast_or_link
            default = default or (fields[0] == "0" * 32 and fields[1] == "00")
    return Routes(default, interface)


_UP, _REJECT = 0x1, 0x200


def scopes_without(uplink: Uplink) -> list[Scope]:
    """The scopes of which nothing can be said now, for pages."""
    if "network" not in uplink.lost:
        return []
    return ["public", "private"] if uplink.private_lost else ["public"]
