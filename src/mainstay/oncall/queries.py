"""Reads of on-call: who is on duty, what comes next, and how a person is reached."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.utils.crypto import salted_hmac

from mainstay.accounts.queries import signing_in
from mainstay.kernel.actor import Actor
from mainstay.kernel.errors import NotFound
from mainstay.kernel.resource import Resource
from mainstay.oncall.by_hand import Changed, changed
from mainstay.oncall.holidays import days_of
from mainstay.oncall.models import VerificationRow
from mainstay.oncall.rules.duty import Cover, History, OnDuty, Override, Schedule, schedule_of
from mainstay.oncall.rules.forecast import Forecast, forecast
from mainstay.oncall.rules.reach import Method, Reach, methods_of, reach
from mainstay.oncall.spec import EscalationPolicySpec, PersonSpec, ScheduleSpec, TeamSpec
from mainstay.store.resources.queries import find, resources

__all__ = ["Duty", "Forecast", "Handover", "Method", "OnDuty", "Reach", "duty", "forecast"]

FREE = ("push", "channel")  # need no code: devices register themselves, and channels are declared
CODE_SECONDS = 600.0  # that a code is valid
KEPT = 40 * 86_400.0  # seconds of the past that are read
_AHEAD = (2.0, 8.0, 60.0)  # weeks that are looked through for the next handover, one after the other


@dataclass(frozen=True, slots=True)
class Handover:
    """When who is on duty changes next, in epoch seconds, and to whom; nobody: a gap, or on purpose."""

    at: float
    people: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Duty:
    """All that on-call knew when it was read; ask it as often as you like, and read anew for what changes later."""

    schedules: Mapping[str, Schedule]
    people: Mapping[str, PersonSpec]
    teams: Mapping[str, tuple[str, ...]]
    policies: Mapping[str, EscalationPolicySpec]
    verified: frozenset[str] = field(default_factory=frozenset)  # digests of ways to reach somebody

    def on_duty(self, schedule: str, at: float) -> tuple[OnDuty, ...]:
        """Who is on duty, each with why. NotFound if there is no such schedule."""
        return self._schedule(schedule).at(at).on

    def cover(self, schedule: str, at: float) -> Cover:
        """The same, and whether it is on purpose that there is nobody."""
        return self._schedule(schedule).at(at)

    def next_handover(self, schedule: str, at: float) -> Handover | None:
        """None if nothing changes for more than a year."""
        asked = self._schedule(schedule)
        now = {one.person for one in asked.at(at).on}
        for weeks in _AHEAD:
            seen = forecast(asked, at, weeks)
            edges = sorted({float(edge) for shift in seen.shifts for edge in (shift.start, shift.end)})
            for edge in edges:
                people = tuple(one.person for one in asked.at(edge).on)
                if at < edge < seen.end and set(people) != now:
                    return Handover(edge, people)
        return None

    def person(self, name: str) -> PersonSpec | None:
        return self.people.get(name)

    def policy(self, name: str) -> EscalationPolicySpec | None:
        return self.policies.get(name)

    def members(self, team: str) -> tuple[str, ...]:
        """Nobody for a team that there is not."""
        return self.teams.get(team, ())

    def reach(self, person: str, severity: str, at: float) -> Reach:
        """How a person is reached about something of this severity, `P0` to `P3`, or why not and from when on."""
        spec = self.people.get(person)
        if spec is None:
            return Reach(person, (), "unknown_person")
        return reach(person, spec, severity, at, self.is_verified)

    def is_verified(self, kind: str, target: Mapping[str, Any]) -> bool:
        """Whether a way to reach somebody may be used."""
        return kind in FREE or digest_of(kind, target) in self.verified

    def methods(self, person: str) -> tuple[Method, ...]:
        """Every way in which a person is reached, verified or not."""
        spec = self.people.get(person)
        return methods_of(spec) if spec is not None else ()

    def _schedule(self, name: str) -> Schedule:
        found = self.schedules.get(name)
        if found is None:
            raise NotFound(f"there is no schedule `{name[:100]}`")
        return found


def digest_of(kind: str, target: Mapping[str, Any]) -> str:
    """What a verification is of. A phone number that is verified for text messages is so for calls, too."""
    known = "phone" if kind in ("sms", "call") else kind
    rest = "\n".join(f"{key}={target[key]}" for key in sorted(target))
    return hashlib.sha256(f"{known}\n{rest}".encode()).hexdigest()


def code_of(nonce: str) -> str:
    """Six digits, made from a number that is used once and this server's secret."""
    made = salted_hmac("mainstay.oncall.code", nonce, algorithm="sha256").digest()
    return f"{int.from_bytes(made[:8], 'big') % 1_000_000:06d}"


def pending_code(person: str, index: int, now: float) -> tuple[Method, str] | None:
    """The contact that a code is to be sent by, and the code; None if none is awaited."""
    found = find("person", person)
    method = next((one for one in methods_of(found.spec) if one.index == index), None) if found else None
    if method is None:
        return None
    row = VerificationRow.objects.filter(digest=digest_of(method.kind, method.target), verified_at=None).first()
    return (method, code_of(row.nonce)) if row is not None and row.expires_at > now else None


def named_by(actor: Actor) -> str:
    """The person whose e-mail address this user signs in with; empty if there is none."""
    actor.require("oncall:read")
    if actor.kind != "user":
        return ""
    address = actor.name.lower()
    return next((one.name for one in resources("person") if one.spec.email.lower() == address), "")


def duty(now: float | None = None) -> Duty:
    """Read what is declared, what was changed by hand, and the last weeks of what was recorded, once.

    now: epoch seconds from which on changes by hand count, and up to which records do; a server's own by default.
    """
    at = time.time() if now is None else now
    people: dict[str, PersonSpec] = {one.name: one.spec for one in resources("person")}
    teams: dict[str, TeamSpec] = {one.name: one.spec for one in resources("team")}
    policies: dict[str, EscalationPolicySpec] = {one.name: one.spec for one in resources("escalation_policy")}
    by_hand = changed(at - KEPT)
    schedules = {one.name: _schedule(one, people, by_hand) for one in resources("schedule")}
    members = {name: tuple(spec.people) for name, spec in teams.items()}
    return Duty(schedules, people, members, policies, _verified(people))


def _schedule(declared: Resource, people: Mapping[str, PersonSpec], by_hand: Changed) -> Schedule:
    spec: ScheduleSpec = declared.spec
    made = schedule_of(declared.name, spec, people, days_of(spec.holidays))
    return replace(
        made,
        overrides=tuple(one for one in by_hand.overrides.get(declared.uid, ()) if _known(one, people)),
        temporaries=tuple(by_hand.temporaries.get(declared.uid, ())),
        history=by_hand.history.get(declared.uid, History()),
    )


def _known(one: Override, people: Mapping[str, PersonSpec]) -> bool:
    """One that puts somebody on duty who is no longer declared would put nobody there."""
    return not one.add or one.add in people


def _verified(people: Mapping[str, PersonSpec]) -> frozenset[str]:
    """What codes have proved, and the e-mail addresses of people who sign in with them."""
    proved = VerificationRow.objects.exclude(verified_at=None).values_list("digest", flat=True)
    signed_in = (digest_of("email", {"address": address}) for address in signing_in())
    return frozenset([*proved, *(signed_in if people else ())])
