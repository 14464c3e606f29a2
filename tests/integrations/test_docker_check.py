"""The check `docker` against a server on a socket that answers as the Docker Engine API v1.47 documents it.

The documents are those of the published API; test_docker_engine.py asks a real engine.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.rigs.check_servers import order_for, run_check
from tests.rigs.http_servers import answer, read_request

from mainstay.integrations.addresses import Guard
from mainstay.integrations.checks.docker.container import Container, Looks, State
from mainstay.integrations.checks.docker.spec import KIND
from mainstay.kernel.probing import CheckResult
from mainstay.watch.prober.context import Context
from mainstay.watch.prober.dispatch import prepare

Serve = Callable[[socket.socket], None]
_ID = "aa86eacfb3b3ed4cd362c1e88fc89a53908ad05fb3a4103bca3f9b28292d14bf"


@contextmanager
def engine(folder: Path, serve: Serve) -> Iterator[str]:
    """The path of a socket that hands each connection to `serve`."""
    path = str(folder / "engine.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection, suppress(OSError):
                    connection.settimeout(3)
                    serve(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield path
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def inspected(restarts: int = 0, **state: Any) -> dict[str, Any]:
    """The answer to GET /containers/{id}/json, with the fields of the published example."""
    return {
        "Id": _ID,
        "Created": "2015-01-06T15:47:31.485331387Z",
        "Path": "/bin/sh",
        "Args": ["-c", "exit 9"],
        "State": {
            "Status": "running",
            "Running": True,
            "Paused": False,
            "Restarting": False,
            "OOMKilled": False,
            "Dead": False,
            "Pid": 1234,
            "ExitCode": 0,
            "Error": "",
            "StartedAt": "2020-01-06T09:06:59.461876391Z",
            "FinishedAt": "2020-01-06T09:07:59.461876391Z",
            **state,
        },
        "Image": "sha256:72297848456d5d37d1262630108ab308d3e9ec7ed1c3286a32fe09856619a782",
        "Name": "/web",
        "RestartCount": restarts,
        "Driver": "overlay2",
        "HostConfig": {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 4}},
        "Config": {"Image": "nginx:1.27", "Healthcheck": {"Test": ["CMD-SHELL", "exit 0"]}},
        "NetworkSettings": {"Networks": {}},
    }


def health(status: str, *outputs: str) -> dict[str, Any]:
    log = [
        {"Start": "2019-12-22T10:59:05.6385933Z", "End": "2019-12-22T10:59:05.8078452Z", "ExitCode": 1, "Output": text}
        for text in outputs
    ]
    return {"Status": status, "FailingStreak": len(outputs), "Log": log}


def says(document: Any, status: str = "200 OK") -> Serve:
    def serve(connection: socket.socket) -> None:
        line, _, _ = read_request(connection)
        assert line == "GET /containers/web/json HTTP/1.1"
        connection.sendall(answer(json.dumps(document).encode(), status, ("Content-Type: application/json",)))

    return serve


def check(path: str, expect: dict[str, Any] | None = None, *, limit: float = 5.0) -> CheckResult:
    return run_check("docker", {"container": "web", "socket": path}, expect, limit=limit)


_GONE = {"Status": "exited", "Running": False, "ExitCode": 137}


@pytest.mark.parametrize(
    ("state", "expect", "verdict", "code", "tells"),
    [
        ({}, {}, "up", "", ""),
        ({"Health": health("healthy")}, {}, "up", "", ""),
        ({"Health": health("none")}, {}, "up", "", ""),
        ({"Health": health("starting")}, {}, "degraded", "expect.health", "is starting"),
        ({"Health": health("unhealthy", "old", "refused\n")}, {}, "down", "expect.health", "failed 2 times: refused"),
        ({"Health": {"Status": "unhealthy", "FailingStreak": 3, "Log": None}}, {}, "down", "expect.health", "3 times"),
        ({"Health": health("unhealthy", "x")}, {"health": "ignored"}, "up", "", ""),
        ({}, {"health": "required"}, "down", "expect.health", "no health check of its own"),
        (_GONE, {}, "down", "expect.state", "the container is exited, its exit code was 137"),
        (_GONE | {"OOMKilled": True}, {}, "down", "expect.state", "used too much memory"),
        ({"Status": "paused", "Paused": True}, {}, "down", "expect.state", "the container is paused"),
        ({"Status": "restarting", "Restarting": True, "ExitCode": 1}, {}, "down", "expect.state", "exit code was 1"),
        ({"Status": "created", "Error": "no such image"}, {}, "down", "expect.state", "created: no such image"),
        ({"Status": "dead"}, {}, "down", "expect.state", "is dead"),
    ],
)
def test_states_and_health(
    tmp_path: Path, state: dict[str, Any], expect: dict[str, Any], verdict: str, code: str, tells: str
) -> None:
    with engine(tmp_path, says(inspected(**state))) as path:
        result = check(path, expect)
    assert (result.verdict, result.code) == (verdict, code), result.message
    assert tells in result.message
    assert result.evidence["container"] == "web"
    assert result.evidence["id"] == _ID[:12]
    assert result.evidence["image"] == "nginx:1.27"
    assert {"wait", "transfer"} <= set(result.phases)


def test_restarts_are_counted_from_look_to_look(tmp_path: Path) -> None:
    counts = iter([4, 4, 6, 9, 9])

    def serve(connection: socket.socket) -> None:
        says(inspected(next(counts)))(connection)

    async def looks(path: str) -> list[tuple[str, str]]:
        prepared, context = prepare(order_for("docker", {"container": "web", "socket": path})), Context()
        results = [await prepared.run(context) for _ in range(5)]
        context.close()
        return [(result.verdict, result.message) for result in results]

    with engine(tmp_path, serve) as path:
        found = asyncio.run(looks(path))
    assert [verdict for verdict, _ in found] == ["up", "up", "degraded", "down", "down"]
    assert found[3][1] == "it restarted 5 times within 600 s"


def test_restarts_are_forgotten_and_another_container_begins_anew() -> None:
    looks = Looks(60)
    one = [Container(id="a", state=State("running"), restart_count=count) for count in (0, 3)]
    assert [looks.restarts(one[0], 0), looks.restarts(one[1], 10), looks.restarts(one[1], 69)] == [0, 3, 3]
    assert looks.restarts(one[1], 71) == 0
    assert looks.restarts(Container(id="b", state=State("running"), restart_count=50), 72) == 0


def test_a_container_that_is_not_there_is_down(tmp_path: Path) -> None:
    with engine(tmp_path, says({"message": "No such container: web"}, "404 Not Found")) as path:
        result = check(path)
    assert (result.verdict, result.code) == ("down", "expect.container")
    assert "No such container: web" in result.message


def silent(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


@pytest.mark.parametrize(
    ("serve", "code"),
    [
        (silent, "wait.timeout"),
        (lambda connection: connection.recv(9999), "wait.closed"),
        (lambda connection: (connection.recv(9999), connection.sendall(b"\0\1garbage\r\n\r\n")), "wait.malformed"),
        (says([]), "wait.malformed"),
        (says({"Id": "x", "State": {"Status": 7}}), "wait.malformed"),
        (says({"message": "page not found"}, "404 Not Found"), "wait.status"),
        (says({"message": "server is busy"}, "500 Internal Server Error"), "wait.status"),
        (lambda c: (c.recv(9999), c.sendall(answer(b"x" * 1_200_000))), "wait.malformed"),
        (lambda c: (c.recv(9999), c.sendall(answer(b"x" * 100)[:-50])), "transfer.truncated"),
    ],
)
def test_an_engine_that_does_not_answer_is_unknown(tmp_path: Path, serve: Any, code: str) -> None:
    with engine(tmp_path, serve) as path:
        result = check(path, limit=0.4)
    assert (result.verdict, result.code) == ("unknown", code), result.message


def test_no_socket_no_listener_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = check(str(tmp_path / "none.sock"))
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "stopped.sock"))
    stopped = check(str(tmp_path / "stopped.sock"))
    assert (missing.verdict, missing.code) == ("unknown", "connect.no_socket")
    assert "no engine runs here" in missing.message
    assert (stopped.verdict, stopped.code) == ("unknown", "connect.refused")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may use every socket")
def test_no_permission(tmp_path: Path) -> None:
    with engine(tmp_path, says(inspected())) as path:
        os.chmod(path, 0)
        result = check(path)
    assert (result.verdict, result.code) == ("unknown", "connect.permission")


def test_a_shared_install_reaches_no_engine(tmp_path: Path) -> None:
    target = {"container": "web", "socket": str(tmp_path / "x")}
    result = run_check("docker", target, context=Context(Guard.from_settings("")))
    assert (result.verdict, result.code) == ("unknown", "check.address_refused")


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ({"container": "../images"}, "should match pattern"),
        ({"container": "web?x=1"}, "should match pattern"),
        ({"container": "web", "socket": "tcp://10.0.0.1:2375"}, "is not the path of a socket"),
        ({"container": "web", "socket": "/" + "x" * 200}, "at most 100"),
    ],
)
def test_wrong_targets_are_refused(target: Any, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        KIND.target.model_validate(target)
    with pytest.raises(ValidationError, match="is above critical"):
        KIND.expect.model_validate({"restarts": {"warn": 9}})
