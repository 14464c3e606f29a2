"""The web server's dispatch: fast doors first, Django behind a thread pool for everything else."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any, cast

import a2wsgi
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

import mainstay.frames.web
from mainstay.accounts.doors import Door
from mainstay.frames.limits import Limits, refuse
from mainstay.frames.web.assets import SHEET, style_sheet
from mainstay.frames.web.middleware import security_headers
from mainstay.runtime.bodies import Application, Message, Receive, Scope, Send, WholeBodies

_WEB_THREADS = 8
JOIN = "/probe/join"  # the only door for WebSockets


def django_application() -> Application:
    """Django in a pool of threads, with the body limits that its own middleware keeps."""
    # Django's handler is a WSGI application whose stub says only what it returns.
    wsgi = cast("Any", get_wsgi_application())
    application = cast("Application", a2wsgi.WSGIMiddleware(wsgi, workers=_WEB_THREADS))
    return WholeBodies(application, settings.BODY_LIMIT, settings.MAINSTAY.trusted_proxies)


class _Files(StaticFiles):
    """An address with `?v=` changes with its content and is kept for good; any other is asked for again."""

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["Cache-Control"] = _kept(scope)
        return response


def _kept(scope: Scope) -> str:
    return "public, max-age=31536000, immutable" if b"v=" in scope["query_string"] else "no-cache"


def _style_sheet(request: Request) -> Response:
    return Response(style_sheet(), media_type="text/css", headers={"Cache-Control": _kept(request.scope)})


def static_files() -> Application:
    """Our own static files and those of the API documentation."""
    # Found, not imported: it is heavy, and loaded with the first page.
    found = importlib.util.find_spec("ninja")
    ninja = [Path(place) / "static" for place in (found.submodule_search_locations or ())] if found else []
    folders = [Path(mainstay.frames.web.__file__).parent / "static", *ninja]
    files = _Files(directory=folders[0])
    files.all_directories = list(folders)
    # A mount tells the files below which path they lie, and answers 404 for what there is not.
    application = Starlette(routes=[Route(f"/static/{SHEET}", _style_sheet), Mount("/static", files)])
    application.door = Door(public=True)  # type: ignore[attr-defined] # a mark
    return cast("Application", application)


class Server:
    """An ASGI application: the longest fitting prefix takes the request.

    `headers` are added to every answer of a door that does not go through Django's middleware.
    """

    def __init__(
        self, doors: dict[str, Application], fallback: Application, *, https: bool, limits: Limits | None = None
    ) -> None:
        self._doors = sorted(doors.items(), key=lambda item: -len(item[0]))
        self._fallback = fallback
        self._join = doors.get(JOIN)
        self._headers = security_headers(https)
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        if self._limits is not None and (wait := self._limits.wait(scope)):
            await refuse(wait, self._with_headers(send))
            return
        path: str = scope["path"]
        for prefix, door in self._doors:
            if path.startswith(prefix) and (prefix.endswith("/") or path == prefix):
                await door(scope, receive, self._with_headers(send))
                return
        await self._fallback(scope, receive, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One door speaks over WebSockets; a handshake for any other address is refused."""
        door = self._join if scope["path"] == JOIN else None
        if door is None or (self._limits is not None and self._limits.wait(scope)):
            await receive()
            await send({"type": "websocket.close", "code": 1000})
            return
        await door(scope, receive, send)

    def _with_headers(self, send: Send) -> Send:
        extra = self._headers

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                present = {name.lower() for name, _ in headers}
                message["headers"] = headers + [(name, value) for name, value in extra if name.lower() not in present]
            await send(message)

        return sending
