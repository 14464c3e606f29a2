"""Webhooks at `/in/<source>`: Grafana, Healthchecks, Uptime Kuma, Gatus, CloudEvents and any other JSON.

The key of the source is shown as `Authorization: Bearer`, as the password of basic authentication, as `X-Key`, or in
the address as `?key=`. Below `/in/<source>` stands Alertmanager's API too, for sources of that kind.

    202 what was taken in    400 it cannot be read, or a part of it    401 no source of this name has this key
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, Router

from mainstay.accounts.doors import public
from mainstay.sources.doors.intake import Intake, Refused
from mainstay.sources.formats import any_json, cloudevents, webhooks
from mainstay.sources.formats.reading import Batch, Malformed

if TYPE_CHECKING:
    from mainstay.sources.directory import Source

BODY_LIMIT = 4 * 1024 * 1024
READERS: dict[str, Callable[[bytes, Any, float], Batch]] = {
    "grafana": webhooks.grafana,
    "healthchecks": webhooks.healthchecks,
    "kuma": webhooks.kuma,
    "gatus": webhooks.gatus,
    "json": any_json.read,
}


class Incoming:
    """An ASGI application for `/in/`; `below` are routes of other protocols beneath a source."""

    def __init__(self, intake: Intake, below: list[BaseRoute]) -> None:
        self._intake = intake
        self.application = Router([Route("/in/{source}", self._take, methods=["POST", "PUT"]), *below])

    @public
    async def _take(self, request: Request) -> Response:
        try:
            source = await self._source(request)
            body = await self._intake.body(request, BODY_LIMIT)
            batch = await self._read(request, source, body)
            await self._intake.take(source, batch, self._intake.shown(source, request, body, batch))
        except Refused as refused:
            wait = {"Retry-After": str(max(1, round(refused.wait)))} if refused.wait else None
            return JSONResponse({"error": refused.message}, refused.status, wait)
        taken = {"alerts": len(batch.reports), "changes": len(batch.changes)}
        if batch.problems:
            return JSONResponse({"error": "; ".join(batch.problems)[:2000], **taken}, 400)
        return JSONResponse(taken, 202)

    async def _source(self, request: Request) -> Source:
        name, key = request.path_params["source"], _key(request)
        found = await self._intake.find(lambda known: known.named(name))
        if found is None or not found.opens(key) or (found.kind not in READERS and found.kind != "cloudevents"):
            raise Refused(401, "no alert source of this name has this key")
        return found

    async def _read(self, request: Request, source: Source, body: bytes) -> Batch:
        now = self._intake.clock.now()
        if source.kind == "cloudevents":
            reader = partial(cloudevents.read, body, dict(request.headers), source.target, now)
        else:
            reader = partial(READERS[source.kind], body, source.target, now)
        try:
            return await self._intake.read(reader, len(body))
        except Malformed as error:
            await self._intake.note(source, self._intake.refusal(source, request, body, str(error)))
            raise Refused(400, str(error)) from None


def _key(request: Request) -> str:
    scheme, _, shown = request.headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer":
        return shown.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(shown.strip(), validate=True).decode().partition(":")[2]
        except ValueError:
            return ""
    return request.headers.get("x-key", "") or request.query_params.get("key", "")
