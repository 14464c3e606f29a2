"""The door of heartbeat badges: open to everybody who has the address, as images in a README need it.

An answer is kept for two seconds, so that a page that many look at costs one read, unless something was declared or
changed its state since.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from django.db import DatabaseError, close_old_connections
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from mainstay.accounts.doors import public
from mainstay.heartbeats import queries
from mainstay.heartbeats.badges import check_badge_key, fits, rendered, tally
from mainstay.heartbeats.queries import HeartbeatView
from mainstay.kernel.errors import MainstayError
from mainstay.kernel.event import Happened
from mainstay.store.hub import HUB

_KEPT = 2.0
# Patterns of the whole path as it was sent.
_TAG = re.compile(r"/badge/([\w-]{1,60})/([\w-]{8})(?:-([23]))?/([^/]{1,600})\.(svg|json|shields)")
_ALL = re.compile(r"/badge/([\w-]{1,60})/([\w-]{8})(?:-([23]))?\.(svg|json|shields)")
_ONE = re.compile(r"/b/([23])/([0-9a-f-]{36})\.(svg|json|shields)")
_MASTER_LABEL = "Mainstay"

Reader = Callable[[], list[HeartbeatView]]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """`pick` chooses the heartbeats; None as its label stands for the name of the only one."""

    pick: Callable[[HeartbeatView], bool]
    label: str | None
    states: int
    form: str


class Badges:
    """An ASGI application for `/badge/` and `/b/`."""

    def __init__(self, reader: Reader = queries.heartbeats) -> None:
        self._reader = reader
        self._read_at = float("-inf")
        self._stale = False
        HUB.subscribe(self._hear)
        self._views: list[HeartbeatView] = []
        self._reading = asyncio.Lock()
        paths = ("/badge/{rest:path}", "/b/{rest:path}")
        routes = [Route(path, self._badge, methods=["GET", "OPTIONS"]) for path in paths]
        self.application = Router(routes)

    @public
    async def _badge(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return open_to_all(Response(status_code=204))
        raw = request.scope.get("raw_path")
        wanted = _wanted(raw.decode("latin-1") if raw else request.url.path)
        if wanted is None:
            return open_to_all(Response("not found", 404, media_type="text/plain"))
        try:
            views = await self._recent()
        except (DatabaseError, MainstayError):
            return open_to_all(Response("the database is busy", 503, {"Retry-After": "2"}, "text/plain"))
        found = [view for view in views if wanted.pick(view)]
        if wanted.label is None and not found:
            return open_to_all(Response("not found", 404, media_type="text/plain"))
        label = found[0].title or found[0].uuid if wanted.label is None else wanted.label
        content, media = rendered(tally(found, states=wanted.states), label, wanted.form)
        text = content if isinstance(content, str) else json.dumps(content)
        return open_to_all(Response(text, media_type=media))

    async def _recent(self) -> list[HeartbeatView]:
        async with self._reading:
            if self._stale or time.monotonic() - self._read_at > _KEPT:
                self._stale = False  # before the read: what happens meanwhile makes it stale again
                self._views = await asyncio.to_thread(self._read)
                self._read_at = time.monotonic()
            return self._views

    def _hear(self, event: Happened) -> None:
        if event.kind.startswith(("resources.", "heartbeat.")):
            self._stale = True

    def _read(self) -> list[HeartbeatView]:
        close_old_connections()
        return self._reader()


def _wanted(path: str) -> _Wanted | None:
    """What an address asks for; None if it is none of ours."""
    if found := _TAG.fullmatch(path):
        key, signed, states, quoted, form = found.groups()
        tag = unquote(quoted)
        if fits(key, signed, tag):
            return _Wanted(lambda view: tag in view.tags, tag, int(states or 3), form)
    elif found := _ALL.fullmatch(path):
        key, signed, states, form = found.groups()
        if fits(key, signed, "*"):
            return _Wanted(lambda _view: True, _MASTER_LABEL, int(states or 3), form)
    elif found := _ONE.fullmatch(path):
        states, one, form = found.groups()
        return _Wanted(lambda view: check_badge_key(view.uid) == one, None, int(states), form)
    return None


def open_to_all(response: Response) -> Response:
    """Headers that let any page show it, and nobody keep it."""
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Allow-Methods"] = "GET, OPTIONS"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["Cache-Control"] = "max-age=0, no-cache, no-store, must-revalidate, private"
    return response
