"""What the tests of trouble share: a hook that misbehaves, what a server left behind, and its processes."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench.server import RunningServer

LONG = "CHAOS_ROUNDS" in os.environ  # `make chaos`
ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "3"))
_MARK = "CHAOS_MARK"


def seeded(name: str) -> random.Random:
    """Chance that can be repeated: CHAOS_SEED, else a new one; pytest shows it with a failure."""
    seed = int(os.environ.get("CHAOS_SEED", random.randrange(1_000_000)))
    print(f"{name}: CHAOS_SEED={seed}")
    return random.Random(seed)


class Group(RunningServer):
    """A server whose processes can be found even when their parent is gone, by a mark in their environment."""

    def __init__(self, config: str = "", **environment: str) -> None:
        self.mark = uuid.uuid4().hex
        super().__init__(config, **{_MARK: self.mark, **environment})

    def members(self) -> dict[int, str]:
        """Command lines of all live processes of this group by process id."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if f"{_MARK}={self.mark}".encode() in (folder / "environ").read_bytes():
                    found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
            except (OSError, UnicodeDecodeError):  # it has ended meanwhile, or is somebody else's
                continue
        return {pid: line for pid, line in found.items() if line}

    def probers(self) -> list[int]:
        return sorted(pid for pid, line in self.members().items() if "mainstay.watch.prober" in line)

    def signal(self, number: int) -> None:
        """To every process of the group."""
        for pid in self.members():
            os.kill(pid, number)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def health(self) -> tuple[int, dict[str, Any]]:
        return get(f"{self.url}/api/health")

    def metric(self, line: str, token: str) -> float:
        """The value of the sample whose name and labels are `line`."""
        request = urllib.request.Request(f"{self.url}/api/metrics", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read().decode()
        return next(float(row.rpartition(" ")[2]) for row in text.splitlines() if row.rpartition(" ")[0] == line)


def get(url: str, token: str = "", timeout: float = 10) -> tuple[int, Any]:
    """Status and JSON document, whatever the status."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


class Records:
    """The database of a server, read from outside: an own connection, so also while the server is in trouble."""

    def __init__(self, data: Path) -> None:
        self._path = data / "state.sqlite3"

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=30)) as database:
            return database.execute(query, values).fetchall()

    def newest(self) -> int:
        return int(self.rows("SELECT seq FROM journal_head")[0][0])

    def events(self, after: int = 0, prefix: str = "") -> list[tuple[str, str, dict[str, Any]]]:
        """(kind, subject, data) in order."""
        rows = self.rows("SELECT kind, subject, data FROM journal WHERE seq > ? ORDER BY seq", after)
        return [(kind, subject, json.loads(data)) for kind, subject, data in rows if kind.startswith(prefix)]

    def kinds(self, after: int = 0, prefix: str = "") -> list[str]:
        return [kind for kind, _, _ in self.events(after, prefix)]

    def states(self) -> dict[str, str]:
        return dict(self.rows("SELECT name, state FROM monitor_state"))

    def undelivered(self) -> int:
        query = "SELECT count(*) FROM outbox WHERE state IN ('pending', 'delivering')"
        return int(self.rows(query)[0][0])

    def check_transitions(self) -> dict[str, list[str]]:
        """The states of each monitor in order; each entry must follow from the one before."""
        lines: dict[str, list[str]] = {}
        for kind, subject, data in self.events(prefix="monitor.went_"):
            line = lines.setdefault(subject.partition("/")[2], [])
            state = kind.removeprefix("monitor.went_")
            before = line[-1] if line else "pending"
            assert data["previous"] == before, f"{subject} went {state} from {data['previous']}, but it was {before}"
            assert state != before, f"{subject} went {state} twice"
            line.append(state)
        return lines


def charged(data: Path, uid: str) -> dict[str, float]:
    """Seconds by state that a server which has ended charged to a monitor."""
    import duckdb

    with duckdb.connect(str(data / "telemetry.duckdb"), read_only=True) as telemetry:
        rows = telemetry.execute("SELECT charge, sum(charged) FROM sample WHERE uid = ? GROUP BY charge", [uid])
        return dict(rows.fetchall())


class TroubledHook:
    """Takes notifications. `answers(body)` says what happens to one: a status, or 0 to cut the connection.

    Everything that arrives is kept with what was answered, in the order of arrival.
    """

    def __init__(self) -> None:
        self.answers: Any = lambda _body: 204
        self.pause: Any = lambda: 0.0  # seconds between taking a message and answering
        self.arrived: list[tuple[str, dict[str, Any], int]] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.0"

            def log_message(self, *args: object) -> None:
                """Tests read what was recorded."""

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = owner.answers(body)
                owner.arrived.append((self.headers["Idempotency-Key"], body, status))
                time.sleep(owner.pause())
                try:
                    if status:
                        self.send_response(status)
                        self.end_headers()
                except OSError:
                    """Whoever asked was killed meanwhile."""

        self._server = _Patient(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def accepted(self) -> list[tuple[str, dict[str, Any]]]:
        return [(key, body) for key, body, status in list(self.arrived) if 200 <= status < 300]

    def of(self, alert: str) -> list[tuple[str, str]]:
        """(key, status) of what was accepted about an alert, repeats of a key once."""
        seen = {key: body["status"] for key, body in reversed(self.accepted) if body["alert"]["id"] == alert}
        order = dict.fromkeys(key for key, _ in self.accepted if key in seen)
        return [(key, seen[key]) for key in order]

    def told(self, monitor: str) -> list[str]:
        keys = {key: body["status"] for key, body in self.accepted if body["alert"]["monitor"] == monitor}
        return list(keys.values())

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Patient(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed is what these tests are about."""
        if not isinstance(sys.exception() if hasattr(sys, "exception") else sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]
