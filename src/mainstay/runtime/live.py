"""Live updates: server-sent events that say which topics changed, so that pages fetch what they show anew.

Messages carry no data, only topics (`monitors`, `alerts`, `journal`, ...), so nothing leaks past a page's own
scope checks. Events are gathered for half a second, results of checks for five, and a slow reader costs a set
of words. Served by the event loop; the session is checked in a thread, at the start and every minute.
Protocol: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import connections
from starlette.requests import cookie_parser

from mainstay.accounts.doors import Door, session_actor
from mainstay.frames.addresses import client_address, network_of
from mainstay.kernel.event import Happened
from mainstay.store.hub import HUB

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
# Who the request's session belongs to, if it may watch pages, else nobody (empty); reads the database, so it is
# called in a thread.
Watcher = Callable[[Scope], str]

_GATHER = 0.5
_GATHER_RESULTS = 5.0
_COMMENT_EVERY = 20.0
_RECHECK_EVERY = 60.0
_OF_A_PERSON = 25  # streams
_TOPICS = {
    "monitor": "monitors",
    "heartbeat": "heartbeats",
    "alert": "alerts",
    "notification": "alerts",
    "channel": "channels",
    "resources": "resources",
    "config": "resources",
    "uplink": "health",
    "location": "locations",
    "mainstay": "health",
}
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


def session_watcher(scope: Scope) -> str:
    """Whose session the request carries, if that person may see states, else empty; reads the database."""
    raw = b"; ".join(value for name, value in scope["headers"] if name == b"cookie").decode("latin-1")
    try:
        actor = session_actor(cookie_parser(raw), client_address(scope, settings.MAINSTAY.trusted_proxies))
    finally:
        connections.close_all()  # this thread of the loop's pool may not look again for a long time
    return str(actor) if actor is not None and actor.may_some("monitors:read") else ""


@dataclass(eq=False, slots=True)
class _Viewer:
    person: str
    network: str
    news: set[str] = field(default_factory=set)
    awake: asyncio.Event = field(default_factory=asyncio.Event)


class LiveUpdates:
    """An ASGI application for `/live`. `start` on the loop that serves it; `results_came` from any thread."""

    door = Door("monitors:read")

    def __init__(self, watcher: Watcher = session_watcher, *, limit: int = 200) -> None:
        self._watcher = watcher
        self._limit = limit
        self._viewers: set[_Viewer] = set()
        self._news: set[str] = set()
        self._timers: dict[float, asyncio.TimerHandle] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._unsubscribe: Callable[[], None] = lambda: None
        self._stopping = False

    def start(self) -> None:
        """Listen to committed events from now on."""
        self._loop = asyncio.get_running_loop()
        self._unsubscribe = HUB.subscribe(self._heard)

    def stop(self) -> None:
        """End every open stream, so that a stopping server need not wait for browsers."""
        self._unsubscribe()
        self._stopping = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for viewer in self._viewers:
            viewer.awake.set()

    @property
    def viewers(self) -> int:
        return len(self._viewers)

    def results_came(self) -> None:
        """New results are to be seen; from any thread, as often as one likes."""
        self._hand_over({"results"}, _GATHER_RESULTS)

    def _heard(self, event: Happened) -> None:
        topics = {"journal"}
        topic = _TOPICS.get(event.kind.partition(".")[0])
        self._hand_over(topics | {topic} if topic else topics, _GATHER)

    def _hand_over(self, topics: set[str], gather: float) -> None:
        if self._loop is not None and not self._stopping and self._viewers:
            with suppress(RuntimeError):  # the loop has just been closed: nobody is watching any more
                self._loop.call_soon_threadsafe(self._gather, topics, gather)

    def _gather(self, topics: set[str], gather: float) -> None:
        self._news |= topics
        if self._loop is not None and gather not in self._timers and not self._stopping:
            self._timers[gather] = self._loop.call_later(gather, self._broadcast, gather)

    def _broadcast(self, gather: float) -> None:
        self._timers.pop(gather, None)
        news, self._news = self._news, set()
        if not news:
            return
        for viewer in self._viewers:
            viewer.news |= news
            viewer.awake.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._stopping or len(self._viewers) >= self._limit:
            await _refuse(send, 503, b"too many live pages are open; this one is updated when you reload it")
            return
        person = await asyncio.to_thread(self._watcher, scope)
        if not person:
            await _refuse(send, 401, b"sign in to see live updates")
            return
        peer = scope["client"][0] if scope.get("client") else ""
        address = client_address(scope, settings.MAINSTAY.trusted_proxies) or peer  # who hides behind a header, counts
        viewer = _Viewer(person, network_of(address))
        if self._is_greedy(viewer):
            await _refuse(send, 429, b"too many live pages are open here; this one is updated when you reload it")
            return
        self._viewers.add(viewer)
        stream = asyncio.ensure_future(self._stream(viewer, scope, send))
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait((stream, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._viewers.discard(viewer)
            for task in (stream, gone):
                task.cancel()
            await asyncio.gather(stream, gone, return_exceptions=True)

    def _is_greedy(self, new: _Viewer) -> bool:
        """Whether this person, or the network it comes from, would leave too little for others."""
        own = sum(viewer.person == new.person for viewer in self._viewers)
        beside = sum(viewer.network == new.network for viewer in self._viewers) if new.network else 0
        return own >= _OF_A_PERSON or beside >= max(1, self._limit // 2)

    async def _stream(self, viewer: _Viewer, scope: Scope, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await _body(send, b"retry: 2000\n\n")
        loop = asyncio.get_running_loop()
        checked = loop.time()
        while not self._stopping:
            with suppress(TimeoutError):
                async with asyncio.timeout(_COMMENT_EVERY):
                    await viewer.awake.wait()
            viewer.awake.clear()
            if loop.time() - checked > _RECHECK_EVERY:
                checked = loop.time()
                if not await asyncio.to_thread(self._watcher, scope):
                    break
            news, viewer.news = viewer.news, set()
            message = {"topics": sorted(news)}
            await _body(send, f"data: {json.dumps(message)}\n\n".encode() if news else b": still here\n\n")
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _body(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _refuse(send: Send, status: int, reason: bytes) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"retry-after", b"30")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": reason})
