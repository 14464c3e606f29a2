"""Decisions about what comes from outside: pure, the moment passed in.

Merging follows Alertmanager (`types/types.go`, `provider/mem/mem.go`): reports of one identity whose times overlap are
one alert with the earliest start; an end that its sender named beats one that was guessed, and of two named ones the
later counts. A report whose times do not overlap with what is known stands in its place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Literal

RESOLVE_TIMEOUT = 300.0  # seconds after which an alert whose sender named no end is over, as in Alertmanager
CHANGES_KEPT = 90 * 86_400.0  # seconds
LABELS_LIMIT = 64
NAME_LIMIT, VALUE_LIMIT = 200, 2000  # characters
_OFFSET, _PRIME, _MASK = 14695981039346656037, 1099511628211, 0xFFFFFFFFFFFFFFFF
_SEVERITY = re.compile(r"[pP]([0-3])")
_P4 = re.compile(r"[pP][4-5]")  # Opsgenie has five priorities

WORDS = {
    **dict.fromkeys(("critical", "page", "fatal", "emergency", "alert"), "P1"),
    **dict.fromkeys(("error", "high", "major"), "P2"),
    **dict.fromkeys(("warning", "warn", "medium", "moderate", "minor", "average"), "P2"),
    **dict.fromkeys(("info", "information", "informational", "low", "none", "notice", "debug", "ok"), "P3"),
}

Told = Literal["began", "changed", "ended", "same"]


@dataclass(frozen=True, slots=True)
class Report:
    """What a sender says of one alert. `key`: by which it knows it; empty: by its labels.

    ends_at: epoch seconds; None: not until the sender says so. guessed: the end is ours. Over if it ends in the past.
    """

    labels: Mapping[str, str]
    severity: str
    starts_at: float
    ends_at: float | None = None
    guessed: bool = False
    key: str = ""
    title: str = ""
    message: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    link: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """What a sender asks for an alert that it knows by `key`; dropped if none of this key is open."""

    key: str
    what: Literal["resolve", "acknowledge", "unacknowledge", "note", "snooze"]
    by: str = ""
    text: str = ""
    until: float = 0.0  # of a snooze, epoch seconds


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of one alert, as its row has it."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    severity: str
    link: str
    starts_at: float
    ends_at: float | None
    guessed: bool
    firing: bool


def severity_of(word: str, own: Mapping[str, str], default: str) -> str:
    """P0 to P3 for a sender's word: by the source's own words first, then by those that tools share."""
    found = own.get(word) or own.get(word.lower())
    if found:
        return found
    level = _SEVERITY.fullmatch(word)
    if level:
        return f"P{level[1]}"
    return "P3" if _P4.fullmatch(word) else WORDS.get(word.lower(), default)


def fingerprint(labels: Mapping[str, str]) -> str:
    """16 hexadecimal digits for a set of labels: FNV-1a as Prometheus hashes one (`model/signature.go`)."""
    return _fingerprint(tuple(sorted(labels.items())))


@lru_cache(maxsize=32_768)  # senders repeat all of theirs every minute
def _fingerprint(pairs: tuple[tuple[str, str], ...]) -> str:
    number = _OFFSET
    for byte in "".join(f"{name}\0{value}\0" for name, value in pairs).encode("utf-8", "surrogatepass"):
        number = ((number ^ (byte or 0xFF)) * _PRIME) & _MASK  # no text has the byte 0, so it stands for 0xff
    return f"{number:016x}"


def identity(source: str, told: Report | Order) -> str:
    """The fingerprint under which what is told of is known."""
    if told.key or isinstance(told, Order):
        return fingerprint({"source": source, "key": told.key})
    return fingerprint(told.labels)


def take(known: Standing | None, report: Report, now: float) -> tuple[Standing, Told]:
    """What is known after a report, and what is to be told of it."""
    ends_at = report.ends_at
    found = Standing(
        report.labels, report.annotations, report.severity, report.link, report.starts_at, ends_at, report.guessed, True
    )
    if known is not None and _overlap(known, report):
        found = _merged(known, found, now)
    firing = found.ends_at is None or found.ends_at > now
    found = replace(found, firing=firing)
    if known is None or not known.firing:
        return found, "began" if firing else "same"
    if not firing:
        return found, "ended"
    return found, "changed" if (found.severity, found.labels) != (known.severity, known.labels) else "same"


def _overlap(known: Standing, report: Report) -> bool:
    end, known_end = _far(report.ends_at), _far(known.ends_at)
    return known.starts_at < end <= known_end or known.starts_at <= report.starts_at < known_end


def _merged(known: Standing, new: Standing, now: float) -> Standing:
    starts_at = min(known.starts_at, new.starts_at)
    end, known_end = _far(new.ends_at), _far(known.ends_at)
    counts = known_end <= now if end <= now else not known.guessed
    if counts and known_end > end:
        return replace(new, starts_at=starts_at, ends_at=known.ends_at, guessed=known.guessed)
    return replace(new, starts_at=starts_at)


def _far(end: float | None) -> float:
    return float("inf") if end is None else end


def text(value: Any) -> str:
    """A value of JSON as a label has it; what is no plain value is empty."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    return f"{value:.15g}" if isinstance(value, float) else str(value) if isinstance(value, int) else ""
