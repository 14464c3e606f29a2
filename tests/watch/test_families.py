"""Which monitors belong together, read from declared documents."""

from __future__ import annotations

from mainstay.watch.families import Kin, kin_of, shards_of


def test_parents_and_members_are_read_from_both_ways_to_write_a_group() -> None:
    assert kin_of("a", {"http": "x", "parents": ["b"]}) == Kin("a", ("b",))
    assert kin_of("g", {"group": {"members": ["a", "b"], "up": 1}}) == Kin("g", ("a", "b"))
    assert kin_of("g", {"group": ["a"], "parents": ["p"]}) == Kin("g", ("p", "a"))
    assert kin_of("odd", {"group": "text", "parents": None}) == Kin("odd")


def test_strangers_are_spread() -> None:
    shards = shards_of({f"uid{number}": Kin(f"n{number}") for number in range(2000)}, 64)
    counts = [list(shards.values()).count(shard) for shard in range(64)]
    assert min(counts) > 10
