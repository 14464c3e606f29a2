"""Alert sources over the API; declaring goes through /resources."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema
from pydantic import Field

from mainstay.accounts.api_doors import requires
from mainstay.sources import queries

router = Router()


class SourceOut(Schema):
    uid: str
    name: str
    kind: str = Field(description="such as alertmanager, pagerduty or json")
    description: str
    last_at: str | None = Field(description="when it was heard last (RFC 3339 in UTC)")
    open: int = Field(description="its alerts that are open")


@router.get("", response=list[SourceOut], summary="All alert sources, with when each was heard last")
@requires("alerts:read")
def list_sources(request: HttpRequest) -> list[dict[str, Any]]:
    return [one.as_dict() for one in queries.sources()]
