"""API tokens over the API: list, make, revoke."""

from __future__ import annotations

import time
from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Router, Schema, Status
from pydantic import Field

from mainstay.accounts import queries, rules, token_verbs
from mainstay.accounts.api_doors import actor_of, requires
from mainstay.kernel.actor import all_scopes
from mainstay.kernel.clock import to_iso
from mainstay.kernel.duration import Duration
from mainstay.kernel.texts import MatcherText, Text, TokenId

router = Router()
Scope = Annotated[str, Field(json_schema_extra=lambda schema: schema.update(enum=sorted(all_scopes())))]


class TokenIn(Schema):
    name: Text = Field(
        max_length=100, json_schema_extra={"pattern": r"^[^\x00]*[^\s\x00][^\x00]*$"}, description="what it is for"
    )
    scopes: list[Scope] = Field([], max_length=50, description="part of your own scopes")
    service: Text = Field("", max_length=100, description="a service account; all its scopes unless some are named")
    limit: list[MatcherText] = Field([], max_length=20, description='label matchers such as team="core"')
    expires_days: float = Field(rules.TOKEN_DAYS, gt=0, le=rules.LONGEST_TOKEN_DAYS)


class TokenMade(Schema):
    id: str
    token: str = Field(description="shown this once")


class RotateIn(Schema):
    overlap: Duration = Field(86_400.0, description="how long the old one goes on working, such as 24h; 30d at most")


class TokenOut(Schema):
    id: str
    name: str
    scopes: list[str]
    limits: list[str]
    owner: str
    service: str
    state: str = Field(description="active, expired or revoked")
    created_at: str
    expires_at: str
    last_used_at: str | None


@router.get("", response=list[TokenOut], summary="Tokens, newest first")
@requires("tokens:write")
def list_tokens(request: HttpRequest) -> list[dict[str, Any]]:
    now = time.time()
    return [
        {
            "id": token.id,
            "name": token.name,
            "scopes": list(token.scopes),
            "limits": list(token.limits),
            "owner": token.owner or token.made_by,
            "service": token.service,
            "state": token.state(now),
            "created_at": to_iso(token.created_at),
            "expires_at": to_iso(token.expires_at),
            "last_used_at": to_iso(token.last_used_at) if token.last_used_at is not None else None,
        }
        for token in queries.tokens(actor_of(request))
    ]


@router.post("", response={201: TokenMade}, summary="Make a token")
@requires("tokens:write")
def create_token(request: HttpRequest, wanted: TokenIn) -> Status[dict[str, str]]:
    actor, days = actor_of(request), wanted.expires_days
    return _made(
        token_verbs.create_token(actor, wanted.name, wanted.scopes, days, service=wanted.service, limits=wanted.limit)
    )


@router.post("/{token_id}/rotate", response={201: TokenMade}, summary="Rotate a token: create its replacement")
@requires("tokens:write")
def rotate_token(request: HttpRequest, token_id: TokenId, wanted: RotateIn) -> Status[dict[str, str]]:
    return _made(token_verbs.rotate_token(actor_of(request), token_id, wanted.overlap))


def _made(text: str) -> Status[dict[str, str]]:
    parsed = rules.parse_token(text)
    return Status(201, {"id": parsed.id if parsed else "", "token": text})


@router.delete("/{token_id}", response={204: None}, summary="Revoke a token immediately")
@requires("tokens:write")
def revoke_token(request: HttpRequest, token_id: TokenId) -> Status[None]:
    token_verbs.revoke_token(actor_of(request), token_id)
    return Status(204, None)
