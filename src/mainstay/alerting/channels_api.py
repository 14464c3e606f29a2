"""Channels over the API: how they do, and a test message. They are declared through the resources."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema

from mainstay.accounts.api_doors import actor_of, requires
from mainstay.alerting import queries, verbs
from mainstay.frames import schemas
from mainstay.kernel.texts import ResourceName

router = Router()


@schemas.of(queries.ChannelHealth)
class ChannelOut(Schema):
    pass


class ReceiptOut(Schema):
    detail: str
    data: dict[str, Any]


@router.get("", response=list[ChannelOut], summary="Every channel and the outcome of its notifications")
@requires("alerts:read")
def list_channels(request: HttpRequest) -> list[queries.ChannelHealth]:
    return queries.channel_health()


@router.post("/{name}/test", response=ReceiptOut, summary="Send a test message now and wait for the answer")
@requires("channels:test")
def send_test(request: HttpRequest, name: ResourceName) -> dict[str, Any]:
    receipt = verbs.test_channel(actor_of(request), name)
    return {"detail": receipt.detail, "data": receipt.data}
