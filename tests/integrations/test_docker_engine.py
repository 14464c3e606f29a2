"""The check `docker` against a real engine: Podman's service, which answers as the Docker Engine does.

The image is made here of one static program, so nothing is fetched. Where the kernel lets no container start, what
needs a running one is skipped with the engine's own words.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.rigs.changeable import wait_for
from tests.rigs.check_servers import run_check

pytestmark = pytest.mark.skipif(
    shutil.which("podman") is None or shutil.which("busybox") is None, reason="podman or busybox is not on this machine"
)

_CONF = """
[containers]
cgroups = "disabled"
netns = "none"
log_driver = "none"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "crun"
"""


class Engine:
    def __init__(self, folder: Path) -> None:
        self.socket = str(folder / "engine.sock")
        (folder / "containers.conf").write_text(_CONF)
        self._environment = {**os.environ, "CONTAINERS_CONF": str(folder / "containers.conf")}
        self._command = [
            "podman", "--root", str(folder / "root"), "--runroot", str(folder / "run"), "--storage-driver", "vfs",
        ]  # fmt: skip

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._command, *arguments], env=self._environment, capture_output=True, text=True, timeout=60, check=False
        )

    def serve(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*self._command, "system", "service", "--time=0", f"unix://{self.socket}"],
            env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Not one of pytest's: Podman takes no path of more than 50 characters."""
    with tempfile.TemporaryDirectory(prefix="engine-", ignore_cleanup_errors=True) as made:
        yield Path(made)


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[Engine]:
    found = Engine(folder)
    with tarfile.open(folder / "image.tar", "w") as image:
        image.add(str(shutil.which("busybox")), "bin/sleep")
    imported = found.run("import", "-q", str(folder / "image.tar"), "local/sleep:1")
    if imported.returncode:
        pytest.skip(f"podman cannot keep an image here: {imported.stderr.strip()[-300:]}")
    service = found.serve()
    try:
        wait_for(lambda: Path(found.socket).exists() or service.poll() is not None, 20, "the engine listens")
        if service.poll() is not None:
            pytest.skip("podman's service does not run here")
        yield found
    finally:
        found.run("rm", "-f", "-a", "-t", "0")
        service.terminate()
        service.wait(20)
        found.run("rmi", "-f", "-a")


def test_a_container_that_was_made_and_never_started(engine: Engine) -> None:
    made = engine.run("create", "--name", "waiting", "local/sleep:1", "/bin/sleep", "300")
    assert made.returncode == 0, made.stderr
    result = run_check("docker", {"container": "waiting", "socket": engine.socket}, limit=20)
    assert (result.verdict, result.code) == ("down", "expect.state")
    assert result.message == "the container is created"
    assert result.evidence["container"] == "waiting"
    assert result.evidence["image"] == "localhost/local/sleep:1"
    assert result.evidence["id"] in made.stdout


def test_a_container_that_is_not_there(engine: Engine) -> None:
    result = run_check("docker", {"container": "nobody", "socket": engine.socket}, limit=20)
    assert (result.verdict, result.code) == ("down", "expect.container")


def test_a_container_that_runs_and_ends(engine: Engine) -> None:
    started = engine.run("run", "-d", "--name", "job", "local/sleep:1", "/bin/sleep", "300")
    if started.returncode:
        pytest.skip(f"no container can be started here: {started.stderr.strip()[-300:]}")
    target = {"container": "job", "socket": engine.socket}
    result = run_check("docker", target, limit=20)
    assert (result.verdict, result.message) == ("up", "")
    assert result.evidence["state"] == "running"
    assert engine.run("kill", "job").returncode == 0
    wait_for(lambda: run_check("docker", target, limit=20).verdict == "down", 20, "its end is seen")
    ended = run_check("docker", target, limit=20)
    assert (ended.code, ended.evidence["exit_code"]) == ("expect.state", 137)
