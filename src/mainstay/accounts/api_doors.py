"""Doors of the API: what an operation needs of its caller is declared where the operation is defined."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from django.http import HttpRequest
from ninja.operation import Operation
from ninja.throttling import BaseThrottle
from ninja.utils import contribute_operation_callback

from mainstay.accounts.doors import Door, View, door_of
from mainstay.kernel.actor import Actor


def actor_of(request: HttpRequest) -> Actor:
    """Who asks, once the API has found out."""
    actor: Actor = request.auth  # type: ignore[attr-defined] # set by the API's authentication
    return actor


def requires(scope: str, *, limited: bool = False) -> Callable[[View], View]:
    """An API operation for actors who hold `scope`; stands below `@router.get(...)`. `request.auth` is the Actor.

    limited: see Door.
    """
    if not scope:
        raise AssertionError("an operation of the API needs a scope")
    door = door_of(scope, limited=limited)

    def decorate(view: View) -> View:
        if hasattr(view, "_ninja_operation"):
            raise AssertionError("@requires stands below the router's decorator")
        contribute_operation_callback(view, partial(_guard_operation, door))
        return view

    return decorate


def _guard_operation(door: Door, operation: Operation) -> None:
    # The function's signature has been read by now, so a plain wrapper does.
    inner = operation.view_func

    @wraps(inner)
    def guarded(request: HttpRequest, **values: Any) -> Any:
        door.require(actor_of(request))
        return inner(request, **values)

    guarded.door = door  # type: ignore[attr-defined] # a mark on a function
    operation.view_func = guarded
    operation.throttle_objects.insert(0, _ScopeFirst(door))


class _ScopeFirst(BaseThrottle):
    """Who lacks the scope is refused before the request's body is read; throttles are what runs right after the
    authentication."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def allow_request(self, request: HttpRequest) -> bool:
        self._door.require(actor_of(request))
        return True
