"""A real OpenID Connect provider on loopback, in a process of its own, with people whom tests describe."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import requests


class Provider:
    """`address` is its issuer."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"

    def describe(self, sub: str, **claims: object) -> None:
        """Say what the provider tells of a person."""
        requests.put(f"{self.address}/users/{sub}", json=claims, timeout=10).raise_for_status()

    def consent(self, asked: str, sub: str, *, deny: bool = False) -> str:
        """What a person does there: say who they are. The address that the provider sends the browser to."""
        form = {"action": "deny"} if deny else {"sub": sub}
        answer = requests.post(asked, data=form, timeout=10, allow_redirects=False)
        assert answer.status_code == 302, answer.text
        return str(answer.headers["location"])


@contextmanager
def running_provider() -> Iterator[Provider]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "oidc_provider_mock",
        "--port",
        str(port),
        "--require-nonce",
        "true",
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            _wait(process, port)
            yield Provider(port)
        finally:
            process.terminate()


def _wait(process: subprocess.Popen[str], port: int) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the provider did not start")


def sign_in_document(provider: Provider, **more: object) -> dict[str, object]:
    """A declaration of the provider under `sign_in`."""
    document = {"server": provider.address, "client_id": "mainstay", "title": "Example Login"}
    return json.loads(json.dumps({**document, "client_secret": "${file:oidc}", **more}))  # type: ignore[no-any-return] # as YAML gives it
