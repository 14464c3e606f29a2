"""What a mapping would make of a body, before it is declared; nothing is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mainstay.kernel.resource import KINDS
from mainstay.sources.doors.incoming import READERS
from mainstay.sources.formats import alertmanager, cloudevents, opsgenie, pagerduty
from mainstay.sources.formats.reading import Batch, Malformed
from mainstay.sources.formats.reading import mapping as mapping_of
from mainstay.sources.rules import Order, Report, identity
from mainstay.store.resources.files import read_body

if TYPE_CHECKING:
    from collections.abc import Sequence

LIMIT = 65_536  # characters of a body
SHOWN = 50  # alerts


@dataclass(frozen=True, slots=True)
class Preview:
    """`problem`: why nothing can be read; `left_out`: of alerts that cannot."""

    reports: Sequence[tuple[str, Report]] = ()
    orders: Sequence[Order] = ()
    changes: Sequence[str] = ()
    left_out: Sequence[str] = field(default_factory=list)
    problem: str = ""
    now: float = 0.0


def preview(mapping: str, body: str, now: float) -> Preview:
    """`mapping`: the declaration of one source, as a file has it."""
    reading = read_body(mapping.encode("utf-8", "replace")[:LIMIT], "mapping")
    wrong = [*reading.diagnostics]
    declared = mapping_of(reading.documents[0].data).get("alert_sources") if len(reading.documents) == 1 else None
    if wrong or not isinstance(declared, dict) or len(declared) != 1:
        return Preview(problem=wrong[0].message if wrong else "the mapping is one alert source, as a file has it")
    name, document = next(iter(declared.items()))
    try:
        spec: Any = KINDS["alert_source"].validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        return Preview(problem=f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}")
    try:
        batch = _read(spec.kind, body.encode("utf-8", "replace"), spec.target, now)
    except (Malformed, alertmanager.Unfit, pagerduty.Invalid, opsgenie.Unprocessable) as error:
        return Preview(problem=str(error))
    reports = [(identity(str(name), one), one) for one in batch.reports[:SHOWN] if isinstance(one, Report)]
    orders = [one for one in batch.reports[:SHOWN] if isinstance(one, Order)]
    return Preview(reports, orders, [one.summary for one in batch.changes[:SHOWN]], batch.problems[:SHOWN], "", now)


def _read(kind: str, body: bytes, target: Any, now: float) -> Batch:
    if kind in READERS:
        return READERS[kind](body, target, now)
    if kind == "alertmanager":
        return alertmanager.read(body, target, now)
    if kind == "pagerduty":
        return pagerduty.read(pagerduty.event_of(body), target, now, "made")[0]
    if kind == "opsgenie":
        return opsgenie.create(opsgenie.document_of(body), target, now, "made")[0]
    if kind == "cloudevents":
        headers = {"content-type": "application/cloudevents+json"}
        return cloudevents.read(body, headers, target, now)
    raise Malformed("mail cannot be tried here")
