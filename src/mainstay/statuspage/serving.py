"""Public status pages for many visitors: finished bytes in memory, answered by the event loop alone.

Pages are read and rendered again at most once a second when something that they show has changed, and every
half minute in any case. While the database does not answer, the last pages stay and say how old they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import parse_qs, quote

import structlog
from django.db import DatabaseError, close_old_connections, connections

from mainstay.accounts.doors import Door
from mainstay.kernel.errors import MainstayError
from mainstay.kernel.event import Happened
from mainstay.statuspage.queries import public_pages
from mainstay.statuspage.rendering import Answer, answer, answers, missing_html
from mainstay.statuspage.view import PublicPage
from mainstay.store.hub import HUB

log = structlog.get_logger("statuspage")
T = TypeVar("T")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Reader = Callable[[], Sequence[PublicPage]]

_AT_MOST_EVERY = 1.0
_AT_LEAST_EVERY = 30.0
_SHOWN = ("monitor.", "heartbeat.", "alert.", "resources.", "uplink.")
_API = "/api/v2/"
_NOTHING = answer(b'{"error": "there is no such status page"}', b"application/json; charset=utf-8", shared=True)
_NOT_LIKE_THIS = answer(b"Status pages are only read.\n", b"text/plain; charset=utf-8")


class StatusPages:
    """An ASGI application for `/status/` and `/api/v2/summary.json`, `/api/v2/status.json`.

    `start` reads the pages for the first time and begins to follow what happens; `stop` ends that.
    """

    door = Door(public=True)

    def __init__(self, reader: Reader = public_pages) -> None:
        self._reader = reader
        self._answers: dict[str, Answer] = {}
        self._pages: Sequence[PublicPage] = ()
        self._stale_since: float | None = None
        self._missing: Answer | None = None  # the page of an address that has none
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._unsubscribe: Callable[[], None] = lambda: None
        # One thread, so that pages are never built twice at once and one connection is enough.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="status-pages")

    async def start(self) -> None:
        loop = asyncio.get_running_loop()

        def heard(event: Happened) -> None:
            if event.kind.startswith(_SHOWN):
                with contextlib.suppress(RuntimeError):  # the loop is closed: nothing is served any more
                    loop.call_soon_threadsafe(self._changed.set)

        self._unsubscribe = HUB.subscribe(heard)
        await self.refresh()
        self._task = asyncio.create_task(self._follow(), name="status pages")

    async def stop(self) -> None:
        self._unsubscribe()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._on_thread(connections.close_all)
        self._thread.shutdown(wait=False)

    @property
    def pages(self) -> Sequence[PublicPage]:
        """As they were read last, for other renderings of the same."""
        return self._pages

    async def refresh(self) -> None:
        """Read and render everything now; what cannot be read stays as it was."""
        self._answers = await self._on_thread(self._build)

    async def _on_thread(self, job: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, job)

    async def _follow(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_AT_LEAST_EVERY):
                    await self._changed.wait()
            self._changed.clear()
            await self.refresh()
            await asyncio.sleep(_AT_MOST_EVERY)

    def _build(self) -> dict[str, Answer]:
        close_old_connections()
        try:
            self._pages = self._reader()
            self._stale_since = None
        except (DatabaseError, MainstayError) as error:
            if self._stale_since is None:
                self._stale_since = min((page.at for page in self._pages), default=time.time())
                log.warning("status pages cannot be read; the last known ones remain", error=str(error)[:200])
        pages = [dataclasses.replace(page, stale_since=self._stale_since) for page in self._pages]
        if self._missing is None:
            self._missing = answer(missing_html().encode(), b"text/html; charset=utf-8")
        found: dict[str, Answer] = {}
        for page in pages:
            found |= answers(page)
        if len(pages) == 1:
            only = f"/status/{pages[0].slug}"
            for name in ("summary.json", "status.json"):
                found[_API + name] = found[only + _API + name]
        return found

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path.startswith(_API) and scope["query_string"]:
            slug = parse_qs(scope["query_string"].decode("latin-1")).get("page", [""])[0]
            path = f"/status/{slug}{path}" if slug else path
        if scope["method"] not in ("GET", "HEAD"):
            await _send(send, 405, [*_NOT_LIKE_THIS.plain_headers, (b"allow", b"GET, HEAD")], _NOT_LIKE_THIS.plain)
            return
        found = self._answers.get(path)
        if found is None:
            await self._elsewhere(path, send)
            return
        wanted = accepted = b""
        for name, value in scope["headers"]:
            if name == b"if-none-match":
                wanted = value
            elif name == b"accept-encoding":
                accepted = value
        if wanted and (found.etag in wanted or wanted == b"*"):
            await _send(send, 304, found.unchanged_headers, b"")
            return
        packed = wants_gzip(accepted)
        headers, body = (found.packed_headers, found.packed) if packed else (found.plain_headers, found.plain)
        await _send(send, 200, headers, body if scope["method"] == "GET" else b"")

    async def _elsewhere(self, path: str, send: Send) -> None:
        """The only page for `/status/`, else not found: pages are not listed to strangers."""
        if path.rstrip("/") == "/status" and len(self._pages) == 1:
            target = f"/status/{quote(self._pages[0].slug)}/".encode()
            await _send(send, 302, [(b"location", target), (b"content-length", b"0")], b"")
            return
        missing = _NOTHING if _API in path or self._missing is None else self._missing
        await _send(send, 404, missing.plain_headers, missing.plain)


@lru_cache(maxsize=256)  # of what browsers and programs send there are few
def wants_gzip(accepted: bytes) -> bool:
    """Whether an Accept-Encoding takes gzip, and no less gladly than no coding at all (RFC 9110, 12.5.3)."""
    weights: dict[str, float] = {}
    for part in accepted.decode("latin-1").lower().split(",")[:20]:
        name, _, parameter = part.partition(";")
        key, _, value = parameter.strip().partition("=")
        try:
            weights[name.strip()] = float(value) if key.strip() == "q" else 1.0
        except ValueError:
            weights[name.strip()] = 0.0
    others = weights.get("*", 0.0)
    gzip = weights.get("gzip", weights.get("x-gzip", others))
    return gzip > 0 and gzip >= weights.get("identity", 0.0)


async def _send(send: Send, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
