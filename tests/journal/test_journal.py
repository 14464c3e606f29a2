from __future__ import annotations

import contextlib

import pytest
from tests.rigs.told import Told

from mainstay.kernel.actor import system
from mainstay.store.journal import Filter, entries
from mainstay.store.models import JournalEntry
from mainstay.store.seals.proving import verify
from mainstay.store.work import unit_of_work

pytestmark = pytest.mark.usefixtures("store")


def _write(count: int) -> None:
    with unit_of_work(system("test")) as work:
        for number in range(count):
            work.record(Told("token.created", f"token/m{number}", {"name": "tëst", "n": number}))


def test_a_written_chain_verifies_and_reads_back_newest_first() -> None:
    _write(5)
    assert verify().broken_at is None
    assert verify().checked == 5
    assert [entry.data["n"] for entry in entries(limit=2)] == [4, 3]
    assert [entry.seq for entry in entries(Filter(kind="token.*", subject="token/m1"))] == [2]


@pytest.mark.parametrize(
    ("column", "value"),
    [("data", '{"n":9}'), ("actor", "user:intruder"), ("at_us", 1), ("hash", "f" * 64), ("kind", "token.revoked")],
)
def test_the_first_altered_entry_is_named(column: str, value: object) -> None:
    _write(5)
    JournalEntry.objects.filter(seq=3).update(**{column: value})
    assert verify().broken_at == 3


def test_a_removed_entry_is_named() -> None:
    _write(5)
    JournalEntry.objects.filter(seq=2).delete()
    assert verify().broken_at == 2


def test_entries_cut_off_at_the_end_are_noticed() -> None:
    _write(5)
    JournalEntry.objects.filter(seq=5).delete()
    assert verify().broken_at == 5


def test_a_rolled_back_unit_leaves_no_entry() -> None:
    with contextlib.suppress(RuntimeError), unit_of_work(system("test")) as work:
        work.record(Told("token.created", "token/a"))
        raise RuntimeError
    assert list(entries()) == []
