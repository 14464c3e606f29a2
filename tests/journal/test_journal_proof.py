"""What proves the journal: erasures that keep the chain whole, seals kept elsewhere, and what was handed out."""

from __future__ import annotations

import base64
import hashlib
import json
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.test import override_settings
from tests.rigs.accounts_browser import TEST, person, signed_in
from tests.rigs.settings import having
from tests.rigs.told import Told

from mainstay.accounts import verbs
from mainstay.accounts.erasure import erase_person
from mainstay.accounts.models import User
from mainstay.kernel.actor import Actor, system
from mainstay.kernel.errors import Conflict, NotFound, UserError
from mainstay.kernel.settings import Settings
from mainstay.store.journal import Filter, entries
from mainstay.store.models import JournalEntry, JournalHead, RevisionRow, SealRow
from mainstay.store.proof import canonical, erase_parts
from mainstay.store.resources.apply import declare
from mainstay.store.seals.documents import public_key, read_seal
from mainstay.store.seals.proving import verify
from mainstay.store.seals.sealing import seal_all
from mainstay.store.work import unit_of_work
from mainstay.watch.results import set_current
from mainstay.watch.results.results import Results

pytestmark = pytest.mark.usefixtures("store")
ANA = "ana@example.com"


def write(count: int, actor: Actor = TEST) -> None:
    with unit_of_work(actor) as work:
        for number in range(count):
            work.record(Told("channel.tested", f"channel/m{number}", {"n": number}))


# Erasing a person


@pytest.fixture
def known() -> None:
    """A person who was made, changed things, and is named in the data of others."""
    person("boss@example.com", "admin")
    person(ANA, "operations")
    person("joana@example.com", "support")
    ana = Actor("user", ANA, frozenset({"resources:write", "alerts:write"}))
    declare(ana, "monitor", "api", {"http": "https://example.com"}, manager="page")
    write(2, ana)


def test_an_erased_person_is_gone_and_the_chain_holds(known: None) -> None:
    before = [(row.seq, row.hash) for row in JournalEntry.objects.order_by("seq")]
    erased = erase_person(TEST, ANA)
    assert erased.entries > 4
    assert not User.objects.filter(email=ANA).exists()
    stored = [str(value) for row in JournalEntry.objects.values_list() for value in row]
    assert not [text for text in stored if ANA in text.replace(f"jo{ANA}", "")]
    assert [(row.seq, row.hash) for row in JournalEntry.objects.order_by("seq")][: len(before)] == before
    found = verify()
    assert (found.broken_at, found.erased) == (None, erased.entries)
    told = next(iter(entries(Filter(kind="journal.erased"))))
    assert told.data["person"] == erased.name
    assert RevisionRow.objects.get().actor == f"user:{erased.name}"


def test_others_with_a_longer_address_stay(known: None) -> None:
    erase_person(TEST, ANA)
    assert User.objects.filter(email=f"jo{ANA}").exists()
    assert list(entries(Filter(subject=f"user/jo{ANA}")))


def test_what_an_erased_person_did_stays_provable(known: None) -> None:
    erased = erase_person(TEST, ANA)
    mine = list(entries(Filter(kind="channel.tested")))
    assert [(entry.actor, entry.data["n"]) for entry in mine] == [
        (f"user:{erased.name}", 1),
        (f"user:{erased.name}", 0),
    ]
    JournalEntry.objects.filter(seq=mine[0].seq).update(data='{"n":9}')
    assert verify().broken_at == mine[0].seq


def test_an_erasure_that_nobody_tells_of_is_tampering(known: None) -> None:
    erase_person(TEST, ANA)
    victim = JournalEntry.objects.filter(erased="").exclude(kind="journal.erased").first()
    assert victim is not None
    erase_parts(victim, ["data"], "erased-0123456789")
    victim.save()
    found = verify()
    assert found.broken_at == victim.seq
    assert "no later entry records" in found.reason


def test_a_repeat_and_a_second_person_are_fine(known: None) -> None:
    erase_person(TEST, ANA)
    with pytest.raises(NotFound):
        erase_person(TEST, ANA)
    erase_person(TEST, f"jo{ANA}")
    assert verify().broken_at is None


def test_the_last_administrator_cannot_be_erased(known: None) -> None:
    with pytest.raises(Conflict):
        erase_person(TEST, "boss@example.com")
    assert verify().erased == 0


