"""Channels over the API: how they do, and a test message. They are declared through the resources."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema
from pydantic import Field

from mainstay.accounts.api_doors import requires
from mainstay.alerting import queries, verbs
from mainstay.alerting.api import actor_of
from mainstay.kernel.texts import ResourceName

router = Router()


class ChannelOut(Schema):
    name: str
    kind: str
    resolved: bool = Field(description="whether it is also notified when an alert is resolved")
    description: str
    state: str = Field(description="up, down (its newest attempt failed) or unknown (never tried)")
    last_success: str | None
    last_failure: str | None
    problem: str = Field(description="why its newest attempt failed")
    pending: int
    delivered: int
    refused: int
    expired: int


class ReceiptOut(Schema):
    detail: str
    data: dict[str, Any]


@router.get("", response=list[ChannelOut], summary="Every channel and the outcome of its notifications")
@requires("alerts:read")
def list_channels(request: HttpRequest) -> list[dict[str, Any]]:
    return [channel.as_dict() for channel in queries.channel_health()]


@router.post("/{name}/test", response=ReceiptOut, summary="Send a test message now and wait for the answer")
@requires("channels:test")
def send_test(request: HttpRequest, name: ResourceName) -> dict[str, Any]:
    receipt = verbs.test_channel(actor_of(request), name)
    return {"detail": receipt.detail, "data": receipt.data}
