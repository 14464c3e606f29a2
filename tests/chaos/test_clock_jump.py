"""The clock of the machine jumps by an hour, forwards and back, under a running server and its probers.

Each of its processes gets another `time.time` by a `sitecustomize` on its path: the true time and what a file says.
"""

from __future__ import annotations

import contextlib
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.rigs.changeable import Target, wait_for
from trouble import Group, Records, TroubledHook, charged

HOUR = 3600.0
JOB = "7d3c6a52-1f0c-4b0e-9c5b-5b1a1f3c7a12"
CLOCK = """
import os, time

_true, _path = time.time, os.environ["CHAOS_CLOCK"]

def _now():
    with open(_path) as file:
        return _true() + float(file.read() or 0)

time.time = _now
"""


class Scene:
    def __init__(self, folder: Path) -> None:
        (folder / "sitecustomize.py").write_text(CLOCK)
        self._clock = folder / "offset"
        self._clock.write_text("0")
        self.target, self.hook = Target(["/flips", "/calm"]), TroubledHook()
        check = "every: 1s, timeout: 2s, confirm: {failures: 2, recheck: 200ms}, recover: {successes: 1}"
        self.server = Group(
            f"""
monitors:
  flips: {{http: {self.target.url}/flips, {check}, flapping: {{falls: 100}}}}
  calm: {{http: {self.target.url}/calm, {check}}}
heartbeats:
  job: {{every: 10s, grace: 5s, uuid: {JOB}}}
channels:
  hook: {{webhook: {{url: {self.hook.url}/x}}}}
""",
            PYTHONPATH=str(folder),
            CHAOS_CLOCK=str(self._clock),
        )
        self.server.start()
        self.records = Records(self.server.data)
        self._ended = threading.Event()
        self._job = threading.Thread(target=self._report_in)
        self._job.start()

    def jump(self, seconds: float) -> None:
        offset = float(self._clock.read_text()) + seconds
        fresh = self._clock.with_suffix(".new")
        fresh.write_text(str(offset))
        fresh.replace(self._clock)

    def _report_in(self) -> None:
        while not self._ended.wait(1.0):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{self.server.url}/ping/{JOB}", timeout=2).close()

    def calm_down(self) -> int:
        def well() -> bool:
            states = self.records.states()
            return states.get("flips") == states.get("calm") == "up" and not self.records.undelivered()

        wait_for(well, 30, "all is up and told")
        wait_for(lambda: self.records.rows("SELECT state FROM heartbeat") == [("up",)], 20, "the job is heard")
        return self.records.newest()

    def told_since(self, newest: int) -> list[str]:
        """Without what alarms nobody: that the job was unknown for a moment, and how Mainstay itself is."""
        events = [(kind, subject) for kind, subject, _ in self.records.events(newest) if subject != "monitor/mainstay"]
        told = [kind for kind, _ in events if kind.startswith(("monitor.went_", "heartbeat.went_", "alert."))]
        return [kind for kind in told if kind not in ("heartbeat.went_unknown", "heartbeat.went_up")]

    def checked(self, times: int) -> None:
        asked = self.target.asked
        wait_for(lambda: self.target.asked >= asked + times, 20, "checks go on")

    def close(self) -> None:
        self._ended.set()
        self._job.join()
        self.server.__exit__(None, None, None)
        self.target.close()
        self.hook.close()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    made = Scene(tmp_path_factory.mktemp("clock"))
    yield made
    made.close()


@pytest.mark.parametrize("seconds", [HOUR, -HOUR], ids=["forwards", "backwards"])
def test_a_jump_alarms_nobody_and_hides_nothing(scene: Scene, seconds: float) -> None:
    newest = scene.calm_down()
    scene.jump(seconds)
    began = time.monotonic()
    scene.checked(6)
    assert time.monotonic() - began < 12, "checks neither wait nor pile up"
    assert scene.told_since(newest) == []
    told = len(scene.hook.told("flips"))
    scene.target.healthy.discard("/flips")
    wait_for(lambda: len(scene.hook.told("flips")) == told + 1, what="a real outage is told")
    scene.target.healthy.add("/flips")
    wait_for(lambda: len(scene.hook.told("flips")) == told + 2, what="and so is its end")


def test_what_waits_for_another_attempt_does_not_wait_for_the_clock(scene: Scene) -> None:
    scene.calm_down()
    tried = len(scene.hook.arrived)
    scene.hook.answers = lambda _body: 503
    scene.target.healthy.discard("/flips")
    wait_for(lambda: len(scene.hook.arrived) >= tried + 2, what="the provider is down")
    scene.jump(-HOUR)
    scene.hook.answers = lambda _body: 204
    told = len(scene.hook.told("flips"))
    wait_for(lambda: len(scene.hook.told("flips")) == told + 1, 30, "it is told, now and not in an hour")
    scene.target.healthy.add("/flips")
    scene.calm_down()


def test_afterwards_no_downtime_is_charged_to_who_had_none(scene: Scene) -> None:
    """The last test: it ends the server."""
    scene.calm_down()
    uid = scene.records.rows("SELECT uid FROM monitor_state WHERE name = 'calm'")[0][0]
    lived = time.monotonic() - scene.server.started
    scene.server.command("journal", "verify")
    assert scene.server.stop() == 0
    seconds = charged(scene.server.data, uid)
    assert seconds.get("down", 0.0) == 0.0
    assert sum(seconds.values()) < lived + 10, "an hour that was jumped over was not lived"
    scene.records.check_transitions()
    assert "Traceback" not in scene.server.log
