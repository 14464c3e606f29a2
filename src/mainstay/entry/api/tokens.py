"""API tokens over the API: list, make, revoke."""

from __future__ import annotations

import time
from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema, Status
from pydantic import Field

from mainstay.accounts import queries, rules, verbs
from mainstay.accounts.doors import requires
from mainstay.kernel.actor import Actor
from mainstay.kernel.clock import to_iso

router = Router()


class TokenIn(Schema):
    name: str = Field(max_length=100, description="what it is for")
    scopes: list[str] = Field(max_length=50, description="part of your own scopes")
    expires_days: float = Field(rules.TOKEN_DAYS, gt=0, le=rules.LONGEST_TOKEN_DAYS)


class TokenMade(Schema):
    id: str
    token: str = Field(description="shown this once")


class TokenOut(Schema):
    id: str
    name: str
    scopes: list[str]
    owner: str
    state: str = Field(description="active, expired or revoked")
    created_at: str
    expires_at: str
    last_used_at: str | None


def _actor(request: HttpRequest) -> Actor:
    actor: Actor = request.auth  # type: ignore[attr-defined] # set by the API's authentication
    return actor


@router.get("", response=list[TokenOut], summary="Tokens, newest first")
@requires("tokens:write")
def list_tokens(request: HttpRequest) -> list[dict[str, Any]]:
    now = time.time()
    return [
        {
            "id": token.id,
            "name": token.name,
            "scopes": list(token.scopes),
            "owner": token.owner or token.made_by,
            "state": token.state(now),
            "created_at": to_iso(token.created_at),
            "expires_at": to_iso(token.expires_at),
            "last_used_at": to_iso(token.last_used_at) if token.last_used_at is not None else None,
        }
        for token in queries.tokens(_actor(request))
    ]


@router.post("", response={201: TokenMade}, summary="Make a token")
@requires("tokens:write")
def create_token(request: HttpRequest, wanted: TokenIn) -> Status[dict[str, str]]:
    text = verbs.create_token(_actor(request), wanted.name, wanted.scopes, wanted.expires_days)
    parsed = rules.parse_token(text)
    return Status(201, {"id": parsed.id if parsed else "", "token": text})


@router.delete("/{token_id}", response={204: None}, summary="Revoke a token at once")
@requires("tokens:write")
def revoke_token(request: HttpRequest, token_id: str) -> Status[None]:
    verbs.revoke_token(_actor(request), token_id)
    return Status(204, None)
