"""From settings to an open store: which engine, how long what is kept, and where the archive lies."""

from __future__ import annotations

from mainstay.kernel.settings import Settings
from mainstay.store.telemetry.archive import Archive
from mainstay.store.telemetry.pictures import FOLDER
from mainstay.store.telemetry.stored import StoredTelemetry


def opened(settings: Settings) -> StoredTelemetry:
    """UserError for an address that makes no sense; a server that does not answer is asked again later."""
    days = kept_days(settings)
    archive = archive_of(settings)
    if settings.telemetry:
        from mainstay.store.telemetry.clickhouse_engine import ClickHouseEngine
        from mainstay.store.telemetry.clickhouse_link import Link

        return StoredTelemetry(ClickHouseEngine(Link.of(settings)), days, archive, settings.data / FOLDER)
    from mainstay.store.telemetry.duckdb_store import FILE, DuckTelemetry

    return DuckTelemetry(settings.data / FILE, memory=settings.telemetry_memory, days=days, archive=archive)


def kept_days(settings: Settings) -> dict[str, int]:
    return {
        "raw": settings.raw_days,
        "minute": settings.minute_days,
        "hour": settings.hour_days,
        "day": settings.day_days,
    }


def archive_of(settings: Settings) -> Archive | None:
    """None if raw results are deleted after their hot days."""
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
        return f"{days} days, {size / 1e6:,.1f} MB in {settings.archive_to}"
    if not settings.telemetry:
        return "DuckDB in the data folder"
    from mainstay.store.telemetry.clickhouse_link import Link

    link = Link.of(settings)
    try:
        return f"ClickHouse {link.version()}, database {link.database}"
    finally:
        link.close()
