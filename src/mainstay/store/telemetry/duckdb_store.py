"""Embedded telemetry on DuckDB: `StoredTelemetry` over one file in the data folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb

from mainstay.store.telemetry.archive import Archive
from mainstay.store.telemetry.duckdb_engine import DuckEngine
from mainstay.store.telemetry.pictures import FOLDER
from mainstay.store.telemetry.stored import StoredTelemetry

FILE = "telemetry.duckdb"


class DuckTelemetry(StoredTelemetry):
    def __init__(
        self,
        path: Path,
        *,
        memory: str = "96MB",
        days: Mapping[str, int] | None = None,
        archive: Archive | None = None,
    ) -> None:
        """A damaged file is set aside and told. UserError if a sound one cannot be opened now."""
        self._duck = DuckEngine(path, memory)
        super().__init__(self._duck, days, archive, path.with_name(FOLDER))

    def reading(self) -> duckdb.DuckDBPyConnection:
        """This thread's connection, on which everything that was appended until now can be read. Not to be closed."""
        self.flush()
        return self._duck.cursor()
