"""Troubles that pass, one after the other on one running server: nothing false is told, nothing true is lost.

The provider is down, a prober dies or hangs, the whole machine stands still, the database is locked. `make chaos`
makes them as long as they are in the field.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing

import pytest
from tests.rigs.changeable import Target, wait_for
from trouble import LONG, Group, Records, TroubledHook, charged, get

STANDSTILL = 30.0 if LONG else 11.0  # seconds
LOCKED = 60.0 if LONG else 12.0
JOB = "0b6f1c52-6f0c-4b0e-9c5b-5b1a1f3c7a11"


class Scene:
    """The server and all that surrounds it, with a job that reports in every second."""

    def __init__(self) -> None:
        self.target = Target(["/flips", "/calm"])
        self.hook = TroubledHook()
        check = "every: 1s, timeout: 2s, confirm: {failures: 2, recheck: 200ms}, recover: {successes: 1}"
        steady = "flapping: {falls: 100}"
        self.server = Group(
            f"""
monitors:
  flips: {{http: {self.target.url}/flips, {check}, {steady}}}
  calm: {{http: {self.target.url}/calm, {check}}}
heartbeats:
  job: {{every: 5s, grace: 3s, uuid: {JOB}}}
channels:
  hook: {{webhook: {{url: {self.hook.url}/x}}}}
"""
        )
        self.server.start()
        self.token = self.server.token()
        self.records = Records(self.server.data)
        self._ended = threading.Event()
        self._job = threading.Thread(target=self._report_in)
        self._job.start()

    def _report_in(self) -> None:
        while not self._ended.wait(1.0):
            with contextlib.suppress(OSError):
                self.ping(timeout=1.0)

    def ping(self, timeout: float = 40.0) -> int:
        try:
            with urllib.request.urlopen(f"{self.server.url}/ping/{JOB}", timeout=timeout) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    def calm_down(self) -> int:
        """Wait until all is well and told; the journal's newest number then."""
        states = self.records.states
        wait_for(lambda: {states().get(name) for name in ("flips", "calm")} == {"up"}, 40, "all is up")
        wait_for(lambda: self.records.rows("SELECT state FROM heartbeat") == [("up",)], 20, "the job is heard")
        wait_for(lambda: self.records.undelivered() == 0, 40, "all is told")
        return self.records.newest()

    def told_since(self, newest: int) -> list[str]:
        """Transitions, and alerts, since then.

        Left out is what is true and alarms nobody: that the job was unknown for a while, and by which channels an
        alert goes, which is chosen before or after its end. And what Mainstay, which watches itself, says of its own
        health.
        """
        events = [(kind, subject) for kind, subject, _ in self.records.events(newest) if subject != "monitor/mainstay"]
        told = [kind for kind, _ in events if ".went_" in kind or kind.startswith(("alert.", "uplink"))]
        return [kind for kind in told if kind not in ("heartbeat.went_unknown", "heartbeat.went_up", "alert.told")]

    def goes_on(self) -> None:
        """Checks are made and written."""
        before, checks = self.target.asked, "mainstay_results_written_total"
        written = self.server.metric(checks, self.token)
        wait_for(lambda: self.target.asked > before + 2, 20, "checks go on")
        wait_for(lambda: self.server.metric(checks, self.token) > written, 20, "results are written")

    def close(self) -> None:
        self._ended.set()
        self._job.join()
        self.server.__exit__(None, None, None)
        self.target.close()
        self.hook.close()


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    made.close()


def test_a_provider_that_is_down_gets_everything_once_it_is_back(scene: Scene) -> None:
    scene.calm_down()
    hook, target = scene.hook, scene.target
    answers = iter([500, 0, 429, 503, 0, 500] * (6 if LONG else 1))
    hook.answers = lambda _body: next(answers, 500)
    target.healthy.discard("/flips")
    wait_for(lambda: len(hook.arrived) >= (7 if LONG else 3), 300, "several attempts were made")
    hook.answers = lambda _body: 204
    wait_for(lambda: hook.told("flips") == ["firing"], 120, "it is told once the provider answers")
    target.healthy.add("/flips")
    wait_for(lambda: hook.told("flips") == ["firing", "resolved"], what="and so is the end")
    assert len({key for key, *_ in hook.arrived}) == 2
    assert len({key for key, body, _ in hook.arrived if body["status"] == "firing"}) == 1


