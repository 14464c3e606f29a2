"""Secrets at rest: what the database holds, what is told, rotation that is interrupted, and keys that are missing."""

from __future__ import annotations

import sqlite3
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.conf import settings as django_settings
from django.db import connections
from django.test import Client, override_settings
from tests.rigs.accounts_browser import TEST, person, signed_in
from tests.rigs.settings import having

from mainstay.accounts.token_verbs import create_token
from mainstay.kernel.actor import Actor, all_scopes
from mainstay.kernel.errors import Forbidden, NotFound, UserError
from mainstay.kernel.secret import SecretMissing
from mainstay.kernel.settings import Settings
from mainstay.runtime.health import vault_probe
from mainstay.store import vault, vault_keys
from mainstay.store.journal import entries
from mainstay.store.models import JournalEntry, VaultRow
from mainstay.store.secrets import SecretSource
from mainstay.store.vault_keys import VaultLocked
from mainstay.store.vault_reader import VaultReader

pytestmark = pytest.mark.usefixtures("store")
VALUE = "hunter2-päss"


@pytest.fixture
def ours() -> Iterator[Settings]:
    """The settings of this run, whose data folder gets a key of its own."""
    yield django_settings.MAINSTAY
    (django_settings.MAINSTAY.data / "vault.key").unlink(missing_ok=True)


def keyed(source: str) -> Settings:
    return having(django_settings.MAINSTAY, vault_key=source)


def read(settings: Settings, name: str = "db") -> str:
    return VaultReader(settings).value(name)


def test_a_secret_goes_in_and_comes_out_at_use_only(ours: Settings) -> None:
    vault.set_secret(TEST, ours, "db", VALUE)
    filled = VaultReader(ours)
    assert filled.value("db") == VALUE
    assert SecretSource(having(ours, secret_dirs="x")).fill({"a": "Bearer ${vault:db}"}) == {"a": f"Bearer {VALUE}"}
    row = VaultRow.objects.get()
    assert VALUE not in row.sealed
    stored = [str(value) for one in JournalEntry.objects.values_list() for value in one]
    assert not [text for text in stored if VALUE in text]
    assert [found.name for found in vault.secrets(TEST)] == ["db"]
    assert VALUE not in repr(vault.secrets(TEST))
    assert [entry.data["what"] for entry in entries()] == ["set"]
    vault.set_secret(TEST, ours, "db", "other")
    assert read(ours) == "other"
    vault.remove_secret(TEST, "db")
    with pytest.raises(SecretMissing, match="not in the vault"):
        read(ours)
    with pytest.raises(NotFound):
        vault.remove_secret(TEST, "db")


def test_what_was_read_last_stands_while_the_database_is_damaged(ours: Settings, tmp_path: Path) -> None:
    vault.set_secret(TEST, ours, "db", VALUE)
    apart = replace(ours, data=tmp_path, database="")
    (tmp_path / "vault.key").write_bytes((ours.data / "vault.key").read_bytes())
    path = tmp_path / "state.sqlite3"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE vault_secret (name, sealed)")
        database.execute("INSERT INTO vault_secret VALUES ('db', ?)", [VaultRow.objects.get().sealed])
        database.commit()
    reader = VaultReader(apart)
    assert reader.value("db") == VALUE
    path.write_bytes(b"damaged" * 1000)
    assert reader._rows(0.0)
    assert reader.value("db") == VALUE
    with pytest.raises(SecretMissing, match="damaged"):
        VaultReader(apart).value("db")


def test_the_key_is_for_its_owner_alone_and_no_reference_reaches_it(ours: Settings) -> None:
    vault.set_secret(TEST, ours, "db", VALUE)
    assert stat.S_IMODE((ours.data / "vault.key").stat().st_mode) == 0o600
    for reference in ("${file:../vault.key}", f"${{file:{ours.data}/vault.key}}"):
        with pytest.raises(SecretMissing):
            SecretSource(ours).fill(reference)


