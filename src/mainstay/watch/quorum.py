"""What a group is, by the states of its members. Pure.

Unknown members are given neither credit nor blame: the group is up if enough others are, down if it would be down
with all of them up, and unknown in between.
"""

from __future__ import annotations

from collections.abc import Mapping

from mainstay.kernel.ports import Quorum
from mainstay.kernel.probing import CheckResult, finding

_NAMED = 10  # members that a sentence names


def judge(quorum: Quorum, states: Mapping[str, str]) -> CheckResult:
    """states: name -> state as people see it; a member that is not there counts as unknown."""
    found = {name: states.get(name, "unknown") for name in quorum.members}
    good = [name for name, state in found.items() if state == "up"]
    weak = [name for name, state in found.items() if state == "degraded"]
    bad = [name for name, state in found.items() if state == "down"]
    working, total = len(good) + len(weak), len(found)
    evidence = {"members": found, "up": working, "needed": quorum.up}
    count = f"{working} of {total} {'is' if working == 1 else 'are'} up, {quorum.up} must be"
    if len(good) >= quorum.up:
        return finding("up", evidence=evidence)
    if working >= quorum.up:
        return finding(
            "degraded", "expect.quorum", f"{count}, and of these {_are(weak, 'degraded')}", evidence=evidence
        )
    if total - len(bad) < quorum.up:
        return finding("down", "expect.quorum", f"{count}: {_are(bad, 'down')}", evidence=evidence)
    unclear = [name for name in found if name not in (*good, *weak, *bad)]
    message = f"{count}, and the state is unknown of {_listed(unclear)}"
    return finding("unknown", "check.members_unknown", message, evidence=evidence)


def _are(names: list[str], state: str) -> str:
    return f"{_listed(names)} {'is' if len(names) == 1 else 'are'} {state}"


def _listed(names: list[str]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
