"""The way to a ClickHouse server, through its official client: opened when it is needed, and again after failures.

The address is a setting; its password is used here only and reaches no log, error or page.
"""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from mainstay.kernel.errors import StoreBusy, UserError
from mainstay.kernel.secret import REFERENCE, SecretMissing
from mainstay.kernel.settings import Settings
from mainstay.store.columns.clickhouse_sql import schema
from mainstay.store.columns.table import Row, Table
from mainstay.store.secrets import SecretSource

_SCHEMES = {"clickhouse": False, "clickhouses": True}
_FORM = "clickhouse://user:password@host:8123/database, or clickhouses:// for TLS"
_CONNECT = 5  # seconds
_ANSWER = 120  # seconds between two pieces of an answer
_CALM = 3.0  # seconds after a failed connection in which nobody else waits for the same
_NO_DATABASE, _NO_TABLE = 81, 60  # ErrorCodes.cpp of ClickHouse
# On every request. A batch is there when the insert is answered, not when the server gets round to it; buckets of
# two partitions are never the same, so partitions need not be merged with each other.
SETTINGS = {"async_insert": 0, "do_not_merge_across_partitions_select_final": 1}


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server is, and as whom; `ca` is a file with certificates to trust besides the usual ones."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str
    tls: bool
    ca: str = ""

    @classmethod
    def of(cls, text: str, lookup: Callable[[str, str], str]) -> Address:
        """UserError, which never shows the password, for what is no such address; `lookup` gives secrets."""
        values: list[str] = []

        def put_by(found: Any) -> str:
            values.append(lookup(found[1], found[2]))
            return f"--{len(values) - 1}--"

        try:
            parts = urlsplit(REFERENCE.sub(put_by, text))  # a reference may have `/` and `:` in it
            tls = _SCHEMES[parts.scheme]
            port = parts.port or (8443 if tls else 8123)
            options = {
                name: given[-1] for name, given in parse_qs(parts.query, strict_parsing=bool(parts.query)).items()
            }
        except SecretMissing as error:
            raise UserError(f"MAINSTAY_TELEMETRY: {error}") from None
        except (ValueError, KeyError):
            raise UserError(
                "MAINSTAY_TELEMETRY is not the address of a ClickHouse server", hint=f"write {_FORM}"
            ) from None
        if not parts.hostname or set(options) - {"ca"}:
            hint = f"write {_FORM}; `?ca=/file` names certificates to trust"
            raise UserError("MAINSTAY_TELEMETRY is not the address of a ClickHouse server", hint=hint)

        def filled(part: str | None) -> str:
            plain = unquote(part or "")
            for number, value in enumerate(values):
                plain = plain.replace(f"--{number}--", value)
            return plain

        return cls(
            host=parts.hostname,
            port=port,
            user=filled(parts.username) or "default",
            password=filled(parts.password),
            database=filled(parts.path.strip("/")) or "default",
            tls=tls,
            ca=options.get("ca", ""),
        )


Connect = Callable[[str], Any]  # a database's name -> a client of clickhouse-connect


def connecting(address: Address) -> Connect:
    """UserError if the client is not installed."""
    module = _module()

    def connect(database: str) -> Any:
        return module.get_client(
            host=address.host,
            port=address.port,
            username=address.user,
            password=address.password,
            database=database,
            interface="https" if address.tls else "http",
            secure=address.tls,
            ca_cert=address.ca or None,
            connect_timeout=_CONNECT,
            send_receive_timeout=_ANSWER,
            query_retries=1,
            autogenerate_session_id=False,  # requests of one session would have to take turns
            dedicated_pool=True,
            client_name="mainstay",
            settings=dict(SETTINGS),
        )

    return connect


