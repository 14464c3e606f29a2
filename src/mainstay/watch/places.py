"""What the page of a monitor shows of the places that check it: each one's verdict and latency, and disagreements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mainstay.watch.charts import COLOURS, location_lines
from mainstay.watch.location_queries import locations
from mainstay.watch.results import current

if TYPE_CHECKING:
    from mainstay.watch.charts import Window
    from mainstay.watch.queries import MonitorView
    from mainstay.watch.results.values import Sample
    from mainstay.watch.spec import MonitorSpec

_LOOKED = 400  # newest results that disagreements are looked for in
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class PlaceRow:
    """One location: its newest result, and whether it can be heard."""

    name: str
    colour: int
    newest: Sample | None
    state: str  # of the location: up, silent, waiting, or here


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A moment at which the locations did not say the same; `verdict` is what counted."""

    at: float
    verdict: str
    said: list[tuple[str, str, str]]  # location, verdict, message


@dataclass(frozen=True, slots=True)
class Places:
    rows: list[PlaceRow]
    quorum: str
    elsewhere: bool
    lines: str  # JSON for the chart
    disagreements: list[Disagreement]


def places_of(view: MonitorView, spec: MonitorSpec, window: Window) -> Places | None:
    """None for a monitor that this server alone checks."""
    if len(spec.locations) < 1:
        return None
    telemetry = current()
    states = {one.name: one.state for one in locations()}
    rows = []
    for number, name in enumerate(spec.locations):
        colour = number % COLOURS
        newest = telemetry.latest(view.uid, 1, location=name)
        rows.append(PlaceRow(name, colour, newest[0] if newest else None, states.get(name, "here")))
    text = location_lines(telemetry, view.uid, spec.locations, window)
    found = _disagreements(telemetry.latest(view.uid, _LOOKED))
    return Places(rows, f"{spec.agreeing} of {len(spec.locations)}", spec.confirm.elsewhere, text, found)


def _disagreements(samples: list[Sample]) -> list[Disagreement]:
    """The newest of each stretch of results with the same votes."""
    found: list[Disagreement] = []
    before: list[tuple[str, str]] = []
    for sample in samples:
        votes = sample.evidence.get("locations")
        if not isinstance(votes, dict):
            before = []
            continue
        said = [(str(name), *_said(vote)) for name, vote in votes.items() if isinstance(vote, dict)]
        verdicts = [(name, verdict) for name, verdict, _ in said]
        if len({verdict for _, verdict in verdicts}) > 1 and verdicts != before:
            found.append(Disagreement(sample.at, sample.verdict, said))
        before = verdicts
        if len(found) >= _SHOWN:
            break
    return found


def _said(vote: dict[str, Any]) -> tuple[str, str]:
    verdict = "unknown" if vote.get("stale") else str(vote.get("verdict", "unknown"))
    return verdict, str(vote.get("message", ""))
