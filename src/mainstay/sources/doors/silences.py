"""Silences of Alertmanager's API: `/api/v2/silences` and `/api/v2/silence/{id}`."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from mainstay.kernel.actor import Actor
from mainstay.kernel.clock import to_iso
from mainstay.kernel.errors import InvalidInput, MainstayError, NotFound
from mainstay.kernel.matchers import Matcher, parse_matcher
from mainstay.kernel.patterns import BadPattern
from mainstay.sources.doors.alertmanager_view import Asked
from mainstay.sources.doors.answers import answer, failure, read, words
from mainstay.sources.doors.intake import Intake, Refused
from mainstay.sources.doors.visitors import visitor
from mainstay.sources.formats.reading import Malformed, decoded, mapping, moment, plain
from mainstay.sources.silences import Silence, Wanted, expire_silence, set_silence, silences

BODY_LIMIT = 1024 * 1024
_REQUIRED = ("comment", "createdBy", "endsAt", "matchers", "startsAt")


class Silences:
    """The endpoints; whoever may mute alerts may use them."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def list(self, request: Request) -> Response:
        await self._whole(request, "alerts:read")
        asked = Asked.of(request.query_params)
        found = await read(partial(silences, self._intake.clock.now()))
        return answer([shown(one) for one in found if _fits(asked.matchers, one)])

    async def one(self, request: Request) -> Response:
        await self._whole(request, "alerts:read")
        wanted = _id(request)
        if wanted is None:
            return _not_uuid(request)
        found = await read(partial(silences, self._intake.clock.now()))
        return next((answer(shown(one)) for one in found if one.id == wanted), Response(status_code=404))

    async def set(self, request: Request) -> Response:
        actor = await self._whole(request, "alerts:write")
        body = await self._intake.body(request, BODY_LIMIT)
        try:
            document = mapping(decoded(body))
        except Malformed as error:
            return failure(400, 400, f'parsing silence body from "" failed, because {error}')
        missing = [name for name in _REQUIRED if name not in document]
        if missing:
            return failure(422, 602, f"{missing[0]} in body is required")
        if not document["matchers"]:
            return failure(422, 612, "matchers in body should have at least 1 items")
        return await self._set(actor, document)

    async def _set(self, actor: Actor, document: dict[str, Any]) -> Response:
        now = self._intake.clock.now()
        try:
            wanted = _wanted(document, now)
        except Malformed as error:
            return words(400, str(error))
        try:
            made = await self._intake.write(partial(set_silence, actor, wanted, self._intake.clock))
        except NotFound as error:
            return words(404, error.message)
        except InvalidInput as error:
            return words(400, f"silence invalid: {error.message}")
        except MainstayError as error:
            return words(400, error.message)
        return answer({"silenceID": made})

    async def expire(self, request: Request) -> Response:
        actor = await self._whole(request, "alerts:write")
        wanted = _id(request)
        if wanted is None:
            return _not_uuid(request)
        try:
            await self._intake.write(partial(expire_silence, actor, wanted, self._intake.clock))
        except NotFound as error:
            return words(404, error.message)
        except MainstayError as error:
            return words(400, error.message)
        return Response()

    async def _whole(self, request: Request, scope: str) -> Actor:
        """Who is limited to a part of the alerts has no say in what concerns all."""
        actor = await visitor(request, self._intake.settings, scope)
        if actor.limits:
            raise Refused(403, "silences concern all alerts: this needs a token without limits")
        return actor


def shown(one: Silence) -> dict[str, Any]:
    """gettableSilence."""
    return {
        "id": one.id,
        "status": {"state": one.state},
        "updatedAt": to_iso(one.updated_at),
        "comment": one.comment,
        "createdBy": one.author,
        "endsAt": to_iso(one.ends_at),
        "matchers": [_matcher(text) for text in one.matchers],
        "startsAt": to_iso(one.starts_at),
    }


def _matcher(text: str) -> dict[str, Any]:
    found = parse_matcher(text)
    return {
        "isEqual": found.operator in ("=", "=~"),
        "isRegex": found.operator in ("=~", "!~"),
        "name": found.label,
        "value": found.value,
    }


def _wanted(document: Mapping[str, Any], now: float) -> Wanted:
    """Malformed in the original's words."""
    starts_at, ends_at = moment(document["startsAt"]), moment(document["endsAt"])
    starts_at = now if starts_at is None else starts_at
    if ends_at is None or starts_at >= ends_at:
        raise Malformed("Failed to create silence: start time must be before end time")
    if ends_at < now:
        raise Malformed("Failed to create silence: end time can't be in the past")
    matchers = tuple(_written(mapping(one)) for one in document["matchers"])
    if all(parse_matcher(one).matches({}) for one in matchers):
        raise Malformed("silence invalid: at least one matcher must not match the empty string")
    said = document.get("id")
    return Wanted(
        matchers,
        starts_at,
        ends_at,
        plain(document["createdBy"], 300),
        plain(document["comment"], 2000),
        said if isinstance(said, str) else "",
    )


def _written(matcher: Mapping[str, Any]) -> str:
    name, value = matcher.get("name"), matcher.get("value")
    if not isinstance(name, str) or not isinstance(value, str) or not name:
        raise Malformed("silence invalid: a matcher needs a name and a value")
    sign = {(True, True): "=~", (True, False): "=", (False, True): "!~", (False, False): "!="}
    operator = sign[matcher.get("isEqual", True) is not False, bool(matcher.get("isRegex"))]
    text = str(Matcher(name, operator, value))  # type: ignore[arg-type]  # one of the four
    try:
        return str(parse_matcher(text))
    except BadPattern as error:
        raise Malformed(f"silence invalid: {error}") from None
    except ValueError as error:
        raise Malformed(f"silence invalid: {error}") from None


def _fits(matchers: tuple[Matcher, ...], one: Silence) -> bool:
    """A filter is compared with the values of the silence's matchers, as there."""
    values = {found.label: found.value for found in map(parse_matcher, one.matchers)}
    return all(matcher.matches(values) for matcher in matchers)


def _id(request: Request) -> str | None:
    try:
        return str(uuid.UUID(request.path_params["id"]))
    except ValueError:
        return None


def _not_uuid(request: Request) -> Response:
    wanted = msgspec.json.encode(request.path_params["id"][:100]).decode()
    return failure(422, 601, f"silenceID in path must be of type uuid: {wanted}")