class Link:
    """Thread-safe. Questions raise StoreBusy while the server does not answer."""

    def __init__(self, connect: Connect, database: str, secret: str = "", tables: Sequence[Table] = ()) -> None:
        """`tables` are made where they are not, whenever a connection is opened."""
        self._connect, self.database, self._secret, self._tables = connect, database, secret, tables
        self._errors: Any = importlib.import_module("clickhouse_connect.driver.exceptions")
        self._turn = threading.Lock()
        self._client: Any = None
        self._failed_at = float("-inf")
        self._failure = ""

    @classmethod
    def of(cls, settings: Settings, tables: Sequence[Table] = ()) -> Link:
        """UserError for an address that makes no sense; whether the server is there shows later."""
        address = Address.of(settings.telemetry, SecretSource(settings).lookup)
        return cls(connecting(address), address.database, address.password, tables)

    def query(self, statement: str, values: Mapping[str, Any] | None = None) -> list[Row]:
        with self._asking() as client:
            rows: list[Row] = client.query(statement, parameters=dict(values or {})).result_rows
            return rows

    def command(
        self, statement: str, values: Mapping[str, Any] | None = None, settings: Mapping[str, Any] | None = None
    ) -> None:
        with self._asking() as client:
            client.command(statement, parameters=dict(values or {}), settings=dict(settings or {}))

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Row], token: str = "") -> None:
        """`token`: of an insert that the server takes once, however often it is sent."""
        settings: dict[str, Any] = {"max_execution_time": 60}
        if token:
            settings["insert_deduplication_token"] = token
        with self._asking() as client:
            client.insert(table, rows, column_names=list(columns), settings=settings)

    def download(self, statement: str, target: Path, settings: Mapping[str, Any]) -> None:
        """Write the answer to a file as Parquet."""
        with self._asking() as client:
            stream = client.raw_stream(statement, settings=dict(settings), fmt="Parquet")
            with stream, target.open("wb") as out:
                while block := stream.read(1 << 20):
                    out.write(block)

    @contextmanager
    def _asking(self) -> Iterator[Any]:
        client = self._opened()
        try:
            yield client
        except self._errors.ClickHouseError as error:
            if getattr(error, "code", None) in {_NO_DATABASE, _NO_TABLE}:
                self._drop(client)  # somebody took the tables away; they are made again next time
            raise StoreBusy(f"ClickHouse says: {self._words(error)}", hint="try again in a minute") from None

    def _opened(self) -> Any:
        with self._turn:
            if self._client is None:
                if time.monotonic() - self._failed_at < _CALM:
                    raise StoreBusy(self._failure, hint="try again in a minute")
                try:
                    self._client = self._open()
                except (self._errors.ClickHouseError, OSError) as error:
                    self._failed_at = time.monotonic()
                    self._failure = f"ClickHouse does not answer: {self._words(error)}"
                    raise StoreBusy(self._failure, hint="see MAINSTAY_TELEMETRY") from None
            return self._client

    def _open(self) -> Any:
        try:
            client = self._connect(self.database)
        except self._errors.DatabaseError as error:
            if error.code != _NO_DATABASE:
                raise
            first = self._connect("default")
            quoted = self.database.replace("\\", "\\\\").replace("`", "\\`")
            first.command(f"CREATE DATABASE IF NOT EXISTS `{quoted}`")
            first.close()
            client = self._connect(self.database)
        for statement in schema(self._tables):
            client.command(statement)
        return client

    def _drop(self, client: Any) -> None:
        with self._turn:
            if self._client is client:
                self._client = None

    def _words(self, error: Exception) -> str:
        """What the server said, on one line, without what it may have repeated."""
        text = " ".join(str(error).split())[:300]
        return text.replace(self._secret, "***") if self._secret else text

    def version(self) -> str:
        return str(self.query("SELECT version()")[0][0])

    def close(self) -> None:
        with self._turn:
            if self._client is not None:
                self._client.close()
                self._client = None


def _module() -> Any:
    try:
        return importlib.import_module("clickhouse_connect")
    except ImportError:
        raise UserError("ClickHouse needs an additional package", hint="install mainstay[clickhouse]") from None
