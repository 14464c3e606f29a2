"""The client `healthchecks-io` from PyPI, unmodified, against a running server: all that it can ask for."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bench.server import RunningServer

_ROOT = Path(__file__).parents[2]
_LOCK = _ROOT / "requirements" / "healthchecks-client.lock"
_PROGRAM = Path(__file__).with_name("healthchecks_program.py")
_CONFIG = "channels:\n  hook: {webhook: {url: 'http://127.0.0.1:9/x'}}\n"


@pytest.fixture(scope="session")
def client_python() -> str:
    """Its interpreter, in an environment made once from its lock and kept beside ours."""
    name = f"healthchecks-{hashlib.sha256(_LOCK.read_bytes()).hexdigest()[:12]}"
    environment = Path(sys.prefix) / "clients" / name
    environment.parent.mkdir(exist_ok=True)
    command = [str(_ROOT / "tools" / "client_environment.sh"), str(environment), str(_LOCK)]
    with (environment.parent / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several processes run tests
        made = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
            env={**os.environ, "PYTHON": sys.executable},
        )
    if made.returncode:
        pytest.fail(
            f"the client could not be installed; once, with the network: {' '.join(command)}\n{made.stderr[-2000:]}",
            pytrace=False,
        )
    return str(environment / "bin" / "python")


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with RunningServer(_CONFIG) as running:
        yield running


@pytest.fixture(scope="module", params=[1, 2, 3])
def told(request: pytest.FixtureRequest, client_python: str, server: RunningServer) -> dict[str, Any]:
    """What each call brought, by one version of the API."""
    reader = json.loads(server.command("token", "create", "reader", "--scope", "monitors:read", "--json"))["token"]
    keys = (server.token(), reader, json.loads(server.command("token", "ping-key", "--json"))["ping_key"])
    done = subprocess.run(
        [client_python, str(_PROGRAM), server.url, str(request.param), *keys], capture_output=True, text=True,
        timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return {"version": request.param} | dict(json.loads(line) for line in done.stdout.splitlines())


def test_every_call_of_the_client(told: dict[str, Any], server: RunningServer) -> None:
    version, uuid = told["version"], told["create"]["uuid"]
    created = {name: told["create"][name] for name in ("name", "tags", "desc", "grace", "timeout", "status", "n_pings")}
    assert created == {
        "name": f"Nightly v{version}", "tags": f"prod v{version}", "desc": "what it does", "grace": 600,
        "timeout": 86400, "status": "new", "n_pings": 0,
    }  # fmt: skip
    assert told["create"]["ping_url"] == f"{server.url}/ping/{uuid}"
    assert (told["upsert"]["uuid"], told["upsert"]["timeout"]) == (uuid, 7200)
    assert told["cron"]["timeout"] is None
    assert (told["update"]["tags"], told["update"]["grace"], told["update"]["methods"]) == (
        f"www v{version}",
        120,
        "POST",
    )
    assert {f"Nightly v{version}", f"Cron v{version}"} <= {check["name"] for check in told["list"]}
    assert [check["uuid"] for check in told["list by tags"]] == [uuid]
    assert told["list by no tag"] == []
    assert told["get"] == told["update"]
    for name in ("start", "success", "exit code", "fail", "success by slug"):
        assert told[name] == [True, "OK"]
    kinds = [ping["type"] for ping in reversed(told["pings"])]
    assert kinds == ["start", "success", "fail", "fail", "success", "start", "success", "start", "fail"]
    assert told["pings"][0]["number_of_pings"] == 9
    assert told["pings"][0]["user_agent"].startswith("py-healthchecks.io/")
    assert told["pings"][0]["method"] == "POST"
    assert told["pings"][-2]["duration"] is not None
    assert [flip["up"] for flip in reversed(told["flips"])] == [1, 0, 1, 0]
    assert told["flips of an hour"] == told["flips"]
    assert told["flips of another time"] == []
    assert [(one["name"], one["kind"]) for one in told["integrations"]] == [("hook", "webhook")]
    assert {"*", "www", f"v{version}"} <= set(told["badges"])
    assert told["badges"]["www"]["svg3"].startswith(f"{server.url}/badge/")
    assert told["pause"]["status"] == "paused"
    assert told["read only"]["uuid"] is None
    assert told["read only"]["unique_key"]
    assert told["delete"]["uuid"] == uuid


def test_what_the_client_takes_for_its_errors(told: dict[str, Any]) -> None:
    errors = {
        "unknown check": "CheckNotFoundError",
        "unknown ping": "CheckNotFoundError",
        "unknown slug": "CheckNotFoundError",
        "flips of what is no time": "BadAPIRequestError",
        "too short": "BadAPIRequestError",
        "wrong key": "HCAPIAuthError",
        "read only may not write": "HCAPIAuthError",
        "deleted": "CheckNotFoundError",
    }
    assert {name: told[name] for name in errors} == errors
    assert told["async"][0]["status"] == ("started" if told["version"] == 1 else "up")
    assert [ping["type"] for ping in told["async"][1:]] == ["start", "success", "start"]
    assert told["async update"]["desc"] == "later"
    assert told["async delete"]["name"] == f"Async v{told['version']}"
