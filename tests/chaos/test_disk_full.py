"""A full disk: the server goes on watching, says what is wrong, and writes what waited once there is space."""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.rigs.changeable import Target, wait_for
from trouble import Group, Records, TroubledHook

from mainstay.kernel.errors import StoreBusy, UserError
from mainstay.watch.results.results import Results
from mainstay.watch.results.values import Sample

SIZE = "24m"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", str(folder)]
    done = subprocess.run(mount, check=False, capture_output=True)
    if done.returncode:
        pytest.skip(f"no small file system can be mounted here: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def _fill(folder: Path) -> Path:
    """Take all space there is, to the last block."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    return ballast


def _samples(start: int, count: int) -> list[Sample]:
    """Results that cannot be compressed."""
    return [
        Sample(uid=f"u{at % 50}", at=float(at), verdict="up", duration=0.1, charge="up", charged=1.0, message=noise)
        for at, noise in ((at, secrets.token_hex(40)) for at in range(start, start + count))
    ]


def test_the_telemetry_store_takes_up_its_work_when_there_is_space_again(small_disk: Path) -> None:
    """A checkpoint that fails makes DuckDB give the file up: it is opened anew, nothing is lost or doubled."""
    path, taken = small_disk / "telemetry.duckdb", 0
    store = Results.embedded(path)
    while not store.vitals().last_error:
        store.append(_samples(taken, 5000))
        taken += 5000
        wait_for(lambda: not store.vitals().buffered or store.vitals().last_error, 30, "written, or not")
    assert "No space left" in store.vitals().last_error
    with contextlib.suppress(StoreBusy):  # and nothing else
        store.latest("u7")
    store.append(_samples(taken, 10))
    taken += 10
    subprocess.run(["mount", "-o", "remount,size=100m", str(small_disk)], check=True)
    wait_for(lambda: not store.vitals().buffered, 60, "what waited is written")
    assert store.vitals().last_error == ""
    assert store.vitals().lost == 0
    store.maintain(taken + 1000.0)
    assert store.uptimes(["u7"], 0.0, float(taken))["u7"].checks == taken // 50 + (taken % 50 > 7)
    store.close()


def test_a_store_that_cannot_be_opened_for_want_of_space_is_not_set_aside(small_disk: Path) -> None:
    path = small_disk / "telemetry.duckdb"
    _fill(small_disk)
    with pytest.raises(UserError, match="No space left"):
        Results.embedded(path)
    assert not list(small_disk.glob("*.broken*"))


def test_a_start_on_a_full_disk_says_so(small_disk: Path) -> None:
    _fill(small_disk)
    command = [sys.executable, "-m", "mainstay", "up", "--data", str(small_disk / "data"), "--listen", "127.0.0.1:0"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk_stops_nothing_and_loses_nothing_in_silence(small_disk: Path) -> None:
    target, hook = Target(["/api", "/calm"]), TroubledHook()
    check = "every: 1s, timeout: 2s, confirm: {failures: 2, recheck: 200ms}, recover: {successes: 1}"
    config = f"""
monitors:
  api: {{http: {target.url}/api, {check}}}
  calm: {{http: {target.url}/calm, {check}}}
heartbeats:
  job: {{every: 1h}}
channels:
  hook: {{webhook: {{url: {hook.url}/x}}}}
"""
    try:
        with Group(config, MAINSTAY_DATA=str(small_disk / "data")) as server:
            _go_through_it(server, small_disk, target, hook)
    finally:
        target.close()
        hook.close()


def _go_through_it(server: Group, disk: Path, target: Target, hook: TroubledHook) -> None:
    token, records = server.token(), Records(disk / "data")
    wait_for(lambda: {records.states().get(name) for name in ("api", "calm")} == {"up"}, what="all is up")
    newest = records.newest()
    ballast = _fill(disk)
    wait_for(lambda: server.health()[1]["services"]["telemetry"] != "ok", 30, "health tells of the results")
    assert server.health()[0] == 503
    assert "cannot be written" in server.health()[1]["services"]["telemetry"]
    target.healthy.discard("/api")
    wait_for(lambda: server.metric('mainstay_monitor_state{monitor="api",state="down"}', token), 20, "it is seen")
    wait_for(lambda: server.metric('mainstay_queue_length{queue="transitions"}', token), 20, "and waits to be told")
    asked = target.asked
    wait_for(lambda: target.asked > asked + 5, 20, "checks go on")
    assert server.metric("mainstay_results_buffered", token) > 0
    assert server.members().get(server.pid), "the server runs"
    wait_for(lambda: hook.told("storage") == ["firing"], 90, "channels are notified directly")
    assert hook.told("api") == []

    ballast.unlink()
    wait_for(lambda: hook.told("api") == ["firing"], 30, "the outage is told")
    wait_for(lambda: server.health()[0] == 200, 30, "health says that all is well")
    wait_for(lambda: server.metric("mainstay_results_buffered", token) < 20, 30, "the results are written")
    assert server.metric("mainstay_results_lost_total", token) == 0
    target.healthy.add("/api")
    wait_for(lambda: hook.told("api") == ["firing", "resolved"], 30, "and its end")
    wait_for(lambda: hook.told("storage") == ["firing", "resolved"], 120, "channels are told that it can write again")
    # Mainstay monitors itself: that it was unhealthy is told, and true.
    told = [(kind, name) for kind, name, _ in records.events(newest, "monitor.went_") if name != "monitor/mainstay"]
    assert told == [("monitor.went_down", "monitor/api"), ("monitor.went_up", "monitor/api")]
    server.command("journal", "verify")
    assert server.stop() == 0
    assert "Traceback" not in server.log, server.log[-5000:]
