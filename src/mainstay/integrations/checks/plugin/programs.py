"""Running a program within bounds: only from allowed folders, no shell, little environment, bounded output and time.

The program leads a process group of its own, which is killed as a whole when the time is up, and when the program
is gone but something it started still holds its output.
"""

from __future__ import annotations

import asyncio
import os
import signal
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mainstay.kernel.probing import CheckFault

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OUTPUT_LIMIT = 65_536  # bytes of each of the two outputs
_LINGER = 0.2  # seconds that output may still come after the program has ended
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
}
# What runs whatever its arguments say, and so would make a folder of plugins the whole machine. Wrappers among the
# plugins come first; the rest is for a folder that holds more than plugins.
_LAUNCHERS = """
    negate urlize check_by_ssh check_multi check_generic check_email_delivery check_v46 check_ssl_cert
    sh ash bash dash fish ksh csh tcsh zsh busybox toybox env xargs find parallel watch script expect make flock
    sudo su doas runuser setpriv pkexec chroot unshare nsenter systemd-run start-stop-daemon run-parts at batch
    nice ionice nohup setsid stdbuf timeout time strace ltrace gdb perf taskset chrt prlimit ld-linux-x86-64.so
    ssh scp sftp rsync git tar zip curl wget socat nc ncat netcat openssl docker podman awk gawk mawk nawk sed
    vi vim ed less more man tclsh lua luajit php ruby irb node nodejs deno bun java perl python pypy
"""
_REFUSED = frozenset(_LAUNCHERS.split())


class Ended(NamedTuple):
    status: int  # exit code; negative: the signal that ended it
    output: bytes
    errors: bytes
    cut: bool  # it printed more than OUTPUT_LIMIT and was ended


def find_program(name: str, folders: str) -> str:
    """Path of an allowed program, symbolic links resolved. CheckFault, always unknown, if it is none."""
    allowed = [Path(folder.strip()).resolve() for folder in folders.split(",") if folder.strip()]
    if not allowed:
        raise _refused("check.plugin_refused", "no folder of plugins is allowed here: set MAINSTAY_PLUGIN_DIRS")
    candidates = [Path(name)] if name.startswith("/") else [folder / name for folder in allowed]
    present = [path for path in candidates if path.exists()]
    if not present:
        listed = ", ".join(str(folder) for folder in allowed)
        raise _refused("check.plugin_missing", f"there is no program {name[:100]} in {listed}")
    path = present[0].resolve()
    if not any(path.is_relative_to(folder) for folder in allowed):
        listed = ", ".join(str(folder) for folder in allowed)
        reason = f"{present[0]} leads to {path}, which is outside MAINSTAY_PLUGIN_DIRS ({listed})"
        raise _refused("check.plugin_refused", reason)
    if launches(name) or launches(str(path)):
        raise _refused("check.plugin_refused", f"{path} runs other programs, so it may not be used itself")
    if not stat.S_ISREG(path.stat().st_mode) or not os.access(path, os.X_OK):
        raise _refused("check.plugin_refused", f"{path} is not an executable program")
    return str(path)


def launches(name: str) -> bool:
    """Whether a program of this name takes another one, or code, as an argument."""
    return name.rpartition("/")[2].lower().rstrip("0123456789.") in _REFUSED  # python3.11 is python


def _refused(code: str, reason: str) -> CheckFault:
    return CheckFault(code, reason, verdict="unknown")


async def execute(path: str, command: Sequence[str], env: Mapping[str, str]) -> Ended:
    """Run it to its end. Cancelling kills it with everything that it started."""
    output, errors = _Pipe(), _Pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            executable=path,  # a link keeps its name, by which some plugins tell what to do
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output.inlet,
            stderr=errors.inlet,
            env={**_ENVIRONMENT, **env},
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        output.close()
        errors.close()
        reason = f"{path} cannot be executed: {error.strerror or error}"
        raise _refused("check.plugin_refused", reason) from None
    readers = [asyncio.create_task(pipe.read()) for pipe in (output, errors)]
    done = False
    try:
        status = await process.wait()
        _, late = await asyncio.wait(readers, timeout=_LINGER)
        done = not late
    finally:
        if not done:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            for reader in readers:
                reader.cancel()
            await asyncio.wait(readers)
            await process.wait()
    return Ended(status, bytes(output.data), bytes(errors.data), output.cut or errors.cut)


class _Pipe:
    """Reads what a program writes to `inlet`. After OUTPUT_LIMIT it stops listening, which ends most programs."""

    def __init__(self) -> None:
        self._outlet, self.inlet = os.pipe()
        self.data = bytearray()
        self.cut = False

    async def read(self) -> None:
        os.close(self.inlet)  # the program has its own
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(self._outlet, "rb", 0)
        )
        try:
            while piece := await reader.read(OUTPUT_LIMIT):
                self.data += piece
                if len(self.data) > OUTPUT_LIMIT:
                    del self.data[OUTPUT_LIMIT:]
                    self.cut = True
                    return
        finally:
            transport.close()

    def close(self) -> None:
        os.close(self._outlet)
        os.close(self.inlet)
