"""Any JSON, read by the paths that its source declares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainstay.sources.formats.reading import (
    ALERTS_LIMIT,
    MESSAGE_LIMIT,
    TITLE_LIMIT,
    Batch,
    Malformed,
    at_path,
    decoded,
    end_of,
    is_over,
    labelled,
    moment,
    plain,
    severity,
    unfit,
    value_of,
)
from mainstay.sources.rules import Report, text

if TYPE_CHECKING:
    from mainstay.sources.spec import JsonTarget


def read(body: bytes, target: JsonTarget, now: float) -> Batch:
    """Malformed if there is nothing at `each`."""
    found = at_path(decoded(body), target.each)
    if found is None:
        raise Malformed(f"there is nothing at {target.each}")
    batch = Batch()
    for item in found[:ALERTS_LIMIT] if isinstance(found, list) else [found]:
        try:
            batch.reports.append(_report(item, target, now))
        except Malformed as error:
            batch.problems.append(str(error))
    return batch


def _report(item: Any, target: JsonTarget, now: float) -> Report:
    labels = labelled(target, {}, item)
    key = text(at_path(item, target.id))[:500].replace("\0", "") if target.id else ""
    title = plain(value_of(item, target.title), TITLE_LIMIT) if target.title else ""
    if not labels:
        raise Malformed("none of the labels is there")
    if problem := unfit(labels):
        raise Malformed(problem)
    ends = at_path(item, target.ends) if target.ends else None
    named = _named_end(ends, now)
    ends_at, guessed = end_of(target, named, now)
    return Report(
        labels=labels,
        severity=severity(target, labels.get("severity", ""), item),
        starts_at=min(now, _time(item, target.starts) or now),
        ends_at=ends_at,
        guessed=guessed,
        key=key,
        title=title or plain(labels.get("alertname") or ", ".join(labels.values()), TITLE_LIMIT),
        message=plain(value_of(item, target.message), MESSAGE_LIMIT) if target.message else "",
        link=text(at_path(item, target.link))[:2000] if target.link else "",
    )


def _named_end(value: Any, now: float) -> float | None:
    """Now if it is over; a time to come if it names one."""
    if is_over(value, now):
        return now
    try:
        return None if isinstance(value, bool) else moment(value)
    except Malformed:
        return None


def _time(item: Any, path: str | None) -> float | None:
    return moment(at_path(item, path)) if path else None
