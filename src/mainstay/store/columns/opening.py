"""From settings to an open store: which engine, how long what is kept, and where the archive lies."""

from __future__ import annotations

from collections.abc import Sequence

from mainstay.kernel.settings import Settings
from mainstay.kernel.wording import counted
from mainstay.store.columns.archive import Archive
from mainstay.store.columns.columns import Columns
from mainstay.store.columns.duckdb_engine import DuckEngine
from mainstay.store.columns.table import Table, declared

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
        engine = DuckEngine(settings.data / FILE, settings.telemetry_memory, tables)
    return Columns(engine, tables, kept_days(settings, tables), archive_of(settings))


def kept_days(settings: Settings, tables: Sequence[Table]) -> dict[str, int]:
    names = {name for table in tables for name in (table.kept, *(rollup.kept for rollup in table.rollups))}
    return {name: int(getattr(settings, name)) for name in names}


def archive_of(settings: Settings) -> Archive | None:
    """None if raw rows are deleted after their hot days."""
    if not settings.archive_to:
        return None
    work = settings.data / "archive-work"
    return Archive(settings.archive_to, work, days=settings.archive_days, memory=settings.telemetry_memory)


def look(settings: Settings, what: str) -> str:
    """How `telemetry` or the `archive` is, in words for a person, without opening what a server has open.

    Empty if there is nothing to look at; UserError, StoreBusy or Unavailable tell what is wrong.
    """
    if what == "archive":
        archive = archive_of(settings)
        if archive is None:
            return ""
        days, size = archive.look()
        return f"{counted(days, 'day')}, {size / 1e6:,.1f} MB in {settings.archive_to}"
    if not settings.telemetry:
        return "DuckDB in the data folder"
    from mainstay.store.columns.clickhouse_link import Link

    link = Link.of(settings)
    try:
        return f"ClickHouse {link.version()}, database {link.database}"
    finally:
        link.close()
