"""Who calls the API of Healthchecks, and how it answers: API keys, CORS headers, errors as `{"error": ...}`.

An API key is an API token of ours, in the header X-Api-Key or, in a POST, as `api_key` in the JSON.
    resources:write, monitors:check and monitors:read    a read-write key
    monitors:read                                        a read-only key: no addresses are told
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from mainstay.accounts.doors import Door, address_of, public
from mainstay.accounts.queries import actor_of_token
from mainstay.kernel.actor import Actor
from mainstay.kernel.errors import MainstayError

BODY_LIMIT = 64 * 1024
_FULL = ("resources:write", "monitors:check", "monitors:read")

P = ParamSpec("P")


class Refusal(Exception):
    """An answer other than the one asked for."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


@dataclass(frozen=True, slots=True)
class Call:
    """One request: by whom, in which version, with which JSON. `readonly`: addresses are not told."""

    request: HttpRequest
    actor: Actor
    version: int
    readonly: bool
    json: dict[str, Any] = field(default_factory=dict)


View = Callable[Concatenate[Call, P], HttpResponse]


def keyed(scope: str, *, write: bool = False) -> Callable[[View[P]], Callable[..., HttpResponse]]:
    """A view for holders of `scope`; `write`: for read-write keys only. It gets the Call in place of the request."""

    def decorate(view: View[P]) -> Callable[..., HttpResponse]:
        @wraps(view)
        def guarded(request: HttpRequest, version: int, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            return view(_call(request, version, scope, write=write), *args, **kwargs)

        guarded.door = Door(scope)  # type: ignore[attr-defined] # a mark on a function
        return guarded

    return decorate


def _call(request: HttpRequest, version: int, scope: str, *, write: bool) -> Call:
    document = _document(request) if request.method == "POST" else {}
    key = request.headers.get("X-Api-Key") or document.get("api_key", "")
    if not key:
        raise Refusal("missing api key", 401)
    actor = actor_of_token(key, address_of(request)) if isinstance(key, str) else None
    full = actor is not None and all(actor.may(one) for one in _FULL)
    if actor is None or not actor.may(scope) or (write and not full):
        raise Refusal("wrong api key", 401)
    return Call(request, actor, version, not full, document)


def _document(request: HttpRequest) -> dict[str, Any]:
    if int(request.META.get("CONTENT_LENGTH") or 0) > BODY_LIMIT:
        raise Refusal(f"the request body has more than {BODY_LIMIT} bytes", 413)
    if not request.body:
        return {}
    try:
        found = json.loads(request.body)
    except (ValueError, RecursionError):
        raise Refusal("could not parse request body") from None
    if not isinstance(found, dict):
        raise Refusal("json validation error: value is not an object")
    return found


def methods(**views: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """One address with a view for each method (`GET=...`), with CORS headers and errors in the original's form."""
    allowed = ", ".join([*views, "OPTIONS"])

    @csrf_exempt
    def dispatch(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = _answer(request, views, args, kwargs)
        response["Access-Control-Allow-Origin"] = "*"
        response["Access-Control-Allow-Headers"] = "X-Api-Key"
        response["Access-Control-Allow-Methods"] = allowed
        response["Access-Control-Max-Age"] = "600"
        response["Cache-Control"] = "no-store"
        if response.status_code == 405:
            response["Allow"] = allowed
        return response

    dispatch.door = next(iter(views.values())).door  # type: ignore[attr-defined] # every method has its own
    dispatch.doors = {method: view.door for method, view in views.items()}  # type: ignore[attr-defined] # marks, too
    return dispatch


def _answer(
    request: HttpRequest, views: dict[str, Callable[..., HttpResponse]], args: Any, kwargs: Any
) -> HttpResponse:
    if request.method == "OPTIONS":
        return HttpResponse(status=204)
    view = views.get("GET" if request.method == "HEAD" else str(request.method))
    if view is None:
        return HttpResponse(status=405)
    try:
        return view(request, *args, **kwargs)
    except Refusal as refusal:
        return JsonResponse({"error": refusal.message}, status=refusal.status)
    except MainstayError as error:
        # What the original cannot mean (a file keeps the check, a page names it) comes with our own words.
        status = 400 if error.status == 422 else error.status
        return JsonResponse({"error": str(error)}, status=status, headers={"Retry-After": "2"} if status == 503 else {})


__all__ = ["Call", "Refusal", "keyed", "methods", "public"]
