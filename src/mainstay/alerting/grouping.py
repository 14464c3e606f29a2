"""What a group tells its receivers at a flush: pure, by Alertmanager's table (`notify/dedup_stage.go`)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Telling = Literal["first", "new alerts", "all resolved", "some resolved", "repeat"]
_MARK = 12  # letters of a mark


@dataclass(frozen=True, slots=True)
class Entry:
    """What a receiver was told last, of a group. `firing`, `resolved`: marks of subjects; `first`, `last`: ids of the
    messages that began it and that came last."""

    at: float
    firing: frozenset[str] = frozenset()
    resolved: frozenset[str] = frozenset()
    first: str = ""
    last: str = ""

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> Entry:
        return cls(
            kept["at"],
            frozenset(kept["firing"]),
            frozenset(kept["resolved"]),
            kept.get("first", ""),
            kept.get("last", ""),
        )

    def kept(self) -> dict[str, Any]:
        return {
            "at": self.at,
            "firing": sorted(self.firing),
            "resolved": sorted(self.resolved),
            "first": self.first,
            "last": self.last,
        }


@dataclass(frozen=True, slots=True)
class Now:
    """The marks of a group's alerts: those that fire and are not held back, and those that are over."""

    firing: Collection[str]
    resolved: Collection[str]


def mark(subject: str) -> str:
    """A short name of a subject that stands in logs; two of a group that are the same would be one alert."""
    return hashlib.blake2b(subject.encode(), digest_size=9).hexdigest()[:_MARK]


def group_key(route: str, labels: Mapping[str, str]) -> str:
    """One open group has it: the digest of its route and of the labels that its alerts share."""
    text = json.dumps([route, sorted(labels.items())], ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def first_flush(opened: float, since: float, wait: float) -> float:
    """When a group that is opened by an alert which began at `since` is flushed first: at once if its wait is over."""
    return opened if since + wait <= opened else opened + wait


def to_tell(entry: Entry | None, now: Now, at: float, repeat: float | None, *, resolved: bool) -> Telling | None:
    """Why a receiver is told now, or None. `resolved`: whether it wants to hear of what is over."""
    firing = set(now.firing)
    if entry is None or (not entry.firing and not entry.resolved):
        return "first" if firing else None
    if firing - entry.firing:
        return "new alerts" if entry.firing else "first"
    if not firing:
        return "all resolved" if entry.firing and now.resolved else None
    if resolved and set(now.resolved) - entry.resolved:
        return "some resolved"
    return "repeat" if repeat is not None and entry.at <= at - repeat else None
