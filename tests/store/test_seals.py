"""Sealed segments of the journal: made, verified, read, thinned by age, and whatever somebody may do to them."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from django.conf import settings
from django.db import connections
from django.test import override_settings
from tests.rigs.accounts_browser import TEST
from tests.rigs.receivers import declare, happen
from tests.rigs.settings import having
from tests.rigs.told import Told

from mainstay.accounts.erasure import erase_person
from mainstay.alerting.models import OutboxRow
from mainstay.journal.lanes import SealLane
from mainstay.kernel.actor import Actor
from mainstay.kernel.errors import Broken, Conflict, Forbidden, Unavailable
from mainstay.kernel.settings import Settings
from mainstay.nodes.models import NodeRow
from mainstay.store import followers
from mainstay.store.journal import Filter, entries
from mainstay.store.models import JournalEntry, SealRow
from mainstay.store.proof import erase_parts
from mainstay.store.running import Running
from mainstay.store.seals import sealing
from mainstay.store.seals.documents import read_seal, sign
from mainstay.store.seals.proving import Verification, verify
from mainstay.store.seals.reading import history
from mainstay.store.work import unit_of_work
from mainstay.store.writer import Writer

pytestmark = pytest.mark.usefixtures("store")
ANA = "ana@example.com"
WHO = Actor("user", ANA, frozenset())
DAY = 86_400.0
ALL = Filter()


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Settings]:
    """A data folder of the test's own."""
    found = replace(settings.MAINSTAY, data=tmp_path)
    with override_settings(MAINSTAY=found):
        yield found


def write(count: int, actor: Actor = TEST, clock: Any = None, about: str = "m") -> None:
    with unit_of_work(actor, clock) as work:
        for number in range(count):
            work.record(Told("channel.tested", f"channel/{about}{number}", {"n": number, "text": "Grüße"}))


def seal(ours: Settings, most: int = sealing.ENTRIES, clock: Any = None) -> list[SealRow]:
    """Seal all in segments of so many; their rows."""
    while (prepared := sealing.prepare(ours, most)) is not None and prepared.seal.seq < prepared.seen:
        sealing.commit(TEST, ours, prepared, clock)
    if prepared is not None:
        sealing.commit(TEST, ours, prepared, clock)
    return list(SealRow.objects.order_by("first"))


def move_out(ours: Settings, before: float = 4e9) -> None:
    sealing.move_out(TEST, ours, before)
    while sealing.remove_rows(TEST):
        pass


def file_of(ours: Settings, row: SealRow) -> Path:
    return ours.data / "journal" / read_seal(row.document).name


def outcome(**how: Any) -> tuple[int | None, str]:
    found = verify(**how)
    return found.broken_at, found.reason


# Made and verified


def test_a_segment_is_what_any_tool_reads(ours: Settings) -> None:
    write(5)
    (row,) = seal(ours)
    found = duckdb.sql(f"SELECT seq, kind, data FROM '{file_of(ours, row)}' ORDER BY seq").fetchall()
    assert found[4] == (5, "channel.tested", '{"n":4,"text":"Grüße"}')
    told = next(entries(Filter(kind="journal.sealed")))
    assert (told.data["first"], told.data["last"], told.data["file"]) == (1, 5, file_of(ours, row).name)


def test_what_is_sealed_is_compared_if_all_is_asked_for(ours: Settings) -> None:
    write(10)
    seal(ours, 4)
    write(2)
    found = verify()
    assert (found.since, found.checked, found.segments, found.other_keys) == (13, 3, 3, 0)
    assert verify(everything=True) == replace(found, since=1, checked=15)


def test_sealing_asks_for_its_scope_and_can_be_repeated(ours: Settings) -> None:
    write(3)
    prepared = sealing.prepare(ours)
    assert prepared is not None
    with pytest.raises(Forbidden):
        sealing.commit(WHO, ours, prepared)
    sealing.commit(TEST, ours, prepared)
    with pytest.raises(Conflict):
        sealing.commit(TEST, ours, prepared)
    assert SealRow.objects.count() == 1
    kept = sealing.seal_all(TEST, ours)
    assert (SealRow.objects.count(), read_seal(kept).seq) == (1, 3), "the seal alone is no news"


def test_an_altered_entry_is_not_sealed(ours: Settings) -> None:
    write(5)
    JournalEntry.objects.filter(seq=3).update(actor="user:intruder")
    with pytest.raises(Broken, match="entry 3 was altered: its data does not match"):
        sealing.prepare(ours)
    JournalEntry.objects.filter(seq__lt=4).delete()
    with pytest.raises(Broken, match="entry 1 was altered: the entry is missing"):
        sealing.prepare(ours)
    assert not SealRow.objects.exists()


