"""Pushes in the words of other tools, taken in as pings of a heartbeat: as durable, and by the same bounds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.requests import Request

from mainstay.heartbeats.directory import Directory, KnownHeartbeat
from mainstay.heartbeats.intake import Incoming
from mainstay.heartbeats.rules import Ping
from mainstay.kernel.clock import Clock

MESSAGE_LIMIT = 10_000  # signs of a message in an address


class Taken(Protocol):
    """What became of a ping: 200 once it is on the disk, else why not and how to go on."""

    @property
    def status(self) -> int: ...

    @property
    def text(self) -> bytes: ...

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]: ...


class PingDoor(Protocol):
    """The part of entry.ingest.pings.PingApp that other protocols come in by."""

    clock: Clock

    async def find(self, look: Callable[[Directory], KnownHeartbeat | None]) -> KnownHeartbeat | None: ...

    def take(self, incoming: Incoming) -> Awaitable[Taken]: ...

    def origin(self, scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> tuple[str, str]: ...


@dataclass(frozen=True, slots=True)
class Push:
    """`seconds`: what the sender measured, if it did; `message` is kept as the ping's body."""

    up: bool
    message: str = ""
    seconds: float | None = None


async def take_push(door: PingDoor, entry: KnownHeartbeat, request: Request, push: Push) -> Taken:
    """Record it."""
    remote, scheme = door.origin(request.scope, dict(request.scope["headers"]))
    body = push.message[:MESSAGE_LIMIT].encode("utf-8", "replace")
    agent = request.headers.get("user-agent", "")[:200]
    return await door.take(
        Incoming(
            entry,
            Ping(door.clock.now(), "success" if push.up else "fail", duration=push.seconds),
            request.method[:8],
            scheme,
            remote,
            "".join(sign if sign.isprintable() else " " for sign in agent),
            body or None,
            len(body),
        )
    )
