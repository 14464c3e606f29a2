"""A past that is rewritten with every hash made anew: whole to look at, and told from the true one by a seal."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from django.conf import settings
from django.test import override_settings
from tests.rigs.accounts_browser import TEST
from tests.rigs.told import Told

from mainstay.kernel.settings import Settings
from mainstay.store.erasures import ERASED
from mainstay.store.journal import hash_of
from mainstay.store.models import JournalEntry, JournalHead, SealRow
from mainstay.store.proof import canonical, digest_of, erase_parts, shown, shown_digest
from mainstay.store.seals.documents import read_seal
from mainstay.store.seals.proving import verify
from mainstay.store.seals.sealing import seal_all
from mainstay.store.work import unit_of_work


def write(count: int) -> None:
    with unit_of_work(TEST) as work:
        for number in range(count):
            work.record(Told("channel.tested", f"channel/m{number}", {"n": number}))


def rewrite(seq: int, **changes: str) -> None:
    """What the owner of the database can do: change an entry, and make every hash from there on fit."""
    JournalEntry.objects.filter(seq=seq).update(**changes)
    before = JournalEntry.objects.filter(seq=seq - 1).first()
    previous = before.hash if before else "0" * 64
    for row in JournalEntry.objects.filter(seq__gte=seq).order_by("seq"):
        row.previous = previous
        row.data_digest = digest_of(row.salt, row.actor, row.subject, row.data)
        row.hash = previous = hash_of((row.seq, row.at_us, row.kind, row.data_digest), previous)
        row.save()
    JournalHead.objects.update(hash=previous)


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Settings]:
    """A data folder of the test's own."""
    found = replace(settings.MAINSTAY, data=tmp_path)
    with override_settings(MAINSTAY=found):
        yield found


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    "changes", [{"data": canonical({"n": 9})}, {"actor": "user:nobody"}, {"subject": "channel/other"}]
)
def test_a_changed_entry_with_every_hash_made_anew_does_not_hold_the_seal(
    ours: Settings, changes: dict[str, str]
) -> None:
    write(6)
    kept = read_seal(seal_all(TEST, ours))
    write(3)
    rewrite(3, **changes)
    found = verify()
    assert (found.broken_at, found.reason) == (7, "its hash does not follow from the entry before it")
    found = verify(everything=True)
    assert (found.broken_at, "differ" in found.reason) == (3, True)
    SealRow.objects.all().delete()
    assert verify().broken_at is None, "whole to look at, without the seal"
    assert verify(known=kept).broken_at == 6
    again = read_seal(seal_all(TEST, ours))
    assert verify(known=again).broken_at is None, "a new one proves nothing"
    assert verify(known=kept).broken_at == 6, "the one kept elsewhere does"


@pytest.mark.usefixtures("store")
def test_what_comes_after_the_seal_is_not_proven_by_it(ours: Settings) -> None:
    """As the threat model says: keep one often."""
    write(3)
    kept = read_seal(seal_all(TEST, ours))
    write(3)
    rewrite(6, data=canonical({"n": 9}))
    assert verify(known=kept).broken_at is None


LIES = {
    "data": {"data": canonical({"n": 9})},
    "actor": {"actor": "user:nobody"},
    "subject": {"subject": "channel/other"},
    "every part": {"actor": "user:nobody", "subject": "channel/other", "data": canonical({"n": 9})},
    "words of an erasure": {"data": canonical({"erased": "by nobody", "n": 9})},
}


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("told", ["not", "as before there were digests", "with a digest"])
def test_no_entry_behind_a_seal_is_rewritten_by_calling_it_erased(ours: Settings, lie: str, told: str) -> None:
    """The owner of the database keeps every digest that there was, and appends an entry that tells of an erasure."""
    write(6)
    kept = read_seal(seal_all(TEST, ours))
    row = JournalEntry.objects.get(seq=3)
    erase_parts(row, ["actor", "subject", "data"], "erased-0123456789")
    for name, value in LIES[lie].items():
        setattr(row, name, value)
    row.save()
    if told != "not":
        digest = {"digest": shown_digest([(3, shown(row))])} if told == "with a digest" else {}
        with unit_of_work(TEST) as work:
            data = {"person": "erased-0123456789", "entries": [[3, 3]], **digest}
            work.record(Told("journal.erased", "user/erased-0123456789", data))
    assert verify(known=kept).broken_at == 3
    assert verify().broken_at == (3 if told != "not" else None), "what is sealed is compared if it is told of"
    SealRow.objects.all().delete()
    assert verify(known=kept).broken_at == 3, "without the seal"


