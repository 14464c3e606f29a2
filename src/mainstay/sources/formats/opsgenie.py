"""Opsgenie's Alert API: what it takes to create an alert, and what may be asked for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainstay.sources.formats.reading import (
    MESSAGE_LIMIT,
    Batch,
    Malformed,
    decoded,
    end_of,
    label_name,
    mapping,
    moment,
    notes,
    plain,
    report_of,
)
from mainstay.sources.rules import Order, text

if TYPE_CHECKING:
    from mainstay.sources.spec import Target

MESSAGE, ALIAS = 130, 512


class Unprocessable(Exception):
    """`errors`: field -> what is wrong with it, in Opsgenie's words."""

    def __init__(self, **errors: str) -> None:
        super().__init__("; ".join(errors.values()))
        self.errors = errors


def document_of(body: bytes) -> dict[str, Any]:
    try:
        return mapping(decoded(body)) if body else {}
    except Malformed as error:
        raise Unprocessable(body=f"Request body is not processable: {error}") from None


def create(document: dict[str, Any], target: Target, now: float, made_alias: str) -> tuple[Batch, str]:
    """One alert and its alias."""
    message, alias = plain(document.get("message"), MESSAGE), text(document.get("alias")).replace("\0", "")
    if not message:
        raise Unprocessable(message="Message can not be empty.")
    if len(alias) > ALIAS:
        raise Unprocessable(alias=f"Alias should not be longer than {ALIAS} characters.")
    alias = alias or made_alias
    priority = text(document.get("priority")) or "P3"
    if priority not in ("P1", "P2", "P3", "P4", "P5"):
        raise Unprocessable(priority="Priority should be one of [ P1, P2, P3, P4, P5 ].")
    details = mapping(document.get("details"))
    labels = {label_name(name): value for name, value in list(details.items())[:40] if isinstance(value, str)}
    tags = [plain(tag, 50) for tag in document.get("tags") or () if isinstance(tag, str)][:20]
    labels = {name: value for name, value in labels.items() if name}
    labels |= {name: text(document.get(name)) for name in ("entity", "source") if document.get(name)}
    labels |= {"priority": priority, "tags": ",".join(tags)}
    labels.setdefault("alertname", message)
    ends_at, guessed = end_of(target, None, now)
    report = report_of(
        target,
        document,
        labels,
        text(document.get("priority")) or text(details.get("severity")) or priority,
        starts_at=now,
        ends_at=ends_at,
        guessed=guessed,
        key=alias,
        title=message,
        message=plain(document.get("description"), MESSAGE_LIMIT),
        annotations=notes(details),
    )
    return Batch([report]), alias


def order(what: str, document: dict[str, Any], alias: str) -> Batch:
    """close, acknowledge, unacknowledge, notes or snooze of one that is known; a note that comes with it is kept."""
    by, note = plain(document.get("user"), 100), plain(document.get("note"), MESSAGE_LIMIT)
    noted = [Order(alias, "note", by, note)] if note else []
    if what == "notes":
        if not note:
            raise Unprocessable(note="Note can not be empty.")
        return Batch([*noted])
    if what == "snooze":
        try:
            until = moment(document.get("endTime"))
        except Malformed:
            until = None
        if until is None:
            raise Unprocessable(endTime="End time is not valid.")
        return Batch([*noted, Order(alias, "snooze", by, until=until)])
    if what == "close":
        return Batch([*noted, Order(alias, "resolve", by)])
    return Batch([*noted, Order(alias, "acknowledge" if what == "acknowledge" else "unacknowledge", by)])
