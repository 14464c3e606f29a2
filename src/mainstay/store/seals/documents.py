"""Seals: a range of the journal, its place in the chain and the digest of its file, signed.

    {"at", "bytes", "deleted", "file", "first", "hash", "install", "key", "newest_us", "oldest_us", "previous",
     "seq", "signature", "version"}

`first` to `seq` is the range, `previous` the hash before it and `hash` the one that it ends with; `file` is the SHA-256
of the Parquet file, `deleted` says when that was deleted by age (empty: it is kept). `signature` is Ed25519 (RFC 8032)
over the canonical JSON of everything else, base64; `key` is the public key, base64 of its 32 bytes. The private key
lies in the data folder and is made on first use. Whoever keeps a seal elsewhere can prove that nothing up to its end
was changed afterwards: an altered chain leads to another hash, and the seal cannot be altered to fit without the key.

Version 1, called a checkpoint, was a signed end of the chain without a range or a file; it proves the same.
"""

from __future__ import annotations

import base64
import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainstay.kernel.errors import UserError
from mainstay.store.proof import canonical

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from mainstay.kernel.settings import Settings

KEY_FILE = "journal.key"
LIMIT = 64 * 1024  # bytes of a file that is looked into
_VERSION = 2
_ENDS = {"at": str, "hash": str, "install": str, "key": str, "seq": int, "version": int}
_RANGE = {"bytes": int, "deleted": str, "file": str, "first": int, "newest_us": int, "oldest_us": int, "previous": str}
_FIELDS = {1: _ENDS, _VERSION: {**_ENDS, **_RANGE}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """What a good signature stands for; `seq` is the last entry. Times in microseconds since the Unix epoch."""

    version: int = _VERSION
    install: str
    seq: int
    hash: str
    at: str
    key: str = ""
    first: int = 0
    previous: str = ""
    oldest_us: int = 0
    newest_us: int = 0
    file: str = ""
    bytes: int = 0
    deleted: str = ""

    @property
    def name(self) -> str:
        """Of its file, which never changes under that name."""
        return f"{prefix(self.install, self.first)}{self.seq}-{self.file[:16]}.parquet"


def prefix(install: str, first: int) -> str:
    """What the names of all files begin with that were ever made of the segment from this entry on."""
    return f"journal-{install}-{first}-"


def has_key(settings: Settings) -> bool:
    """Whether this install has a key already."""
    return (settings.key_folder / KEY_FILE).exists()


def public_key(settings: Settings) -> str:
    """Base64 of the 32 bytes; publish it, so that others can tell this install's seals from forged ones."""
    return base64.b64encode(_private_key(settings.key_folder).public_key().public_bytes_raw()).decode()


def sign(seal: Seal, settings: Settings) -> str:
    """The document of a seal, signed with the key of this install."""
    document: dict[str, Any] = asdict(replace(seal, key=public_key(settings)))
    signature = _private_key(settings.key_folder).sign(canonical(document).encode())
    return canonical({**document, "signature": base64.b64encode(signature).decode()})


def read_seal(text: str, key: str = "") -> Seal:
    """The seal in a file or a message that quotes it. UserError if it is none, or was altered.

    key: the public key that it must be signed with; without one, the key that the seal names.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    document = _document(text)
    signature = document.pop("signature")
    try:
        known = Ed25519PublicKey.from_public_bytes(base64.b64decode(key or document["key"], validate=True))
        known.verify(base64.b64decode(signature, validate=True), canonical(document).encode())
    except (ValueError, InvalidSignature):
        hint = "use the unmodified file; with --key, name the key of the install that made it"
        raise UserError("the signature is not valid: it was altered, or made by another install", hint=hint) from None
    return Seal(**document)


def _document(text: str) -> dict[str, Any]:
    begin, end = text.find("{"), text.rfind("}")
    try:
        found = json.loads(text[begin : end + 1]) if 0 <= begin < end and len(text) <= LIMIT else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or type(found.get("version")) is not int:
        raise _no_seal()
    fields = {**_FIELDS.get(found["version"], {}), "signature": str}
    if found.keys() != fields.keys() or any(type(found[name]) is not kind for name, kind in fields.items()):
        raise _no_seal()
    return found


def _no_seal() -> UserError:
    return UserError("this is not a seal", hint="make one with `mainstay journal seal -o FILE`")


def _private_key(folder: Path) -> Ed25519PrivateKey:
    """Made on first use, readable by its owner only. UserError if the file holds something else."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    path = folder / KEY_FILE
    if not path.exists():
        temporary = folder / f".{KEY_FILE}.{os.getpid()}"
        temporary.touch(mode=0o600)
        temporary.write_text(base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()).decode() + "\n")
        try:
            os.link(temporary, path)  # fails if another process was first: then its key counts
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
    try:
        return Ed25519PrivateKey.from_private_bytes(base64.b64decode(path.read_text().strip(), validate=True))
    except ValueError:
        raise UserError(
            f"{path} holds no key", hint="restore it from a snapshot, or remove it: a new one is created"
        ) from None
