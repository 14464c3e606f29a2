"""Messages to a person about the ways to reach them: the code that proves that one is theirs, and tests.

A code stands in no row: it is put into the message when that is handed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainstay.alerting import declared
from mainstay.alerting.models import OutboxRow
from mainstay.alerting.outbox import put, row_after
from mainstay.alerting.payloads import NOTHING_WRONG, report_payload
from mainstay.alerting.ways import name_of
from mainstay.oncall.queries import CODE_SECONDS, pending_code

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mainstay.store.work import Work

_CODE = "Your code for Mainstay"


def put_code(work: Work, person: str, index: int) -> None:
    """The code that is awaited from this contact, on its way; nothing if none is, or if there are no means."""
    to = name_of(person, index)
    if to in declared.known(work).receivers and pending_code(person, index, work.now) is not None:
        row = _row(work, to, "report", (_CODE, ""))
        row.payload["code_for"] = [person, index]
        row.expires_at = work.now + CODE_SECONDS
        put(work, [row])


def put_tests(work: Work, person: str) -> None:
    """A test by each way that may be used and that this server has the means for."""
    known = declared.known(work)
    usable = [one for one in known.duty.methods(person) if known.duty.is_verified(one.kind, one.target)]
    names = [name for one in usable if (name := name_of(person, one.index)) in known.receivers]
    put(work, [_row(work, name, "test", (f"Mainstay reaches {person}", NOTHING_WRONG)) for name in names])


def with_code(payload: Mapping[str, Any], now: float) -> dict[str, Any]:
    """What the message says, with the code that is awaited now."""
    person, index = payload["code_for"]
    found = pending_code(person, index, now)
    text = (
        f"The code is {found[1]}. Type it in on My on-call within ten minutes."
        if found
        else "It is not valid any more."
    )
    return {**payload, "alert": {**payload["alert"], "summary": text}}


def _row(work: Work, to: str, kind: str, said: tuple[str, str]) -> OutboxRow:
    row = row_after(work, to, "")
    row.kind, row.payload = kind, report_payload(row.id, kind, said, work.now)
    return row
