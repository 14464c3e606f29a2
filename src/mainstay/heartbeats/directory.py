"""Who may be pinged: addresses of all declared heartbeats, in memory, so that a ping is placed without a query.

The heartbeats lane replaces the whole content whenever something was declared anew; readers never lock.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from mainstay.heartbeats.rules import Rhythm

_NOT_SLUG = re.compile(r"[^a-z0-9_-]+")


def slug_of(name: str) -> str:
    """`Nightly.Report` -> `nightly-report`: lower-case ASCII letters, digits, `_` and `-`; may be empty."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return _NOT_SLUG.sub("-", plain).strip("-")


def key_hash(ping_key: str) -> str:
    """What is stored of a ping key. It is 22 random characters, so a plain SHA-256 cannot be guessed back."""
    return hashlib.sha256(ping_key.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Entry:
    """The declared side of one heartbeat, as far as pings and deadlines need it."""

    uid: str
    name: str
    uuid: str
    slug: str
    rhythm: Rhythm
    severity: str = "P2"
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # as declared

    @property
    def alert_labels(self) -> dict[str, str]:
        return {**self.labels, "heartbeat": self.name, "severity": self.severity}


class Directory:
    """Addresses to entries. `replace` swaps the maps at once; a reader sees the old or the new ones."""

    def __init__(self, entries: Iterable[Entry] = (), ping_key_hash: str = "") -> None:
        self.by_uuid: Mapping[str, Entry] = {}
        self.by_slug: Mapping[str, tuple[Entry, ...]] = {}
        self.by_uid: Mapping[str, Entry] = {}
        self._key_hash = ""
        self.replace(entries, ping_key_hash)

    def replace(self, entries: Iterable[Entry], ping_key_hash: str) -> None:
        known = list(entries)
        slugs: dict[str, tuple[Entry, ...]] = {}
        for entry in known:
            if entry.slug:
                slugs[entry.slug] = (*slugs.get(entry.slug, ()), entry)
        self.by_uid = {entry.uid: entry for entry in known}
        self.by_slug = slugs
        self.by_uuid = {entry.uuid: entry for entry in known}
        self._key_hash = ping_key_hash

    def add(self, entry: Entry) -> None:
        """Make one new heartbeat known before the next replacement."""
        self.replace([known for known in self.by_uid.values() if known.uid != entry.uid] + [entry], self._key_hash)

    def is_key(self, ping_key: str) -> bool:
        return bool(self._key_hash) and hmac.compare_digest(key_hash(ping_key), self._key_hash)
