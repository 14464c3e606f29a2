"""Where `${env:NAME}`, `${file:PATH}` and `${vault:NAME}` get their values: at use, bounded, from declared places only.

Whoever may declare a resource could otherwise send any file of this machine to an address of theirs.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from mainstay.kernel.secret import SecretMissing, references, resolve
from mainstay.kernel.settings import Settings
from mainstay.store.settings import SECRET_DIRS
from mainstay.store.vault_reader import VaultReader

_LIMIT = 64 * 1024
_MOST = 2000
_known: set[str] = set()


def known_values() -> frozenset[str]:
    """What was looked up in this process so far, for masking what it tells."""
    return frozenset(_known)


@lru_cache(maxsize=4)
def _vault(settings: Settings) -> VaultReader:
    return VaultReader(settings)


class SecretSource:
    def __init__(self, settings: Settings) -> None:
        folders = [
            settings.data / "secrets",
            *(Path(part.strip()) for part in settings[SECRET_DIRS].split(",") if part),
        ]
        self._folders = [folder.resolve() for folder in folders]
        self._vault = _vault(settings)

    def lookup(self, source: str, name: str) -> str:
        """The value; SecretMissing (which names the reference, never a value) if there is none."""
        if source == "vault":
            value = self._vault.value(name)
        else:
            value = self._environment(name) if source == "env" else self._file(name)
        if value not in _known and len(_known) < _MOST:
            _known.add(value)
        return value

    def fill(self, document: Any) -> Any:
        """The document with every reference replaced."""
        return resolve(document, self.lookup)

    def values(self, document: Any) -> tuple[str, ...]:
        """What the document's references stand for, so that it can be masked; SecretMissing if one has no value."""
        return tuple(dict.fromkeys(self.lookup(source, name) for source, name in references(document)))

    def missing(self, document: Any) -> list[str]:
        """Reasons, one for each reference that has no value now."""
        reasons = []
        for source, name in references(document):
            try:
                self.lookup(source, name)
            except SecretMissing as error:
                reasons.append(str(error))
        return reasons

    def _environment(self, name: str) -> str:
        if name.startswith("MAINSTAY_"):
            raise SecretMissing(f"${{env:{name}}} is a setting of Mainstay itself and cannot be used as a secret")
        value = os.environ.get(name)
        if value is None:
            raise SecretMissing(f"${{env:{name}}} is not set in the environment of the server")
        return value

    def _file(self, name: str) -> str:
        # A relative path is looked up in `secrets` of the data folder.
        path = (self._folders[0] / name).resolve()
        if not any(path.is_relative_to(folder) for folder in self._folders):
            allowed = ", ".join(str(folder) for folder in self._folders)
            raise SecretMissing(f"${{file:{name}}} is outside the folders for secrets ({allowed})")
        try:
            with path.open("rb") as handle:
                raw = handle.read(_LIMIT + 1)
        except OSError as error:
            raise SecretMissing(f"${{file:{name}}} cannot be read: {error.strerror}") from None
        if len(raw) > _LIMIT:
            raise SecretMissing(f"${{file:{name}}} is larger than {_LIMIT} bytes")
        try:
            return raw.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise SecretMissing(f"${{file:{name}}} is not UTF-8 text") from None
