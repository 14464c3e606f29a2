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
from uuid import UUID

from mainstay.heartbeats.rules import PingKind, Rhythm
from mainstay.heartbeats.spec import Keywords

_UUID_LIKE = re.compile(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")
_KEY_SIGNS = str.maketrans("/_., #+&", "--------")
_NOT_SLUG = re.compile(r"[^a-z0-9_-]+")


def slug_of(name: str) -> str:
    """`Nightly.Report` -> `nightly-report`: lower-case ASCII letters, digits, `_` and `-`; may be empty."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return _NOT_SLUG.sub("-", plain).strip("-")


def endpoint_key(group: str, name: str) -> str:
    """`Core Team`, `api.v2` -> `core-team_api-v2`, as Gatus makes keys of groups and names."""
    return f"{_sanitized(group)}_{_sanitized(name)}"


def _sanitized(text: str) -> str:
    # Sign by sign, as Go does it: the last sigma of a word is one like the others, and a dotted I becomes a plain i.
    return "".join(sign.lower()[:1] for sign in text).strip().translate(_KEY_SIGNS)


def classify(keywords: Keywords, text: str) -> PingKind:
    """Failure words first, then success, then start; without any of them a failure, or nothing at all."""
    sorted_words: tuple[tuple[PingKind, str], ...] = (
        ("fail", keywords.failure),
        ("success", keywords.success),
        ("start", keywords.start),
    )
    for kind, words in sorted_words:
        if any(word.strip() and word.strip() in text for word in words.split(",")):
            return kind
    return "fail" if keywords.default_fail else "ign"


def key_hash(ping_key: str) -> str:
    """What is stored of a ping key. It is 22 random characters, so a plain SHA-256 cannot be guessed back."""
    return hashlib.sha256(ping_key.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class KnownHeartbeat:
    """The declared side of one heartbeat, as far as pings and deadlines need it."""

    uid: str
    name: str
    uuid: str
    slug: str
    rhythm: Rhythm
    severity: str = "P2"
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # as declared
    title: str | None = None
    post_only: bool = False
    keywords: Keywords | None = None
    push_token_hash: str = ""

    @property
    def alert_labels(self) -> dict[str, str]:
        return {**self.labels, "heartbeat": self.name, "severity": self.severity}

    @property
    def key(self) -> str:
        """Its key in the words of Gatus, `<group>_<name>`; the label `group` names the group."""
        return endpoint_key(self.labels.get("group", ""), self.title or self.name)

    def meaning(self, kind: PingKind, method: str, body: bytes) -> PingKind:
        """What a ping over HTTP counts as, by the declared methods and keywords."""
        if self.post_only and method != "POST":
            return "ign"
        if kind != "ign" and self.keywords is not None and self.keywords.http_body:
            return classify(self.keywords, body.decode("utf-8", "replace"))
        return kind


class Directory:
    """Addresses to entries. `replace` swaps the maps at once; a reader sees the old or the new ones."""

    def __init__(self, entries: Iterable[KnownHeartbeat] = (), ping_key_hash: str = "") -> None:
        self.by_uuid: Mapping[str, KnownHeartbeat] = {}
        self.by_slug: Mapping[str, tuple[KnownHeartbeat, ...]] = {}
        self.by_uid: Mapping[str, KnownHeartbeat] = {}
        self.by_key: Mapping[str, KnownHeartbeat] = {}
        self._by_token: Mapping[str, KnownHeartbeat] = {}
        self._key_hash = ""
        self.replace(entries, ping_key_hash)

    def replace(self, entries: Iterable[KnownHeartbeat], ping_key_hash: str) -> None:
        known = list(entries)
        slugs: dict[str, tuple[KnownHeartbeat, ...]] = {}
        for entry in known:
            if entry.slug:
                slugs[entry.slug] = (*slugs.get(entry.slug, ()), entry)
        self.by_uid = {entry.uid: entry for entry in known}
        self.by_slug = slugs
        self.by_uuid = {entry.uuid: entry for entry in known}
        self.by_key = {entry.key: entry for entry in reversed(known)}
        self._by_token = {entry.push_token_hash: entry for entry in reversed(known) if entry.push_token_hash}
        self._key_hash = ping_key_hash

    def add(self, entry: KnownHeartbeat) -> None:
        """Make one new heartbeat known before the next replacement."""
        self.replace([known for known in self.by_uid.values() if known.uid != entry.uid] + [entry], self._key_hash)

    def by_token(self, token: str) -> KnownHeartbeat | None:
        """The heartbeat with this push token, else the one with this uuid, with or without its dashes."""
        found = self._by_token.get(key_hash(token))
        if found is None and _UUID_LIKE.fullmatch(token):
            found = self.by_uuid.get(str(UUID(token)))
        return found

    def is_key(self, ping_key: str) -> bool:
        return bool(self._key_hash) and hmac.compare_digest(key_hash(ping_key), self._key_hash)
