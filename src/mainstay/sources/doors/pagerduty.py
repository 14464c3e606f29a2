"""PagerDuty's Events API v2 at `/v2/enqueue` and `/v2/change/enqueue`, answered with its status codes and documents.

202  {"status": "success", "message": "Event processed", "dedup_key"}
400  {"status": "invalid event", "message": "Event object is invalid", "errors": [...]}
429  {"status": "throttle exceeded", ...}
"""

from __future__ import annotations

import uuid
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router

from mainstay.accounts.doors import public
from mainstay.sources.directory import Source
from mainstay.sources.doors.intake import Intake, Refused
from mainstay.sources.formats import pagerduty
from mainstay.sources.formats.reading import Batch, Malformed
from mainstay.sources.rules import text

BODY_LIMIT = 512 * 1024  # as the original's


class PagerDuty:
    """An ASGI application for `/v2/enqueue` and `/v2/change/enqueue`."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self.application = Router(
            [
                Route("/v2/enqueue", self._enqueue, methods=["POST"]),
                Route("/v2/change/enqueue", self._change, methods=["POST"]),
            ]
        )

    @public
    async def _enqueue(self, request: Request) -> Response:
        return await self._answer(request, change=False)

    @public
    async def _change(self, request: Request) -> Response:
        return await self._answer(request, change=True)

    async def _answer(self, request: Request, *, change: bool) -> Response:
        try:
            body = await self._intake.body(request, BODY_LIMIT)
            event = pagerduty.event_of(body)
            source = await self._source(request, event)
            batch, key = await self._read(source, request, body, event, change=change)
            await self._intake.take(source, batch, self._intake.shown(source, request, body, batch))
        except pagerduty.Invalid as error:
            return _invalid(error.errors)
        except Refused as refused:
            return _refused(refused)
        if change:
            return JSONResponse({"status": "success", "message": "Change event processed"}, 202)
        return JSONResponse({"status": "success", "message": "Event processed", "dedup_key": key}, 202)

    async def _source(self, request: Request, event: dict[str, Any]) -> Source:
        key = text(event.get("routing_key")) or request.headers.get("x-routing-key", "")
        if not key:
            raise pagerduty.Invalid("'routing_key' is missing or blank")
        source = await self._intake.find(lambda known: known.by_key("pagerduty", key))
        if source is None:
            raise pagerduty.Invalid("'routing_key' is invalid: no alert source has it")
        return source

    async def _read(
        self, source: Source, request: Request, body: bytes, event: dict[str, Any], *, change: bool
    ) -> tuple[Batch, str]:
        """What is not valid is kept for the page of the source."""
        now = self._intake.clock.now()
        try:
            if change:
                return pagerduty.read_change(event, source.target, now), ""
            return pagerduty.read(event, source.target, now, uuid.uuid4().hex)
        except (pagerduty.Invalid, Malformed) as error:
            await self._intake.note(source, self._intake.refusal(source, request, body, str(error)))
            raise pagerduty.Invalid(*(error.errors if isinstance(error, pagerduty.Invalid) else [str(error)])) from None


def _invalid(errors: list[str]) -> Response:
    return JSONResponse({"status": "invalid event", "message": "Event object is invalid", "errors": errors}, 400)


def _refused(refused: Refused) -> Response:
    if refused.status == 429:
        words = "Requests for this service are arriving too quickly. Please retry later."
        document = {"status": "throttle exceeded", "message": words, "errors": [refused.message]}
    else:
        document = {"status": "error", "message": refused.message, "errors": [refused.message]}
    wait = {"Retry-After": str(max(1, round(refused.wait)))} if refused.wait else None
    return JSONResponse(document, refused.status, wait)
