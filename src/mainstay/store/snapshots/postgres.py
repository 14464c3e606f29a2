"""PostgreSQL as a source and a target of rows, over a connection of its own."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from mainstay.kernel.errors import Broken, StoreBusy, UserError
from mainstay.store.snapshots.rows import Row, Sum
from mainstay.store.snapshots.sqlite import MIGRATIONS, quoted

if TYPE_CHECKING:
    import psycopg

# What an unfinished import leaves behind: `mainstay up` refuses a database that has it.
MARK = "mainstay_import"


@contextmanager
def connected(url: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """Autocommit, times in UTC. UserError without the driver, StoreBusy if the database does not answer."""
    try:
        import psycopg
    except ImportError:
        raise UserError("PostgreSQL needs an additional package", hint="install mainstay[postgres]") from None
    try:
        connection = psycopg.connect(url, connect_timeout=10, autocommit=True, options="-c timezone=UTC")
    except psycopg.Error as error:
        raise StoreBusy(f"the database did not answer: {_told(error)}", hint="check the address after --to") from None
    try:
        with connection:
            yield connection
    except psycopg.OperationalError as error:
        raise StoreBusy(
            f"the connection to the database was lost: {_told(error)}", hint="run the command again"
        ) from error


def _told(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__


class PostgresTables:
    """The tables of the schema that the connection writes to."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._connection = connection
        self._columns: dict[str, dict[str, str]] = {}

    def rows_of(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._connection.execute(query, values).fetchall()

    def do(self, query: str, *values: Any) -> None:
        self._connection.execute(query, values)

    def transaction(self) -> AbstractContextManager[Any]:
        return self._connection.transaction()

    def all_names(self) -> list[str]:
        query = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY tablename"
        return [str(name) for (name,) in self.rows_of(query)]

    def names(self) -> list[str]:
        """Every table with data of Mainstay, those that others point to first."""
        known = [name for name in self.all_names() if name not in (MIGRATIONS, MARK)]
        graph: dict[str, set[str]] = {name: set() for name in known}
        query = (
            "SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint "
            "WHERE contype = 'f' AND connamespace = current_schema()::regnamespace AND conrelid <> confrelid"
        )
        for table, parent in self.rows_of(query):
            graph.setdefault(table.strip('"'), set()).add(parent.strip('"'))
        try:
            return [name for name in TopologicalSorter(graph).static_order() if name in known]
        except CycleError as error:
            raise Broken(f"tables refer to each other in a cycle: {error.args[1]}") from None

    def columns(self, table: str) -> dict[str, str]:
        """Name -> type; asked once, when the table stands."""
        if table in self._columns:
            return self._columns[table]
        query = (
            "SELECT column_name, data_type FROM information_schema.columns "
            "WHERE table_schema = current_schema() AND table_name = %s ORDER BY ordinal_position"
        )
        found = {str(name): str(kind) for name, kind in self.rows_of(query, table)}
        self._columns[table] = found
        return found

    def count(self, table: str) -> int:
        return int(self.rows_of(f"SELECT count(*) FROM {quoted(table)}")[0][0])

    def rows(self, table: str) -> Iterator[tuple[Any, ...]]:
        """All rows, fetched in portions, in the transaction that is open or one of their own."""
        names = ", ".join(
            f"{quoted(name)}::text" if kind in ("jsonb", "json") else quoted(name)
            for name, kind in self.columns(table).items()
        )
        with self._connection.transaction(), self._connection.cursor(name="mainstay_rows") as cursor:
            cursor.itersize = 2000
            cursor.execute(f"SELECT {names} FROM {quoted(table)}")
            yield from cursor

    def summed(self, table: str) -> Sum:
        total = Sum(list(self.columns(table).values()))
        for row in self.rows(table):
            total.add(row)
        return total

    def insert(self, table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
        """UserError names the table and the value's place if a row does not match."""
        import psycopg

        names = ", ".join(quoted(column) for column in columns)
        statement = f"COPY {quoted(table)} ({names}) FROM STDIN"
        kinds = [self.columns(table)[column] for column in columns]
        try:
            with self._connection.cursor() as cursor, cursor.copy(statement) as out:
                for row in rows:
                    out.write_row([fitting(value, kind) for value, kind in zip(row, kinds, strict=True)])
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            where = (error.diag.context or "").splitlines()[:1]
            raise UserError(
                f"a row of the table {table} does not match: {error.diag.message_primary}",
                hint=f"{where[0][:200] if where else 'PostgreSQL'} is stricter than SQLite; fix it in the source",
            ) from None

    def empty(self) -> None:
        """Take all rows out of all tables."""
        if names := ", ".join(quoted(name) for name in self.names()):
            self.do(f"TRUNCATE {names} RESTART IDENTITY CASCADE")

    def sequences(self) -> dict[str, int]:
        """Table -> the highest number that its sequence gave out."""
        found = {}
        for table, _, sequence in self._sequences():
            last, called = self.rows_of(f"SELECT last_value, is_called FROM {sequence}")[0]
            if called:
                found[table] = int(last)
        return found

    def set_sequences(self, known: dict[str, int]) -> None:
        """Numbers that were given out once are not given out again."""
        for table, column, sequence in self._sequences():
            (highest,) = self.rows_of(f"SELECT coalesce(max({quoted(column)}), 0) FROM {quoted(table)}")[0]
            if last := max(int(highest), known.get(table, 0)):
                self.rows_of("SELECT setval(%s::regclass, %s)", sequence, last)

    def _sequences(self) -> list[tuple[str, str, str]]:
        """(table, column, sequence)."""
        found = []
        for table in self.names():
            for column in self.columns(table):
                ((sequence,),) = self.rows_of("SELECT pg_get_serial_sequence(%s, %s)", quoted(table), column)
                if sequence:
                    found.append((table, column, str(sequence)))
        return found

    def migrations(self) -> list[tuple[str, str]]:
        if MIGRATIONS not in self.all_names():
            return []
        return [(str(app), str(name)) for app, name in self.rows_of("SELECT app, name FROM django_migrations")]

    def journal(self) -> tuple[int, str, str]:
        """Number and hash of the newest entry, and the name of the install."""
        head = self.rows_of("SELECT seq, hash FROM journal_head") or [(0, "0" * 64)]
        first = self.rows_of("SELECT hash FROM journal WHERE seq = 1") or self._sealed_install() or [("0" * 8,)]
        return int(head[0][0]), str(head[0][1]), str(first[0][0])[:8]

    def _sealed_install(self) -> list[tuple[str]]:
        """As the oldest seal names it: the first entry may have left the database."""
        if "journal_seal" not in self.names():
            return []
        found = self.rows_of("SELECT document FROM journal_seal ORDER BY first LIMIT 1")
        return [(json.loads(document)["install"],) for (document,) in found]

    @contextmanager
    def one_moment(self) -> Iterator[float]:
        """A read-only view of one moment, which is given in epoch seconds."""
        import psycopg

        self._connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        self._connection.read_only = True
        try:
            with self._connection.transaction():
                self.rows_of("SELECT 1 FROM pg_class LIMIT 1")  # from here on the view stands still
                yield time.time()
        finally:
            self._connection.isolation_level = self._connection.read_only = None


_NUL_ESCAPE = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


def fitting(value: Any, kind: str) -> Any:
    """PostgreSQL keeps no NUL in text; SQLite does. It becomes U+FFFD, the mark of what cannot be shown."""
    if not isinstance(value, str):
        return value
    if kind == "jsonb":
        return _NUL_ESCAPE.sub(r"\1\\ufffd", value) if "\\u0000" in value else value
    return value.replace("\0", "\ufffd") if "\0" in value else value
