"""Loading the history of another tool into the telemetry of this install, while its server is stopped."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import duckdb
import typer

from mainstay.kernel.errors import UserError
from mainstay.kernel.wording import counted
from mainstay.watch.settings import DAY_DAYS

if TYPE_CHECKING:
    from mainstay.foreign.importing.kuma_history import Day
    from mainstay.watch.results.results import Results

_DAY = 86_400
_BATCH = 10_000


def load(days: Iterable[Day]) -> None:
    """Add days that are over and that this install has not measured itself; says what was added and what was not."""
    from mainstay.frames.opening import open_data

    settings = open_data()
    from mainstay.store.resources import queries  # its tables can be named once Django is set up
    from mainstay.watch.results.results import opened

    uids = {resource.name: resource.uid for resource in queries.resources("monitor")}
    try:
        store = opened(settings)
    except duckdb.IOException:
        raise UserError(
            "the running server has the telemetry store open", hint="stop it, load the history, and start it"
        ) from None
    try:
        now = time.time()
        store.maintain(now)  # what is measured here is rolled up first
        loading = _Loading(store, uids, now, now - settings[DAY_DAYS] * _DAY)
        loading.take(days)
    finally:
        store.close()
    for line in loading.words():
        typer.echo(line)


class _Loading:
    def __init__(self, store: Results, uids: dict[str, str], now: float, oldest: float) -> None:
        self._store, self._uids = store, uids
        self._today, self._oldest = int(now) // _DAY * _DAY, oldest
        self._known = store.imported_days(list(uids.values()))
        self.added = self.present = self.old = 0
        self.unknown: dict[str, int] = {}

    def take(self, days: Iterable[Day]) -> None:
        batch: list[tuple[Any, ...]] = []
        for day in days:
            uid = self._uids.get(day.monitor)
            if uid is None:
                self.unknown[day.monitor] = self.unknown.get(day.monitor, 0) + 1
            elif not self._oldest <= day.at < self._today:
                self.old += 1
            elif (uid, day.at * 1_000_000) in self._known:
                self.present += 1
            else:
                self._known.add((uid, day.at * 1_000_000))
                batch.append(_row(uid, day))
            if len(batch) >= _BATCH:
                self._add(batch)
        self._add(batch)

    def _add(self, batch: list[tuple[Any, ...]]) -> None:
        if batch:
            self._store.import_days(batch)
            self.added += len(batch)
            batch.clear()

    def words(self) -> Iterable[str]:
        yield f"Loaded {counted(self.added, 'day')}."
        if self.present:
            yield f"Already known, left unchanged: {counted(self.present, 'day')}."
        if self.old:
            yield f"Left out, of today or older than MAINSTAY_DAY_DAYS keeps them: {counted(self.old, 'day')}."
        for name, count in self.unknown.items():
            yield f"Left out, as no monitor `{name}` is declared: {counted(count, 'day')}. Apply the file first."


def _row(uid: str, day: Day) -> tuple[Any, ...]:
    from mainstay.watch.results.tables import CHARGES, PHASES

    seconds = [float(day.seconds.get(charge, 0.0)) for charge in CHARGES]
    times = (day.mean, day.p50, day.p95, day.maximum)
    return (uid, day.at * 1_000_000, day.checks, day.failures, *seconds, *times, *([None] * len(PHASES)))