def test_a_killed_prober_is_replaced_and_nobody_is_alarmed(scene: Scene) -> None:
    newest, old = scene.calm_down(), scene.server.probers()
    os.kill(old[0], signal.SIGKILL)
    wait_for(lambda: scene.server.probers() and old[0] not in scene.server.probers(), what="another one runs")
    scene.goes_on()
    assert scene.told_since(newest) == []


@pytest.mark.skipif(not LONG, reason="takes long: `make chaos`; tests/watch/test_probers.py has a short one")
def test_a_hanging_prober_is_replaced_and_nobody_is_alarmed(scene: Scene) -> None:
    newest, old = scene.calm_down(), scene.server.probers()
    os.kill(old[0], signal.SIGSTOP)
    wait_for(lambda: scene.server.probers() and old[0] not in scene.server.probers(), 40, "another one runs")
    scene.goes_on()
    told = scene.told_since(newest)
    assert set(told) <= {"monitor.went_unknown", "monitor.went_up"}, "silence is unknown, and no alarm"
    scene.calm_down()


def test_a_machine_that_stood_still_alarms_nobody(scene: Scene) -> None:
    newest = scene.calm_down()
    scene.server.signal(signal.SIGSTOP)
    time.sleep(STANDSTILL)  # standing still is what is tested
    scene.server.signal(signal.SIGCONT)
    scene.goes_on()
    scene.ping()
    scene.server.wait_healthy(10)
    time.sleep(2.0)  # longer than any decision about what was before
    assert scene.told_since(newest) == []
    scene.target.healthy.discard("/flips")
    wait_for(lambda: scene.hook.told("flips")[-1:] == ["firing"], what="a real outage is told right after")
    scene.target.healthy.add("/flips")


def test_a_locked_database_loses_nothing_and_tells_nothing_false(scene: Scene) -> None:
    newest = scene.calm_down()
    answers: list[int] = []
    waiting = threading.Thread(target=lambda: answers.append(scene.ping()))
    with closing(sqlite3.connect(scene.server.data / "state.sqlite3", isolation_level=None)) as outside:
        outside.execute("BEGIN EXCLUSIVE")
        began, asked = time.monotonic(), scene.target.asked
        waiting.start()
        scene.target.healthy.discard("/flips")
        wait_for(lambda: _state(scene, "flips") == "down", what="the outage is seen")
        scene.target.healthy.add("/flips")
        wait_for(lambda: _state(scene, "flips") == "up", what="its end is seen")
        assert get(f"{scene.server.url}/api/v1/monitors/calm", scene.token)[0] == 200, "reading goes on"
        assert _pause(scene) == 503
        wait_for(lambda: scene.server.health()[0] == 503, 20, "health says so")
        assert "waited for the database" in scene.server.health()[1]["services"]["writer"]
        time.sleep(max(0.0, LOCKED - (time.monotonic() - began)))  # locked for this long, whatever happens
        assert scene.target.asked > asked + (time.monotonic() - began), "checks go on meanwhile"
        assert scene.told_since(newest) == []
        outside.execute("ROLLBACK")
    wait_for(lambda: scene.server.health()[0] == 200, 10, "all is well again")
    waiting.join(10)
    assert answers == [503 if LONG else 200]
    wait_for(lambda: "alert.resolved" in scene.told_since(newest), what="what waited is written")
    assert scene.told_since(newest) == ["monitor.went_down", "alert.fired", "monitor.went_up", "alert.resolved"]
    scene.calm_down()
    assert scene.hook.told("flips")[-2:] == ["firing", "resolved"]


def _state(scene: Scene, name: str) -> str:
    """As the server sees it, which is ahead of its database while that is locked."""
    for state in ("up", "down", "unknown"):
        line = f'mainstay_monitor_state{{monitor="{name}",state="{state}"}}'
        if scene.server.metric(line, scene.token) == 1:
            return state
    return ""


def _pause(scene: Scene) -> int:
    request = urllib.request.Request(
        f"{scene.server.url}/api/v1/monitors/calm/pause",
        method="POST",
        headers={"Authorization": f"Bearer {scene.token}"},
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=30)
    caught.value.close()
    return caught.value.code


def test_afterwards_no_downtime_is_charged_to_who_had_none(scene: Scene) -> None:
    """The last test: it ends the server."""
    scene.calm_down()
    uid = scene.records.rows("SELECT uid FROM monitor_state WHERE name = 'calm'")[0][0]
    scene.server.command("journal", "verify")
    assert scene.server.stop() == 0
    seconds = charged(scene.server.data, uid)
    assert seconds["up"] > 0
    assert seconds.get("down", 0.0) == 0.0
    scene.records.check_transitions()
    assert "Traceback" not in scene.server.log
