"""The fast doors of all sources, by their addresses, for the server's dispatch."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from mainstay.sources.doors.alertmanager import Alertmanager
from mainstay.sources.doors.incoming import Incoming
from mainstay.sources.doors.intake import Intake
from mainstay.sources.doors.opsgenie import Opsgenie
from mainstay.sources.doors.pagerduty import PagerDuty

Message = MutableMapping[str, Any]
Application = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]


def source_doors(intake: Intake) -> dict[str, Application]:
    """Path or prefix -> application."""
    alertmanager, pagerduty = Alertmanager(intake), PagerDuty(intake).application
    opsgenie = Opsgenie(intake).application
    return {
        # Not all of /api/v2/: the second version of Healthchecks' API and Statuspage's documents stand there too.
        "/api/v2/alerts": alertmanager.application,
        "/api/v2/alerts/": alertmanager.application,
        "/api/v2/receivers": alertmanager.application,
        "/api/v2/silence/": alertmanager.application,
        "/api/v2/silences": alertmanager.application,
        "/api/v2/status": alertmanager.application,
        "/-/": alertmanager.application,
        "/v2/enqueue": pagerduty,
        "/v2/change/enqueue": pagerduty,
        "/v2/alerts": opsgenie,
        "/v2/alerts/": opsgenie,
        "/in/": Incoming(intake, alertmanager.below).application,
    }