@pytest.mark.parametrize(
    ("name", "value"), [("", "x"), ("a b", "x"), ("../x", "x"), ("a" * 101, "x"), ("a", ""), ("a", "x" * 70_000)]
)
def test_odd_names_and_values_are_refused(ours: Settings, name: str, value: str) -> None:
    with pytest.raises(UserError):
        vault.set_secret(TEST, ours, name, value)
    assert not VaultRow.objects.exists()


def test_everything_needs_its_scope(ours: Settings) -> None:
    almost = Actor("token", "almost", all_scopes() - {"secrets:write"})
    for act in (
        lambda: vault.set_secret(almost, ours, "a", "b"),
        lambda: vault.remove_secret(almost, "a"),
        lambda: vault.rotate(almost, ours),
        lambda: vault.secrets(almost),
    ):
        with pytest.raises(Forbidden):
            act()


def test_swapped_rows_are_noticed(ours: Settings) -> None:
    vault.set_secret(TEST, ours, "public", "a")
    vault.set_secret(TEST, ours, "db", VALUE)
    VaultRow.objects.filter(name="public").update(sealed=VaultRow.objects.get(name="db").sealed)
    with pytest.raises(SecretMissing, match="by hand"):
        read(ours, "public")
    assert "by hand" in vault.trouble(ours)


# Rotation


def keys(ours: Settings) -> list[str]:
    return (ours.data / "vault.key").read_text().split()


def test_a_rotation_makes_a_new_key_and_drops_the_old_one(ours: Settings) -> None:
    for number in range(120):
        vault.set_secret(TEST, ours, f"s{number}", f"{VALUE}{number}")
    old = keys(ours)
    assert vault.rotate(TEST, ours) == 120
    assert len(keys(ours)) == 1
    assert keys(ours) != old
    reader = VaultReader(ours)
    assert [reader.value(f"s{number}") for number in range(120)] == [f"{VALUE}{number}" for number in range(120)]


