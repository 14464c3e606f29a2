"""Real servers of many kinds as processes on loopback: ephemeral ports, temporary folders, ended with the test."""

from __future__ import annotations

import datetime as dt
import getpass
import os
import pwd
import select
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme
from tests.rigs.check_servers import tcp_server

STARTS_WITHIN = 30.0  # seconds; a loaded machine is no failure of the check


@dataclass
class Certificates:
    """An authority of our own and a server's certificate for `localhost`, in files too."""

    folder: Path
    ends: float = 60.0  # days from now
    authority: trustme.CA = field(default_factory=trustme.CA)

    def __post_init__(self) -> None:
        now = dt.datetime.now(dt.UTC)
        leaf = self.authority.issue_cert(
            "localhost", not_before=now - dt.timedelta(days=60), not_after=now + dt.timedelta(days=self.ends)
        )
        self.certificate, self.key = self.folder / "server.pem", self.folder / "server.key"
        self.certificate.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        self.key.write_bytes(leaf.private_key_pem.bytes())
        self.ca_file = self.folder / "ca.pem"
        self.authority.cert_pem.write_to_path(self.ca_file)
        for path in (self.certificate, self.key, self.ca_file):
            path.chmod(0o644)

    @property
    def ca(self) -> str:
        return self.ca_file.read_text()

    @property
    def server(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


@contextmanager
def short_folder(owner: str = "") -> Iterator[Path]:
    """A folder whose path fits a socket's name; `owner` may write to it."""
    folder = Path(tempfile.mkdtemp(prefix="ms-", dir="/tmp"))
    folder.chmod(0o755)
    if owner and os.geteuid() == 0:
        shutil.chown(folder, owner)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def program(name: str) -> str:
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.fail(f"{name} is not installed; tools/test_machine.sh does it")
    return found


def unprivileged(name: str) -> str:
    """The account that a server should run as: the one Debian made for it, or our own."""
    if os.geteuid() != 0:
        return getpass.getuser()
    with suppress(KeyError):
        return pwd.getpwnam(name).pw_name
    return "nobody"


def answers(port: int, *, socket_type: int = socket.SOCK_STREAM) -> bool:
    with socket.socket(socket.AF_INET, socket_type) as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running(arguments: list[str], ready: Callable[[], bool], log: Path, *, user: str = "") -> Iterator[int]:
    """The process's id while it runs, once `ready` says so. It and its children are ended afterwards."""
    as_user = user if os.geteuid() == 0 and user else None
    with log.open("ab") as output:
        process = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, user=as_user,
            group=pwd.getpwnam(as_user).pw_gid if as_user else None, extra_groups=[] if as_user else None, cwd="/",
        )  # fmt: skip
    try:
        deadline = time.monotonic() + STARTS_WITHIN
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{arguments[0]} did not start: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)
        yield process.pid
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def free_ports(count: int, socket_type: int = socket.SOCK_STREAM) -> list[int]:
    """Different ports that nothing listens on."""
    sockets = [socket.socket(socket.AF_INET, socket_type) for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


@contextmanager
def tls_front(port: int, context: ssl.SSLContext, greet: Callable[[socket.socket], bool]) -> Iterator[int]:
    """A port that speaks TLS and passes everything on to `port`, as a connection pooler in front of it does.

    `greet` says on the plain connection what comes before the handshake; false: pass on without TLS.
    """

    def serve(outer: socket.socket) -> None:
        front = context.wrap_socket(outer, server_side=True) if greet(outer) else outer
        with front, socket.create_connection(("127.0.0.1", port)) as back:
            back.setblocking(False)
            front.setblocking(False)
            while True:
                pending = isinstance(front, ssl.SSLSocket) and front.pending() > 0
                ready = [front] if pending else select.select([front, back], [], [])[0]
                for source in ready:
                    try:
                        data = source.recv(65_536)
                    except (ssl.SSLWantReadError, BlockingIOError):
                        continue
                    if not data:
                        return
                    target = back if source is front else front
                    target.setblocking(True)
                    target.sendall(data)
                    target.setblocking(False)

    with tcp_server(serve) as front_port:
        yield front_port
