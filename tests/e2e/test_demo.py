"""The demo as somebody tries it: it starts, breaks, heals and leaves nothing behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.rigs.changeable import wait_for

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not below pytest's own: PostgreSQL of root is another user, who cannot go there."""
    made = Path(tempfile.mkdtemp(prefix="mainstay-demo-test-"))
    yield made / "demo"
    shutil.rmtree(made)


def _demo(folder: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "demo", "--data", str(folder), *arguments]


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(_demo(folder, *arguments), cwd=ROOT, capture_output=True, text=True, check=False)


def _processes_of(folder: Path) -> list[str]:
    """Command lines of all processes that were told of the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            if str(folder).encode() in command + (process / "environ").read_bytes():
                found.append(command.replace(b"\0", b" ").decode())
        except OSError:  # ended meanwhile, or somebody else's
            continue
    return found


def test_the_demo_starts_breaks_heals_and_leaves_no_process_behind(folder: Path) -> None:
    process = subprocess.Popen(_demo(folder, "up", "--port", "0"), cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        greeting = ""
        for line in process.stdout:
            greeting += line
            if "Ctrl-C" in line:
                break
        assert (folder / "admin.password").read_text() in greeting
        url = f"http://127.0.0.1:{json.loads((folder / 'ports.json').read_text())['mainstay']}"
        assert url in greeting
        environment = {**os.environ, "MAINSTAY_DATA": str(folder / "mainstay")}
        make = [sys.executable, "-m", "mainstay", "token", "create", "test", "--role", "admin", "--json"]
        token = json.loads(subprocess.run(make, env=environment, capture_output=True, check=True).stdout)["token"]

        def ask(path: str, method: str = "GET") -> Any:
            request = urllib.request.Request(url + path, headers={"Authorization": f"Bearer {token}"}, method=method)
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)

        assert ask("/api/status")["monitors"]["up"] == 9  # as the made-up history left them
        page = ask("/api/v2/summary.json?page=shop")
        assert len(page["components"]) >= 6
        assert _run(folder, "break", "provider").returncode == 0
        ask("/api/v1/monitors/model-provider/check", "POST")
        wait_for(lambda: ask("/api/v1/monitors/model-provider")["state"] == "down", 20, "the provider is down")
        assert _run(folder, "heal").returncode == 0
        ask("/api/v1/monitors/model-provider/check", "POST")
        wait_for(lambda: ask("/api/v1/monitors/model-provider")["state"] == "up", 20, "the provider is up again")
        assert len(_processes_of(folder)) >= 6
    finally:
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=40)[0].strip() == "The demo ends."
    assert process.returncode == 0
    assert _processes_of(folder) == []


def test_what_is_wrong_with_a_start_is_told_in_a_sentence(folder: Path) -> None:
    nothing = _run(folder, "break", "api")
    assert (nothing.returncode, nothing.stdout) == (1, "")
    assert nothing.stderr.startswith(f"demo: no demo runs on {folder}")
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        taken = _run(folder, "up", "--port", str(port))
    assert taken.returncode == 1
    assert taken.stderr.startswith(f"demo: port {port} cannot be used: Address already in use")
    folder.joinpath("this-is-a-demo").unlink()
    assert "holds something else than a demo" in _run(folder, "up").stderr
