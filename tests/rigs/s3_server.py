"""A real server that speaks S3 on a loopback port (moto), and a way to it that can be cut."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.config import Config
from tests.rigs.changeable import wait_for

REGION = "eu-central-1"


@dataclass(slots=True)
class Keys:
    """Who asks."""

    key_id: str = "anybody"
    secret: str = "anything"


@dataclass(slots=True)
class S3Server:
    """`environment` is what a program needs to reach it."""

    port: int
    keys: Keys = field(default_factory=Keys)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self, port: int = 0, keys: Keys | None = None) -> dict[str, str]:
        chosen = keys or self.keys
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port or self.port}",
            "AWS_ACCESS_KEY_ID": chosen.key_id,
            "AWS_SECRET_ACCESS_KEY": chosen.secret,
            "AWS_REGION": REGION,
        }

    def client(self, service: str = "s3") -> Any:
        return boto3.client(
            service, endpoint_url=self.url, region_name=REGION, aws_access_key_id=self.keys.key_id,
            aws_secret_access_key=self.keys.secret, config=Config(retries={"max_attempts": 1}),
        )  # fmt: skip

    def make_bucket(self, name: str) -> None:
        self.client().create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})

    def names(self, bucket: str) -> list[str]:
        return sorted(one["Key"] for one in self.client().list_objects_v2(Bucket=bucket).get("Contents", []))

    def make_user(self, name: str, policy: str = "") -> Keys:
        """Somebody with keys; `policy` is a document of IAM, empty: may do nothing."""
        iam = self.client("iam")
        iam.create_user(UserName=name)
        if policy:
            iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=policy)
        made = iam.create_access_key(UserName=name)["AccessKey"]
        return Keys(made["AccessKeyId"], made["SecretAccessKey"])

    def check_keys(self, *, on: bool) -> None:
        """From here on every request needs the keys of a user who may do it."""
        limit = b"0" if on else b"inf"
        request = urllib.request.Request(
            f"{self.url}/moto-api/reset-auth", data=limit, headers={"Content-Type": "text/plain"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200


@contextmanager
def s3_server() -> Iterator[S3Server]:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = chosen.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(lambda: _listens(port), 60, "the bucket server listens")
        yield S3Server(port)
    finally:
        process.terminate()
        process.wait(20)


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


class Link:
    """A way to a server through which only `allowance` bytes go; then everything is cut, also what comes later."""

    def __init__(self, port: int, allowance: int) -> None:
        self._target, self._left = port, allowance
        self._lock = threading.Lock()
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(0.2)
        self.port = self._server.getsockname()[1]
        self._over = threading.Event()
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def is_cut(self) -> bool:
        return self._left <= 0

    def close(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(10)
        for connection in (self._server, *self._open):
            connection.close()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                near, _ = self._server.accept()
            except TimeoutError:
                continue
            if self.is_cut:
                near.close()
                continue
            far = socket.create_connection(("127.0.0.1", self._target))
            self._open += [near, far]
            for source, sink in ((near, far), (far, near)):
                thread = threading.Thread(target=self._carry, args=(source, sink))
                self._threads.append(thread)
                thread.start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        source.settimeout(0.2)
        with suppress(OSError):
            while not self._over.is_set() and not self.is_cut:
                try:
                    piece = source.recv(65536)
                except TimeoutError:
                    continue
                with self._lock:
                    self._left -= len(piece)
                if not piece or self.is_cut:
                    break
                sink.sendall(piece)
        for end in (source, sink):  # which ends the other direction too
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
