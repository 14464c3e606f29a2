"""The vault over the API: names out, values in only."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from ninja import Router, Schema, Status
from pydantic import Field

from mainstay.accounts.api_doors import actor_of, requires
from mainstay.kernel.clock import to_iso
from mainstay.kernel.texts import SecretName, Text
from mainstay.store import vault

router = Router()


class SecretIn(Schema):
    value: Text = Field(min_length=1, max_length=vault.VALUE_LIMIT, description="never shown again")


class SecretOut(Schema):
    name: str
    changed_at: str
    changed_by: str


@router.get("", response=list[SecretOut], summary="Names of stored secrets")
@requires("secrets:write")
def list_secrets(request: HttpRequest) -> list[dict[str, Any]]:
    return [
        {"name": found.name, "changed_at": to_iso(found.changed_at), "changed_by": found.changed_by}
        for found in vault.secrets(actor_of(request))
    ]


@router.put("/{name}", response={204: None}, summary="Store or replace a secret")
@requires("secrets:write")
def set_secret(request: HttpRequest, name: SecretName, wanted: SecretIn) -> Status[None]:
    vault.set_secret(actor_of(request), settings.MAINSTAY, name, wanted.value)
    return Status(204, None)


@router.delete("/{name}", response={204: None}, summary="Forget a secret")
@requires("secrets:write")
def remove_secret(request: HttpRequest, name: SecretName) -> Status[None]:
    vault.remove_secret(actor_of(request), name)
    return Status(204, None)
