"""What was changed by hand, and what was recorded, as rules read it."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field

from mainstay.oncall.models import OverrideRow, RecordRow, TemporaryRow, WatchRow
from mainstay.oncall.rules.duty import History, Override, Temporary


@dataclass(frozen=True, slots=True)
class Changed:
    """By the uid of the schedule, each in the order in which it was made."""

    overrides: dict[str, list[Override]] = field(default_factory=lambda: defaultdict(list))
    temporaries: dict[str, list[Temporary]] = field(default_factory=lambda: defaultdict(list))
    history: dict[str, History] = field(default_factory=dict)


def changed(since: float) -> Changed:
    """All that ends later than `since`, in epoch seconds."""
    found = Changed()
    for row in OverrideRow.objects.filter(end__gt=since).order_by("id"):
        found.overrides[row.schedule].append(Override(row.id, row.start, row.end, row.add, row.remove))
    for one in TemporaryRow.objects.filter(end__gt=since).order_by("id"):
        shifts = tuple((float(start), float(end), str(person)) for start, end, person in json.loads(one.shifts))
        found.temporaries[one.schedule].append(Temporary(one.id, one.start, one.end, shifts))
    entries: dict[str, list[tuple[float, tuple[str, ...]]]] = defaultdict(list)
    for record in RecordRow.objects.filter(since__gt=since).order_by("since"):
        entries[record.schedule].append((record.since, tuple(json.loads(record.people))))
    for watch in WatchRow.objects.all():
        before = RecordRow.objects.filter(schedule=watch.schedule, since__lte=since).order_by("-since").first()
        if before is not None:
            entries[watch.schedule].insert(0, (before.since, tuple(json.loads(before.people))))
        found.history[watch.schedule] = History(tuple(entries[watch.schedule]), watch.recorded_until)
    return found