def test_sessions_of_an_erased_person_end(known: None) -> None:
    client = signed_in(ANA)
    assert client.get("/account/").status_code in (200, 302)
    erase_person(TEST, ANA)
    assert client.get("/account/").headers["location"].startswith("/accounts/login/")


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def age(until: int) -> None:
    """Make the entries up to this one as the version before wrote them: one digest for both names."""
    previous = "0" * 64
    for row in JournalEntry.objects.order_by("seq"):
        if row.seq <= until:
            who = sha(f"who{row.salt}{canonical([row.actor, row.subject])}")
            row.data_digest = sha(who + sha(sha(f"what{row.salt}") + row.data))
        row.previous = previous
        row.hash = previous = sha(canonical([row.seq, row.at_us, row.kind, row.data_digest, previous]))
        row.save()
    JournalHead.objects.update(hash=previous)


def erased_before(*numbers: int) -> None:
    """What the version before did: names replaced, the data kept, no digest told."""
    for row in JournalEntry.objects.filter(seq__in=numbers):
        who = sha(f"who{row.salt}{canonical([row.actor, row.subject])}")
        row.erased, row.actor = canonical({"who": who, "key": sha(f"what{row.salt}")}), "user:erased-0123456789"
        row.salt = ""
        row.save()


def test_a_journal_of_the_version_before_still_verifies(known: None) -> None:
    """With two erasures that share an entry; what is erased now is told of with a digest, and names beside it go."""
    tells = []
    for spans in ([[2, 3]], [[3, 4]]):
        with unit_of_work(TEST) as work:
            data = {"person": "erased-0123456789", "entries": spans}
            tells.append(work.record(Told("journal.erased", "user/erased-0123456789", data)))
    age(tells[-1])
    erased_before(2, 3, 4)
    assert (verify().broken_at, verify().erased) == (None, 3)
    erased = erase_person(TEST, ANA)
    assert verify().broken_at is None
    assert verify().erased >= erased.entries
    (row,) = JournalEntry.objects.filter(kind="resources.applied")
    assert (row.actor, row.subject) == (f"user:{erased.name}", "erased")
    JournalEntry.objects.filter(seq=row.seq).update(subject="revision/9")
    assert verify().broken_at is not None


# Seals that are kept elsewhere


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Settings]:
    """A data folder of the test's own."""
    found = replace(settings.MAINSTAY, data=tmp_path)
    with override_settings(MAINSTAY=found):
        yield found


def sealed(ours: Settings) -> str:
    return seal_all(TEST, ours)


def test_a_seal_proves_what_came_before(ours: Settings) -> None:
    write(5)
    known = read_seal(json.dumps(json.loads(sealed(ours)), indent=2))
    assert (known.first, known.seq, known.key) == (1, 5, public_key(ours))
    write(3)
    found = verify(known=known)
    assert (found.broken_at, found.checked) == (None, 9)


def test_the_owner_of_the_database_cannot_rewrite_what_a_seal_has_seen(ours: Settings) -> None:
    """Somebody who may change every row, every hash and every file writes another, consistent past."""
    write(5)
    known = read_seal(sealed(ours))
    for table in (JournalEntry, JournalHead, SealRow):
        table.objects.all().delete()
    write(9)
    assert verify().broken_at is None, "the new past is whole"
    known = replace(known, install=JournalEntry.objects.get(seq=1).hash[:8])
    assert verify(known=known).broken_at == 5


def test_a_shortened_journal_does_not_hold_the_seal(ours: Settings) -> None:
    write(5)
    known = read_seal(sealed(ours))
    SealRow.objects.all().delete()
    JournalEntry.objects.filter(seq__gt=3).delete()
    JournalHead.objects.update(seq=3, hash=JournalEntry.objects.get(seq=3).hash)
    assert verify().broken_at is None
    assert verify(known=known).broken_at == 4


@pytest.mark.parametrize("name", ["seq", "first", "hash", "previous", "at", "install", "key", "file", "signature"])
def test_an_altered_seal_is_refused(ours: Settings, name: str) -> None:
    write(2)
    document = json.loads(sealed(ours))
    document[name] = document[name] + 1 if isinstance(document[name], int) else "x" + document[name][:-1]
    with pytest.raises(UserError, match="signature is not valid"):
        read_seal(json.dumps(document))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"seq": 1}', "x" * 100_000, "{" * 50_000])
def test_what_is_no_seal_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="not a seal"):
        read_seal(text)


