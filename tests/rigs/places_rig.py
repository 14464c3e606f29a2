"""Probers at other places for tests: processes of `mainstay probe`, and a link that can be cut."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path


class RunningProbe:
    """`mainstay probe` in a process of its own."""

    def __init__(self, folder: Path, url: str, location: str, token: str, *more: str, clock: float = 0.0) -> None:
        number = len(list(folder.glob("probe-*")))
        self.log_file, self.token_file = folder / f"probe-{number}.log", folder / f"token-{number}"
        self.token_file.write_text(token)
        code = (
            "import sys, time\n"
            f"right = time.time\ntime.time = lambda: right() + {clock}\n"
            "sys.argv[0] = 'mainstay'\n"
            "from mainstay.__main__ import main\nmain()"
        )
        start = [sys.executable, "-c", code] if clock else [sys.executable, "-m", "mainstay"]
        arguments = ["probe", "--join", url, "--location", location, "--token-file", str(self.token_file), *more]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MAINSTAY_")}
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen([*start, *arguments], stdout=log, stderr=log, env=environment)

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self, patience: float = 10.0) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(patience)

    def close(self) -> None:
        if self.process.poll() is None:
            self.kill()


class CuttableLink:
    """A TCP proxy on loopback: `cut` ends every connection and lets in no other until `mend`."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._loop = asyncio.new_event_loop()
        self._whole = True
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0
        started = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(started,), daemon=True)
        self._thread.start()
        assert started.wait(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        def end() -> None:
            self._whole = False
            for writer in list(self._writers):
                writer.transport.abort()

        self._loop.call_soon_threadsafe(end)

    def mend(self) -> None:
        self._whole = True

    def close(self) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(10)

    def _serve(self, started: threading.Event) -> None:
        async def serve() -> None:
            self._ending = asyncio.Event()
            server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            started.set()
            await self._ending.wait()
            server.close()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:  # type: ignore[arg-type]
                task.cancel()

        self._loop.run_until_complete(serve())
        self._loop.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._whole:
            writer.transport.abort()
            return
        try:
            onward, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, back}
        self._writers |= ends
        try:
            await asyncio.gather(_copy(reader, back), _copy(onward, writer))
        finally:
            self._writers -= ends
            for end in ends:
                end.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.CancelledError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
