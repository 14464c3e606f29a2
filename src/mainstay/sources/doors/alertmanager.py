"""Alertmanager's API v2, at the root of the server and below `/in/<source>`: for Prometheus, amtool and Grafana.

    POST /api/v2/alerts            takes alerts in
    GET  /api/v2/alerts            all that is wrong now, what Mainstay found itself included
    GET  /api/v2/alerts/groups, /api/v2/receivers, /api/v2/status
         /api/v2/silences, /api/v2/silence/{id}    (silences.py)
    /-/healthy, /-/ready, /-/reload

Answers as those of Alertmanager 0.25 to 0.28 (`api/v2/api.go`): mistakes that it finds are JSON texts, and those of its
schema are `{"code", "message"}`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, Router

from mainstay.accounts.doors import public
from mainstay.kernel.clock import to_iso
from mainstay.sources.directory import Source
from mainstay.sources.doors.alertmanager_view import Asked, BadQuery, groups, listing, receivers, status
from mainstay.sources.doors.answers import answer, failure, read, refusal, words
from mainstay.sources.doors.intake import Intake, Refused
from mainstay.sources.doors.silences import Silences
from mainstay.sources.doors.visitors import visitor
from mainstay.sources.formats import alertmanager

BODY_LIMIT = 16 * 1024 * 1024
_JSON = "application/json"
Endpoint = Callable[[Request], Awaitable[Response]]


class Alertmanager:
    """An ASGI application for `/api/v2/alerts` and its neighbours, and for `/-/`."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._silences = Silences(intake)
        self._started = intake.clock.now()
        self.below = self._routes("/in/{source}")
        self.application = Router([*self._routes(""), Route("/api/v2/alerts/{rest:path}", _nowhere, methods=_EVERY)])

    def _routes(self, prefix: str) -> list[BaseRoute]:
        ways: dict[str, dict[str, Endpoint]] = {
            "/api/v2/alerts": {"GET": self._list, "POST": self._take},
            "/api/v2/alerts/groups": {"GET": self._groups},
            "/api/v2/receivers": {"GET": self._receivers},
            "/api/v2/silences": {"GET": self._silences.list, "POST": self._silences.set},
            "/api/v2/silence/{id}": {"GET": self._silences.one, "DELETE": self._silences.expire},
            "/api/v2/status": {"GET": self._status},
        }
        found: list[BaseRoute] = [
            Route(prefix + path, _by_method(methods), methods=_EVERY) for path, methods in ways.items()
        ]
        found += [Route(prefix + path, _ok, methods=["GET", "HEAD"]) for path in ("/-/healthy", "/-/ready")]
        found.append(Route(prefix + "/-/reload", _reloaded, methods=["POST"]))
        return found

    async def _take(self, request: Request) -> Response:
        actor = await visitor(request, self._intake.settings, "alerts:send")
        media = request.headers.get("content-type", "").partition(";")[0].strip() or "application/octet-stream"
        if media != _JSON:
            return failure(415, 415, f'unsupported media type "{media[:100]}", only [application/json] are allowed')
        source = await self._source(request)
        body = await self._intake.body(request, BODY_LIMIT)
        reader = partial(alertmanager.read, body, source.target, self._intake.clock.now())
        try:
            batch = await self._intake.read(reader, len(body))
        except alertmanager.Unfit as error:
            await self._intake.note(source, self._intake.refusal(source, request, body, error.message))
            return failure(error.status, error.code, error.message)
        if batch.reports or batch.problems:
            await self._intake.take(source, batch, self._intake.shown(source, request, body, batch), str(actor))
        return words(400, "; ".join(batch.problems)) if batch.problems else Response()

    async def _source(self, request: Request) -> Source:
        name = request.path_params.get("source", "")
        wanted = await self._intake.find(
            lambda known: known.named(name) if name else known.of_kind("alertmanager")  # the first of several
        )
        if wanted is None or wanted.kind != "alertmanager":
            raise Refused(404, "no alert source of the kind alertmanager is declared here")
        return wanted

    async def _list(self, request: Request) -> Response:
        actor = await visitor(request, self._intake.settings, "alerts:read")
        asked = Asked.of(request.query_params)
        return answer(await read(partial(listing, asked, actor.limits, self._intake.clock.now())))

    async def _groups(self, request: Request) -> Response:
        actor = await visitor(request, self._intake.settings, "alerts:read")
        asked = Asked.of(request.query_params)
        return answer(await read(partial(groups, asked, actor.limits, self._intake.clock.now())))

    async def _receivers(self, request: Request) -> Response:
        actor = await visitor(request, self._intake.settings, "alerts:read")
        return answer(await read(partial(receivers, actor.limits)))

    async def _status(self, request: Request) -> Response:
        actor = await visitor(request, self._intake.settings, "alerts:read")
        return answer(await read(partial(status, actor.limits, to_iso(self._started))))


_EVERY = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


def _by_method(methods: dict[str, Endpoint]) -> Endpoint:
    @public
    async def endpoint(request: Request) -> Response:
        way = methods.get("GET" if request.method == "HEAD" else request.method)
        if way is None:
            allowed = ",".join(methods)
            refused = failure(405, 405, f"method {request.method} is not allowed, but [{allowed}] are")
            refused.headers["Allow"] = allowed
            return refused
        try:
            return await way(request)
        except BadQuery as error:
            return words(400, str(error))
        except Refused as refused:
            return refusal(refused)

    return endpoint


@public
async def _ok(_request: Request) -> Response:
    return PlainTextResponse("OK")


@public
async def _reloaded(_request: Request) -> Response:
    """What is declared is taken up by itself."""
    return Response()


@public
async def _nowhere(request: Request) -> Response:
    return failure(404, 404, f"path {request.url.path[:200]} was not found")
