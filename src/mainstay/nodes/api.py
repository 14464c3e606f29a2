"""Servers over the API: who does what, handing over, forgetting."""

from __future__ import annotations

from django.http import HttpRequest
from ninja import Router, Schema, Status

from mainstay.accounts.api_doors import actor_of, requires
from mainstay.frames import schemas
from mainstay.kernel.texts import NodeName
from mainstay.nodes import queries, verbs

router = Router()


@schemas.of(queries.NodeView)
class NodeOut(Schema):
    """Times are RFC 3339 in UTC, lengths seconds."""

    shards: list[int]
    tasks: list[str]


@router.get("", response=list[NodeOut], summary="Servers that share the database")
@requires("settings:read")
def list_nodes(request: HttpRequest) -> list[queries.NodeView]:
    return queries.nodes()


@router.post("/{name}/drain", response={204: None}, summary="Let a server hand over its share")
@requires("nodes:write")
def drain(request: HttpRequest, name: NodeName) -> Status[None]:
    verbs.drain_node(actor_of(request), name)
    return Status(204, None)


@router.post("/{name}/undrain", response={204: None}, summary="Let a server take a share again")
@requires("nodes:write")
def undrain(request: HttpRequest, name: NodeName) -> Status[None]:
    verbs.drain_node(actor_of(request), name, draining=False)
    return Status(204, None)


@router.delete("/{name}", response={204: None}, summary="Remove a server that is permanently gone")
@requires("nodes:write")
def forget(request: HttpRequest, name: NodeName) -> Status[None]:
    verbs.forget_node(actor_of(request), name)
    return Status(204, None)
