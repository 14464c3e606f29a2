"""What the digest of a journal entry proves, and what an erased entry may show. Pure.

    key    = SHA-256(name of the part + salt)              of each of the parts: actor, subject, data
    part   = SHA-256(key + text)                           data as canonical JSON (sorted keys, no spaces, UTF-8)
    digest = SHA-256(part of actor + part of subject + part of data)

An erased entry has no salt, by which names could be guessed. It keeps the key of each part that stays, which proves
its text, and the digest of each that is gone, in whose place is a name of chance and nothing else.

Entries of the format of before had one digest for actor and subject together (`_first_digest`). Where one
of them is erased, neither can be proven: both show a name of chance or the word `erased`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any, Protocol

PARTS = ("actor", "subject", "data")
NOTHING = "erased"  # in place of a name that cannot be proven any more
_PERSON = r"erased-[0-9a-f]{10}"
_GONE = {
    "actor": re.compile(rf"user:{_PERSON}"),
    "subject": re.compile(rf"user/{_PERSON}"),
    "data": re.compile(rf'\{{"erased":"{_PERSON}"\}}'),
}


class JournalRow(Protocol):
    """What is stored of an entry; `erased` is empty, or JSON of what is kept to prove it."""

    seq: int
    actor: str
    subject: str
    data: str
    salt: str
    data_digest: str
    erased: str


def canonical(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces, not escaped; what hashes are taken over."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def digest_of(salt: str, actor: str, subject: str, data: str) -> str:
    texts = dict(zip(PARTS, (actor, subject, data), strict=True))
    return sha256("".join(_part(_key(salt, name), texts[name]) for name in PARTS))


def is_first(row: JournalRow) -> bool:
    """Whether it is of the format of before."""
    if row.erased:
        return "who" in json.loads(row.erased)
    return digest_of(row.salt, row.actor, row.subject, row.data) != row.data_digest


def holds(row: JournalRow) -> bool:
    """Whether what the entry shows, or keeps in place of it, is what was written."""
    if not row.erased:
        return row.data_digest in (
            digest_of(row.salt, row.actor, row.subject, row.data),
            _first_digest(row.salt, row.actor, row.subject, row.data),
        )
    kept = _readable(row.erased)
    if kept is None:
        return False
    if "who" in kept:
        parts = [kept["who"], kept.get("what") or _part(kept["key"], row.data)]
    else:
        keys, gone = kept["keys"], kept["gone"]
        parts = [gone.get(name) or _part(keys[name], getattr(row, name)) for name in PARTS]
    return all(len(part) == 64 for part in parts) and sha256("".join(parts)) == row.data_digest


def _readable(erased: str) -> dict[str, Any] | None:
    """What is kept of an erased entry; None if it is not of a shape that an erasure leaves."""
    try:
        kept = json.loads(erased)
    except (ValueError, RecursionError):
        return None
    if not isinstance(kept, dict):
        return None
    if kept.keys() in ({"who", "key"}, {"who", "what"}):
        return kept if all(isinstance(text, str) for text in kept.values()) else None
    if kept.keys() != {"keys", "gone"} or not all(isinstance(part, dict) for part in kept.values()):
        return None
    texts = [*kept["keys"].values(), *kept["gone"].values()]
    whole = sorted([*kept["keys"], *kept["gone"]]) == sorted(PARTS)
    return kept if whole and all(isinstance(text, str) for text in texts) else None


def shows_only_what_it_may(row: JournalRow, *, names: bool = True) -> bool:
    """Of an erased entry. `names` False: as the version before left names, of which no digest was kept."""
    kept = json.loads(row.erased)
    if "who" not in kept:
        return all(_GONE[name].fullmatch(getattr(row, name)) for name in kept["gone"])
    shown = all(getattr(row, name) == NOTHING or _GONE[name].fullmatch(getattr(row, name)) for name in PARTS[:2])
    return (shown or not names) and ("key" in kept or _GONE["data"].fullmatch(row.data) is not None)


def erase_parts(row: JournalRow, parts: Iterable[str], person: str) -> None:
    """Put a name of chance in place of these parts, and keep what proves the rest."""
    texts = {"actor": f"user:{person}", "subject": f"user/{person}", "data": canonical({"erased": person})}
    first = is_first(row)
    kept = json.loads(row.erased) if row.erased else _kept_of_first(row) if first else _kept(row)
    for name in parts:
        if first and name == "data" and "key" in kept:
            kept["what"] = _part(kept.pop("key"), row.data)
        elif not first and name in kept["keys"]:
            kept["gone"][name] = _part(kept["keys"].pop(name), getattr(row, name))
        setattr(row, name, texts[name])
    if first:
        for name in PARTS[:2]:
            if not _GONE[name].fullmatch(getattr(row, name)):
                setattr(row, name, NOTHING)
    row.erased, row.salt = canonical(kept), ""


def shown_digest(rows: Iterable[tuple[int, str]]) -> str:
    """Of erased entries as they are: pairs of number and `shown`, in order."""
    return sha256(canonical([list(row) for row in rows]))


def shown(row: JournalRow) -> str:
    return sha256(canonical([row.seq, row.actor, row.subject, row.data, row.erased]))


def _key(salt: str, name: str) -> str:
    return sha256(name + salt)


def _part(key: str, text: str) -> str:
    return sha256(key + text)


def _kept(row: JournalRow) -> dict[str, Any]:
    return {"keys": {name: _key(row.salt, name) for name in PARTS}, "gone": {}}


def _first_who(salt: str, actor: str, subject: str) -> str:
    return sha256(f"who{salt}{canonical([actor, subject])}")


def _first_digest(salt: str, actor: str, subject: str, data: str) -> str:
    return sha256(_first_who(salt, actor, subject) + _part(_key(salt, "what"), data))


def _kept_of_first(row: JournalRow) -> dict[str, Any]:
    return {"who": _first_who(row.salt, row.actor, row.subject), "key": _key(row.salt, "what")}
