"""Pages and JSON for what goes wrong: say what happened and what to do, never what the program was doing."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from django.http import HttpResponse, JsonResponse
from django.template.loader import render_to_string

from mainstay.kernel.errors import InvalidInput, MainstayError

if TYPE_CHECKING:
    from django.http import HttpRequest

_TITLES: dict[int, tuple[str, str]] = {
    400: ("This request is not valid", "Something in the address or the form was not valid."),
    401: ("Please sign in", "This needs a signed-in user or an API token."),
    403: ("You may not do this", "Your role does not permit this."),
    404: ("Nothing found here", "The address may be mistyped, or the thing was deleted."),
    405: ("That did not work", "This address does not accept such a request."),
    409: ("Somebody else changed this first", "It has changed in the meantime."),
    411: ("Length required", "The request must carry a Content-Length."),
    413: ("That is too large", "The request is larger than what is accepted."),
    422: ("This is not valid", "The input has mistakes; each is listed with its place."),
    429: ("Too many attempts", "Wait a few minutes, then try again."),
    500: ("Something broke", "The fault is ours. The server's log has the details."),
    502: ("Another system failed", "A system that this depends on did not answer as expected."),
    503: ("Just a moment", "The database is busy. Try again in a few seconds."),
}

_BROKEN_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Something broke · Mainstay</title><link rel="stylesheet" href="/static/mainstay.css"></head>
<body class="lonely"><main class="lone"><div class="block"><div class="pad"><h1>Something broke</h1>
<p>The fault is ours. The server's log has the details.</p>
<div class="actions"><a class="btn" href="/">Overview</a></div></div></div>
<p class="small muted">Error 500</p></main></body></html>
"""


def error_titles() -> dict[int, str]:
    """What each status that a request may meet says, for the description of the API."""
    return {status: title for status, (title, _) in _TITLES.items() if status != 500}


def error_body(error: MainstayError) -> dict[str, Any]:
    """The JSON shape of every error: code, message, hint, diagnostics."""
    diagnostics = [item.as_dict() for item in error.diagnostics] if isinstance(error, InvalidInput) else []
    return {"error": {"code": error.code, "message": error.message, "hint": error.hint, "diagnostics": diagnostics}}


def plain_body(status: int, message: str = "", hint: str = "") -> dict[str, Any]:
    """The same shape for what is not one of our errors."""
    code = HTTPStatus(status).phrase.lower().replace(" ", "_")
    text = message or _TITLES.get(status, ("It did not work", ""))[0]
    return {"error": {"code": code, "message": text, "hint": hint, "diagnostics": []}}


def wants_json(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")


def error_response(request: HttpRequest, status: int, message: str = "", hint: str = "") -> HttpResponse:
    """An error page, or JSON under /api/. Needs neither database nor session: it must work when they do not."""
    if wants_json(request):
        return JsonResponse(plain_body(status, message, hint), status=status)
    title, text = _TITLES.get(status, ("It did not work", ""))
    context = {"title": title, "text": message or text, "hint": hint, "status": status}
    return HttpResponse(render_to_string("accounts/error.html", context), status=status)


def mainstay_error(request: HttpRequest, error: MainstayError) -> HttpResponse:
    """The answer to an error that we raised on purpose."""
    if wants_json(request):
        response: HttpResponse = JsonResponse(error_body(error), status=error.status)
    else:
        response = error_response(request, error.status, error.message, error.hint)
    if error.retryable:
        response["Retry-After"] = "2"
    return response


def bad_request(request: HttpRequest, **_: object) -> HttpResponse:
    return error_response(request, 400)


def forbidden(request: HttpRequest, **_: object) -> HttpResponse:
    return error_response(request, 403)


def not_found(request: HttpRequest, **_: object) -> HttpResponse:
    return error_response(request, 404)


def broken(request: HttpRequest) -> HttpResponse:
    """The last resort takes no template: a broken one may be why we are here."""
    if wants_json(request):
        return error_response(request, 500)
    return HttpResponse(_BROKEN_PAGE, status=500)


def too_many(request: HttpRequest) -> HttpResponse:
    """allauth asks for this by the name `handler429` of the root URL module."""
    response = error_response(request, 429)
    response["Retry-After"] = "300"
    return response


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001 # the reason helps attackers only
    """Django calls this when a form's secret is missing or wrong."""
    hint = "Go back, reload the page and try again. Cookies must be allowed for this site."
    return error_response(request, 403, "The page was too old or came from somewhere else.", hint)