def test_a_seal_of_another_key_or_install_is_refused(ours: Settings, tmp_path: Path) -> None:
    write(2)
    text = sealed(ours)
    (tmp_path / "other").mkdir()
    other = public_key(replace(settings.MAINSTAY, data=tmp_path / "other"))
    with pytest.raises(UserError, match="another install"):
        read_seal(text, other)
    JournalEntry.objects.filter(seq=1).update(hash="f" * 64)
    with pytest.raises(UserError, match="belongs to the install"):
        verify(known=read_seal(text))


def test_a_checkpoint_of_the_version_before_still_proves(ours: Settings) -> None:
    """A signed end of the chain, without a range or a file."""
    write(4)
    row = JournalEntry.objects.get(seq=3)
    document = {"version": 1, "install": JournalEntry.objects.get(seq=1).hash[:8], "seq": 3, "hash": row.hash}
    document |= {"at": "2026-01-02T03:04:05.678Z", "key": public_key(ours)}
    private = Ed25519PrivateKey.from_private_bytes(base64.b64decode((ours.key_folder / "journal.key").read_text()))
    document["signature"] = base64.b64encode(private.sign(canonical(document).encode())).decode()
    sealed(ours)
    known = read_seal(json.dumps(document))
    assert verify(known=known).broken_at is None
    assert verify(known=replace(known, hash="f" * 64)).broken_at == 3


def test_the_key_is_for_its_owner_alone(ours: Settings, tmp_path: Path) -> None:
    public_key(ours)
    assert stat.S_IMODE((tmp_path / "journal.key").stat().st_mode) == 0o600


# What was handed out


def test_exports_are_told() -> None:
    person(ANA)
    client = signed_in(ANA)
    assert client.get("/journal/export?kind=user.*").status_code == 200
    assert client.get("/api/v1/journal/export").status_code == 200
    told = [(entry.actor, entry.data["how"]) for entry in entries(Filter(kind="journal.exported"))]
    assert told == [(f"user:{ANA}", "api"), (f"user:{ANA}", "page")]


@pytest.fixture
def telemetry(tmp_path: Path) -> Iterator[None]:
    """Results, as they are open in a server: pages of heartbeats show uptime."""
    opened = Results.embedded(tmp_path / "telemetry.duckdb")
    set_current(opened)
    yield
    set_current(None)
    opened.close()


def test_the_address_of_a_heartbeat_is_for_those_who_may_report_and_is_told_once_a_day(telemetry: None) -> None:
    declare(TEST, "heartbeat", "backup", {"every": "1h"}, manager="api")
    with override_settings(MAINSTAY=having(settings.MAINSTAY, require_second_factor="")):
        person(ANA)
        person("sue@example.com", "support")
        ana, sue = signed_in(ANA), signed_in("sue@example.com")
        for _ in range(2):
            assert "/ping/" in ana.get("/heartbeats/backup/").content.decode()
        assert "/ping/" not in sue.get("/heartbeats/backup/").content.decode()
    assert [entry.actor for entry in entries(Filter(kind="heartbeat.address_shown"))] == [f"user:{ANA}"]


def test_sign_ins_roles_and_tokens_are_told() -> None:
    from mainstay.accounts.rules import parse_token
    from mainstay.accounts.token_verbs import create_token, revoke_token

    person("boss@example.com")
    person(ANA)
    signed_in(ANA)
    verbs.change_role(TEST, ANA, "support")
    parsed = parse_token(create_token(system("test"), "ci", ["monitors:read"]))
    assert parsed is not None
    revoke_token(TEST, parsed.id)
    kinds = {entry.kind for entry in entries(limit=0)}
    assert {"user.signed_in", "user.role_changed", "token.created", "token.revoked", "user.created"} <= kinds


def test_looks_at_recovery_codes_are_told_and_ask_who_one_is() -> None:
    import time

    from tests.rigs.accounts_browser import switch_factor_on

    person(ANA)
    client = signed_in(ANA)
    assert client.get("/accounts/2fa/recovery-codes/").status_code == 404
    switch_factor_on(client)
    shown = client.get("/accounts/2fa/recovery-codes/")
    assert shown.status_code == 200
    assert shown.headers["cache-control"] == "no-store"
    assert client.get("/accounts/2fa/recovery-codes/download/").status_code == 200
    told = [entry.data for entry in entries(Filter(kind="user.recovery_codes_shown"))]
    assert told == [{"user": ANA, "how": "file"}, {"user": ANA, "how": "page"}]
    session = client.session
    session["account_authentication_methods"] = [{"method": "password", "at": time.time() - 86_400}]
    session.save()
    assert "reauthenticate" in client.get("/accounts/2fa/recovery-codes/").headers["location"]
    assert len(list(entries(Filter(kind="user.recovery_codes_shown")))) == 2
