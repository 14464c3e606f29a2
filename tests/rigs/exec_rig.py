"""`mainstay exec` as a process of its own, with a spool of its own and a server to report to."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.rigs.pinging import Served, heartbeat, serving

from mainstay.heartbeats import queries
from mainstay.heartbeats.exec.spool import Spool

EXEC = [sys.executable, "-m", "mainstay", "exec"]
NOWHERE = "http://127.0.0.1:1/ping/8f1f7f0e-9c3b-4e0e-a7f5-0d2b6a3a1c11"
AWAY = ["--wait", "0", "--heartbeat", NOWHERE]


@pytest.fixture
def place(tmp_path: Path) -> dict[str, str]:
    """An environment without settings, with a spool of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MAINSTAY_")}
    return {**kept, "XDG_STATE_HOME": str(tmp_path / "state"), "XDG_CONFIG_HOME": str(tmp_path / "config")}


@pytest.fixture
def served(store: None) -> Iterator[Served]:
    class Now:
        now = staticmethod(time.time)
        monotonic = staticmethod(time.monotonic)

    with serving(Now()) as found:
        yield found


def spool_of(place: dict[str, str]) -> Spool:
    return Spool(f"{place['XDG_STATE_HOME']}/mainstay/spool")


def run(place: dict[str, str], *arguments: str, **more: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*EXEC, *arguments], env=place, capture_output=True, timeout=60, check=False, **more)


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail("it did not happen")
        time.sleep(0.02)


def addressed(served: Served, name: str = "job") -> tuple[str, str]:
    """(uid, ping URL) of a new heartbeat."""
    view = heartbeat(name)
    served.turn()
    return view.uid, f"http://127.0.0.1:{served.port}/ping/{view.uuid}"


def told(uid: str) -> list[tuple[str, int | None]]:
    return [(ping.kind, ping.exit_status) for ping in reversed(queries.pings(uid))]


def body_of(uid: str) -> str:
    newest = queries.ping(uid, queries.pings(uid)[0].n)
    return (newest.body or b"").decode()
