"""Traces of the browser check, handed out to whoever may see the monitor. They are files beside the data."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from django.conf import settings
from django.http import FileResponse

from mainstay.kernel.errors import NotFound
from mainstay.watch import queries

if TYPE_CHECKING:
    from mainstay.store.requests import PageRequest

TRACE = re.compile(r"([0-9A-Za-z]{1,40})-\d{10,16}\.zip")


def monitor_trace(request: PageRequest, name: str, trace: str) -> FileResponse:
    """For `playwright show-trace`. NotFound for one of another monitor, or that is no longer kept."""
    request.actor.require_some("monitors:read")
    view = queries.monitor(name, request.actor.limits)
    found = TRACE.fullmatch(trace)
    path = settings.MAINSTAY.data / "traces" / trace
    if found is None or found[1] != view.uid or not path.is_file():
        raise NotFound("this trace is not kept (any more)")
    return FileResponse(path.open("rb"), as_attachment=True, filename=f"{view.name}-{trace}")
