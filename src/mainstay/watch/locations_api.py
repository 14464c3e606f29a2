"""Locations over the API: which there are, and how the probers there do. Declaring goes through /resources."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema
from pydantic import Field

from mainstay.accounts.api_doors import requires
from mainstay.kernel.texts import ResourceName
from mainstay.watch import location_queries

router = Router()


class LocationOut(Schema):
    """Times are RFC 3339 in UTC, null where there is none; lengths are seconds."""

    uid: str
    name: str
    description: str
    state: str = Field(description="waiting (no prober has joined yet), up or silent")
    since: str | None
    connected: bool
    heard_at: str | None
    joined_at: str | None = Field(description="of the current link")
    version: str
    address: str
    offset: float = Field(description="how far its clock is behind this server's")
    round_trip: float = Field(description="of the exchange that measured the offset")
    assigned: int = Field(description="monitors assigned to it")
    checks: int = Field(description="since its prober started")
    waiting: int = Field(description="results that it holds until the server confirms them")
    dropped: int = Field(description="results dropped because its buffer was full")
    ignored: int = Field(description="results for monitors not assigned to it")
    monitors: list[str]


@router.get("", response=list[LocationOut], summary="Locations that checks are made from")
@requires("monitors:read")
def list_locations(request: HttpRequest) -> list[dict[str, Any]]:
    return [view.as_dict() for view in location_queries.locations()]


@router.get("/{name}", response=LocationOut, summary="One location")
@requires("monitors:read")
def one_location(request: HttpRequest, name: ResourceName) -> dict[str, Any]:
    return location_queries.location(name).as_dict()
