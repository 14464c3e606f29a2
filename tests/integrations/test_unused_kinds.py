"""What a prober loads: nothing of a kind before it is used, then its own modules, and never a client library."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

_CLIENTS = {
    "asyncssh", "bson", "grpc", "paho", "psycopg", "pymongo", "pymysql", "redis", "websockets", "django", "pydantic",
}  # fmt: skip
_REPORT = "import json, sys; print(json.dumps(sorted(sys.modules)))"
_START = """
import asyncio, socket
from mainstay.watch.prober.engine import Engine

async def start():
    ours, theirs = socket.socketpair()
    engine = Engine(lambda: None)
    await asyncio.get_running_loop().create_connection(lambda: engine.pipe, sock=ours)
    engine.begin()
    await asyncio.sleep(0)
    assert theirs.recv(4096)
    engine.pipe.close()
    theirs.close()

asyncio.run(start())
"""
_PREPARE = """
from mainstay.kernel.probing import CheckOrder
from mainstay.watch.prober.dispatch import prepare

order = CheckOrder(uid="m", kind={kind!r}, interval=60, timeout=5, options={{"target": {target!r}, "expect": {{}}}})
assert type(prepare(order)._plan).__name__ == "Prepared", prepare(order)._plan
"""
_ADDRESS = {"address": "127.0.0.1:7000"}
KINDS = {
    "udp": _ADDRESS,
    "smtp": _ADDRESS,
    "imap": _ADDRESS,
    "pop3": _ADDRESS,
    "websocket": {"url": "ws://127.0.0.1:7000/"},
    "grpc": _ADDRESS,
    "postgres": _ADDRESS,
    "redis": _ADDRESS,
    "mysql": _ADDRESS,
    "ntp": _ADDRESS,
    "mqtt": _ADDRESS,
    "ssh": _ADDRESS,
    "domain": {"name": "example.com"},
    "mongodb": _ADDRESS,
}
# Mail servers are asked for TLS unless it is switched off, and SSH computes with keys in any case.
_NEEDS_CRYPTOGRAPHY = {"smtp", "imap", "pop3", "ssh"}
_SPEAKS_HTTP = {"grpc", "domain"}


def loaded(code: str) -> set[str]:
    """The modules of a fresh interpreter after this code."""
    ran = subprocess.run([sys.executable, "-c", f"{code}\n{_REPORT}"], capture_output=True, text=True, check=True)
    return set(json.loads(ran.stdout))


def _tops(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def _running(modules: set[str]) -> set[str]:
    """Kinds whose `run` is loaded."""
    parts = [name.split(".") for name in modules if name.startswith("mainstay.integrations.checks.")]
    return {part[3] for part in parts if part[-1] == "run"}


def test_a_started_prober_has_loaded_no_kind() -> None:
    modules = loaded(_START)
    assert _running(modules) == set()
    assert not _tops(modules) & (_CLIENTS | {"pycurl", "cryptography", "dns"})


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_loads_its_own_modules_and_no_client_library(kind: str) -> None:
    modules = loaded(_PREPARE.format(kind=kind, target=KINDS[kind]))
    borrowed = {"http"} if kind in _SPEAKS_HTTP else set()
    assert _running(modules) == {kind} | borrowed
    tops = _tops(modules)
    frames = {"websockets"} if kind == "websocket" else set()  # of which it uses the protocol, without I/O
    assert tops & _CLIENTS == frames
    assert ("cryptography" in tops) == (kind in _NEEDS_CRYPTOGRAPHY)
    assert ("pycurl" in tops) == bool(borrowed or kind == "websocket")
