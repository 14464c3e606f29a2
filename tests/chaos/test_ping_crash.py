"""kill -9 in the middle of a stream of pings: whatever was answered with 200 is in the database afterwards."""

from __future__ import annotations

import http.client
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from pathlib import Path

_SCRIPT = Path(__file__).with_name("ping_process.py")
_ADDRESSES = [str(uuid.UUID(int=number + 1)) for number in range(20)]
_KILLS = 2


def _declare(folder: Path) -> None:
    """In a process of its own: this one's database is that of the test run."""
    lines = [f"  job{number}: {{every: 1h, uuid: {address}}}" for number, address in enumerate(_ADDRESSES)]
    (folder / "jobs.yaml").write_text("heartbeats:\n" + "\n".join(lines) + "\n")
    code = (
        "import sys; from mainstay.frames.boot import *;"
        "start_django(load_settings(data=sys.argv[1])); migrate();"
        "from mainstay.store.resources.apply import apply_files; from mainstay.kernel.actor import command;"
        "apply_files(command('test'), [sys.argv[2]])"
    )
    subprocess.run([sys.executable, "-c", code, str(folder / "data"), str(folder / "jobs.yaml")], check=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start(folder: Path, port: int) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, str(_SCRIPT), str(folder / "data"), str(port)])
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert process.poll() is None
            time.sleep(0.05)
        else:
            return process
    process.kill()
    raise AssertionError("the server did not come up")


class _Client(threading.Thread):
    """Pings until the connection breaks; every ping has a run id of its own, to be found again."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port
        self.answered: list[str] = []
        self.sent = 0

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            while True:
                rid = str(uuid.uuid4())
                signal_name = random.choice(["", "/start", "/fail", "/log", "/3"])
                self.sent += 1
                connection.request("POST", f"/ping/{random.choice(_ADDRESSES)}{signal_name}?rid={rid}", b"x" * 200)
                answer = connection.getresponse()
                answer.read()
                if answer.status == 200:
                    self.answered.append(rid)
        except (OSError, http.client.HTTPException):
            connection.close()


def test_every_answered_ping_survives_kill_9(tmp_path: Path) -> None:
    _declare(tmp_path)
    answered: list[str] = []
    for _ in range(_KILLS):
        port = _free_port()
        process = _start(tmp_path, port)
        clients = [_Client(port) for _ in range(8)]
        for client in clients:
            client.start()
        aim = random.randint(200, 800)
        while sum(len(client.answered) for client in clients) < aim:
            assert process.poll() is None
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        for client in clients:
            client.join(30)
        answered += [rid for client in clients for rid in client.answered]
    _start_and_stop(tmp_path)
    with sqlite3.connect(tmp_path / "data" / "state.sqlite3") as database:
        recorded = Counter(rid for (rid,) in database.execute("SELECT rid FROM ping"))
        counted = database.execute("SELECT SUM(pings), SUM(failures) FROM heartbeat").fetchone()
        failures = database.execute("SELECT COUNT(*) FROM ping WHERE kind = 'fail'").fetchone()[0]
        broken = database.execute("PRAGMA integrity_check").fetchone()[0]
    missing = [rid for rid in answered if rid not in recorded]
    assert missing == []
    assert max(recorded.values()) == 1
    assert counted == (sum(recorded.values()), failures)
    assert broken == "ok"


def _start_and_stop(folder: Path) -> None:
    """Restarted, it takes up where it was."""
    port = _free_port()
    process = _start(folder, port)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", f"/ping/{_ADDRESSES[0]}?rid={uuid.uuid4()}")
    assert connection.getresponse().status == 200
    connection.close()
    process.send_signal(signal.SIGTERM)
    process.wait(20)
