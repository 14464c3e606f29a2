"""Who asks at an address where an API token is the permission: by Bearer, or as the password of basic authentication.

Alertmanager's own clients send none by default. On this machine itself they need none, if no proxy stands in between:
the address of the client is loopback, no header tells of a proxy, and the server was asked by a name of this machine.
"""

from __future__ import annotations

import asyncio
import ipaddress

from django.db import close_old_connections
from starlette.requests import Request

from mainstay.accounts.doors import token_actor
from mainstay.frames.addresses import client_address
from mainstay.frames.web.hosts import host_of
from mainstay.kernel.actor import Actor
from mainstay.kernel.settings import Settings
from mainstay.sources.doors.intake import Refused

HERE = frozenset({"alerts:send", "alerts:read", "alerts:write"})
_PROXIED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")


async def visitor(request: Request, settings: Settings, *scopes: str) -> Actor:
    """Refused without permission for these scopes, as far as the actor's limits go."""
    header = request.headers.get("authorization", "")
    address = client_address(request.scope, settings.trusted_proxies)
    actor: Actor | None = None
    if header:
        actor = await asyncio.to_thread(_of_token, header, address)
    elif _is_here(request, address):
        actor = Actor("public", "a program on this machine", HERE)
    if actor is None:
        raise Refused(401, "this needs an API token: as Bearer, or as the password of basic authentication")
    for scope in scopes:
        if not actor.may_some(scope):
            raise Refused(403, f"this needs a token with the scope {scope}")
    return actor


def _of_token(header: str, address: str) -> Actor | None:
    close_old_connections()
    return token_actor(header, address)


def _is_here(request: Request, address: str) -> bool:
    if any(name in request.headers for name in _PROXIED):
        return False
    return _is_loopback(address) and _is_loopback(host_of(request.headers.get("host", "")) or "")


def _is_loopback(name: str) -> bool:
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
