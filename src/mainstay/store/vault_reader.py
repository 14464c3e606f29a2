"""Reading the vault where there may be no Django: in processes of commands, and on threads of lanes."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING

from mainstay.kernel.errors import Broken, InternalError, NotFound, StoreBusy, UserError
from mainstay.kernel.secret import SecretMissing
from mainstay.kernel.settings import Settings
from mainstay.store import vault_keys
from mainstay.store.glance import glance
from mainstay.store.vault_keys import VaultLocked

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

_FRESH = 2.0  # seconds


def open_sealed(keys: MultiFernet, name: str, sealed: str) -> str:
    """The value. VaultLocked if no key fits, or the row is another secret's."""
    from cryptography.fernet import InvalidToken

    try:
        found = json.loads(keys.decrypt(sealed.encode()))
    except InvalidToken:
        raise VaultLocked(
            f"the vault's keys do not decrypt the secret {name}", hint="restore the old key, or set the secret again"
        ) from None
    if found[0] != name:
        raise VaultLocked(f"the secret {name} was changed in the database by hand", hint="set it again")
    return str(found[1])


class VaultReader:
    """What is stored is read at most every two seconds, whoever asks; values are decrypted at each use.

    While the database does not answer, or is damaged, what was read last stands.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._sealed: dict[str, str] = {}
        self._read_at = float("-inf")

    def value(self, name: str) -> str:
        """SecretMissing names the reference and why it has no value."""
        try:
            try:
                return self._open(name, self._rows(_FRESH))
            except VaultLocked:
                # A rotation may have ended since the rows were read: then its old keys are gone.
                return self._open(name, self._rows(0.0))
        except (UserError, InternalError) as error:
            raise SecretMissing(f"${{vault:{name}}} cannot be read: {error.message}") from None

    def _open(self, name: str, rows: dict[str, str]) -> str:
        sealed = rows.get(name)
        if sealed is None:
            raise SecretMissing(f"${{vault:{name}}} is not in the vault; `mainstay vault set {name}` puts it there")
        return open_sealed(vault_keys.cipher(self._settings), name, sealed)

    def _rows(self, fresh: float) -> dict[str, str]:
        """Name and sealed value of every secret, read `fresh` seconds ago at most."""
        with self._lock:
            if time.monotonic() - self._read_at > fresh:
                try:
                    self._sealed = self._read()
                except (StoreBusy, Broken):
                    if not self._sealed:
                        raise
                self._read_at = time.monotonic()
            return self._sealed

    def _read(self) -> dict[str, str]:
        try:
            with glance(self._settings) as opened:
                return dict(opened.rows("SELECT name, sealed FROM vault_secret"))
        except NotFound:  # a plan before the first start
            return {}
