"""What the readers of all formats share: texts that can be kept, times, and what a source adds to what it is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from mainstay.kernel.jsonpath import NoSuchValue, find, parse_path
from mainstay.sources.rules import LABELS_LIMIT, NAME_LIMIT, VALUE_LIMIT, Order, Report, severity_of, text

if TYPE_CHECKING:
    from mainstay.sources.spec import Target

ALERTS_LIMIT = 20_000  # of one request
TITLE_LIMIT, MESSAGE_LIMIT, ANNOTATION_LIMIT, ANNOTATIONS_LIMIT = 300, 1000, 4000, 64
_HIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_NOT_NAME = re.compile(r"[^a-zA-Z0-9_]")
_OVER = frozenset(("resolved", "ok", "up", "closed", "close", "success", "recovered", "normal", "inactive", "over"))


class Malformed(Exception):
    """Nothing of it can be read; the message is for its sender."""


@dataclass(frozen=True, slots=True)
class Change:
    """Something that was changed elsewhere, as its sender says."""

    summary: str
    at: float
    what: str = "deploy"
    labels: Mapping[str, str] = field(default_factory=dict)
    links: tuple[tuple[str, str], ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Batch:
    """What one request says. `problems`: of alerts that were left out, each in the words of the sender's format."""

    reports: list[Report | Order] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def decoded(body: bytes) -> Any:
    """JSON; Malformed if it is none, or nested too deeply."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"not JSON: {error}") from None
    except RecursionError:
        raise Malformed("it is nested too deeply") from None


def mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def plain(value: Any, limit: int) -> str:
    """One that can be shown and kept, on one line."""
    return _HIDDEN.sub(" ", " ".join(text(value)[: 4 * limit].split()))[:limit]


def moment(value: Any) -> float | None:
    """Epoch seconds of RFC 3339 or of a number of seconds or milliseconds; None for nothing and for Go's zero time.

    Malformed if it is no time.
    """
    if value is None or value in ("", 0):
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = value / 1000 if abs(value) > 1e11 else float(value)
        if not abs(seconds) < 1e11:
            raise Malformed(f"`{value}` is no time")
        return seconds
    try:
        found = datetime.fromisoformat(str(value)[:64])
    except ValueError:
        raise Malformed(f"`{str(value)[:60]}` is no time") from None
    return None if found.year <= 1 else _seconds(found)


def _seconds(at: datetime) -> float:
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def at_path(document: Any, path: str) -> Any:
    """None if nothing is there."""
    try:
        return find(document, parse_path(path))
    except NoSuchValue:
        return None


def value_of(document: Any, value: str) -> str:
    """A text, or what stands at the path that it is."""
    return text(at_path(document, value)) if value.startswith("$") else value


def is_over(value: Any, now: float) -> bool:
    """Whether a value says that an alert has ended: true, a word for it, or a time that is past."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in _OVER:
        return True
    try:
        end = moment(value)
    except Malformed:
        return False
    return end is not None and end <= now


def labelled(target: Target, sent: Mapping[str, str], document: Any) -> dict[str, str]:
    """The labels as sent, with those that the source adds; empty ones say nothing and are left out."""
    labels = {name: value for name, value in sent.items() if value}
    for name, value in target.labels.items():
        if found := value_of(document, value):
            labels[name] = found
    return labels


def severity(target: Target, word: str, document: Any) -> str:
    """P0 to P3, by the word in its usual place or at the path that the source names."""
    if target.severity_path:
        word = text(at_path(document, target.severity_path)) or word
    return severity_of(word, target.words, target.default_severity)


def end_of(target: Target, named: float | None, now: float, timeout: float | None = None) -> tuple[float | None, bool]:
    """(when it is over unless it is repeated, whether that is a guess) of an end that its sender named, if it did."""
    if named is not None and (named <= now or target.expires is None):
        return named, False
    silence = target.expires if target.expires is not None else timeout
    return (None, False) if silence is None else (now + silence, True)


def unfit(labels: Mapping[str, str]) -> str:
    """Why these cannot be labels, in the words of Prometheus; empty if they can."""
    if not labels:
        return "at least one label pair required"
    if len(labels) > LABELS_LIMIT:
        return f"invalid label set: more than {LABELS_LIMIT} labels"
    for name, value in labels.items():
        if not name or len(name) > NAME_LIMIT or "\0" in name:
            return f'invalid label set: invalid name "{name[:60]}"'
        if len(value) > VALUE_LIMIT or "\0" in value:
            return f'invalid label set: invalid value "{value[:60]}"'
    return ""


def notes(annotations: Mapping[str, Any]) -> dict[str, str]:
    """Annotations within their bounds."""
    found = list(annotations.items())[:ANNOTATIONS_LIMIT]
    return {plain(name, NAME_LIMIT): text(value).replace("\0", " ")[:ANNOTATION_LIMIT] for name, value in found}


def fitted(labels: Mapping[str, Any]) -> dict[str, str]:
    """Labels made from values of a format that has none, within their bounds; empty ones are left out."""
    found = {name: plain(value, VALUE_LIMIT) for name, value in labels.items()}
    return {name: value for name, value in found.items() if value}


def label_name(text_of: str) -> str:
    """A text as the name of a label."""
    name = _NOT_NAME.sub("_", text_of.strip())[:60]
    return f"_{name}" if name[:1].isdigit() else name


def report_of(target: Target, document: Any, labels: Mapping[str, Any], word: Any, **more: Any) -> Report:
    """One alert of a format that has no labels of its own; Malformed if nothing remains to name it by."""
    found = labelled(target, fitted(labels), document)
    if problem := unfit(found):
        raise Malformed(problem)
    return Report(labels=found, severity=severity(target, text(word), document), **more)
