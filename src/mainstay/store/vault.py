"""The vault: secrets that are stored in the database, encrypted, and used as `${vault:NAME}`.

Values go in and are never shown again; they are decrypted at the moment of use (store/secrets.py). Each is sealed
together with its name, so that whoever may write to the database cannot swap two of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mainstay.kernel.actor import Actor
from mainstay.kernel.errors import MainstayError, NotFound, UserError
from mainstay.kernel.settings import Settings
from mainstay.store import vault_keys
from mainstay.store.events import VaultChanged, VaultRotated
from mainstay.store.models import VaultRow
from mainstay.store.proof import canonical
from mainstay.store.vault_reader import open_sealed
from mainstay.store.work import unit_of_work

VALUE_LIMIT = 64 * 1024  # bytes of a value
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_BATCH = 50  # secrets of one transaction of a rotation


@dataclass(frozen=True, slots=True)
class Stored:
    """What may be told of a secret; `changed_at` in epoch seconds."""

    name: str
    changed_at: float
    changed_by: str


def secrets(actor: Actor) -> list[Stored]:
    """Every secret by name, without its value."""
    actor.require("secrets:write")
    return [Stored(row.name, row.changed_us / 1e6, row.changed_by) for row in VaultRow.objects.order_by("name")]


def set_secret(actor: Actor, settings: Settings, name: str, value: str) -> None:
    """Store or replace a secret. VaultLocked without a key."""
    actor.require("secrets:write")
    if not NAME.fullmatch(name):
        raise UserError(
            f"`{name[:40]}` is not a valid name for a secret", hint="letters, digits, `_`, `-` and `.`, 100 at most"
        )
    if not value or len(value.encode()) > VALUE_LIMIT:
        raise UserError(f"a secret has between 1 and {VALUE_LIMIT} bytes")
    with vault_keys.held(settings), unit_of_work(actor) as work:
        _first_key(settings)
        sealed = vault_keys.cipher(settings).encrypt(canonical([name, value]).encode()).decode()
        fields = {"sealed": sealed, "changed_us": int(work.now * 1e6), "changed_by": str(actor)[:300]}
        _, made = VaultRow.objects.update_or_create(name=name, defaults=fields)
        work.record(VaultChanged(f"secret/{name}", name, what="set" if made else "replaced"))


def remove_secret(actor: Actor, name: str) -> None:
    """Forget a secret; what refers to it is unknown from then on. NotFound if there is none."""
    actor.require("secrets:write")
    with unit_of_work(actor) as work:
        if not VaultRow.objects.filter(name=name).delete()[0]:
            raise NotFound(f"the vault has no secret `{name[:100]}`", hint="`mainstay vault list` shows them")
        work.record(VaultChanged(f"secret/{name}", name, what="removed"))


def rotate(actor: Actor, settings: Settings) -> int:
    """Encrypt every secret with a new first key; how many were not yet. May be interrupted, and run again.

    Our own key file gets a new key, and loses the old ones at the end; other sources must give the new key first, and
    may drop the old ones afterwards. VaultLocked, with nothing changed, if a secret fits none of the keys.
    """
    actor.require("secrets:write")
    with vault_keys.held(settings):
        count = _rotate(actor, settings)
    with unit_of_work(actor) as work:
        work.record(VaultRotated("vault", secrets=count))
    return count


def _rotate(actor: Actor, settings: Settings) -> int:
    _first_key(settings)
    waiting = _under_older_keys(settings)
    if vault_keys.is_managed(settings) and not waiting:  # an earlier rotation is complete, so this is a new one
        vault_keys.add_key(settings)
        waiting = _under_older_keys(settings)
    for start in range(0, len(waiting), _BATCH):
        _encrypt_anew(actor, settings, waiting[start : start + _BATCH])
    if vault_keys.is_managed(settings):
        vault_keys.keep_first_key(settings)
    return len(waiting)


def _first_key(settings: Settings) -> None:
    """A new vault gets its key; a lost key is never replaced behind the back of what it has sealed."""
    if not VaultRow.objects.exists():
        vault_keys.make_key(settings)


def _under_older_keys(settings: Settings) -> list[str]:
    """Names of secrets that the first key does not open."""
    from cryptography.fernet import InvalidToken

    first, every = vault_keys.ciphers(settings)[0], vault_keys.cipher(settings)
    names = []
    for row in VaultRow.objects.order_by("name"):
        try:
            first.decrypt(row.sealed.encode())
        except InvalidToken:
            open_sealed(every, row.name, row.sealed)
            names.append(row.name)
    return names


def _encrypt_anew(actor: Actor, settings: Settings, names: list[str]) -> None:
    every = vault_keys.cipher(settings)
    with unit_of_work(actor):
        for row in VaultRow.objects.select_for_update().filter(name__in=names):
            row.sealed = every.rotate(row.sealed.encode()).decode()
            row.save(update_fields=["sealed"])


def trouble(settings: Settings, *, limit: int | None = None) -> str:
    """Why stored secrets cannot be used, or nothing; reads the database. `limit`: how many are tried."""
    stored = list(VaultRow.objects.order_by("name").values_list("name", "sealed")[:limit])
    if not stored:
        return ""  # a vault that nobody uses needs no key
    try:
        keys = vault_keys.cipher(settings)
        for name, sealed in stored:
            open_sealed(keys, name, sealed)
    except MainstayError as error:
        return error.message
    return ""