def test_what_was_erased_while_the_segment_was_written_is_not_in_it(ours: Settings) -> None:
    write(3, WHO)
    prepared = sealing.prepare(ours)
    erase_person(TEST, ANA)
    assert prepared is not None
    with pytest.raises(Conflict, match="changed while"):
        sealing.commit(TEST, ours, prepared)
    (row,) = seal(ours)
    assert sealing.sweep(TEST, ours) == [prepared.seal.name]
    assert [path.name for path in (ours.data / "journal").iterdir()] == [file_of(ours, row).name]
    assert ANA.encode() not in text_of(file_of(ours, row))


def text_of(path: Path) -> bytes:
    return str(duckdb.sql(f"SELECT * FROM '{path}'").fetchall()).encode()


# What somebody may do to it


def _flip(ours: Settings, rows: list[SealRow]) -> None:
    path = file_of(ours, rows[1])
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


def _exchange(ours: Settings, rows: list[SealRow]) -> None:
    shutil.copyfile(file_of(ours, rows[0]), file_of(ours, rows[1]))


def _write_anew(ours: Settings, rows: list[SealRow]) -> None:
    """A whole Parquet file with one entry changed."""
    path, made = file_of(ours, rows[1]), ours.data / "made.parquet"
    duckdb.sql(f"COPY (SELECT * REPLACE ('user:nobody' AS actor) FROM '{path}') TO '{made}' (FORMAT parquet)")
    made.rename(path)


def _document(rows: list[SealRow], **changes: object) -> None:
    document = json.dumps({**json.loads(rows[1].document), **changes})
    SealRow.objects.filter(first=rows[1].first).update(document=document)


