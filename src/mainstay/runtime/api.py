"""The REST API: its parts put together, who is let in, how errors look, and its documentation.

Every operation declares its scope with `requires`; the house test reads the declarations.
"""

from __future__ import annotations

from functools import wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError
from ninja.errors import ValidationError as ParameterError
from ninja.openapi.schema import OpenAPISchema
from ninja.security import APIKeyCookie
from ninja.security.http import HttpAuthBase
from ninja.utils import check_csrf

from mainstay import __version__
from mainstay.accounts.api_doors import requires
from mainstay.accounts.doors import address_of, page, person_actor, token_actor
from mainstay.frames.errors import error_titles, mainstay_error, plain_body
from mainstay.kernel.capability import CAPABILITIES
from mainstay.kernel.errors import MainstayError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainstay.kernel.actor import Actor

__all__ = ["api", "docs", "requires"]


class TokenAuth(HttpAuthBase):
    """`Authorization: Bearer <token>`, or Basic with the token as password."""

    openapi_scheme = "bearer"

    def __call__(self, request: HttpRequest) -> Actor | None:
        return token_actor(request.headers.get("Authorization", ""), address_of(request))


class SessionAuth(APIKeyCookie):
    """A signed-in browser. Whatever changes something also needs the header X-CSRFToken."""

    param_name = settings.SESSION_COOKIE_NAME

    def __call__(self, request: HttpRequest) -> Actor | None:
        # A request that names a token is judged by that token alone.
        actor = None if "Authorization" in request.headers else person_actor(request)
        if actor is not None and check_csrf(request):
            raise HttpError(403, "The header X-CSRFToken is missing or wrong.")
        return actor

    def authenticate(self, request: HttpRequest, _key: str | None) -> Actor | None:
        return self(request)


_AUTHENTICATION = (TokenAuth(), SessionAuth())


def _signed_in(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """The API's description is for those who may use the API."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not any(way(request) for way in _AUTHENTICATION):
            return _unauthorized(request)
        return view(request, *args, **kwargs)

    return guarded


def _unauthorized(_request: HttpRequest) -> HttpResponse:
    body = plain_body(401, "This needs an API token or a signed-in browser.", "send Authorization: Bearer mst_…")
    return JsonResponse(body, status=401, headers={"WWW-Authenticate": 'Bearer realm="mainstay"'})


_TEXT, _NUMBER = {"type": "string"}, {"type": "integer"}
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "hint", "diagnostics"],
            "properties": {
                "code": _TEXT,
                "message": _TEXT,
                "hint": _TEXT,
                "diagnostics": {
                    "type": "array",
                    "description": "every mistake in the input, with its place; empty for other errors",
                    "items": {
                        "type": "object",
                        "properties": {
                            "file": _TEXT,
                            "path": _TEXT,
                            "severity": _TEXT,
                            "message": _TEXT,
                            "hint": _TEXT,
                            "line": _NUMBER,
                            "column": _NUMBER,
                        },
                    },
                },
            },
        }
    },
}


class _Api(NinjaAPI):
    """Its document names the answers of every operation that are errors, all of one shape."""

    def get_openapi_schema(self, **options: Any) -> OpenAPISchema:
        document = super().get_openapi_schema(**options)
        document["components"].setdefault("schemas", {})["Error"] = _ERROR
        content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
        answers = {status: {"description": words, "content": content} for status, words in error_titles().items()}
        for operations in document["paths"].values():
            for operation in operations.values():
                operation["responses"] |= {
                    code: one for code, one in answers.items() if code not in operation["responses"]
                }
        return document


api = _Api(
    title="Mainstay",
    version=__version__,
    description="Everything that a person can do on the pages. Errors are JSON: code, message, hint, diagnostics.",
    auth=_AUTHENTICATION,
    docs_url=None,
    openapi_url="/openapi.json",
    docs_decorator=_signed_in,
    urls_namespace="api",
)


@api.exception_handler(MainstayError)
def _on_mainstay_error(request: HttpRequest, error: MainstayError) -> HttpResponse:
    return mainstay_error(request, error)


@api.exception_handler(AuthenticationError)
def _on_authentication_error(request: HttpRequest, _error: AuthenticationError) -> HttpResponse:
    return _unauthorized(request)


@api.exception_handler(HttpError)
def _on_http_error(_request: HttpRequest, error: HttpError) -> HttpResponse:
    return JsonResponse(plain_body(error.status_code, str(error)), status=error.status_code)


@api.exception_handler(Http404)
def _on_missing(_request: HttpRequest, _error: Http404) -> HttpResponse:
    return JsonResponse(plain_body(404), status=404)


@api.exception_handler(ParameterError)
def _on_parameter_error(_request: HttpRequest, error: ParameterError) -> HttpResponse:
    diagnostics = [
        {
            "file": "",
            "line": 0,
            "column": 0,
            "path": ".".join(str(part) for part in item.get("loc", ())),
            "severity": "error",
            "message": str(item.get("msg", "")),
            "hint": "",
        }
        for item in error.errors
    ]
    message = "; ".join(f"{item['path']}: {item['message']}" for item in diagnostics[:3])
    body = {"error": {"code": "invalid_input", "message": message, "hint": "", "diagnostics": diagnostics}}
    return JsonResponse(body, status=422)


for _routes in (routes for capability in CAPABILITIES for routes in capability.routes):
    api.add_router(_routes.prefix, import_module(_routes.module).router, tags=[_routes.heading])


@page()
def docs(request: HttpRequest) -> HttpResponse:
    """The browsable documentation, from files of our own host."""
    address = reverse("api:openapi-json")
    return render(request, "runtime/api_docs.html", {"openapi": address, "swagger": {"url": address}})
