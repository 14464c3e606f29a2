"""Who asks, when a trusted proxy stands in front: throttling counts the visitor's address, not the proxy's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings

from mainstay.frames.addresses import Proxies

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.core.handlers.wsgi import WSGIRequest
    from django.http import HttpResponseBase


class ProxyMiddleware:
    """Before all others. Puts the client's address and scheme in place, if a trusted peer tells of them."""

    def __init__(self, get_response: Callable[[WSGIRequest], HttpResponseBase]) -> None:
        self._next = get_response
        self._proxies = Proxies(settings.MAINSTAY.trusted_proxies)

    def __call__(self, request: WSGIRequest) -> HttpResponseBase:
        meta = request.META
        peer, scheme = str(meta.get("REMOTE_ADDR", "")), str(meta.get("wsgi.url_scheme", "http"))
        told = {
            b"x-forwarded-for": str(meta.get("HTTP_X_FORWARDED_FOR", "")).encode("latin-1", "replace"),
            b"x-forwarded-proto": str(meta.get("HTTP_X_FORWARDED_PROTO", "")).encode("latin-1", "replace"),
        }
        address, seen = self._proxies.origin(peer, scheme, told)
        # A proxy that nobody declared: all its visitors look like one, and any of them may say what they like.
        hidden = "HTTP_X_FORWARDED_FOR" in meta and not self._proxies.trusts(peer)
        meta["mainstay.address"] = "" if hidden else address
        meta["REMOTE_ADDR"], meta["wsgi.url_scheme"] = address or peer, seen
        return self._next(request)
