"""The worker's process: started with little environment in a folder of its own, and ended with all its children."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainstay.kernel.probing import CheckFault

if TYPE_CHECKING:
    from collections.abc import Callable

_OUTPUT_LIMIT = 512 * 1024  # bytes of all that the worker may say
_KEPT = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "FONTCONFIG_PATH")
_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


def find_chromium(configured: str) -> str:
    """Path of the program. CheckFault, unknown, if there is none."""
    if configured:
        if not os.access(configured, os.X_OK):
            raise CheckFault("check.no_browser", f"MAINSTAY_CHROMIUM is not a program: {configured}", verdict="unknown")
        return configured
    for name in _NAMES:
        if found := shutil.which(name):
            return found
    reason = "there is no Chromium on the PATH: install the package `chromium`, or set MAINSTAY_CHROMIUM"
    raise CheckFault("check.no_browser", reason, verdict="unknown")


async def drive(
    order: dict[str, Any], hear: Callable[[dict[str, Any]], None], keep: Callable[[Path], None] | None = None
) -> None:
    """Run the worker to its end; `hear` gets each line as it comes. Cancelling kills it with the browser.

    `keep` gets the trace of a visit on which something was wrong, before it is deleted.
    """
    with tempfile.TemporaryDirectory(prefix="mainstay-browser-", ignore_cleanup_errors=True) as home:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "mainstay.integrations.checks.browser.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={**kept, "HOME": home, "TMPDIR": home, "XDG_CONFIG_HOME": home, "XDG_CACHE_HOME": home},
            cwd="/",
            start_new_session=True,
            limit=_OUTPUT_LIMIT,
        )
        trace = Path(home, "trace.zip")
        try:
            await _converse(process, order | {"trace": str(trace) if keep is not None else ""}, hear)
            await process.wait()
            if keep is not None:
                await asyncio.to_thread(_hand_over, trace, keep)
        finally:
            if process.returncode is None:
                process.kill()
            _kill_all(home)
            await process.wait()


def _hand_over(trace: Path, keep: Callable[[Path], None]) -> None:
    if trace.exists():
        keep(trace)


async def _converse(
    process: asyncio.subprocess.Process, order: dict[str, Any], hear: Callable[[dict[str, Any]], None]
) -> None:
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the worker was started without pipes")
    with suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(json.dumps(order).encode())
        await process.stdin.drain()
        process.stdin.close()
    said = 0
    while line := await process.stdout.readline():
        said += len(line)
        if said > _OUTPUT_LIMIT:
            raise CheckFault("check.browser_failed", "the browser's driver sent too much output", verdict="unknown")
        hear(json.loads(line))


def _kill_all(home: str) -> None:
    """The driver and the browser, which leads a process group of its own."""
    for found in _in_folder(home):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(found, signal.SIGKILL)


def _in_folder(home: str) -> list[int]:
    """Processes whose environment names the folder: none but those that were started for this run."""
    mark = f"HOME={home}\0".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in (entry / "environ").read_bytes():
                found.append(int(entry.name))
    return found
