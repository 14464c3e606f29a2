"""Fair shares of the leases: who takes and who gives what."""

from __future__ import annotations

import pytest

from mainstay.nodes.rules import SHARDS, TTL, Lease, Member, heard_until, moves, quotas, shard_name, shard_number

A, B, C = Member("1", "a", alive=True), Member("2", "b", alive=True), Member("3", "c", alive=True)


def leases(**held: int) -> list[Lease]:
    """So many shards of each holder, in order; the rest is free."""
    owners = [holder for holder, count in held.items() for _ in range(count)]
    owners += [""] * (SHARDS - len(owners))
    return [Lease(shard_name(number), owner, 1) for number, owner in enumerate(owners)]


def gone(member: Member) -> Member:
    return Member(member.id, member.session, alive=False)


def test_names_of_shards_and_tasks() -> None:
    assert shard_number(shard_name(7)) == 7
    assert shard_number("task/upkeep") is None


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ([A], {"a": 64}),
        ([A, B], {"a": 32, "b": 32}),
        ([A, B, C], {"a": 22, "b": 21, "c": 21}),
        ([A, gone(B), C], {"a": 32, "c": 32}),
        ([A, Member("2", "b", alive=True, draining=True)], {"a": 64, "b": 0}),
        ([Member("1", "a", alive=True, draining=True)], {"a": 64}),
        ([], {}),
    ],
)
def test_quotas(members: list[Member], expected: dict[str, int]) -> None:
    assert quotas(members) == expected


def test_one_node_takes_everything_that_is_free() -> None:
    found = moves("a", [A], [*leases(), Lease("task/upkeep")], {"task/upkeep"})
    assert len(found.take) == SHARDS + 1
    assert not found.give


def test_a_newcomer_takes_only_what_is_free_and_the_other_gives_the_rest() -> None:
    assert not moves("b", [A, B], leases(a=64)).take
    assert len(moves("a", [A, B], leases(a=64)).give) == 32
    assert len(moves("b", [A, B], leases(a=32)).take) == 32


def test_nothing_moves_between_fair_shares() -> None:
    held = leases(a=22, b=21, c=21)
    for me in "abc":
        assert moves(me, [A, B, C], held) == moves(me, [A, B, C], held)
        assert not moves(me, [A, B, C], held).take
        assert not moves(me, [A, B, C], held).give


def test_what_a_silent_node_held_is_taken_once_this_one_is_steady() -> None:
    held = leases(a=32, b=32)
    assert len(moves("a", [A, gone(B)], held).take) == 32
    assert not moves("a", [A, gone(B)], held, steady=False).take


def test_what_an_earlier_start_held_is_free_at_once() -> None:
    assert len(moves("a", [A], leases(old=64), steady=False).take) == SHARDS


def test_a_node_that_drains_gives_up_tasks_too_while_somebody_else_is_there() -> None:
    draining = Member("1", "a", alive=True, draining=True)
    held = [*leases(a=64), Lease("task/upkeep", "a", 1)]
    assert len(moves("a", [draining, B], held, {"task/upkeep"}).give) == SHARDS + 1
    assert not moves("a", [draining], held, {"task/upkeep"}).give


def test_a_task_goes_only_to_who_can_do_it() -> None:
    free = [*leases(a=64), Lease("task/config"), Lease("task/upkeep")]
    assert [lease.name for lease in moves("a", [A], free, {"task/upkeep"}).take] == ["task/upkeep"]


def test_a_node_is_not_heard_for_longer_than_a_beat_reaches() -> None:
    """Its row was written before the database's clock was set back by two hours."""
    assert heard_until(1000.0 + TTL, 1000.0) > 1000.0
    assert heard_until(1000.0 + 7200, 1000.0) <= 1000.0
