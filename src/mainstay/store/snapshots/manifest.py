"""What a snapshot says of itself: versions, counts, the journal's end, and the SHA-256 of each part."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import msgspec

from mainstay.kernel.clock import to_datetime
from mainstay.store.snapshots.sealing import Damaged

FORMAT = 1
# Parts, and where their content lies in a data folder.
STATE_FILE = "state.sqlite3"
STATE_PART = f"{STATE_FILE}.gz"
ROWS_FOLDER = "state"
SECRET_FILE, SECRETS_FOLDER = "secret.key", "secrets"
KEY_FILES = (SECRET_FILE, "vault.key", "journal.key")  # what signs, and what opens stored secrets
_NAME = re.compile(r"mainstay-([0-9a-f]{8})-(\d{4}-\d\d-\d\dT\d{6}\.\d{3})Z\.tar(\.enc)?")


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One file in the archive, as it lies there."""

    name: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`install`: names the install by its journal's first entry. `state`: `sqlite` (the file) or `rows`."""

    format: int
    program: str
    taken_at: float
    install: str
    note: str = ""
    state: str
    migrations: list[tuple[str, str]]
    journal_seq: int
    journal_hash: str
    counts: dict[str, int]
    sequences: dict[str, int] = {}
    telemetry: dict[str, int] = {}
    secrets: bool = False
    parts: list[Part] = []


def encode(manifest: Manifest) -> bytes:
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1)


def decode(raw: bytes) -> Manifest:
    """Damaged if it cannot be read; a newer format is named as such."""
    try:
        number = msgspec.json.decode(raw, type=dict[str, msgspec.Raw]).get("format", msgspec.Raw(b"0"))
        if (written := msgspec.json.decode(number, type=int)) > FORMAT:
            raise Damaged(
                f"the snapshot has the format {written}, and this program supports {FORMAT}",
                hint="restore it with the version of Mainstay that took it, or a newer one",
            )
        return msgspec.json.decode(raw, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Damaged(f"the manifest of the snapshot cannot be read: {error}") from None


def file_name(install: str, taken_at: float, *, sealed: bool) -> str:
    moment = to_datetime(taken_at).strftime("%Y-%m-%dT%H%M%S.%f")[:-3]
    return f"mainstay-{install}-{moment}Z.tar{'.enc' if sealed else ''}"


def moment_of(name: str, install: str) -> float | None:
    """When a file of this install was taken, in epoch seconds; None for any other file."""
    found = _NAME.fullmatch(name)
    if not found or found[1] != install:
        return None
    try:
        return datetime.strptime(found[2], "%Y-%m-%dT%H%M%S.%f").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
