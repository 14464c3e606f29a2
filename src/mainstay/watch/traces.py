"""Traces and pictures of the browser check, for whoever may see the monitor. They are files beside the data."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.http import HttpResponse, StreamingHttpResponse

from mainstay.frames.downloads import download, file_pieces
from mainstay.kernel.errors import NotFound
from mainstay.watch import queries
from mainstay.watch.results.pictures import FOLDER, INLINE, NAME

if TYPE_CHECKING:
    from mainstay.store.requests import PageRequest
    from mainstay.watch.queries import MonitorView

TRACE = re.compile(r"([0-9A-Za-z]{1,40})-\d{10,16}\.zip")


def monitor_trace(request: PageRequest, name: str, trace: str) -> StreamingHttpResponse:
    """For `playwright show-trace`. NotFound for one of another monitor, or that is no longer kept."""
    view, path = _sought(request, name, TRACE.fullmatch(trace), settings.MAINSTAY.data / "traces" / trace)
    return download(file_pieces(path), "application/zip", f"{view.name}-{trace}")


def monitor_picture(request: PageRequest, name: str, picture: str) -> HttpResponse:
    """A page as the browser saw it; NotFound as for traces."""
    _, path = _sought(request, name, NAME.fullmatch(picture), _picture_file(picture))
    return HttpResponse(path.read_bytes(), content_type="image/jpeg")


def picture_address(told: str) -> str:
    """For the page of its monitor; empty if it is no longer kept. Results of before it was a file have it whole."""
    if told.startswith(INLINE):
        return told
    return f"pictures/{told}" if _picture_file(told).is_file() else ""


def _picture_file(name: str) -> Path:
    folder: Path = settings.MAINSTAY.data / FOLDER
    return folder / name


def _sought(request: PageRequest, name: str, found: re.Match[str] | None, path: Path) -> tuple[MonitorView, Path]:
    request.actor.require_some("monitors:read")
    view = queries.monitor(name, request.actor.limits)
    if found is None or found[1] != view.uid or not path.is_file():
        raise NotFound("this file is not kept, or no longer")
    return view, path
