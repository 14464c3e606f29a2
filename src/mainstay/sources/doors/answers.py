"""Answers in Alertmanager's two shapes, and reads of the store beside the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from django.db import close_old_connections
from starlette.responses import Response

from mainstay.sources.doors.intake import Refused

T = TypeVar("T")


async def read(reader: Callable[[], T]) -> T:
    def reading() -> T:
        close_old_connections()
        return reader()

    return await asyncio.to_thread(reading)


def answer(document: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(document) + b"\n", status, media_type="application/json")


def words(status: int, message: str) -> Response:
    """A mistake that the program finds: a JSON text."""
    return answer(message, status)


def failure(status: int, code: int, message: str) -> Response:
    """A mistake that the schema finds."""
    return answer({"code": code, "message": message}, status)


def refusal(refused: Refused) -> Response:
    """Why nothing was done."""
    found = words(refused.status, refused.message)
    if refused.wait:
        found.headers["Retry-After"] = str(max(1, round(refused.wait)))
    if refused.status == 401:
        found.headers["WWW-Authenticate"] = 'Basic realm="Mainstay"'
    return found
