"""`python -m mainstay.watch.prober <fd>`: the fd is one end of a socket pair to the main process."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import signal
import socket
import sys

from mainstay.watch.prober.descriptors import raise_descriptor_limit
from mainstay.watch.prober.engine import Engine

_PR_SET_PDEATHSIG = 1  # prctl(2)


def main() -> None:
    descriptor = int(sys.argv[1])
    # A terminal's Ctrl-C is the main process's business; the end of the pipe is what ends a prober.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent()
    raise_descriptor_limit()
    try:
        import uvloop
    except ModuleNotFoundError:
        asyncio.run(_serve(descriptor))
    else:
        uvloop.run(_serve(descriptor))
    # Threads that wait for a silent name server would hold up an ordinary exit.
    sys.stderr.flush()
    os._exit(0)


async def _serve(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ended = loop.create_future()

    def end() -> None:
        if not ended.done():
            ended.set_result(None)

    engine = Engine(end)
    await loop.create_connection(lambda: engine.pipe, sock=socket.socket(fileno=descriptor))
    engine.begin()
    gc.freeze()  # what is there now stays: collections look at what checks leave behind only
    gc.set_threshold(20_000, 20, 20)
    await ended
    os._exit(0)


def _die_with_parent() -> None:
    """A prober that is stopped or stuck does not see the end of the pipe: let the kernel end it (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main()
