"""The fast doors of other tools' protocols, by their addresses, for the server's dispatch."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from mainstay.foreign.compat.badges import Badges
from mainstay.foreign.compat.gatus import Gatus
from mainstay.foreign.compat.kuma import Kuma, Pages
from mainstay.foreign.compat.pushes import PingDoor

Message = MutableMapping[str, Any]
Application = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]


def compat_doors(pings: PingDoor, pages: Pages) -> dict[str, Application]:
    """Path or prefix -> application. `pages` gives the public status pages as they are now."""
    badges, kuma, gatus = Badges().application, Kuma(pings, pages).application, Gatus(pings).application
    return {
        "/badge/": badges,
        "/b/": badges,
        "/api/push/": kuma,
        "/api/status-page/": kuma,
        "/api/badge/": kuma,
        "/api/v1/endpoints/": gatus,
        "/api/v1/suites/": gatus,
        "/api/v1/config": gatus,
    }
