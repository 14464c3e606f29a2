"""Signed checkpoints: the end of the journal's chain as a small file that is kept elsewhere.

    {"at", "hash", "install", "key", "seq", "signature", "version"}

`signature` is Ed25519 (RFC 8032) over the canonical JSON of everything else, base64; `key` is the public key, base64
of its 32 bytes. The private key lies in the data folder and is made on first use. Whoever holds a checkpoint can
prove that nothing before it was changed afterwards: an altered chain leads to another hash, and the file cannot be
altered to fit without the key.
"""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainstay.kernel.clock import to_iso
from mainstay.kernel.errors import UserError
from mainstay.store.events import JournalCheckpointMade
from mainstay.store.journal import Head, Verification, head, verify
from mainstay.store.models import JournalEntry
from mainstay.store.proof import canonical
from mainstay.store.work import unit_of_work

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from mainstay.kernel.actor import Actor
    from mainstay.kernel.settings import Settings

KEY_FILE = "journal.key"
LIMIT = 64 * 1024  # bytes of a file that is looked into
_VERSION = 1
_FIELDS = {"at": str, "hash": str, "install": str, "key": str, "seq": int, "signature": str, "version": int}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint whose signature is good for the key that it names."""

    seq: int
    hash: str
    at: str
    install: str
    key: str


def public_key(settings: Settings) -> str:
    """Base64 of the 32 bytes; publish it, so that others can tell this install's checkpoints from forged ones."""
    return base64.b64encode(_private_key(settings.key_folder).public_key().public_bytes_raw()).decode()


def make_checkpoint(actor: Actor, settings: Settings, *, channel: str = "") -> dict[str, Any]:
    """Sign the end of the chain as it is now, and tell the journal."""
    actor.require("journal:export")
    private = _private_key(settings.key_folder)
    with unit_of_work(actor) as work:
        end = head()
        document: dict[str, Any] = {
            "version": _VERSION,
            "install": _install(),
            "seq": end.seq,
            "hash": end.hash,
            "at": to_iso(work.now),
            "key": public_key(settings),
        }
        document["signature"] = base64.b64encode(private.sign(canonical(document).encode())).decode()
        work.record(JournalCheckpointMade("journal", end.seq, end.hash, channel or None))
    return document


def read_checkpoint(text: str, key: str = "") -> Checkpoint:
    """The checkpoint in a file or a message that quotes it. UserError if it is none, or was altered.

    key: the public key that it must be signed with; without one, the key that the checkpoint names.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    document = _document(text)
    signed = {name: value for name, value in document.items() if name != "signature"}
    try:
        signature = base64.b64decode(document["signature"], validate=True)
        known = Ed25519PublicKey.from_public_bytes(base64.b64decode(key or document["key"], validate=True))
        known.verify(signature, canonical(signed).encode())
    except (ValueError, InvalidSignature):
        hint = "take the file as it was made; with --key, name the key of the install that made it"
        raise UserError(
            "the checkpoint's signature is not good: it was altered, or is another install's", hint=hint
        ) from None
    return Checkpoint(*(document[name] for name in ("seq", "hash", "at", "install", "key")))


def verify_since(checkpoint: Checkpoint) -> Verification:
    """Compare the whole chain, which must pass through the checkpoint. UserError if it is of another install."""
    if checkpoint.seq and checkpoint.install != _install():
        raise UserError(f"the checkpoint is of the install {checkpoint.install}, this is {_install()}")
    return verify(Head(checkpoint.seq, checkpoint.hash))


def _document(text: str) -> dict[str, Any]:
    begin, end = text.find("{"), text.rfind("}")
    try:
        found = json.loads(text[begin : end + 1]) if 0 <= begin < end and len(text) <= LIMIT else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or found.keys() != _FIELDS.keys():
        raise _no_checkpoint()
    if any(type(found[name]) is not kind for name, kind in _FIELDS.items()):
        raise _no_checkpoint()
    return found


def _no_checkpoint() -> UserError:
    return UserError("this is no checkpoint", hint="make one with `mainstay journal checkpoint -o FILE`")


def _install() -> str:
    """The name of this install: the beginning of its journal's first hash."""
    first = JournalEntry.objects.filter(seq=1).values_list("hash", flat=True).first()
    return str(first or "0" * 8)[:8]


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
            f"{path} holds no key", hint="bring it back from a snapshot, or remove it: a new one is made"
        ) from None
