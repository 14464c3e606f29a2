"""The declared sources with their keys, in memory, so that a request is placed without a query.

Keys are kept as digests and compared in constant time. A key is read anew every KEYS_EVERY seconds, since its value
may change where it is kept.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mainstay.kernel.masking import Masker
from mainstay.kernel.resource import Resource
from mainstay.kernel.secret import SecretMissing
from mainstay.store.secrets import SecretSource

KEYS_EVERY = 10.0


@dataclass(frozen=True, slots=True)
class Source:
    """One declared source. `digest` of its key; empty for a kind without one, or while the key has no value."""

    uid: str
    name: str
    kind: str
    target: Any
    digest: bytes = b""
    masker: Masker = Masker(())
    problem: str = ""

    def opens(self, key: str) -> bool:
        return hmac.compare_digest(self.digest, _digest(key)) and bool(self.digest)


class Directory:
    """`replace` swaps the content at once; a reader sees the old or the new one."""

    def __init__(self) -> None:
        self._sources: tuple[Source, ...] = ()

    def replace(self, sources: Iterable[Source]) -> None:
        self._sources = tuple(sorted(sources, key=lambda one: one.name))

    def of_kind(self, kind: str) -> Source | None:
        """The first of this kind, by name."""
        return next((one for one in self._sources if one.kind == kind), None)

    def named(self, name: str) -> Source | None:
        return next((one for one in self._sources if one.name == name), None)

    def by_key(self, kind: str, key: str) -> Source | None:
        """The one that this key opens; all of the kind are tried, whichever it is."""
        found = [one for one in self._sources if one.kind == kind and one.opens(key)]
        return found[0] if found else None


def source_of(resource: Resource, secrets: SecretSource) -> Source:
    """The source as doors need it. One whose key has no value opens to nobody and says why."""
    spec = resource.spec
    key = getattr(spec.target, "key", "")
    value, problem = "", ""
    try:
        value = str(secrets.fill(key))
    except SecretMissing as missing:
        problem = str(missing)
    masker = Masker((value,)) if value else Masker(())
    return Source(
        resource.uid, resource.name, spec.kind, spec.target, _digest(value) if value else b"", masker, problem
    )


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
