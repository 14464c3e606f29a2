"""Asking the running server for its telemetry: only one process may open that file.

A Unix socket in the data folder, which its owner alone may enter. One JSON line asks, JSON lines tell of
progress, the last one holds `counts` or `error`. Closing the connection cancels.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mainstay.kernel.errors import StoreBusy, UserError
from mainstay.store.snapshots.archive import Progress

SOCKET = "control.sock"
LINE_LIMIT = 65_536
_PATIENCE = 300.0  # seconds between two lines; a table of 100 million results takes less


@contextmanager
def socket_path(data: Path) -> Iterator[str]:
    """A path of the socket that fits the 107 bytes that systems allow, however deep the folder lies."""
    direct = str(data / SOCKET)
    if len(os.fsencode(direct)) < 100:
        yield direct
        return
    descriptor = os.open(data, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET}"
    finally:
        os.close(descriptor)


@contextmanager
def alone(data: Path) -> Iterator[bool]:
    """Hold the lock of the data folder, so that no server starts meanwhile; False if a server has it."""
    with (data / "server.lock").open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            free = False
        else:
            free = True
        yield free


def ask_for_telemetry(data: Path, until: float, progress: Progress) -> dict[str, int]:
    """Let the server write its telemetry to the staging folder; rows by table."""
    try:
        with socket_path(data) as path, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_PATIENCE)
            connection.connect(path)
            connection.sendall(json.dumps({"do": "telemetry", "until": until}).encode() + b"\n")
            with connection.makefile("rb") as lines:
                return _listen(iter(lambda: lines.readline(LINE_LIMIT), b""), progress)
    except OSError as error:
        raise StoreBusy(
            f"the server does not answer on {SOCKET}: {error.strerror or error}",
            hint="is it starting or stopping? Try again, or leave telemetry out with --without-telemetry",
        ) from None


def _listen(lines: Iterator[bytes], progress: Progress) -> dict[str, int]:
    for line in lines:
        told = json.loads(line)
        if "error" in told:
            raise UserError(f"the server could not copy its telemetry: {told['error']}")
        if "counts" in told:
            return {str(table): int(rows) for table, rows in told["counts"].items()}
        progress("copying the telemetry", int(told["done"]), int(told["total"]))
    raise StoreBusy("the server ended while it copied its telemetry", hint="try again")
