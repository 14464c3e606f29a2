"""From settings to an open store: which engine, how long what is kept, and where the archive lies."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping

from mainstay.kernel.capability import CAPABILITIES
from mainstay.kernel.settings import Settings
from mainstay.kernel.wording import counted
from mainstay.store.columns.archive import Archive
from mainstay.store.columns.columns import Columns
from mainstay.store.columns.duckdb_engine import DuckEngine
from mainstay.store.columns.table import declared
from mainstay.store.settings import ARCHIVE_DAYS, ARCHIVE_TO, TELEMETRY_MEMORY

FILE = "telemetry.duckdb"


def opened(settings: Settings) -> Columns:
    """With all declared tables. UserError for an address that makes no sense; a server that does not answer is asked
    again later."""
    tables = declared()
    if settings.telemetry:
        from mainstay.store.columns.clickhouse_engine import ClickHouseEngine
        from mainstay.store.columns.clickhouse_link import Link

        engine: ClickHouseEngine | DuckEngine = ClickHouseEngine(Link.of(settings, tables), tables)
    else:
        engine = DuckEngine(settings.data / FILE, settings[TELEMETRY_MEMORY], tables)
    archives = Archives(settings)
    archives.now()
    return Columns(engine, tables, KeptDays(settings), archives.now)


class KeptDays(Mapping[str, int]):
    """Days by the setting that says them, as they are when they are asked for."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __getitem__(self, name: str) -> int:
        if name not in self:
            raise KeyError(name)
        return int(self._settings[CAPABILITIES.settings[name]])

    def __contains__(self, name: object) -> bool:
        return name in set(self)

    def __iter__(self) -> Iterator[str]:
        return (name for name in CAPABILITIES.settings if name.endswith("_days"))

    def __len__(self) -> int:
        return len(list(iter(self)))


class Archives:
    """The archive at the place that the settings name when it is asked for."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._turn = settings, threading.Lock()
        self._made: tuple[tuple[str, int], Archive | None] = (("", 0), None)

    def now(self) -> Archive | None:
        wanted = (self._settings[ARCHIVE_TO], self._settings[ARCHIVE_DAYS])
        with self._turn:
            if self._made[0] != wanted:
                self._made = (wanted, archive_of(self._settings))
            return self._made[1]


def archive_of(settings: Settings) -> Archive | None:
    """None if raw rows are deleted after their hot days."""
    if not settings[ARCHIVE_TO]:
        return None
    work = settings.data / "archive-work"
    return Archive(settings[ARCHIVE_TO], work, days=settings[ARCHIVE_DAYS], memory=settings[TELEMETRY_MEMORY])


def look(settings: Settings, what: str) -> str:
    """How `telemetry` or the `archive` is, in words for a person, without opening what a server has open.

    Empty if there is nothing to look at; UserError, StoreBusy or Unavailable tell what is wrong.
    """
    if what == "archive":
        archive = archive_of(settings)
        if archive is None:
            return ""
        days, size = archive.look()
        return f"{counted(days, 'day')}, {size / 1e6:,.1f} MB in {settings[ARCHIVE_TO]}"
    if not settings.telemetry:
        return "DuckDB in the data folder"
    from mainstay.store.columns.clickhouse_link import Link

    link = Link.of(settings)
    try:
        return f"ClickHouse {link.version()}, database {link.database}"
    finally:
        link.close()
