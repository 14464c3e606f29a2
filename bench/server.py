"""A real server for benchmarks and tests: `mainstay up` in a process of its own on a throw-away folder."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

_CLOCK_TICK = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RunningServer:
    """Use as a context manager; `config` is the text of a Mainstay file."""

    def __init__(self, config: str = "", **environment: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mainstay-bench-"))
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._config = config
        self.config_file = self.folder / "mainstay.yaml"
        self.environment = {**os.environ, "MAINSTAY_DATA": str(self.folder / "data"), **environment}
        self.program = [sys.executable, "-m", "mainstay"]
        self._process: subprocess.Popen[bytes] | None = None
        self.started = 0.0

    def __enter__(self) -> Self:
        self.start()
        return self

    def start(self, *more: str) -> None:
        """Start it (again, after `kill` or `stop`) and wait until it is healthy."""
        self.launch(*more)
        self.wait_healthy()

    def launch(self, *more: str) -> None:
        """Start it and do not wait."""
        arguments = ["up", "--listen", f"127.0.0.1:{self.port}", *more]
        if self._config:
            self.config_file.write_text(self._config)
            arguments += ["--config", str(self.config_file)]
        self.started = time.monotonic()
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen([*self.program, *arguments], env=self.environment, stdout=log, stderr=log)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        return (self.folder / "server.log").read_text()

    def kill(self) -> None:
        """kill -9 of the main process; its probers notice and leave."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self, patience: float = 15) -> int:
        """SIGTERM, and the exit code; subprocess.TimeoutExpired if it takes longer."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(patience)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def wait_healthy(self, seconds: float = 120) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self._process is not None and self._process.poll() is not None:
                raise RuntimeError(f"the server ended: {self.log[-3000:]}")
            try:
                with urllib.request.urlopen(f"{self.url}/api/health", timeout=2) as answer:
                    if json.load(answer)["status"] == "healthy":
                        return
            except (urllib.error.URLError, OSError):
                pass
            time.sleep(0.1)
        raise RuntimeError(f"the server did not become healthy: {self.log[-3000:]}")

    def command(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "mainstay", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def token(self) -> str:
        """An administrator's API token."""
        return str(json.loads(self.command("token", "create", "bench", "--role", "admin", "--json"))["token"])

    def processes(self) -> list[int]:
        """Process ids of the server and all its children."""
        assert self._process is not None
        found, queue = [], [self._process.pid]
        while queue:
            pid = queue.pop()
            found.append(pid)
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                queue += [int(child) for child in task.read_text().split()]
        return found

    def cpu_seconds(self) -> float:
        total = 0
        for pid in self.processes():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / _CLOCK_TICK

    def memory(self) -> tuple[int, int]:
        """(resident, proportional) bytes of all processes together."""
        resident = proportional = 0
        for pid in self.processes():
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                name, _, rest = line.partition(":")
                if name == "Rss":
                    resident += int(rest.split()[0]) * 1024
                elif name == "Pss":
                    proportional += int(rest.split()[0]) * 1024
        return resident, proportional