@pytest.mark.usefixtures("store")
def test_what_an_erased_entry_shows_is_not_changed_again(tmp_path: Path) -> None:
    """An honest erasure, and one name of chance put in place of another."""
    write(6)
    row = JournalEntry.objects.get(seq=3)
    erase_parts(row, ["actor"], "erased-0123456789")
    row.save()
    with unit_of_work(TEST) as work:
        data = {"person": "erased-0123456789", "entries": [[3, 3]], "digest": shown_digest([(3, shown(row))])}
        work.record(Told("journal.erased", "user/erased-0123456789", data))
    assert (verify().broken_at, verify().erased) == (None, 1)
    JournalEntry.objects.filter(seq=3).update(actor="user:erased-aaaaaaaaaa")
    assert verify().broken_at == 3
    assert "not as the erasure" in verify().reason


SHAPES = ["x", "null", "5", "[]", "{}", '{"who":1,"key":"x"}', '{"keys":{},"gone":{}}', '{"keys":5,"gone":{}}']


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("erased", [*SHAPES, '{"gone":{"actor":"","data":"","salt":""},"keys":{}}'])
def test_what_no_erasure_leaves_is_told_and_not_stumbled_over(erased: str) -> None:
    write(3)
    JournalEntry.objects.filter(seq=2).update(erased=erased)
    assert verify().broken_at == 2


@pytest.mark.usefixtures("store")
def test_an_erasure_that_tells_of_all_numbers_takes_no_memory_for_them() -> None:
    write(2)
    with unit_of_work(TEST) as work:
        work.record(Told(ERASED, "user/nobody", {"entries": [[1, 2**62]], "digest": "x"}))
    assert verify().reason == "entry 3 records an erasure that cannot have happened"


def test_from_the_command_line(tmp_path: Path) -> None:
    environment = {**os.environ, "MAINSTAY_DATA": str(tmp_path / "data")}
    script = (
        "import sys; from pathlib import Path; from mainstay.frames.boot import *; "
        "start_django(load_settings()); sys.path[:0] = [{here!r}]; "
        "from test_journal_rewritten import rewrite; rewrite(2, actor='user:nobody')"
    )

    def run(*command: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, *command],
            env=environment, input="{}", capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def mainstay(*arguments: str, code: int = 0) -> str:
        return run("-m", "mainstay", *arguments, code=code)

    mainstay("apply", "--yes", "-")
    for name in ("a", "b", "c"):
        mainstay("token", "create", name, "--scope", "monitors:read")
    kept, key = tmp_path / "kept.json", mainstay("journal", "seal", "--public-key").strip()
    mainstay("journal", "seal", "-o", str(kept))
    assert "nothing up to entry 3 has changed" in mainstay("journal", "verify", "--seal", str(kept), "--key", key)
    run("-c", script.format(here=str(Path(__file__).parent)))
    assert "entry 4 was altered" in mainstay("journal", "verify", code=1)
    assert "the database and the segment" in mainstay("journal", "verify", "--all", code=1)
    shutil.rmtree(tmp_path / "data" / "journal")
    assert "is missing from" in mainstay("journal", "verify", code=1)
    assert "entry 1 was altered" in mainstay("journal", "verify", "--seal", str(kept), code=1)
    document = json.loads(kept.read_text())
    kept.write_text(json.dumps({**document, "hash": "0" * 64}))
    assert "signature is not valid" in mainstay("journal", "verify", "--seal", str(kept), code=1)
