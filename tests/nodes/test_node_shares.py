"""Nodes come, go, fall silent and drain: the shares become fair, nobody checks twice, and few of them move."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mainstay.nodes.rules import SHARDS, Lease, Member, moves, quotas, shard_name
from mainstay.watch.families import Kin, shards_of

Held = dict[str, tuple[str, int]]  # lease -> (holder, token)


def _round(held: Held, members: list[Member]) -> int:
    """Every node acts once; the number of moves."""
    count = 0
    for member in members:
        if not member.alive:
            continue
        seen = [Lease(name, holder, token) for name, (holder, token) in held.items()]
        found = moves(member.session, members, seen)
        for lease in found.take:
            held[lease.name] = (member.session, lease.token + 1)
        for name in found.give:
            held[name] = ("", held[name][1])
        count += len(found.take)
    return count


def _settle(held: Held, members: list[Member]) -> int:
    """Until nothing moves any more; the number of moves."""
    total = 0
    for _ in range(20):
        moved = _round(held, members)
        total += moved
        if not moved and not any(holder == "" for holder, _ in held.values()):
            return total
    raise AssertionError("it does not settle")


@given(st.lists(st.lists(st.sampled_from(["alive", "silent", "draining"]), min_size=1, max_size=7), max_size=6))
def test_shares_become_fair_with_few_moves(story: list[list[str]]) -> None:
    held: Held = {shard_name(number): ("", 0) for number in range(SHARDS)}
    for states in story:
        members = [
            Member(f"{number}", f"s{number}", alive=state != "silent", draining=state == "draining")
            for number, state in enumerate(states)
        ]
        wanted = quotas(members)
        if not any(wanted.values()):
            continue
        before = {name: holder for name, (holder, _) in held.items()}
        staying = sum(min(wanted[me], list(before.values()).count(me)) for me in wanted)
        moved = _settle(held, members)
        counts = {me: [holder for holder, _ in held.values()].count(me) for me in wanted}
        assert counts == wanted
        assert moved <= SHARDS - staying


_LINKS = st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=25)


@given(_LINKS)
def test_families_share_a_shard_whatever_the_order(links: list[tuple[int, int]]) -> None:
    def kin(reverse: bool) -> dict[str, Kin]:
        needs: dict[int, list[str]] = {number: [] for number in range(20)}
        for one, other in links:
            needs[one].append(f"n{other}")
        numbers = sorted(needs, reverse=reverse)
        return {f"uid{number:02}": Kin(f"n{number}", (*needs[number], "nobody")) for number in numbers}

    shards = shards_of(kin(False), SHARDS)
    assert shards == shards_of(kin(True), SHARDS)
    for one, other in links:
        assert shards[f"uid{one:02}"] == shards[f"uid{other:02}"]
    assert set(shards.values()) <= set(range(SHARDS))
