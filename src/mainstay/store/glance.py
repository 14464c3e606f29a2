"""A read-only connection without Django, for commands that people wait for.

Only for reads of tables whose capability says so; whatever changes anything goes through a unit of work.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mainstay.kernel.errors import StoreBusy, UserError
from mainstay.kernel.settings import Settings
from mainstay.store.damage import check_begun, check_writable, damage_in


class Glance:
    """`rows` runs one query with `?` for each value and gives its rows as tuples."""

    def __init__(self, connection: Any, mark: str, failure: type[Exception], settings: Settings) -> None:
        self._connection, self._mark, self._failure, self._settings = connection, mark, failure, settings

    def rows(self, query: str, values: Sequence[str | float] = ()) -> list[tuple[Any, ...]]:
        """UserError if the tables are of another version; StoreBusy if the database does not answer."""
        try:
            cursor = self._connection.execute(query.replace("?", self._mark), tuple(values))
            return list(cursor.fetchall())
        except self._failure as error:
            if "no such" in str(error) or "does not exist" in str(error):
                raise UserError(
                    "the database is from another version of Mainstay", hint="start the server once to upgrade it"
                ) from None
            raise damage_in(error, self._settings) or StoreBusy(f"the database did not answer: {error}") from None


@contextmanager
def glance(settings: Settings) -> Iterator[Glance]:
    """Open the state database for reading; UserError says what is missing."""
    if settings.database:
        with _postgres(settings) as opened:
            yield opened
        return
    import sqlite3

    check_begun(settings)
    path = settings.data / "state.sqlite3"
    check_writable(settings)
    connection = sqlite3.connect(f"file:{_quoted(str(path))}?mode=ro", uri=True, timeout=5)
    try:
        yield Glance(connection, "?", sqlite3.Error, settings)
    finally:
        connection.close()


def _quoted(path: str) -> str:
    from urllib.parse import quote

    return quote(path)


@contextmanager
def _postgres(settings: Settings) -> Iterator[Glance]:
    try:
        import psycopg
    except ImportError:
        raise UserError("PostgreSQL needs an additional package", hint="install mainstay[postgres]") from None
    try:
        connection = psycopg.connect(settings.database, connect_timeout=5, autocommit=True)
    except psycopg.Error as error:
        raise StoreBusy(f"the database did not answer: {error}") from None
    with connection:
        yield Glance(connection, "%s", psycopg.Error, settings)
