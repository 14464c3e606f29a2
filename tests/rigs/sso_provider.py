"""A real OpenID Connect provider on loopback, in a process of its own, with people whom tests describe."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self

import jwt
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from jwt.algorithms import RSAAlgorithm


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


class Forger:
    """Stands before a real provider, as whoever broke into the way there: its answers say what `forge` makes of them.

    forge: (claims, the key that `address` shows) -> the ID token.
    """

    def __init__(self, provider: Provider, forge: Callable[[dict[str, Any], RSAPrivateKey], str]) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        forger = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/jwks":
                    shown = json.loads(RSAAlgorithm.to_jwk(forger.key.public_key()))
                    self._answer({"keys": [{**shown, "kid": "1", "use": "sig"}]})
                    return
                said = requests.get(provider.address + self.path, timeout=10).json()
                self._answer({**said, "token_endpoint": forger.address, "jwks_uri": forger.address + "/jwks"})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                sent = {name: self.headers[name] for name in ("Content-Type", "Authorization") if name in self.headers}
                endpoint = requests.get(provider.address + "/.well-known/openid-configuration", timeout=10).json()
                said = requests.post(endpoint["token_endpoint"], body, headers=sent, timeout=10).json()
                claims = jwt.decode(said["id_token"], options={"verify_signature": False})
                self._answer({**said, "id_token": forge(claims, forger.key)})

            def _answer(self, document: object) -> None:
                text = json.dumps(document).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread = Thread(target=self.server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()
