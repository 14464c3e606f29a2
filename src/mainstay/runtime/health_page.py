"""The health page: is Mainstay itself well, and with which settings does it run.

What only the running server knows (its parts, its probers) is handed in by the runtime with `set_reporter`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from mainstay import __version__
from mainstay.alerting.queries import channel_health
from mainstay.kernel.capability import CAPABILITIES
from mainstay.kernel.settings import Origin, Settings, variable
from mainstay.nodes.queries import nodes
from mainstay.store.snapshots.taking import newest
from mainstay.watch.results import current

if TYPE_CHECKING:
    from mainstay.store.columns.columns import ColumnsVitals
    from mainstay.store.requests import PageRequest

_PASSWORD = re.compile(r"(?<=://)([^:/@\s]*):\S*@")
_ARGUMENTS = re.compile(r"^(command:\S+)\s.*")  # of the program that prints the vault's key

_PARTS = {
    "writer": "Writing to the database",
    "telemetry": "Storage of results",
    "probers": "Probers of this server",
    "nodes": "Contact with the other servers",
    "pings": "Pings of heartbeats",
    "configuration": "Configuration file",
    "lanes": "Background work",
    "changes": "State of monitors",
    "delivery": "Delivery of notifications",
    "seals": "Seals of the journal",
    "accounts.sessions": "Ending of sessions",
}


@dataclass(frozen=True, slots=True)
class Prober:
    """One prober process; `lag_p99` in seconds over the last minute, `memory` in bytes."""

    pid: int
    alive: bool
    assigned: int
    running: int
    checks: int
    lag_p99: float
    memory: int


@dataclass(frozen=True, slots=True)
class Report:
    """What the runtime knows of itself: service name -> `ok` or what is wrong; times are epoch seconds."""

    services: Mapping[str, str] = field(default_factory=dict)
    probers: Sequence[Prober] = ()
    started_at: float | None = None
    viewers: int = 0  # open live pages


_reporter: Callable[[], Report] = Report


def set_reporter(reporter: Callable[[], Report]) -> None:
    """The runtime's answer; called on a thread of the web server, so it must be quick and thread-safe."""
    global _reporter  # noqa: PLW0603  one running server per process
    _reporter = reporter


@dataclass(frozen=True, slots=True)
class Setting:
    """`declared`: the value that is declared and has no effect, since the environment says another."""

    name: str
    key: str  # under which it may be declared; empty: in the environment alone
    value: str
    origin: Origin
    about: str
    declared: str = ""


@require_GET
def health(request: PageRequest) -> HttpResponse:
    request.actor.require("settings:read")
    report = _reporter()
    vitals = _telemetry()
    services = [(_part(name), answer, answer == "ok") for name, answer in report.services.items()]
    failing = [name for name, _, well in services if not well]
    context = {
        "report": report,
        "services": services,
        "failing": failing,
        "look": "down" if failing else "up" if services else "unknown",
        "telemetry": vitals,
        "snapshot": newest(),
        "nodes": nodes(),
        "channels": channel_health(),
        "version": __version__,
        "now": time.time(),
        "database": "PostgreSQL" if settings.MAINSTAY.database else "SQLite",
        "settings": settings_shown(settings.MAINSTAY),
        "settings_revision": settings.MAINSTAY.revision,
        "may_declare": request.actor.may("resources:write") and request.actor.may("settings:write"),
    }
    return render(request, "runtime/health.html", context)


def _part(name: str) -> str:
    """What people call what reports to health under this name."""
    return _PARTS.get(name, name.replace(".", ": ").replace("_", " ").capitalize())


def _telemetry() -> ColumnsVitals | None:
    try:
        return current().vitals()
    except RuntimeError:  # no telemetry in this process
        return None


def settings_shown(current_settings: Settings) -> list[Setting]:
    """Every setting with its value and where that comes from; passwords inside of addresses are hidden."""
    found = []
    for one in CAPABILITIES.settings.values():
        value, origin = str(current_settings[one]), current_settings.origin(one.name)
        idle = origin == "environment" and one.name in current_settings.declared
        declared = _hidden(str(current_settings.declared[one.name])) if idle else ""
        key = one.name if one.group else ""
        found.append(Setting(variable(one.name), key, _hidden(value), origin, one.about, declared))
    return found


def _hidden(value: str) -> str:
    return _ARGUMENTS.sub(r"\1 ***", _PASSWORD.sub(r"\1:***@", value))
