"""No page and no API operation is open by accident: each declares its scope, or that it is public."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from mainstay.entry.api.root import api

# allauth checks its own pages; ninja's own views are guarded by `docs_decorator` or answer 404.
BORROWED = ("accounts/", "api/v1/")
OPEN = {"a/<str:token>", "accounts/confirm-email/", "accounts/email/", "join/<str:secret>", "setup/<str:token>"}
OPEN |= {f"api/v{version}/status/" for version in (1, 2, 3)}  # of Healthchecks: whether the database answers


def _patterns(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for item in resolver.url_patterns:
        route = prefix + str(item.pattern)
        if isinstance(item, URLResolver):
            yield from _patterns(item, route)
        else:
            yield route, item


def test_every_page_declares_its_door() -> None:
    undeclared, open_to_all = [], set()
    for route, pattern in _patterns(get_resolver()):
        door = getattr(pattern.callback, "door", None)
        if door is not None and door.public:
            open_to_all.add(route)
        if door is None and not route.startswith(BORROWED):
            undeclared.append(route)
    assert undeclared == []
    assert open_to_all == OPEN


def test_every_operation_of_the_api_declares_its_scope() -> None:
    operations = [
        (f"{prefix}{path}", operation)
        for prefix, router in api._routers
        for path, view in router.path_operations.items()
        for operation in view.operations
    ]
    assert len(operations) > 20
    assert [path for path, operation in operations if not getattr(operation.view_func, "door", None)] == []
    assert [path for path, operation in operations if not operation.view_func.door.scope] == []
    own_ways = [path for path, operation in operations if operation.auth_callbacks and operation.auth_param is None]
    assert own_ways == []


def test_a_misspelt_scope_fails_at_import() -> None:
    from mainstay.accounts.doors import page, requires

    for door in (page, requires):
        with pytest.raises(AssertionError, match="undeclared scope"):
            door("monitor:read")


def test_a_scope_above_the_routers_decorator_is_a_mistake() -> None:
    from ninja import Router

    from mainstay.accounts.doors import requires

    router = Router()

    def operation(request: object) -> None: ...

    registered = router.get("/x")(operation)
    with pytest.raises(AssertionError, match="below"):
        requires("monitors:read")(registered)
