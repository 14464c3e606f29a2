"""Alerts as Alertmanager's API takes them: `api/v2/openapi.yaml`, `api/v2/api.go` and `types/types.go` of 0.25 to 0.28.

Names of labels may be any text, as since 0.27; everything else is refused in the words of the original.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from mainstay.sources.formats.reading import (
    ALERTS_LIMIT,
    MESSAGE_LIMIT,
    TITLE_LIMIT,
    Batch,
    Malformed,
    end_of,
    labelled,
    moment,
    notes,
    plain,
    severity,
    unfit,
)
from mainstay.sources.rules import RESOLVE_TIMEOUT, Report

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mainstay.sources.spec import Target

_URI = re.compile(r"(?:/|[A-Za-z][A-Za-z0-9+.-]*:)[^\s\x00-\x1f]*")
_NOT = re.compile(r"got `(\w+)`(?: - at `\$\[\d+\](?:\.(\w+)(\[\.{3}\])?)?`)?")
_GO = {"int": "number", "float": "number", "bool": "bool", "object": "object", "array": "array", "str": "string"}


class Sent(msgspec.Struct):
    """postableAlert."""

    labels: dict[str, str | None] | msgspec.UnsetType = msgspec.UNSET
    annotations: dict[str, str | None] | None = None
    startsAt: str | None = None  # noqa: N815  the name is the original's
    endsAt: str | None = None  # noqa: N815
    generatorURL: str | None = None  # noqa: N815


_DECODER = msgspec.json.Decoder(list[Sent] | None)


class Unfit(Exception):
    """The body does not fit the schema: the status and code that the original answers with, and its words."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def read(body: bytes, target: Target, now: float) -> Batch:
    """Every alert of a request; raises Unfit if it is not one of the original's."""
    if not body:
        raise Unfit(422, 602, "alerts in body is required")
    batch = Batch()
    for index, sent in enumerate(_decoded(body)):
        if sent.labels is msgspec.UNSET:
            raise Unfit(422, 602, f"{index}.labels in body is required")
        if sent.generatorURL and not _URI.fullmatch(sent.generatorURL):
            words = f'{index}.generatorURL in body must be of type uri: "{sent.generatorURL[:200]}"'
            raise Unfit(422, 601, words)
        report = _report(sent, target, now)
        if isinstance(report, str):
            batch.problems.append(report)
        else:
            batch.reports.append(report)
    return batch


def _decoded(body: bytes) -> list[Sent]:
    try:
        found = _decoder(body)
    except msgspec.ValidationError as error:
        raise _unread(_in_go(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _unread("unexpected EOF" if "truncated" in str(error) else str(error)) from None
    except RecursionError:
        raise _unread("exceeded max depth") from None
    if len(found) > ALERTS_LIMIT:
        raise Unfit(413, 413, f"more than {ALERTS_LIMIT} alerts in one request")
    return found


def _decoder(body: bytes) -> list[Sent]:
    try:
        return _DECODER.decode(body) or []
    except msgspec.ValidationError:
        msgspec.json.decode(body)  # no JSON at all is the first mistake that is told
        raise


def _unread(why: str) -> Unfit:
    return Unfit(400, 400, f'parsing alerts body from "" failed, because {why}')


def _in_go(error: str) -> str:
    """A mistake of types in the words of Go's decoder, which clients log."""
    found = _NOT.search(error)
    if found is None:
        return error
    kind, name, within = _GO.get(found[1], found[1]), found[2], found[3]
    if not name:
        return f"json: cannot unmarshal {kind} into Go value of type models.PostableAlerts"
    struct = "Alert" if name in ("labels", "generatorURL") else ""
    wanted = "models.LabelSet" if name in ("labels", "annotations") and not within else "string"
    return f"json: cannot unmarshal {kind} into Go struct field {struct}.{name} of type {wanted}"


def _report(sent: Sent, target: Target, now: float) -> Report | str:
    """One alert, or why it is none in the words of the original."""
    try:
        starts_at, named = moment(sent.startsAt), moment(sent.endsAt)
    except Malformed as error:
        raise _unread(str(error)) from None
    ends_at, guessed = end_of(target, named, now, RESOLVE_TIMEOUT)
    if starts_at is None:
        starts_at = now if named is None else named
    if named is not None and named < starts_at:
        return "start time must be before end time"
    annotations = {name: value or "" for name, value in (sent.annotations or {}).items()}
    if "" in annotations:
        return 'invalid annotations: invalid name ""'
    labels = {name: value or "" for name, value in dict(sent.labels or {}).items()}
    labels = labelled(target, labels, {"labels": labels, "annotations": annotations})
    if problem := unfit(labels):
        return problem
    annotations = notes(annotations)
    return Report(
        labels=labels,
        severity=severity(target, labels.get("severity", ""), {"labels": labels, "annotations": annotations}),
        starts_at=starts_at,
        ends_at=ends_at,
        guessed=guessed,
        title=title(labels, annotations),
        message=plain(annotations.get("description") or annotations.get("message"), MESSAGE_LIMIT),
        annotations=annotations,
        link=(sent.generatorURL or "")[:2000],
    )


def title(labels: Mapping[str, str], annotations: Mapping[str, str]) -> str:
    """Its summary; else its name with what it is about."""
    if annotations.get("summary"):
        return plain(annotations["summary"], TITLE_LIMIT)
    name = labels.get("alertname") or next(iter(labels.values()))
    about = labels.get("instance") or labels.get("service") or labels.get("job") or ""
    return plain(f"{name}: {about}" if about else name, TITLE_LIMIT)
