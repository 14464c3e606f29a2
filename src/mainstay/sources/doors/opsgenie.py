"""Opsgenie's Alert API at `/v2/alerts`, with `Authorization: GenieKey <key>`.

Ids are made of the alert's fingerprint, and the id of a request says what it was, so that nothing is stored for them.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from django.db import close_old_connections
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router

from mainstay.accounts.doors import public
from mainstay.kernel.clock import to_iso
from mainstay.sources.directory import Source
from mainstay.sources.doors.intake import Intake, Refused
from mainstay.sources.doors.opsgenie_view import alert_id, found_by, known, listing, named
from mainstay.sources.formats import opsgenie
from mainstay.sources.formats.reading import Batch, Malformed
from mainstay.sources.rules import fingerprint

BODY_LIMIT = 512 * 1024
_DONE = {
    "create": ("Create", "Created alert"),
    "close": ("Close", "Alert closed"),
    "acknowledge": ("Acknowledge", "Alert acknowledged"),
    "unacknowledge": ("UnAcknowledge", "Alert unacknowledged"),
    "notes": ("AddNote", "Alert note added"),
    "snooze": ("Snooze", "Alert snoozed"),
}
_ACTIONS = list(_DONE)
Way = Callable[[Request, Source], Awaitable[Response]]


class Opsgenie:
    """An ASGI application for everything at and below `/v2/alerts`."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self.application = Router(
            [
                Route("/v2/alerts", self._door(self._list), methods=["GET"]),
                Route("/v2/alerts", self._door(self._create), methods=["POST"]),
                Route("/v2/alerts/requests/{request}", self._door(self._status), methods=["GET"]),
                Route("/v2/alerts/{id:path}", self._door(self._one), methods=["GET"]),
                Route("/v2/alerts/{id:path}", self._door(self._order), methods=["POST", "DELETE"]),
            ]
        )

    def _door(self, way: Way) -> Callable[[Request], Awaitable[Response]]:
        @public
        async def endpoint(request: Request) -> Response:
            began = time.monotonic()
            try:
                return await way(request, await self._source(request))
            except opsgenie.Unprocessable as error:
                words = "Request body is not processable. Please check the errors."
                return _answer(422, began, {"message": words, "errors": error.errors})
            except Refused as refused:
                wait = {"Retry-After": str(max(1, round(refused.wait)))} if refused.wait else {}
                return _answer(refused.status, began, {"message": refused.message}, headers=wait)

        return endpoint

    async def _source(self, request: Request) -> Source:
        scheme, _, key = request.headers.get("authorization", "").strip().partition(" ")
        if scheme.lower() != "geniekey" or not key:
            raise Refused(401, "Could not authenticate")
        source = await self._intake.find(lambda directory: directory.by_key("opsgenie", key.strip()))
        if source is None:
            raise Refused(401, "Could not authenticate")
        return source

    async def _create(self, request: Request, source: Source) -> Response:
        body = await self._intake.body(request, BODY_LIMIT)
        now = self._intake.clock.now()
        made = str(uuid.uuid4())
        alias = await self._take(
            request, source, body, lambda: opsgenie.create(opsgenie.document_of(body), source.target, now, made)
        )
        return self._accepted("create", source, alias)

    async def _order(self, request: Request, source: Source) -> Response:
        name, _, what = request.path_params["id"].rpartition("/")
        if request.method == "DELETE":
            name, what = request.path_params["id"], "close"
        if not name or what not in _DONE or what == "create":
            raise Refused(404, "there is no such operation")
        body = await self._intake.body(request, BODY_LIMIT)
        alias = await _read(partial(known, source, name, request.query_params.get("identifierType", "id")))
        await self._take(
            request, source, body, lambda: (opsgenie.order(what, opsgenie.document_of(body), alias or ""), alias or "")
        )
        return self._accepted(what, source, alias or name)

    async def _take(
        self, request: Request, source: Source, body: bytes, reader: Callable[[], tuple[Batch, str]]
    ) -> str:
        """The alias of what was taken in."""
        try:
            batch, alias = reader()
        except (opsgenie.Unprocessable, Malformed) as error:
            await self._intake.note(source, self._intake.refusal(source, request, body, str(error)))
            if isinstance(error, opsgenie.Unprocessable):
                raise
            raise opsgenie.Unprocessable(body=str(error)) from None
        await self._intake.take(source, batch, self._intake.shown(source, request, body, batch))
        return alias

    async def _list(self, request: Request, source: Source) -> Response:
        began, query = time.monotonic(), request.query_params
        data = await _read(partial(listing, source, query.get("query", ""), _number(query, "limit", 20)))
        offset = _number(query, "offset", 0)
        return _answer(200, began, {"data": data[offset : offset + _number(query, "limit", 20)], "paging": {}})

    async def _one(self, request: Request, source: Source) -> Response:
        began = time.monotonic()
        kind = request.query_params.get("identifierType", "id")
        found = await _read(partial(found_by, source, request.path_params["id"], kind))
        if found is None:
            wanted = request.path_params["id"][:100]
            raise Refused(404, f"Alert with {kind} [{wanted}] does not exist")
        return _answer(200, began, {"data": found})

    async def _status(self, request: Request, source: Source) -> Response:
        began = time.monotonic()
        parsed = _parsed(request.path_params["request"])
        row = await _read(partial(named, source, parsed[1])) if parsed else None
        if parsed is None:
            raise Refused(404, "Request not found. It might not be processed, yet.")
        action, done = _DONE[parsed[0]]
        data = {
            "success": row is not None,
            "action": action,
            "processedAt": to_iso(parsed[2]),
            "integrationId": source.uid,
            "isSuccess": row is not None,
            "status": done if row is not None else "Alert does not exist",
            "alertId": alert_id(parsed[1]) if row is not None else "",
            "alias": row or "",
        }
        return _answer(200, began, {"data": data})

    def _accepted(self, what: str, source: Source, alias: str) -> Response:
        key = fingerprint({"source": source.name, "key": alias})
        request_id = _request_id(what, key, self._intake.clock.now())
        document = {"result": "Request will be processed", "took": 0.0, "requestId": request_id}
        return JSONResponse(document, 202, {"X-Request-Id": request_id})


def _request_id(what: str, key: str, now: float) -> str:
    """A UUID of an alert's fingerprint, what was asked, and when in milliseconds."""
    return str(uuid.UUID(f"{key}{_ACTIONS.index(what):02x}{int(now * 1000) & 0xFFFFFFFFFFFF:012x}00"))


def _parsed(text: str) -> tuple[str, str, float] | None:
    try:
        digits = uuid.UUID(text).hex
    except ValueError:
        return None
    index = int(digits[16:18], 16)
    return (_ACTIONS[index], digits[:16], int(digits[18:30], 16) / 1000) if index < len(_ACTIONS) else None


def _number(query: Any, name: str, default: int) -> int:
    said = query.get(name, "")
    return min(int(said), 10_000) if said.isascii() and said.isdigit() and len(said) < 8 else default


def _answer(status: int, began: float, document: dict[str, Any], *, headers: dict[str, str] | None = None) -> Response:
    took = {"took": round(time.monotonic() - began, 3), "requestId": str(uuid.uuid4())}
    return JSONResponse({**document, **took}, status, headers)


async def _read(reader: Callable[[], Any]) -> Any:
    def read() -> Any:
        close_old_connections()
        return reader()

    return await asyncio.to_thread(read)
