"""The processes of the estate: started in order, kept as the switches say, and all ended with this one."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from demo.database import Database
from demo.estate import ROOT, Estate, Refused
from demo.part import ask

_PATIENCE = 20  # seconds that a process has to end by itself
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2): nothing stays if this process is killed


@dataclass
class Part:
    """One process. `switch` keeps it ended while that is broken; `ending` is the signal that it ends well by."""

    name: str
    command: list[str]
    switch: str = ""
    ending: int = signal.SIGTERM
    user: str = ""
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self, estate: Estate) -> None:
        def follow() -> None:
            if sys.platform == "linux":
                ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, self.ending)

        more: dict[str, Any] = {"user": self.user, "cwd": "/"} if self.user else {"cwd": ROOT}
        with (estate.folder / "logs" / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(  # its own session: Ctrl-C reaches the demo, which ends it in order
                self.command, env=estate.environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=follow, **more,  # noqa: PLW1509  no thread runs yet
            )  # fmt: skip

    def end(self) -> None:
        """End it and whatever it started."""
        if self.process is None:
            return
        self.process.send_signal(self.ending)
        try:
            self.process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            print(f"  {self.name} does not end, and is killed", flush=True)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None


class Running:
    """All parts of one estate."""

    def __init__(self, estate: Estate) -> None:
        self._estate = estate
        self._database = Database(estate)
        python = [sys.executable, "-m"]
        file = str(estate.folder / "mainstay.yaml")
        self._postgres = Part("postgres", self._database.command, "db", signal.SIGINT, self._database.user)
        self._api = Part("api", [*python, "demo.api"], "api")
        self._web = Part("web", [*python, "demo.web"])
        self._mainstay = Part("mainstay", [*python, "mainstay", "up", "--config", file])
        self._jobs = Part("jobs", [*python, "demo.jobs"])
        self._parts = [self._postgres, self._api, self._web, self._mainstay, self._jobs]

    def start(self) -> None:
        """Return once all of it answers. Refused if something does not."""
        history = Part("history", [sys.executable, "-m", "demo.history"])
        if not self._estate.made.exists():
            shutil.rmtree(self._estate.data, ignore_errors=True)
            history.start(self._estate)
        try:
            self._database.make()
            self._postgres.start(self._estate)
            self._wait(self._postgres, self._database.is_ready)
            self._api.start(self._estate)
            self._web.start(self._estate)
            if history.process is not None and history.process.wait() != 0:
                raise Refused(f"the history could not be made: see {self._estate.folder}/logs/history.log")
        finally:
            history.end()
        self._wait(self._api, lambda: self._answers("api", "health"))
        self._wait(self._web, lambda: self._answers("inbox", "messages"))
        self._mainstay.start(self._estate)
        self._wait(self._mainstay, lambda: self._answers("mainstay", "api/health"))
        self._jobs.start(self._estate)

    def keep(self) -> None:
        """Until a part ends that no switch has ended: Refused tells which."""
        while True:
            for part in self._parts:
                wanted = not (part.switch and self._estate.is_broken(part.switch))
                if not wanted:
                    part.end()
                elif part.process is None:
                    part.start(self._estate)
                elif not part.runs:
                    raise Refused(f"{part.name} ended: see {self._estate.folder}/logs/{part.name}.log")
            time.sleep(0.3)

    def end(self) -> None:
        """The last first: nobody is woken because the estate ends."""
        for part in (self._jobs, self._mainstay, self._api, self._web, self._postgres):
            part.end()

    def _answers(self, name: str, path: str) -> bool:
        try:
            ask(f"{self._estate.url(name)}/{path}")
        except OSError:
            return False
        return True

    def _wait(self, part: Part, is_ready: Callable[[], bool], seconds: float = 120) -> None:
        end = time.monotonic() + seconds
        while not is_ready():
            if not part.runs or time.monotonic() > end:
                raise Refused(f"{part.name} did not start: see {self._estate.folder}/logs/{part.name}.log")
            time.sleep(0.1)
