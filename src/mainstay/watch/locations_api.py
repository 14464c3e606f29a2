"""Locations over the API: which there are, and how the probers there do. Declaring goes through /resources."""

from __future__ import annotations

from django.http import HttpRequest
from ninja import Router, Schema

from mainstay.accounts.api_doors import requires
from mainstay.frames import schemas
from mainstay.kernel.texts import ResourceName
from mainstay.watch import location_queries

router = Router()


@schemas.of(location_queries.LocationView)
class LocationOut(Schema):
    """Times are RFC 3339 in UTC, null where there is none; lengths are seconds."""

    monitors: list[str]


@router.get("", response=list[LocationOut], summary="Locations that checks are made from")
@requires("monitors:read")
def list_locations(request: HttpRequest) -> list[location_queries.LocationView]:
    return location_queries.locations()


@router.get("/{name}", response=LocationOut, summary="One location")
@requires("monitors:read")
def one_location(request: HttpRequest, name: ResourceName) -> location_queries.LocationView:
    return location_queries.location(name)
