"""A real server, and real probers at two other places that join it over loopback."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from bench.server import RunningServer
from tests.rigs.changeable import Hook, wait_for
from tests.rigs.places_rig import CuttableLink, RunningProbe

SECRET = "only-for-the-target-4711"
CONFIG = """
locations:
  fra: {{description: Frankfurt, silent_after: 2s}}
  nyc: {{silent_after: 2s}}
monitors:
  shop:
    http: {target}/shop
    every: 1s
    confirm: {{failures: 2, recheck: 200ms}}
    locations: [main, fra, nyc]
    quorum: 2 of 3
    severity: P0
  far:
    http: {{url: "{target}/far", headers: {{X-Key: "${{env:FAR_KEY}}"}}}}
    every: 1s
    confirm: {{failures: 2, recheck: 200ms}}
    locations: [fra]
channels:
  hook: {{webhook: {{url: "{hook}/x"}}}}
routes:
  - {{to: [hook]}}
"""


class Target:
    """Paths in `healthy` answer 200; keeps when each path was asked, and the keys that were shown."""

    def __init__(self) -> None:
        self.healthy = {"/shop", "/far", "/new"}
        self.asked: dict[str, list[float]] = {}
        self.keys: set[str] = set()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.asked.setdefault(self.path, []).append(time.time())
                owner.keys.add(self.headers.get("X-Key", ""))
                self.send_response(200 if self.path in owner.healthy else 503)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                """Tests read what was recorded."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def last(self, path: str) -> float:
        return self.asked.get(path, [0.0])[-1]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Scene:
    """The server and all around it."""

    def __init__(self, server: RunningServer, target: Target, hook: Hook, folder: Path) -> None:
        self.server, self.target, self.hook, self.folder = server, target, hook, folder
        self.token = server.token()
        self.keys = {name: self.key(name) for name in ("fra", "nyc")}
        self.link = CuttableLink(server.port)
        self.probes: dict[str, RunningProbe] = {}

    def key(self, name: str) -> str:
        return self.server.command("locations", "token", name).strip()

    def get(self, path: str) -> Any:
        request = urllib.request.Request(f"{self.server.url}{path}", headers={"Authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def start(self, name: str, *more: str, url: str = "", clock: float = 0.0) -> RunningProbe:
        self.probes[name] = probe = RunningProbe(
            self.folder, url or self.server.url, name, self.keys[name], *more, clock=clock
        )
        return probe

    def location(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/api/v1/locations/{name}")
        return found

    def monitor(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/api/v1/monitors/{name}")
        return found

    def results(self, name: str, location: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get(f"/api/v1/monitors/{name}/results?location={location}&limit=200")
        return found

    def metric(self, name: str, location: str) -> float:
        request = urllib.request.Request(
            f"{self.server.url}/api/metrics", headers={"Authorization": f"Bearer {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read().decode()
        line = next(one for one in text.splitlines() if one.startswith(f'{name}{{location="{location}"}}'))
        return float(line.rpartition(" ")[2])

    def kinds(self, subject: str) -> list[str]:
        entries = [json.loads(line) for line in self.server.command("journal", "export").splitlines()]
        return [entry["kind"] for entry in entries if entry["subject"] == subject]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    target, hook = Target(), Hook()
    with RunningServer(CONFIG.format(target=target.url, hook=hook.url), FAR_KEY=SECRET) as server:
        found = Scene(server, target, hook, tmp_path_factory.mktemp("probes"))
        try:
            found.start("fra", url=found.link.url, clock=61.0)
            found.start("nyc")
            yield found
        finally:
            for probe in found.probes.values():
                probe.close()
            found.link.close()
            hook.close()
            target.close()
        assert "Traceback" not in server.log


def is_up(scene: Scene, name: str) -> Callable[[], bool]:
    return lambda: scene.monitor(name)["state"] == "up"


def test_probers_join_and_their_votes_count(scene: Scene) -> None:
    wait_for(lambda: all(scene.location(name)["state"] == "up" for name in ("fra", "nyc")), what="both are heard")
    wait_for(is_up(scene, "shop"), what="the shop is up")
    wait_for(is_up(scene, "far"), what="what only fra checks is up")
    assert SECRET in scene.target.keys, "the prober was sent the secret"
    assert scene.location("fra")["monitors"] == ["far", "shop"]
    for name in ("main", "fra", "nyc"):
        wait_for(lambda name=name: scene.results("shop", name), what=f"{name} has a history")  # type: ignore[misc]
        assert scene.results("shop", name)[0]["verdict"] == "up", name


def test_times_of_a_prober_with_a_wrong_clock_are_right(scene: Scene) -> None:
    wait_for(lambda: abs(scene.location("fra")["offset"] + 61.0) < 0.5, what="the clock is measured")
    assert abs(scene.location("nyc")["offset"]) < 0.5
    newest = scene.results("far", "fra")[0]["at"]
    assert -2 < time.time() - _epoch(newest) < 20


def test_an_outage_is_told_once_with_what_each_place_says(scene: Scene) -> None:
    wait_for(is_up(scene, "shop"))
    scene.target.healthy.discard("/shop")
    began = time.monotonic()
    wait_for(lambda: scene.hook.of("shop")[-1:] == ["firing"], what="the outage is told")
    print(f"told after {time.monotonic() - began:.1f} s")
    evidence = next(message for message in scene.hook.messages if message.what == ("shop", "firing")).body["evidence"][
        "details"
    ]
    assert set(evidence["locations"]) == {"main", "fra", "nyc"}
    assert [vote["verdict"] for vote in evidence["locations"].values()].count("down") >= 2
    scene.target.healthy.add("/shop")
    wait_for(lambda: scene.hook.of("shop")[-1:] == ["resolved"], what="its end is told")
    assert scene.hook.of("shop").count("firing") == 1


def test_a_killed_prober_is_one_alert_about_its_location_and_no_other(scene: Scene) -> None:
    wait_for(is_up(scene, "shop"))
    told = len(scene.hook.messages)
    scene.probes["nyc"].kill()
    wait_for(lambda: scene.hook.of("nyc")[-1:] == ["firing"], what="the location is told to be silent")
    assert scene.monitor("shop")["state"] == "up"
    scene.start("nyc")
    wait_for(lambda: scene.hook.of("nyc")[-1:] == ["resolved"], what="it is told to be back")
    alert = scene.hook.messages[told].body["alert"]
    assert alert["severity"] == "P1"
    assert alert["labels"]["location"] == "nyc"
    assert [message.what[0] for message in scene.hook.messages[told:]] == ["nyc", "nyc"]
    assert scene.kinds("location/nyc").count("location.went_silent") == 1


def test_a_monitor_that_misses_its_quorum_is_unknown_and_never_up_or_down(scene: Scene) -> None:
    wait_for(is_up(scene, "far"))
    scene.link.cut()
    wait_for(lambda: scene.monitor("far")["state"] == "unknown", what="nobody checks it")
    assert scene.monitor("far")["reason"] == "too_few_votes"
    cut_at = time.time()
    wait_for(lambda: scene.target.last("/far") > cut_at + 2, what="the prober goes on checking")
    scene.link.mend()
    wait_for(is_up(scene, "far"), what="its votes count again")
    wait_for(lambda: scene.location("fra")["waiting"] < 5, what="what waited was handed over")

    def fetched() -> list[str]:
        return [result["at"] for result in scene.results("far", "fra")]

    def during() -> list[str]:
        return [at for at in fetched() if cut_at < _epoch(at) < cut_at + 2]

    wait_for(during, what="results of the time without a link were kept and sent")
    times = fetched()
    assert len(set(times)) == len(times), "none came twice"
    assert scene.location("fra")["dropped"] == 0


def _epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_what_is_applied_reaches_probers_that_are_connected(scene: Scene) -> None:
    before = scene.server.config_file.read_text()
    added = f"  new: {{http: '{scene.target.url}/new', every: 1h, locations: [nyc]}}\n"
    scene.server.config_file.write_text(before.replace("monitors:\n", f"monitors:\n{added}", 1))
    began = time.monotonic()
    wait_for(lambda: scene.target.last("/new"), what="the new monitor is checked")
    print(f"checked {time.monotonic() - began:.2f} s after the file was written, which is looked at every second")
    scene.server.config_file.write_text(before)
    wait_for(lambda: "new" not in scene.location("nyc")["monitors"])


def test_a_revoked_token_cuts_the_link_and_the_prober_forgets_its_orders(scene: Scene) -> None:
    wait_for(lambda: scene.metric("mainstay_location_up", "fra") == 1)
    scene.server.command("token", "revoke", scene.keys["fra"].split("_")[1])
    began = time.monotonic()
    wait_for(lambda: scene.metric("mainstay_location_up", "fra") == 0, what="the link is cut")
    print(f"cut {time.monotonic() - began:.2f} s after the revocation")
    wait_for(lambda: "no longer valid" in scene.probes["fra"].log, what="the prober was told why")
    last = scene.target.last("/far")
    time.sleep(1.5)  # longer than the interval
    assert scene.target.last("/far") - last < 0.2, "nothing is checked without orders"
    scene.keys["fra"] = scene.key("fra")
    scene.probes["fra"].token_file.write_text(scene.keys["fra"])  # read again for the next attempt
    wait_for(lambda: scene.metric("mainstay_location_up", "fra") == 1, what="it joins with its new token")
    wait_for(is_up(scene, "far"))


def test_only_the_location_that_a_token_is_limited_to_is_joined(scene: Scene) -> None:
    admin = scene.token
    other = RunningProbe(scene.folder, scene.server.url, "nyc", scene.keys["fra"])
    unlimited = RunningProbe(scene.folder, scene.server.url, "fra", admin)
    twice = RunningProbe(scene.folder, scene.server.url, "nyc", scene.keys["nyc"])
    try:
        wait_for(lambda: "answered 403" in other.log, what="another location's token is refused")
        wait_for(lambda: "answered 403" in unlimited.log and "limit a prober to its location" in unlimited.log)
        wait_for(lambda: "4409" in twice.log, what="a location is taken once")
    finally:
        for probe in (other, unlimited, twice):
            probe.close()
    assert scene.metric("mainstay_location_up", "nyc") == 1


def test_what_the_prober_prints_and_the_server_logs_holds_no_secret(scene: Scene) -> None:
    text = scene.server.log + "".join(path.read_text() for path in scene.folder.glob("probe-*.log"))
    text += scene.server.command("journal", "export")
    assert SECRET not in text
    assert all(key.rpartition("_")[2] not in text for key in scene.keys.values())


def test_sigterm_ends_a_prober_cleanly(scene: Scene) -> None:
    for name in ("fra", "nyc"):
        began = time.monotonic()
        assert scene.probes[name].stop() == 0, scene.probes[name].log
        print(f"{name} left within {time.monotonic() - began:.1f} s")
        assert "Traceback" not in scene.probes[name].log


def _probe(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mainstay", "probe", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_a_token_that_is_refused_and_cannot_change_ends_the_prober(scene: Scene) -> None:
    refused = _probe("--join", scene.server.url, "--location", "fra", "--token", "mst_nobody_knows")
    assert refused.returncode == 1
    assert "the server answered 401" in refused.stderr
    assert "mainstay locations token" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_mistakes_are_told_before_anything_is_joined(tmp_path: Path) -> None:
    plain = _probe("--join", "http://status.example.com", "--location", "fra", "--token", "x")
    assert plain.returncode == 1
    assert "not encrypted" in plain.stderr
    assert "--insecure" in plain.stderr
    none = _probe("--join", "https://status.example.com", "--location", "fra")
    assert "needs a token" in none.stderr
    away = _probe("--join", "ftp://x", "--location", "fra", "--token", "x")
    assert "not the address of a Mainstay server" in away.stderr
    ca = _probe("--join", "https://x", "--location", "f", "--token", "x", "--ca-file", str(tmp_path / "none.pem"))
    assert "there is no file" in ca.stderr


def test_a_prober_loads_neither_django_nor_pydantic() -> None:
    code = (
        "import sys; import mainstay.watch.probe_command, mainstay.watch.prober.remote, mainstay.frames.boot;"
        "print([name for name in ('django', 'pydantic', 'starlette', 'duckdb') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "[]"
