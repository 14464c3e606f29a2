"""What every request passes first: the Host check, the limit on bodies, and the headers of every answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.db import DataError
from django.http import HttpResponseNotAllowed

from mainstay.frames.errors import error_response, mainstay_error
from mainstay.frames.web.hosts import host_allowed
from mainstay.kernel.errors import MainstayError, UserError
from mainstay.kernel.texts import NO_NUL

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponseBase

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_PERMISSIONS = "camera=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()"
_HEADERS = (
    ("Content-Security-Policy", _POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "same-origin"),
    ("Permissions-Policy", _PERMISSIONS),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
_HSTS = ("Strict-Transport-Security", "max-age=31536000")


def _headers(https: bool) -> tuple[tuple[str, str], ...]:
    return (*_HEADERS, _HSTS) if https else _HEADERS


def security_headers(https: bool) -> list[tuple[bytes, bytes]]:
    """The headers of every answer, for doors that do not go through Django. `https`: people come over HTTPS."""
    return [(name.lower().encode(), value.encode()) for name, value in _headers(https)]


class GuardMiddleware:
    """Outermost. A door may set a header of its own (a public page its policy); the rest is filled in."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._next = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._refusal(request) or self._next(request)
        for name, value in _headers(settings.MAINSTAY.cookies_secure):
            response.setdefault(name, value)
        return response

    def _refusal(self, request: HttpRequest) -> HttpResponseBase | None:
        host = request.META.get("HTTP_HOST", "") or request.META.get("SERVER_NAME", "")
        if not host_allowed(host, settings.MAINSTAY):
            hint = "Set MAINSTAY_URL to the address people use, or add the name to MAINSTAY_HOSTS."
            return error_response(request, 400, "This server does not answer to that host name.", hint)
        if "\0" in request.path_info or "%00" in request.META.get("QUERY_STRING", ""):
            # PostgreSQL keeps none; an answer that is streamed could not say so any more.
            return error_response(request, 400, NO_NUL, "Leave it out of the address.")
        if "HTTP_TRANSFER_ENCODING" in request.META:
            # Django reads no body without a length: a file sent in chunks would look like an empty one.
            return error_response(request, 411, "The request must state its length.", "Send a Content-Length.")
        length = request.META.get("CONTENT_LENGTH") or "0"
        if not length.isascii() or not length.isdigit():
            return error_response(request, 400, "The request's Content-Length is not a number.")
        if int(length[:20]) > settings.BODY_LIMIT:
            limit = settings.BODY_LIMIT // (1024 * 1024)
            return error_response(request, 413, f"The request has more than {limit} MiB.")
        return None


class ErrorsMiddleware:
    """Innermost: turns errors that we raise on purpose into their answer."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._next = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._next(request)
        if isinstance(response, HttpResponseNotAllowed) and not response.content:
            told = error_response(request, 405, hint=f"It accepts {response['Allow']}.")
            told["Allow"] = response["Allow"]
            return told
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        if isinstance(exception, DataError) and "NUL" in str(exception):  # PostgreSQL keeps every other character
            exception = UserError(NO_NUL, hint="leave it out")
        return mainstay_error(request, exception) if isinstance(exception, MainstayError) else None
