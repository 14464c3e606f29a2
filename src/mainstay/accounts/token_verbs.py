"""Every change to API tokens: made, rotated, revoked, used."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from django.db import connection
from django.db.models import F

from mainstay.accounts import policies, queries, rules
from mainstay.accounts.events import TokenCreated, TokenRevoked, TokenRotated
from mainstay.accounts.models import Token
from mainstay.accounts.others import require_over
from mainstay.kernel.actor import Actor, limitable, system
from mainstay.kernel.clock import Clock, to_iso
from mainstay.kernel.diagnostics import did_you_mean
from mainstay.kernel.errors import Conflict, Forbidden, NotFound, StoreBusy, UserError
from mainstay.kernel.matchers import check_matcher
from mainstay.store.work import Work, unit_of_work

LONGEST_OVERLAP = 30 * rules.DAY


def create_token(
    actor: Actor,
    name: str,
    scopes: Sequence[str],
    days: float = rules.TOKEN_DAYS,
    *,
    service: str = "",
    limits: Sequence[str] = (),
) -> str:
    """Make an API token and return it, for the only time. Its scopes are part of the actor's own.

    A token of a service account needs the right to keep people, has all of the account's scopes unless told
    otherwise, and ends with the account. `limits`: label matchers, besides those of its owner.
    """
    actor.require("tokens:write")
    label = " ".join(name.split())
    if not 1 <= len(label) <= 100:
        raise UserError("a token needs a name of at most 100 characters", hint="say what it is for: `deploy`")
    wanted = _check_service(actor, service, scopes) if service else rules.check_scopes(list(scopes))
    _check_handing_out(actor, wanted)
    matchers = _check_limits(limits, wanted)
    lifetime = rules.check_lifetime(days)
    with unit_of_work(actor) as work:
        row = Token(
            name=label,
            scopes=" ".join(sorted(wanted)),
            limits=json.dumps(matchers, ensure_ascii=False),
            owner=None if service else queries.owner_of(actor),
            service=service,
        )
        text = _make(work, row, lifetime)
        work.record(TokenCreated(f"token/{row.id}", **_told(row)))
    return text


def rotate_token(actor: Actor, token_id: str, overlap: float = rules.DAY) -> str:
    """Make a token that takes another one's place, and return it, for the only time.

    It is like the old one, which goes on working for `overlap` seconds (0: it stops at once), but never beyond
    its own end. Conflict if the old one works no more.
    """
    actor.require("tokens:write")
    if not 0 <= overlap <= LONGEST_OVERLAP:
        raise UserError("the old token works on for at most 30 days", hint="for example --overlap 24h")
    with unit_of_work(actor) as work:
        old = _mine(actor, token_id)
        now_us = int(work.now * 1e6)
        if old.revoked_us is not None or old.expires_us <= now_us:
            raise Conflict(f"the token {old.id} no longer works", hint="make a new one")
        _check_handing_out(actor, frozenset(old.scopes.split()))
        new = Token(name=old.name, scopes=old.scopes, limits=old.limits, owner=old.owner, service=old.service)
        text = _make(work, new, (old.expires_us - old.created_us) / 1e6)
        old.expires_us = min(old.expires_us, now_us + int(overlap * 1e6))
        old.save(update_fields=["expires_us"])
        until = to_iso(old.expires_us / 1e6)
        work.record(TokenRotated(f"token/{new.id}", replaces=old.id, until=until, **_told(new)))
        work.after_commit(lambda: queries.forget_token(old.id))
    return text


def revoke_token(actor: Actor, token_id: str) -> None:
    """End a token at once. Others' tokens need the right to keep people, and all that their owners may do."""
    actor.require("tokens:write")
    with unit_of_work(actor) as work:
        row = _mine(actor, token_id)
        if row.revoked_us is not None:
            return
        row.revoked_us = int(work.now * 1e6)
        row.save(update_fields=["revoked_us"])
        work.record(TokenRevoked(f"token/{row.id}", row.id, row.name))
        work.after_commit(lambda: queries.forget_token(token_id))


def note_token_use(token_id: str) -> None:
    """Write the time of use down; run on the thread of `queries`, never in a request."""
    with suppress(StoreBusy), unit_of_work(system("accounts"), quiet=True) as work:
        Token.objects.filter(id=token_id).update(last_used_us=int(work.now * 1e6))
    # This thread serves no request, so nothing else would give its connection back.
    connection.close()


def _make(work: Work, row: Token, lifetime: float) -> str:
    token = rules.new_token()
    row.id, row.secret_hash = token.id, rules.hash_secret(token.secret)
    row.made_by = str(work.actor)[:300]
    row.created_us = int(work.now * 1e6)
    row.expires_us = int((work.now + lifetime) * 1e6)
    row.save(force_insert=True)
    return str(token)


def _told(row: Token) -> dict[str, Any]:
    data = {"token": row.id, "name": row.name, "scopes": row.scopes.split(), "expires": to_iso(row.expires_us / 1e6)}
    more = {"service": row.service, "limits": json.loads(row.limits)}
    return data | {key: value for key, value in more.items() if value}


def _mine(actor: Actor, token_id: str) -> Token:
    """The token, locked; NotFound if it is not there, or somebody else's, which looks the same."""
    row = Token.objects.select_for_update().filter(id=token_id).first()
    mine = row is not None and row.owner_id is not None and row.owner == queries.owner_of(actor)
    if row is None or not (mine or actor.may("users:write")):
        raise NotFound(f"there is no token {token_id[:20]}")
    if not mine and row.owner is not None:
        require_over(actor, row.owner)
    elif not mine:
        _check_handing_out(actor, frozenset(row.scopes.split()))
    return row


def _check_handing_out(actor: Actor, scopes: frozenset[str]) -> None:
    beyond = sorted(scopes - actor.scopes)
    if beyond:
        raise Forbidden(f"{actor} cannot grant what it lacks: {' '.join(beyond)}", hint="leave these scopes out")


def _check_service(actor: Actor, service: str, scopes: Sequence[str]) -> frozenset[str]:
    """The scopes of a token of a service account."""
    actor.require("users:write")
    spec = policies.service_account(service)
    if spec is None:
        known = policies.service_accounts()
        hint = did_you_mean(service, known) or "declare it under `service_accounts`"
        raise NotFound(f"there is no service account `{service[:100]}`", hint=hint)
    wanted = rules.check_scopes(list(scopes)) if scopes else spec.granted
    beyond = sorted(wanted - spec.granted)
    if beyond:
        hint = f"it may {' '.join(sorted(spec.granted))}"
        raise UserError(f"the service account `{service}` may not {' '.join(beyond)}", hint=hint)
    return wanted


def _check_limits(limits: Iterable[str], scopes: frozenset[str]) -> list[str]:
    try:
        parsed = [check_matcher(text) for text in limits]
    except ValueError as error:
        raise UserError(str(error)) from None
    beyond = sorted(scopes - limitable()) if parsed else []
    if beyond:
        hint = f"only these can: {' '.join(sorted(limitable()))}"
        raise UserError(f"{' '.join(beyond)} cannot be limited by labels", hint=hint)
    return parsed


def bring_expiries_back(actor: Actor, clock: Clock | None = None) -> int:
    """Tokens that were made while the clock was ahead live as long as they were meant to, from now on; how many."""
    actor.require("tokens:write")
    with unit_of_work(actor, clock, quiet=True) as work:
        now_us = int(work.now * 1e6)
        ahead = Token.objects.filter(created_us__gt=now_us)
        return ahead.update(expires_us=F("expires_us") - F("created_us") + now_us, created_us=now_us)
