"""A real browser on a real server: the pages, static files, live updates and status pages on a loopback port."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from django.conf import settings
from django.db import connections

from mainstay.frames.proxied import Proxies
from mainstay.runtime.crowd import Crowd
from mainstay.runtime.http_protocol import protocols
from mainstay.runtime.live import LiveUpdates
from mainstay.runtime.server import Server, django_application, static_files
from mainstay.statuspage.serving import StatusPages

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


class RunningSite:
    """The web server in a thread; `address` is its URL."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._ready = threading.Event()
        self.status: StatusPages | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: uvicorn.Server | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="site")
        self._thread.start()
        assert self._ready.wait(20), "the site did not start"

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.live = live = LiveUpdates()
        self.status = StatusPages()
        live.start()
        await self.status.start()
        doors = {
            "/static/": static_files(),
            "/live": live,
            "/status/": self.status,
            "/api/v2/": self.status,
        }
        self._django = django_application()
        site = Server(doors, self._django, https=False)
        http, _ = protocols(Crowd(Proxies(settings.MAINSTAY.trusted_proxies)))
        config = uvicorn.Config(site, http=http, log_config=None, lifespan="off", timeout_graceful_shutdown=2)
        self._server = uvicorn.Server(config)
        self._server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        serving = asyncio.ensure_future(self._server.serve(sockets=[self._socket]))
        self._ready.set()  # the socket listens already: browsers wait until they are served
        await serving
        await self.status.stop()

    def refresh(self) -> None:
        """Read the status pages anew, now."""
        assert self._loop is not None
        assert self.status is not None
        asyncio.run_coroutine_threadsafe(self.status.refresh(), self._loop).result(20)

    def stop(self) -> None:
        assert self._server is not None
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self.live.stop)  # before the server: it waits for open streams
        self._server.should_exit = True
        self._thread.join(15)
        self._socket.close()
        self._close_connections()

    def _close_connections(self) -> None:
        """Each thread of Django's pool has a connection of its own, which only it can close."""
        executor = self._django._application.executor  # type: ignore[attr-defined] # within what reads bodies first
        together = threading.Barrier(max(1, len(executor._threads)))

        def close() -> None:
            together.wait(10)
            connections.close_all()

        for closing in [executor.submit(close) for _ in executor._threads]:
            closing.result(10)
        executor.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """Chromium for one file of tests: while it is open, its loop runs on this thread, and no other can."""
    from playwright.sync_api import sync_playwright

    if not Path(CHROMIUM).exists():
        pytest.skip("Chromium is not installed: apt-get install chromium")
    os.environ["PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD"] = "1"
    # Django takes the running loop for a reason to refuse the database.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def site(store: None) -> Iterator[RunningSite]:
    running = RunningSite()
    yield running
    running.stop()