def test_an_interrupted_rotation_is_resumed_and_nothing_is_lost(
    ours: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(120):
        vault.set_secret(TEST, ours, f"s{number:03}", f"{VALUE}{number}")
    whole = vault._encrypt_anew
    batches: list[int] = []

    def dies(*given: Any) -> None:
        batches.append(1)
        if len(batches) == 2:
            raise KeyboardInterrupt
        whole(*given)

    monkeypatch.setattr(vault, "_encrypt_anew", dies)
    with pytest.raises(KeyboardInterrupt):
        vault.rotate(TEST, ours)
    monkeypatch.undo()
    assert len(keys(ours)) == 2, "both keys stay while both are needed"
    assert {read(ours, "s000"), read(ours, "s119")} == {f"{VALUE}0", f"{VALUE}119"}
    assert vault.rotate(TEST, ours) == 70, "it goes on where it was"
    assert len(keys(ours)) == 1
    assert {read(ours, "s000"), read(ours, "s119")} == {f"{VALUE}0", f"{VALUE}119"}


def test_keys_from_elsewhere_are_rotated_by_who_keeps_them(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    monkeypatch.setenv("OUR_KEY", old)
    settings = keyed("env:OUR_KEY")
    vault.set_secret(TEST, settings, "db", VALUE)
    monkeypatch.setenv("OUR_KEY", f"{new}\n{old}")
    assert vault.rotate(TEST, settings) == 1
    monkeypatch.setenv("OUR_KEY", new)
    assert read(settings) == VALUE
    assert vault.rotate(TEST, settings) == 0


def test_a_reader_goes_on_over_a_rotation(ours: Settings) -> None:
    """It remembers for two seconds what was encrypted with a key that is gone now."""
    vault.set_secret(TEST, ours, "db", VALUE)
    reader = VaultReader(ours)
    assert reader.value("db") == VALUE
    vault.rotate(TEST, ours)
    assert reader.value("db") == VALUE


def test_what_is_stored_during_a_rotation_can_be_read_after_it(ours: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret waits for the rotation: else it might be encrypted with the key that the rotation drops."""
    vault.set_secret(TEST, ours, "first", VALUE)
    whole = vault._encrypt_anew
    other: list[threading.Thread] = []

    def store_meanwhile() -> None:
        try:
            vault.set_secret(TEST, ours, "meanwhile", VALUE)
        finally:
            connections.close_all()

    def slowly(*given: Any) -> None:
        other.append(threading.Thread(target=store_meanwhile))
        other[0].start()
        other[0].join(0.3)
        assert other[0].is_alive()
        whole(*given)

    monkeypatch.setattr(vault, "_encrypt_anew", slowly)
    assert vault.rotate(TEST, ours) == 1
    other[0].join(20)
    assert {read(ours, "first"), read(ours, "meanwhile")} == {VALUE}
    assert vault.trouble(ours) == ""


def test_rotations_at_once_lose_nothing(ours: Settings) -> None:
    for number in range(60):
        vault.set_secret(TEST, ours, f"s{number}", f"{VALUE}{number}")

    def rotate() -> None:
        try:
            vault.rotate(TEST, ours)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=rotate) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(keys(ours)) == 1
    assert {read(ours, f"s{number}") for number in range(60)} == {f"{VALUE}{number}" for number in range(60)}


# Sources of keys, and missing ones


def test_keys_come_from_a_file_a_variable_or_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = Fernet.generate_key().decode()
    path = tmp_path / "key"
    path.write_text(f"{key}\n")
    monkeypatch.setenv("OUR_KEY", key)
    vault.set_secret(TEST, keyed(f"file:{path}"), "db", VALUE)
    assert read(keyed("env:OUR_KEY")) == VALUE
    assert read(keyed(f"command:{sys.executable} -c \"print(open('{path}').read())\"")) == VALUE


@pytest.mark.parametrize(
    "source",
    [
        "file:/nonexistent/key",
        "env:NOT_SET_HERE",
        "command:false",
        "command:/nonexistent",
        f"env:{'WRONG'}",
        "command:echo",
    ],
)
def test_without_its_key_the_vault_is_locked_and_says_so(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WRONG", "no key at all")
    good = tmp_path / "key"
    good.write_text(Fernet.generate_key().decode())
    vault.set_secret(TEST, keyed(f"file:{good}"), "db", VALUE)
    settings = keyed(source)
    with pytest.raises(SecretMissing, match="the vault is locked"):
        read(settings)
    with pytest.raises(VaultLocked):
        vault.set_secret(TEST, settings, "db", "x")
    with pytest.raises(VaultLocked):
        vault.rotate(TEST, settings)
    assert "the vault is locked" in vault_probe(settings)
    assert read(keyed(f"file:{good}")) == VALUE, "nothing was changed"


def test_a_lost_key_file_is_not_replaced_silently(ours: Settings) -> None:
    vault.set_secret(TEST, ours, "db", VALUE)
    (ours.data / "vault.key").unlink()
    with pytest.raises(VaultLocked):
        vault.set_secret(TEST, ours, "db", "x")
    assert "locked" in vault.trouble(ours)


def test_another_key_does_not_open_it(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(Fernet.generate_key().decode())
    vault.set_secret(TEST, keyed(f"file:{tmp_path}/one"), "db", VALUE)
    with pytest.raises(SecretMissing, match="do not decrypt"):
        read(keyed(f"file:{tmp_path}/two"))
    assert "do not decrypt" in vault_probe(keyed(f"file:{tmp_path}/two"))


def test_an_empty_vault_is_well_without_a_key() -> None:
    assert vault_probe(keyed("file:/nonexistent")) == "ok"


def test_a_wrong_setting_is_told() -> None:
    with pytest.raises(UserError, match="MAINSTAY_VAULT_KEY"):
        vault_keys.ciphers(keyed("hunter2"))


# Doors


def test_the_api_takes_values_and_gives_names(ours: Settings) -> None:
    token = create_token(TEST, "keeper", ["secrets:write"])
    client = Client(headers={"host": "localhost", "authorization": f"Bearer {token}"})
    body = {"value": VALUE}
    assert client.put("/api/v1/vault/db", body, content_type="application/json").status_code == 204
    listed = client.get("/api/v1/vault")
    assert [found["name"] for found in listed.json()] == ["db"]
    assert VALUE not in listed.content.decode()
    assert client.get("/api/v1/vault/db").status_code == 405
    assert client.delete("/api/v1/vault/db").status_code == 204
    assert client.delete("/api/v1/vault/db").status_code == 404


@pytest.fixture
def keeper() -> Iterator[Client]:
    """A signed-in administrator without a second factor in the way."""
    free = having(django_settings.MAINSTAY, require_second_factor="")
    with override_settings(MAINSTAY=free):
        person()
        yield signed_in()


def test_the_page_takes_values_and_shows_who_uses_them(ours: Settings, keeper: Client) -> None:
    from mainstay.store.resources.apply import declare

    document = {"http": {"url": "https://example.com", "headers": {"A": "${vault:db}", "B": "${vault:gone}"}}}
    declare(TEST, "monitor", "api", document, manager="api")
    answer = keeper.post("/vault/set", {"name": "db", "value": f"{VALUE}\r\nline\r\n"}, follow=True)
    page = answer.content.decode()
    assert "db is stored" in page
    assert "/resources/monitor/api/" in page
    assert "?name=gone#set" in page
    assert VALUE not in page
    assert read(ours) == f"{VALUE}\nline"
    assert (
        "every secret is encrypted with the newest key"
        in keeper.post("/vault/rotate", follow=True).content.decode().lower()
    )
    assert "<code>db</code>" in keeper.get("/resources/new?as=yaml").content.decode()
    assert "db is removed" in keeper.post("/vault/remove", {"name": "db"}, follow=True).content.decode()
    assert (
        "not a valid name for a secret"
        in keeper.post("/vault/set", {"name": "a b", "value": VALUE}, follow=True).content.decode()
    )


def test_changes_on_the_page_ask_who_one_is_first(keeper: Client) -> None:
    session = keeper.session
    session["account_authentication_methods"] = [{"method": "password", "at": 1.0}]
    session.save()
    assert keeper.get("/vault/").status_code == 200
    for way in ("set", "remove", "rotate"):
        assert "/reauthenticate/" in keeper.post(f"/vault/{way}", {"name": "db", "value": VALUE}).headers["location"]
    assert not VaultRow.objects.exists()


def test_a_locked_vault_says_so_on_its_page(ours: Settings, keeper: Client) -> None:
    vault.set_secret(TEST, ours, "db", VALUE)
    (ours.data / "vault.key").unlink()
    page = keeper.get("/vault/").content.decode()
    assert "vault is locked" in page
    assert "vault is locked" in keeper.post("/vault/set", {"name": "db", "value": "x"}, follow=True).content.decode()


def test_what_prints_the_key_is_not_shown_with_its_arguments() -> None:
    from mainstay.runtime.health_page import settings_shown

    shown = {one.name: one.value for one in settings_shown(keyed("command:op read --token hunter2"))}
    assert shown["MAINSTAY_VAULT_KEY"] == "command:op ***"


def test_a_value_reaches_the_check_and_is_masked_there(ours: Settings) -> None:
    from mainstay.store.resources.apply import declare
    from mainstay.watch.directory import Directory

    vault.set_secret(TEST, ours, "db", VALUE)
    document = {"http": {"url": "https://example.com", "headers": {"Authorization": "Bearer ${vault:db}"}}}
    declare(TEST, "monitor", "api", document, manager="api")
    directory = Directory(SecretSource(having(ours, secret_dirs="y"))).refresh()
    order = directory.orders(directory.monitors)[next(iter(directory.monitors))]
    assert not isinstance(order, SecretMissing)
    assert f"Bearer {VALUE}" in str(order.options)
    assert order.secrets == (VALUE,)


def test_a_missing_value_makes_a_plan_warn_and_never_fail(ours: Settings) -> None:
    from mainstay.store.resources.apply import declare

    document = {"http": {"url": "https://example.com", "headers": {"Authorization": "Bearer ${vault:nope}"}}}
    declare(TEST, "monitor", "api", document, manager="api")
    assert SecretSource(ours).missing(document) == [
        "${vault:nope} is not in the vault; `mainstay vault set nope` puts it there"
    ]


def test_the_vault_from_the_command_line(tmp_path: Path) -> None:
    import os
    import subprocess

    def mainstay(*arguments: str, given: bytes = b"", code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "mainstay", *arguments],
            env={**os.environ, "MAINSTAY_DATA": str(tmp_path / "data")},
            input=given,
            capture_output=True,
            timeout=60,
            check=False,
        )
        told = (done.stdout + done.stderr).decode()
        assert done.returncode == code, told
        assert "Traceback" not in told
        assert VALUE not in told
        return told

    file = tmp_path / "file.yaml"
    file.write_text('channels:\n  c: {webhook: {url: https://example.com, secret: "${vault:db}"}}\n')
    assert "mainstay vault set db" in mainstay("plan", str(file)), "a plan warns"
    mainstay("apply", "--yes", "-", given=b"{}")
    assert "${vault:db}" in mainstay("vault", "set", "db", given=f"{VALUE}\n".encode())
    assert "is not in the vault" not in mainstay("plan", str(file))
    assert "re-encrypted: 1" in mainstay("vault", "rotate")
    assert "db " in mainstay("vault", "list")
    assert "not UTF-8" in mainstay("vault", "set", "db", given=b"\xff", code=1)
    kinds = mainstay("journal", "--json", "--kind", "vault.*")
    assert kinds.count("vault.changed") == 1
    assert kinds.count("vault.rotated") == 1
    mainstay("vault", "remove", "db")
    assert "no secret" in mainstay("vault", "remove", "db", code=1)


def test_an_encrypted_snapshot_brings_the_vault_along_and_a_plain_one_leaves_it_locked(tmp_path: Path) -> None:
    import subprocess

    from tests.rigs.snapshot_rig import Install

    (tmp_path / "key").write_text("a long key that nobody guesses")
    key = f"${{file:{tmp_path / 'key'}}}"
    environment = {"MAINSTAY_SECRET_DIRS": str(tmp_path), "MAINSTAY_SNAPSHOT_KEY": key}
    here, plain = Install(tmp_path / "here", **environment), Install(tmp_path / "here")
    (tmp_path / "file.yaml").write_text('channels: {c: {webhook: {url: https://example.com, secret: "${vault:db}"}}}')
    here.ok("apply", "--yes", str(tmp_path / "file.yaml"))
    subprocess.run(
        [sys.executable, "-m", "mainstay", "--data", str(here.data), "vault", "set", "db"],
        input=VALUE.encode(),
        capture_output=True,
        timeout=60,
        check=True,
    )
    sealed, bare = here.snapshot(tmp_path / "sealed"), plain.snapshot(tmp_path / "bare")
    assert (here.data / "vault.key").read_bytes() not in bare.read_bytes()
    back, locked = Install(tmp_path / "back", **environment), Install(tmp_path / "locked")
    back.ok("restore", str(sealed), "--key", key)
    told = locked.ok("restore", str(bare))
    assert f"${{vault:db}} cannot be read: the vault is locked: no key from {locked.data / 'vault.key'}" in told
    assert read(Settings(data=back.data)) == VALUE
    assert stat.S_IMODE((back.data / "vault.key").stat().st_mode) == 0o600
    with pytest.raises(SecretMissing, match="the vault is locked"):
        read(Settings(data=locked.data))
