"""The addresses of Gatus: results of external endpoints come in, statuses and badges go out (api/*.go of Gatus 5).

    POST /api/v1/endpoints/<key>/external?success=&error=&duration=     Bearer: the heartbeat's push_token, or an
                                                                        API token with the scope monitors:check
    GET  /api/v1/endpoints/statuses, /api/v1/endpoints/<key>/statuses   API token or session with monitors:read
    GET  /api/v1/endpoints/<key>/health/badge.svg|badge.shields         open for what stands on a public status
    GET  /api/v1/endpoints/<key>/uptimes/<30d|7d|24h|1h>[/badge.svg]    page; else as statuses
    GET  /api/v1/endpoints/<key>/response-times/<duration>[/badge.svg|/chart.svg|/history]
    GET  /api/v1/suites/statuses                                        as statuses: there are no suites here
    GET  /api/v1/config                                                 open: whether this token or session may read

A key is `<group>_<name>`, both in lower case with `/ _ . , # + &` and spaces as `-`; the label `group` names the group.
Endpoints are monitors and heartbeats; where both have a key, the monitor is meant.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import re
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from django.conf import settings
from django.db import DatabaseError, close_old_connections
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, Router

from mainstay.accounts.doors import Door, session_actor, token_actor
from mainstay.foreign.compat import gatus_endpoints as endpoints
from mainstay.foreign.compat.badges import open_to_all
from mainstay.foreign.compat.gatus_chart import chart_svg
from mainstay.foreign.compat.gatus_endpoints import Endpoint
from mainstay.foreign.compat.pushes import PingDoor, Push, take_push
from mainstay.frames.addresses import client_address
from mainstay.heartbeats.badges import badge_svg
from mainstay.heartbeats.directory import KnownHeartbeat, key_hash
from mainstay.kernel.errors import MainstayError
from mainstay.kernel.wording import percent

_BODY_LIMIT = 64 * 1024
_KEPT = 10.0  # seconds that the list of all statuses is kept, as there
_HOURS = {"30d": 720, "7d": 168, "24h": 24, "1h": 1}
_DURATIONS = "Durations supported: 30d, 7d, 24h, 1h"
_GOOD, _BAD, _UNSURE = "#40cc11", "#c7130a", "#ccb311"
_UPTIME_COLORS = ((0.975, _GOOD), (0.95, "#94cc11"), (0.9, "#ccd311"), (0.8, _UNSURE), (0.65, "#cc8111"))
_TIME_COLORS = ((50, _GOOD), (200, "#94cc11"), (300, "#ccd311"), (500, _UNSURE), (750, "#cc8111"))
_GO_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)")
_GO_UNITS = {"ns": 1e-9, "us": 1e-6, "\u00b5s": 1e-6, "\u03bcs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}

T = TypeVar("T")
Answer = Callable[[Request], Awaitable[Response]]


class Refused(Exception):
    """An answer as plain text, as Gatus refuses."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Gatus:
    """An ASGI application for `/api/v1/endpoints/`, `/api/v1/suites/` and `/api/v1/config`."""

    def __init__(self, pings: PingDoor) -> None:
        self._pings = pings
        self._kept: dict[tuple[int, int], tuple[float, bytes]] = {}
        root = "/api/v1/endpoints"
        self.application = Router(
            [
                Route(f"{root}/statuses", _plainly(self._statuses, "monitors:read")),
                Route(f"{root}/{{key}}/statuses", _plainly(self._status, "monitors:read")),
                Route(f"{root}/{{key}}/external", _plainly(self._external), methods=["POST"]),
                Route(f"{root}/{{key}}/health/badge.svg", _plainly(self._health)),
                Route(f"{root}/{{key}}/health/badge.shields", _plainly(self._health)),
                Route(f"{root}/{{key}}/uptimes/{{duration}}", _plainly(self._uptime)),
                Route(f"{root}/{{key}}/uptimes/{{duration}}/badge.svg", _plainly(self._uptime)),
                Route(f"{root}/{{key}}/response-times/{{duration}}", _plainly(self._response_time)),
                Route(f"{root}/{{key}}/response-times/{{duration}}/badge.svg", _plainly(self._response_time)),
                Route(f"{root}/{{key}}/response-times/{{duration}}/history", _plainly(self._history)),
                Route(f"{root}/{{key}}/response-times/{{duration}}/chart.svg", _plainly(self._chart)),
                Route("/api/v1/config", _plainly(self._config)),
                Route("/api/v1/suites/statuses", _plainly(self._suites, "monitors:read")),
            ]
        )

    # Results come in

    async def _external(self, request: Request) -> Response:
        query = request.query_params
        if query.get("success") not in ("true", "false"):
            raise Refused(400, "missing or invalid success query parameter")
        token = _bearer(request)
        key = request.path_params["key"]
        entry = await self._pings.find(lambda directory: directory.by_key.get(key))
        if entry is None:
            raise Refused(404, "not found")
        address = client_address(request.scope, settings.MAINSTAY.trusted_proxies)
        if not await _may_push(entry, token, address):
            raise Refused(401, "invalid token")
        seconds = _go_duration(query["duration"]) if query.get("duration") else None
        up = query["success"] == "true"
        errors = [] if up else [query.get("error", ""), await _error_in_body(request)]
        message = "\n".join(dict.fromkeys(error for error in errors if error))
        answer = await take_push(self._pings, entry, request, Push(up, message, seconds))
        if answer.status != 200:
            raise Refused(answer.status, answer.text.decode())
        return PlainTextResponse("")

    # Statuses go out

    async def _statuses(self, request: Request) -> Response:
        page, size = _paging(request)
        kept = self._kept.get((page, size))
        if kept is None or time.monotonic() - kept[0] > _KEPT:
            documents = await _read(partial(endpoints.statuses, page, size))
            kept = (time.monotonic(), json.dumps(documents).encode())
            if len(self._kept) > 100:
                self._kept.clear()
            self._kept[page, size] = kept
        return _fresh(Response(kept[1], media_type="application/json"))

    async def _status(self, request: Request) -> Response:
        page, size = _paging(request)
        endpoint = await _read(partial(endpoints.named, request.path_params["key"]))
        if endpoint is None:
            raise Refused(404, "endpoint not found")
        return _fresh(JSONResponse(await _read(partial(endpoints.status, endpoint, page, size))))

    # Badges

    async def _health(self, request: Request) -> Response:
        endpoint = await _seen(request)
        word, color, shield = {
            True: ("up", _GOOD, "brightgreen"),
            False: ("down", _BAD, "red"),
            None: ("?", _UNSURE, "yellow"),
        }[endpoint.healthy]
        if request.url.path.endswith(".shields"):
            document = {"schemaVersion": 1, "label": "gatus", "message": word, "color": shield}
            return open_to_all(JSONResponse(document))
        return _svg("health", word, color)

    async def _uptime(self, request: Request) -> Response:
        hours = _hours(request)
        endpoint = await _seen(request)
        share = await _read(partial(endpoints.uptime, endpoint, hours))
        if not request.url.path.endswith(".svg"):
            return open_to_all(PlainTextResponse(f"{percent(share or 0.0, 4) / 100:f}"))
        label = f"uptime {request.path_params['duration']}"
        if share is None:
            return _svg(label, "?", _UNSURE)
        color = next((color for least, color in _UPTIME_COLORS if share >= least), _BAD)
        return _svg(label, f"{percent(share):g}%", color)

    async def _response_time(self, request: Request) -> Response:
        hours = _hours(request)
        endpoint = await _seen(request)
        seconds = await _read(partial(endpoints.response_time, endpoint, hours))
        milliseconds = None if seconds is None else round(seconds * 1000)
        if not request.url.path.endswith(".svg"):
            return open_to_all(PlainTextResponse(str(milliseconds or 0)))
        label = f"response time {request.path_params['duration']}"
        if milliseconds is None:
            return _svg(label, "?", _UNSURE)
        color = next((color for most, color in _TIME_COLORS if milliseconds <= most), _BAD)
        return _svg(label, f"{milliseconds}ms", color)

    async def _history(self, request: Request) -> Response:
        hours = _hours(request)
        endpoint = await _seen(request)
        return open_to_all(JSONResponse(await _read(partial(endpoints.history, endpoint, hours))))

    async def _chart(self, request: Request) -> Response:
        """204 without data, as there."""
        hours = _hours(request)
        endpoint = await _seen(request)
        now = time.time()
        past = await _read(partial(endpoints.history, endpoint, hours, now))
        if not past["values"]:
            return open_to_all(Response(status_code=204))
        first = min(int((now - hours * 3600) * 1000), past["timestamps"][0])  # the first mean may begin before
        span = (first, int(now * 1000))
        svg = chart_svg(past["timestamps"], past["values"], span)
        return open_to_all(Response(svg, media_type="image/svg+xml"))

    async def _config(self, request: Request) -> Response:
        """What its page asks for first."""
        may_read = await _may(request, "monitors:read")
        return _fresh(JSONResponse({"oidc": False, "authenticated": may_read, "announcements": []}))

    async def _suites(self, _request: Request) -> Response:
        return _fresh(JSONResponse([]))


