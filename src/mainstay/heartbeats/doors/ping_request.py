"""The Healthchecks ping protocol as addresses and answers: https://healthchecks.io/docs/http_api/

    /ping/<uuid>               /ping/<uuid>/<signal>
    /ping/<ping-key>/<slug>    /ping/<ping-key>/<slug>/<signal>        signal: start, fail, log, 0..255
    ?rid=<uuid>                run id, pairs a start with its end
    ?create=1                  make the heartbeat if no other has this slug (slug addresses only)

Beyond the original, for reports that could not be sent in time (`mainstay exec`):
    ?ago=<seconds>             it happened so long ago, at most a day; seconds and not a time, so that a wrong clock
                               of the sender does not matter (heartbeats.rules says what it changes)
    ?took=<seconds>            how long the run lasted, as the sender measured it

Methods GET, HEAD and POST; answers as a self-hosted Healthchecks gives them (404 for an unknown address).
Addresses are matched as they were sent, before any percent-decoding. Upper-case uuids and slugs find
their lower-case heartbeat too, but create=1 takes lower-case slugs only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl

from mainstay.heartbeats.directory import Directory, KnownHeartbeat
from mainstay.heartbeats.rules import LATEST, PingKind

METHODS = frozenset({"GET", "HEAD", "POST"})

_UUID = rb"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_SIGNAL = rb"start|fail|log|[0-9]+"
_BY_UUID = re.compile(rb"/ping/(" + _UUID + rb")(?:/(" + _SIGNAL + rb")?)?")
_BY_SLUG = re.compile(rb"/ping/([-a-zA-Z0-9_]{1,100})/([-a-zA-Z0-9_]{1,100})(?:/(" + _SIGNAL + rb"))?")
_CANONICAL = re.compile(_UUID.decode())
_SECONDS = re.compile(r"[0-9]{1,8}(\.[0-9]{1,9})?", re.ASCII)
_LONGEST_RUN = 366 * 86_400.0
_LONGEST = 400  # bytes of a path that can be an address, and of a query that makes sense


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back: a status, one short text, more headers."""

    status: int
    text: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


OK = Answer(200, b"OK")
CREATED = Answer(201, b"Created")
BAD_URL = Answer(400, b"invalid url format")
BAD_RID = Answer(400, b"invalid uuid format")
BAD_SECONDS = Answer(400, b"invalid seconds: ago at most 86400, took at most 31622400")
NOT_FOUND = Answer(404, b"not found")
AMBIGUOUS = Answer(409, b"ambiguous slug")


@dataclass(frozen=True, slots=True)
class Signal:
    """A well-formed ping. `create` names a slug that nobody has yet and that may be made; else `entry` is set."""

    entry: KnownHeartbeat | None
    kind: PingKind
    exit_status: int | None
    rid: str
    create: str = ""
    ago: float = 0.0
    took: float | None = None


def read_signal(directory: Directory, path: bytes, query: bytes) -> Signal | Answer:
    """The ping that a request means, or the answer that refuses it."""
    if len(path) > _LONGEST or len(query) > _LONGEST:
        return BAD_URL
    found = _BY_UUID.fullmatch(path)
    if found is not None:
        entry = directory.by_uuid.get(found[1].decode().lower())
        return NOT_FOUND if entry is None else _finish(entry, found[2], query)
    found = _BY_SLUG.fullmatch(path)
    if found is None or not directory.is_key(found[1].decode()):
        return NOT_FOUND
    slug = found[2].decode()
    named = directory.by_slug.get(slug.lower(), ())
    if len(named) > 1:
        return AMBIGUOUS
    return _finish(named[0] if named else None, found[3], query, slug)


def _finish(entry: KnownHeartbeat | None, word: bytes | None, query: bytes, slug: str = "") -> Signal | Answer:
    try:
        options = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=20)) if query else {}
    except ValueError:
        return BAD_URL
    if entry is None and options.get("create") != "1":
        return NOT_FOUND
    kind, status = _meaning(word)
    if (entry is None and slug != slug.lower()) or (status is not None and status > 255):
        return BAD_URL
    rid = options.get("rid")
    if rid is not None and not _CANONICAL.fullmatch(rid):
        return BAD_RID
    ago, took = _seconds(options.get("ago"), LATEST), _seconds(options.get("took"), _LONGEST_RUN)
    if _BAD in (ago, took):
        return BAD_SECONDS
    return Signal(entry, kind, status, (rid or "").lower(), slug if entry is None else "", ago or 0.0, took)


_BAD = -1.0


def _seconds(text: str | None, limit: float) -> float | None:
    """None if nothing is given, _BAD if it is no number up to the limit."""
    if text is None:
        return None
    return float(text) if _SECONDS.fullmatch(text) and float(text) <= limit else _BAD


def _meaning(word: bytes | None) -> tuple[PingKind, int | None]:
    if not word:
        return "success", None
    if word.isdigit():
        status = int(word[:10])
        return ("fail" if status else "success"), status
    return word.decode(), None  # type: ignore[return-value]  # the pattern allows only these words