ATTACKS: dict[str, tuple[Callable[[Settings, list[SealRow]], object], int, str, str]] = {
    "a row": (lambda ours, rows: JournalEntry.objects.filter(seq=6).update(data="{}"), 6, "does not match", "all"),
    "a row that is gone": (lambda ours, rows: JournalEntry.objects.filter(seq=6).delete(), 6, "missing in the", "all"),
    "a row behind the seals": (lambda ours, rows: JournalEntry.objects.filter(seq=13).delete(), 13, "missing", ""),
    "a byte of a file": (_flip, 5, "is not the file that was sealed", "all"),
    "another file in its place": (_exchange, 5, "is not the file that was sealed", "all"),
    "a file written anew": (_write_anew, 5, "is not the file that was sealed", ""),
    "a file that is gone": (lambda ours, rows: file_of(ours, rows[1]).unlink(), 5, "is missing from", ""),
    "a seal": (lambda ours, rows: _document(rows, hash="f" * 64), 5, "does not match its signature", ""),
    "a seal that says deleted": (
        lambda ours, rows: _document(rows, deleted="2026"),
        5,
        "does not match its signature",
        "",
    ),
    "what no seal is": (lambda ours, rows: SealRow.objects.filter(first=5).update(document="x"), 5, "not a seal", ""),
    "the row of a seal": (
        lambda ours, rows: SealRow.objects.filter(first=5).update(last=7),
        5,
        "database row differs",
        "",
    ),
    "the place in it": (
        lambda ours, rows: SealRow.objects.filter(first=5).update(place="deleted"),
        5,
        "database row differs",
        "",
    ),
    "a seal that is gone": (lambda ours, rows: SealRow.objects.filter(first=5).delete(), 5, "the seal of the", ""),
    "a seal in place of another": (
        lambda ours, rows: SealRow.objects.filter(first=5).update(document=rows[0].document),
        5,
        "database row differs",
        "",
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_what_was_tampered_with_is_named(ours: Settings, name: str) -> None:
    attack, at, reason, how = ATTACKS[name]
    write(12)
    rows = seal(ours, 4)[:3]
    SealRow.objects.filter(first__gt=9).delete()
    assert outcome(everything=True) == (None, "")
    attack(ours, rows)
    found = verify(everything=True)
    assert (found.broken_at, reason in found.reason) == (at, True), found.reason
    if not how:
        assert verify().broken_at == at


def test_a_row_that_differs_from_its_segment_in_a_way_that_proves_itself_is_named(ours: Settings) -> None:
    """Called erased, which keeps its digest: whole but for the segment."""
    write(6)
    seal(ours)
    row = JournalEntry.objects.get(seq=3)
    erase_parts(row, ["actor"], "erased-0123456789")
    row.save()
    found = verify(everything=True)
    assert (found.broken_at, "differ" in found.reason) == (3, True)


def test_seals_of_another_key_are_told(ours: Settings) -> None:
    """As after a restore without keys. Nobody without the key can do it unseen."""
    write(4)
    (row,) = seal(ours)
    (ours.data / "journal.key").unlink()
    assert verify().other_keys == 1
    write(1)
    seal(ours)
    assert (outcome(everything=True), verify().other_keys) == ((None, ""), 1)
    row.document = sign(replace(read_seal(row.document), hash="f" * 64), ours)
    row.save()
    assert "does not follow on" in verify().reason


# Read


@pytest.fixture
def old(ours: Settings) -> list[int]:
    """Numbers of 25 entries in five segments and the database; the first ten have left that."""
    write(12, WHO)
    write(8, about="x")
    seal(ours, 5)
    write(3)
    SealRow.objects.filter(first__gt=16).delete()
    before = JournalEntry.objects.get(seq=11).at_us
    JournalEntry.objects.filter(seq__gt=10).update(at_us=before + 2_000_000)
    SealRow.objects.filter(first__lte=6).update(place="file")
    while sealing.remove_rows(TEST):
        pass
    assert JournalEntry.objects.order_by("seq").values_list("seq", flat=True).first() == 11
    return list(range(1, JournalEntry.objects.order_by("seq").last().seq + 1))  # type: ignore[union-attr]


def numbers(wanted: Filter = ALL, **how: Any) -> list[int]:
    return [entry.seq for entry in history(wanted, **how)]


def test_old_entries_stay_findable(old: list[int]) -> None:
    assert numbers(limit=0) == old[::-1]
    assert numbers(limit=0, newest_first=False) == old
    assert numbers(limit=7, newest_first=False) == old[:7]
    assert numbers(Filter(after_seq=7), limit=9, newest_first=False) == old[7:16]
    assert numbers(Filter(subject="channel/m3"), limit=0)[-1] == 4
    assert numbers(Filter(kind="channel.*", actor="ANA@", text="grüße"), limit=0) == list(range(12, 0, -1))
    assert numbers(Filter(kind="monitor.*"), limit=0) == []
    assert numbers(Filter(kind="*", before_seq=4)) == [3, 2, 1]
    entry = next(history(Filter(before_seq=5)))
    assert (entry.data, entry.actor) == ({"n": 3, "text": "Grüße"}, f"user:{ANA}")


@pytest.mark.parametrize("size", [1, 3, 10, 11])
def test_pages_meet_where_the_database_ends(old: list[int], size: int) -> None:
    pages: list[int] = []
    while found := numbers(Filter(before_seq=pages[-1] if pages else None), limit=size):
        pages += found
    assert pages == old[::-1]


def test_segments_of_another_time_are_not_opened(ours: Settings, old: list[int]) -> None:
    shutil.rmtree(ours.data / "journal")
    newest = JournalEntry.objects.get(seq=old[-1]).at_us / 1e6
    assert numbers(Filter(since=newest - 1), limit=0)
    with pytest.raises(Exception, match="is missing from"):
        numbers(limit=0)


def test_an_export_loses_nothing_that_leaves_the_database_meanwhile(
    ours: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(20)
    seal(ours, 5)
    monkeypatch.setattr("mainstay.store.seals.reading._SLICE", 3)
    for newest_first in (False, True):
        read = history(limit=0, newest_first=newest_first)
        found = [next(read).seq for _number in range(7)]
        if not newest_first:
            move_out(ours)
        found += [entry.seq for entry in read]
        assert sorted(found) == list(range(1, len(found) + 1))
    assert numbers(limit=0, newest_first=False) == sorted(found)


# Personal data


def test_a_person_is_erased_in_segments_too(ours: Settings) -> None:
    write(6, WHO)
    seal(ours, 4)
    kept = read_seal(SealRow.objects.get(first=1).document)
    SealRow.objects.filter(first=1).update(place="file")
    while sealing.remove_rows(TEST):
        pass
    write(1, WHO)
    erased = erase_person(TEST, ANA)
    assert (erased.entries, erased.unsearched) == (7, ())
    files = list((ours.data / "journal").iterdir())
    assert len(files) == SealRow.objects.count(), "those of before are gone"
    assert not [path for path in files if ANA.encode() in text_of(path)]
    assert {entry.actor for entry in history(Filter(kind="channel.tested"), limit=0)} == {f"user:{erased.name}"}
    assert (outcome(), outcome(everything=True)) == ((None, ""), (None, ""))
    assert verify(known=kept).broken_at is None, "a seal from before proves the chain"
    assert verify(everything=True).erased == 7


def test_an_erased_segment_that_is_changed_again_is_named(ours: Settings) -> None:
    write(6, WHO)
    seal(ours)
    move_out(ours)
    erase_person(TEST, ANA)
    _write_anew(ours, [SealRow.objects.get(), SealRow.objects.get()])
    assert verify(everything=True).broken_at == 1


def test_erasing_signs_no_change_of_others_along(ours: Settings) -> None:
    write(4, WHO)
    (row,) = seal(ours)
    _write_anew(ours, [row, row])
    with pytest.raises(Broken, match="is not the file that was sealed"):
        erase_person(TEST, ANA)
    assert JournalEntry.objects.filter(actor=f"user:{ANA}").count() == 4, "nothing was erased"


def test_a_missing_segment_does_not_keep_a_person(ours: Settings, tmp_path: Path) -> None:
    write(4, WHO)
    (row,) = seal(ours)
    move_out(ours)
    write(2, WHO)
    away = file_of(ours, row).rename(tmp_path / "away")
    erased = erase_person(TEST, ANA)
    assert (erased.entries, erased.unsearched) == (2, (file_of(ours, row).name,))
    away.rename(file_of(ours, row))
    assert erase_person(TEST, ANA).entries == 4
    assert outcome(everything=True) == (None, "")


# By age


def test_segments_go_by_age_and_their_seals_stay(ours: Settings) -> None:
    write(10, WHO)
    seal(ours, 4)
    erased = erase_person(TEST, ANA)
    move_out(ours)
    assert erased.entries == 10
    before = SealRow.objects.get(first=9).newest_us / 1e6
    sealing.delete_segments(TEST, ours, before)
    assert [row.first for row in SealRow.objects.filter(place="deleted").order_by("first")] == [1, 5], (
        "those that are all older"
    )
    assert (outcome(), outcome(everything=True)) == ((None, ""), (None, ""))
    assert verify(everything=True).deleted_to == 8
    assert not list((ours.data / "journal").glob("*-1-4-*"))
    told = next(entries(Filter(kind="journal.erased")))
    assert (told.data["entries"], told.data["again"]) == ([[9, 10]], True)
    sealing.delete_segments(TEST, ours, before)
    assert verify().broken_at is None


def test_what_is_left_of_an_erasure_is_still_proven(ours: Settings) -> None:
    test_segments_go_by_age_and_their_seals_stay(ours)
    row = SealRow.objects.get(first=9)
    _write_anew(ours, [row, row])
    assert verify(everything=True).broken_at == 9


def test_rows_stay_while_their_segment_cannot_be_read(ours: Settings) -> None:
    write(4)
    (row,) = seal(ours)
    path = file_of(ours, row)
    path.unlink()
    path.mkdir()
    with pytest.raises(Unavailable, match="cannot be read: Is a directory"):
        sealing.move_out(TEST, ours, 4e9)
    assert SealRow.objects.get().place == "both"


def test_rows_stay_until_their_segment_is_there_as_it_was_sealed(ours: Settings) -> None:
    write(8)
    rows = seal(ours, 4)
    _flip(ours, rows)
    with pytest.raises(Broken, match="is not the file that was sealed"):
        sealing.move_out(TEST, ours, 4e9)
    assert [row.place for row in SealRow.objects.order_by("first")[:2]] == ["file", "both"]


# The lane


class Lane:
    def __init__(self, ours: Settings, clock: Any, **changes: Any) -> None:
        self.settings, self.clock, self.writer = having(ours, **changes), clock, Writer()
        self.lane = SealLane(Running(self.settings, self.writer, None, clock))  # type: ignore[arg-type]

    def turns(self, *seconds: float) -> str:
        """Pass these and turn; what health says at the end."""

        async def go() -> str:
            for wait in seconds:
                self.clock.advance(wait)
                await self.lane.turn()
            await self.writer.run(connections.close_all)
            return await self.lane.probe()

        return asyncio.run(go())

    def close(self) -> None:
        self.writer.stop()


@pytest.fixture
def lane(ours: Settings, clock: Any) -> Iterator[Callable[..., Lane]]:
    made: list[Lane] = []
    clock.at = time.time()

    def make(**changes: Any) -> Lane:
        made.append(Lane(ours, clock, **changes))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_day_is_sealed_and_its_seal_goes_to_the_channel(lane: Callable[..., Lane], clock: Any) -> None:
    declare("channel", "safe", {"email": {"to": ["safe@example.com"]}})
    here = lane(seal_channel="safe")
    assert here.turns(60) == "ok"
    assert SealRow.objects.count() == 0, "not for a day"
    here.turns(DAY)
    assert (SealRow.objects.count(), OutboxRow.objects.count()) == (1, 1)
    here.turns(60, DAY, 60)
    assert SealRow.objects.count() == 1, "that it was sealed is no news"
    write(1, clock=clock)
    here.turns(60)
    clock.set(-3 * DAY)
    write(1, clock=clock)
    here.turns(60)
    assert SealRow.objects.count() == 3, "one of later than now is no reason to wait"
    known = read_seal(f"What: {OutboxRow.objects.order_by('id')[0].payload['alert']['summary']}\nAlert: http://x")
    assert verify(known=known).broken_at is None


def test_a_missing_channel_does_not_keep_the_journal_unsealed(lane: Callable[..., Lane], clock: Any) -> None:
    write(1, clock=clock)
    assert lane(seal_channel="nowhere").turns(DAY) == "ok"
    assert (SealRow.objects.count(), OutboxRow.objects.count()) == (1, 0)


def test_a_journal_that_was_never_sealed_is_sealed_in_portions(
    lane: Callable[..., Lane], clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "BYTES", 400)
    write(50, clock=clock)
    assert lane().turns(DAY, 60, 60) == "ok"
    assert 2 < SealRow.objects.count() < 20
    assert outcome(everything=True) == (None, "")


def test_health_tells_of_what_cannot_be_sealed(lane: Callable[..., Lane], clock: Any) -> None:
    write(3, clock=clock)
    JournalEntry.objects.filter(seq=2).update(actor="user:intruder")
    assert "entry 2 was altered" in lane().turns(DAY)


def test_several_servers_need_a_place_that_all_reach(lane: Callable[..., Lane], clock: Any, tmp_path: Path) -> None:
    write(3, clock=clock)
    for name in ("a", "b"):
        NodeRow.objects.create(id=name, session=name, started_at=0, seen_at=0, expires_at=0)
    here = lane(database="postgres://x")
    assert "MAINSTAY_JOURNAL_TO" in here.turns(DAY)
    assert SealRow.objects.count() == 0
    assert lane(database="postgres://x", journal_to=str(tmp_path / "shared")).turns(60) == "ok"
    assert len(list((tmp_path / "shared").iterdir())) == 1


def test_age_counts_once_the_clock_was_steady_and_open_alerts_keep_what_they_need(
    lane: Callable[..., Lane], clock: Any
) -> None:
    write(3, clock=clock)
    here = lane(journal_days=30, journal_segment_days=60)
    here.turns(DAY)
    clock.set(40 * DAY)
    here.turns(60, 3600)
    assert SealRow.objects.get().place == "both", "set forward: nothing is older for that"
    here.turns(6 * 3600)
    assert SealRow.objects.get(first=1).place == "file"
    assert not JournalEntry.objects.filter(seq__lte=3).exists()
    declare("monitor", "api", {"http": "https://api.example.com"})
    happen("monitor.went_down", "monitor/api", clock)
    here.turns(DAY, 100 * DAY)
    places = dict(SealRow.objects.order_by("first").values_list("first", "place"))
    assert places[1] == "deleted", "older than what is open"
    assert set(list(places.values())[1:]) == {"both"}, "what is open keeps what came since"
    happen("monitor.went_up", "monitor/api", clock)
    here.turns(60)
    assert "both" in [row.place for row in SealRow.objects.filter(newest_us__lt=(clock.now() - 30 * DAY) * 1e6)]
    for follower in followers.FOLLOWERS.values():
        followers.catch_up(follower, clock)
    here.turns(60)
    assert "both" not in [row.place for row in SealRow.objects.filter(newest_us__lt=(clock.now() - 30 * DAY) * 1e6)]
    assert outcome(everything=True) == (None, "")


def test_words_of_a_verification(ours: Settings) -> None:
    from mainstay.journal.commands import _praise

    told = "\n".join(_praise(Verification(5, since=4, erased=1, segments=2, deleted_to=2, other_keys=1)))
    assert "5 entries since the newest seal, of entry 3" in told
    assert "entries up to 2 were deleted by age" in told
    assert "with a key other than this install's: 1" in told