def _plainly(endpoint: Answer, scope: str = "") -> Answer:
    """Errors as plain text. Without a scope the endpoint itself decides, by a push token or by what is public."""

    async def answering(request: Request) -> Response:
        try:
            if scope and not await _may(request, scope):
                raise Refused(401, f"this needs an API token with the scope {scope}")
            return await endpoint(request)
        except Refused as refused:
            headers = {"WWW-Authenticate": 'Bearer realm="mainstay"'} if refused.status == 401 else {}
            return _fresh(PlainTextResponse(refused.text, refused.status, headers))
        except MainstayError as error:
            return _fresh(PlainTextResponse(str(error), error.status))
        except DatabaseError:
            return _fresh(PlainTextResponse("the database is busy", 503, {"Retry-After": "2"}))

    answering.door = Door(scope, public=not scope)  # type: ignore[attr-defined] # a mark on a function
    return answering


def _svg(label: str, message: str, color: str) -> Response:
    return open_to_all(Response(badge_svg(label, message, color), media_type="image/svg+xml"))


async def _read(read: Callable[[], T]) -> T:
    def reading() -> T:
        close_old_connections()
        return read()

    return await asyncio.to_thread(reading)


async def _may(request: Request, scope: str) -> bool:
    """Whether a token or a session that holds the scope asks."""

    def find() -> bool:
        header = request.headers.get("authorization", "")
        address = client_address(request.scope, settings.MAINSTAY.trusted_proxies)
        actor = token_actor(header, address) if header else session_actor(request.cookies, address)
        return actor is not None and actor.may(scope)

    return await _read(find)


