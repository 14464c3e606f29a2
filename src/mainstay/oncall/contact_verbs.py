"""Proof that a way to reach a person is theirs, and secret addresses of calendars.

A person does this for themselves; `oncall:write` does it for others. The code is made from a number that is used once
and kept nowhere; whoever sends messages follows `contact.code_asked` and reads it by `queries.pending_code`.
"""

from __future__ import annotations

import hashlib
import secrets

from mainstay.kernel.actor import Actor
from mainstay.kernel.clock import Clock, lasts
from mainstay.kernel.errors import Conflict, Forbidden, NotFound, UserError
from mainstay.kernel.ids import new_id
from mainstay.oncall import events
from mainstay.oncall.models import FeedRow, VerificationRow
from mainstay.oncall.people_spec import NO_MEANS
from mainstay.oncall.queries import CODE_SECONDS, FREE, code_of, digest_of, duty, named_by
from mainstay.oncall.rules.reach import Method, methods_of
from mainstay.oncall.verbs import READ, WRITE
from mainstay.store.resources.queries import resource
from mainstay.store.work import unit_of_work

_PAUSE = 60.0  # seconds until another code may be asked for
_TRIES = 5


def ask_code(actor: Actor, person: str, index: int, *, clock: Clock | None = None) -> bool:
    """Have a code sent by this contact of a person. False if it is verified already, or a code is on its way.

    Conflict if there are no means for it.
    """
    method = _own(actor, person, index)
    if method.kind in NO_MEANS:
        raise Conflict("Mainstay has no means yet to send text messages or to call", hint="use another way for now")
    with unit_of_work(actor, clock) as work:
        digest = digest_of(method.kind, method.target)
        row = VerificationRow.objects.select_for_update().filter(digest=digest).first()
        if row is not None and row.verified_at is not None:
            return False
        if row is not None and lasts(row.expires_at - CODE_SECONDS + _PAUSE, _PAUSE, work.now):
            return False
        VerificationRow.objects.update_or_create(
            digest=digest,
            defaults={
                "person": person,
                "nonce": new_id(work.now),
                "expires_at": work.now + CODE_SECONDS,
                "tries": 0,
            },
        )
        work.record(events.CodeAsked(f"person/{person}", index=index, way=method.kind))
        return True


def confirm_code(actor: Actor, person: str, index: int, code: str, *, clock: Clock | None = None) -> bool:
    """The code came back, so the contact may be used. False if it may already.

    UserError if the code is wrong, too old, or was guessed at too often.
    """
    method = _own(actor, person, index)
    with unit_of_work(actor, clock) as work:
        row = VerificationRow.objects.select_for_update().filter(digest=digest_of(method.kind, method.target)).first()
        if row is not None and row.verified_at is not None:
            return False
        if row is None or not lasts(row.expires_at, CODE_SECONDS, work.now):
            raise UserError("no code is awaited, or it is too old", hint="have another one sent")
        right = row.tries < _TRIES and secrets.compare_digest(code_of(row.nonce).encode(), code.strip().encode())
        if right:
            row.verified_at = work.now
            work.record(events.ContactVerified(f"person/{person}", index=index, way=method.kind))
        else:
            row.tries += 1
        row.save(update_fields=["verified_at", "tries"])
    if not right:
        raise UserError("this is not the code", hint="look at the newest message, or have another code sent")
    return True


def ask_test(actor: Actor, person: str, *, clock: Clock | None = None) -> None:
    """Have a test message sent by every way that may be used. UserError if there is none."""
    actor.require(READ)
    with unit_of_work(actor, clock) as work:
        resource("person", person)
        if not actor.may(WRITE) and named_by(actor) != person:
            raise Forbidden("this is how another person is reached", hint="ask somebody with the scope oncall:write")
        known = duty(work.now)
        if not any(known.is_verified(one.kind, one.target) for one in known.methods(person)):
            raise UserError(f"{person} has no verified contact", hint="verify one first")
        work.record(events.TestAsked(f"person/{person}"))


def make_feed(actor: Actor, kind: str, name: str, *, clock: Clock | None = None) -> str:
    """A new secret for the calendar of a person or schedule, shown once; the one before it stops working."""
    actor.require(READ)
    with unit_of_work(actor, clock) as work:
        if kind not in ("person", "schedule"):
            raise NotFound("there are calendars of people and of schedules")
        resource(kind, name)
        if kind == "person" and not actor.may(WRITE) and named_by(actor) != name:
            raise Forbidden("this is the calendar of another person", hint="ask somebody with the scope oncall:write")
        secret = secrets.token_urlsafe(24)
        FeedRow.objects.update_or_create(
            subject=f"{kind}/{name}",
            defaults={"secret_hash": hashlib.sha256(secret.encode()).hexdigest(), "made_by": str(actor)},
        )
        work.record(events.FeedMade(f"{kind}/{name}"))
        return secret


def _own(actor: Actor, person: str, index: int) -> Method:
    actor.require(READ)
    found = resource("person", person)
    if not actor.may(WRITE) and named_by(actor) != person:
        raise Forbidden("this is how another person is reached", hint="ask somebody with the scope oncall:write")
    method = next((one for one in methods_of(found.spec) if one.index == index), None)
    if method is None:
        raise NotFound(f"{person} has no contact {index + 1}")
    if method.kind in FREE:
        raise Conflict(f"{method.kind} needs no code", hint="use it as it is")
    return method
