"""PagerDuty's Events API v2: alerts (`/v2/enqueue`) and changes (`/v2/change/enqueue`), as it documents them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainstay.sources.formats.reading import (
    MESSAGE_LIMIT,
    TITLE_LIMIT,
    Batch,
    Change,
    Malformed,
    decoded,
    end_of,
    fitted,
    mapping,
    moment,
    notes,
    plain,
    report_of,
)
from mainstay.sources.rules import Order, text

if TYPE_CHECKING:
    from mainstay.sources.spec import Target

SUMMARY_LIMIT, KEY_LIMIT = 1024, 255
_SEVERITIES = ("critical", "warning", "error", "info")


class Invalid(Exception):
    """The event is not one of theirs; `errors` in their words."""

    def __init__(self, *errors: str) -> None:
        super().__init__("; ".join(errors))
        self.errors = list(errors)


def event_of(body: bytes) -> dict[str, Any]:
    try:
        found = decoded(body)
    except Malformed as error:
        raise Invalid(f"JSON parse error: {error}") from None
    if not isinstance(found, dict):
        raise Invalid("the event is no JSON object")
    return found


def read(event: dict[str, Any], target: Target, now: float, made_key: str) -> tuple[Batch, str]:
    """An alert event, and its key; `made_key` is for one that has none."""
    action, key = event.get("event_action"), event.get("dedup_key") or ""
    if action not in ("trigger", "acknowledge", "resolve"):
        raise Invalid("'event_action' is missing or blank" if not action else "'event_action' is invalid")
    if not isinstance(key, str) or len(key) > KEY_LIMIT or "\0" in key:
        raise Invalid(f"'dedup_key' is invalid (must be a string of at most {KEY_LIMIT} characters)")
    if action != "trigger":
        if not key:
            raise Invalid("'dedup_key' is missing or blank")
        return Batch([Order(key, "resolve" if action == "resolve" else "acknowledge")]), key
    key = key or made_key
    payload = mapping(event.get("payload"))
    _check(payload)
    labels = {name: payload.get(name) for name in ("source", "component", "group", "class", "severity")}
    labels["alertname"] = payload.get("class") or plain(payload["summary"], 200)
    ends_at, guessed = end_of(target, None, now)
    details = payload.get("custom_details")
    links = [mapping(link).get("href") for link in event.get("links") or () if mapping(link).get("href")]
    report = report_of(
        target,
        event,
        labels,
        payload["severity"],
        starts_at=_began(payload, now),
        ends_at=ends_at,
        guessed=guessed,
        key=key,
        title=plain(payload["summary"], TITLE_LIMIT),
        message=plain(details if isinstance(details, str) else payload["summary"], MESSAGE_LIMIT),
        annotations=notes(details) if isinstance(details, dict) else {},
        link=text(event.get("client_url") or (links[0] if links else ""))[:2000],
    )
    return Batch([report]), key


def read_change(event: dict[str, Any], target: Target, now: float) -> Batch:
    payload = mapping(event.get("payload"))
    if not plain(payload.get("summary"), SUMMARY_LIMIT):
        raise Invalid("'payload.summary' is missing or blank")
    details = mapping(payload.get("custom_details"))
    labels = fitted({"source": payload.get("source"), **{name: details.get(name) for name in ("service", "team")}})
    found = [mapping(link) for link in event.get("links") or () if isinstance(link, dict)]
    links = tuple((plain(one.get("text") or one.get("href"), 200), text(one.get("href"))[:2000]) for one in found[:10])
    labels |= fitted({name: value for name, value in target.labels.items() if not value.startswith("$")})
    summary = plain(payload["summary"], SUMMARY_LIMIT)
    change = Change(summary, _began(payload, now), "deploy", labels, links, notes(details))
    return Batch(changes=[change])


def _check(payload: dict[str, Any]) -> None:
    errors = [
        f"'payload.{name}' is missing or blank" for name in ("summary", "source") if not plain(payload.get(name), 9)
    ]
    level = payload.get("severity")
    if level not in _SEVERITIES:
        known = "must be one of the following: 'critical', 'warning', 'error' or 'info'"
        errors.append(f"'payload.severity' is invalid ({known})" if level else "'payload.severity' is missing or blank")
    if errors:
        raise Invalid(*errors)


def _began(payload: dict[str, Any], now: float) -> float:
    try:
        found = moment(payload.get("timestamp"))
    except Malformed:
        raise Invalid("'payload.timestamp' is invalid (must be in ISO 8601 format)") from None
    return now if found is None else min(found, now)