async def _seen(request: Request) -> Endpoint:
    """The endpoint of a badge, if whoever asks may see it; what is not public does not exist for strangers."""
    endpoint = await _read(partial(endpoints.named, request.path_params["key"]))
    if endpoint is None or not (endpoint.public or await _may(request, "monitors:read")):
        raise Refused(404, "endpoint not found")
    return endpoint


def _bearer(request: Request) -> str:
    header = request.headers.get("authorization", "")
    if not header.startswith("Bearer "):
        raise Refused(401, "invalid Authorization header")
    token = header.removeprefix("Bearer ").strip()
    if not token:
        raise Refused(401, "bearer token must not be empty")
    return token


async def _may_push(entry: KnownHeartbeat, token: str, address: str) -> bool:
    """By the endpoint's own token, or an API token that may report for every heartbeat."""
    if entry.push_token_hash and hmac.compare_digest(key_hash(token), entry.push_token_hash):
        return True
    actor = await _read(partial(token_actor, f"Bearer {token}", address))
    return actor is not None and actor.may("monitors:check")


async def _error_in_body(request: Request) -> str:
    """`{"error": "..."}`, which newer senders use; anything else is no error message."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _BODY_LIMIT:
            raise Refused(413, f"the body has more than {_BODY_LIMIT} bytes")
    try:
        document = json.loads(body) if body else {}
    except (ValueError, RecursionError):
        return ""
    error = document.get("error") if isinstance(document, dict) else None
    return error if isinstance(error, str) else ""


def _go_duration(text: str) -> float:
    """Seconds of `1m30s`, `250ms`, `1.5h`, as Go's time.ParseDuration reads them."""
    found = _GO_DURATION.findall(text) if len(text) <= 100 else []
    whole = "".join(number + unit for number, unit in found) == text
    seconds = sum(float(number) * _GO_UNITS[unit] for number, unit in found) if whole else -1.0
    if text == "0":
        return 0.0
    if not found or not whole or seconds > 366 * 86_400:
        raise Refused(400, f'invalid duration: time: invalid duration "{text[:100]}"')
    return seconds


def _hours(request: Request) -> int:
    hours = _HOURS.get(request.path_params["duration"])
    if hours is None:
        raise Refused(400, _DURATIONS)
    return hours


def _paging(request: Request) -> tuple[int, int]:
    """(page, results a page), as far as they make sense: page 1 is the newest, 100 results at most."""

    def whole(name: str, default: int, highest: int) -> int:
        text = request.query_params.get(name, "")
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else default
        return min(number, highest) if number > 0 else default

    return whole("page", 1, 10), whole("pageSize", 20, 100)


def _fresh(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-cache, no-store, must-revalidate"
    return response
