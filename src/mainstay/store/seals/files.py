"""The files of sealed segments: Parquet in a folder or a bucket, written and read by DuckDB.

Columns are those of the table `journal`, without `previous`, which is the `hash` of the entry before.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mainstay.kernel.errors import Broken, NotFound, Unavailable
from mainstay.store.columns.archive_files import ArchiveFiles
from mainstay.store.settings import JOURNAL_TO, TELEMETRY_MEMORY

if TYPE_CHECKING:
    import duckdb

    from mainstay.kernel.settings import Settings
    from mainstay.store.seals.documents import Seal

FOLDER = "journal"
_WORK = "journal-work"
_COLUMNS = {
    "seq": "BIGINT",
    "at_us": "BIGINT",
    "actor": "VARCHAR",
    "kind": "VARCHAR",
    "subject": "VARCHAR",
    "data": "VARCHAR",
    "salt": "VARCHAR",
    "data_digest": "VARCHAR",
    "erased": "VARCHAR",
    "hash": "VARCHAR",
}
NAMES = tuple(_COLUMNS)
_AT_ONCE = 1000  # entries


class Fields(Protocol):
    """What is stored of an entry, in the database or in a segment."""

    seq: int
    at_us: int
    actor: str
    kind: str
    subject: str
    data: str
    salt: str
    data_digest: str
    erased: str
    hash: str


@dataclass(slots=True)
class SealedEntry:
    """An entry as its segment has it."""

    seq: int
    at_us: int
    actor: str
    kind: str
    subject: str
    data: str
    salt: str
    data_digest: str
    erased: str
    hash: str


def is_local(settings: Settings) -> bool:
    """Whether segments lie in the data folder, which other servers do not reach."""
    return not settings[JOURNAL_TO]


class Segments:
    """Not thread-safe. Unavailable while the place does not answer."""

    def __init__(self, settings: Settings, *, fresh: bool = False) -> None:
        """fresh: read what lies in a bucket now, and not what was read of it before; needs `close`."""
        self._memory = settings[TELEMETRY_MEMORY]
        self.address = str(settings.data / FOLDER) if is_local(settings) else settings[JOURNAL_TO]
        work = settings.data / _WORK
        work.mkdir(mode=0o700, exist_ok=True)
        self._fresh = Path(tempfile.mkdtemp(dir=work)) if fresh else None
        self._files = ArchiveFiles(self.address, self._fresh or work, "the journal's place")

    def close(self) -> None:
        if self._fresh is not None:
            shutil.rmtree(self._fresh, ignore_errors=True)

    def sizes(self) -> dict[str, int]:
        """Bytes by name of everything there."""
        return self._files.sizes()

    def put(self, name: str, source: Path) -> None:
        """Whole or not at all."""
        self._files.put(name, source)

    def delete(self, name: str) -> None:
        self._files.delete(name)

    def path(self, seal: Seal) -> Path:
        """Where to read it until the next call.

        NotFound if it is gone, Broken if another file is in its place, Unavailable if it cannot be read.
        """
        path = self._files.local(seal.name)
        if path is None:
            raise NotFound(f"the segment {seal.name} is missing from {self.address}")
        try:
            found = digest(path)
        except OSError as error:
            raise Unavailable(f"the segment {seal.name} in {self.address} cannot be read: {error.strerror}") from None
        if found != seal.file:
            raise Broken(f"the segment {seal.name} in {self.address} is not the file that was sealed")
        return path

    def entries(
        self, seal: Seal, where: str = "true", values: Sequence[Any] = (), *, newest_first: bool = False, limit: int = 0
    ) -> Iterator[SealedEntry]:
        """Those that fit a condition with `?` for each value; they are read in slices."""
        path = self._files.local(seal.name)
        if path is None:
            raise NotFound(f"the segment {seal.name} is missing from {self.address}")
        order = f"ORDER BY seq {'DESC' if newest_first else ''} {f'LIMIT {limit}' if limit else ''}"
        import duckdb

        with self._database.cursor() as connection:
            try:
                connection.execute(
                    f"SELECT {', '.join(NAMES)} FROM {_parquet(path)} WHERE {where} {order}", list(values)
                )
                while rows := connection.fetchmany(_AT_ONCE):
                    yield from (SealedEntry(*row) for row in rows)
            except duckdb.Error as error:
                raise Broken(f"the segment {seal.name} cannot be read: {str(error)[:200]}") from None

    @contextmanager
    def made(self, rows: Iterable[Fields], base: Path | None = None) -> Iterator[Path]:
        """A file of these entries, in their order; with `base`, of that file's with these in place of its own."""
        import duckdb

        with tempfile.TemporaryDirectory(dir=self._files.work) as folder, self._database.cursor() as connection:
            target = Path(folder) / "segment.parquet"
            try:
                _fill(connection, rows)
                rest = f"SELECT * FROM {_parquet(base)} WHERE seq NOT IN (SELECT seq FROM entry)" if base else ""
                query = f"SELECT * FROM entry {f'UNION ALL {rest}' if rest else ''} ORDER BY seq"
                connection.execute(f"COPY ({query}) TO {_quoted(target)} (FORMAT parquet, COMPRESSION zstd)")
            except duckdb.Error as error:
                raise Broken(f"the segment cannot be written: {str(error)[:200]}") from None
            yield target

    @cached_property
    def _database(self) -> duckdb.DuckDBPyConnection:
        """Opened once it is needed; each question has a cursor of its own."""
        import duckdb  # heavy, and every command imports this module

        spill = str(self._files.work / "spill")
        settings: dict[str, Any] = {"memory_limit": self._memory, "threads": "1", "temp_directory": spill}
        return duckdb.connect(":memory:", config=settings)


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _fill(connection: duckdb.DuckDBPyConnection, rows: Iterable[Fields]) -> None:
    declared = ", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())
    connection.execute(f"CREATE OR REPLACE TEMP TABLE entry ({declared})")
    columns = ", ".join(f"unnest(${number}::{kind}[])" for number, kind in enumerate(_COLUMNS.values(), 1))
    rest = iter(rows)
    while some := list(islice(rest, _AT_ONCE)):
        values = [[getattr(row, name) for row in some] for name in NAMES]
        connection.execute(f"INSERT INTO entry SELECT {columns}", values)


def _parquet(path: Path) -> str:
    return f"read_parquet({_quoted(path)})"


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
