"""Servers over the API: who does what, handing over, forgetting."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema, Status
from pydantic import Field

from mainstay.accounts.api_doors import requires
from mainstay.kernel.actor import Actor
from mainstay.kernel.texts import NodeName
from mainstay.nodes import queries, verbs

router = Router()


class NodeOut(Schema):
    """Times are RFC 3339 in UTC, lengths seconds."""

    id: str
    name: str
    state: str = Field(description="working, draining (handing over), silent (not reporting) or stopped")
    version: str
    address: str = Field(description="on which it listens")
    shards: list[int] = Field(description="shares of the monitors, of 64")
    tasks: list[str] = Field(description="tasks that only one server at a time does")
    monitors: int
    lag_p99: float
    decisions_waiting: int = Field(description="not written yet")
    pings_spooled: int = Field(description="accepted and on its disk, not in the database yet")
    started: str
    seen: str
    starts: int


def _actor(request: HttpRequest) -> Actor:
    actor: Actor = request.auth  # type: ignore[attr-defined] # set by the API's authentication
    return actor


@router.get("", response=list[NodeOut], summary="Servers that share the database")
@requires("settings:read")
def list_nodes(request: HttpRequest) -> list[dict[str, Any]]:
    return [view.as_dict() for view in queries.nodes()]


@router.post("/{name}/drain", response={204: None}, summary="Let a server hand over its share")
@requires("nodes:write")
def drain(request: HttpRequest, name: NodeName) -> Status[None]:
    verbs.drain_node(_actor(request), name)
    return Status(204, None)


@router.post("/{name}/undrain", response={204: None}, summary="Let a server take a share again")
@requires("nodes:write")
def undrain(request: HttpRequest, name: NodeName) -> Status[None]:
    verbs.drain_node(_actor(request), name, draining=False)
    return Status(204, None)


@router.delete("/{name}", response={204: None}, summary="Remove a server that is permanently gone")
@requires("nodes:write")
def forget(request: HttpRequest, name: NodeName) -> Status[None]:
    verbs.forget_node(_actor(request), name)
    return Status(204, None)
