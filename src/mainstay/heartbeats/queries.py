"""Reads of heartbeats: lists for pages, one with its pings, and the directory that pings are placed by."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

import structlog
from django.conf import settings

from mainstay.heartbeats.deadlines import condition_of
from mainstay.heartbeats.declared import entry_of, rhythm_of, spec_of
from mainstay.heartbeats.directory import Directory, KnownHeartbeat
from mainstay.heartbeats.models import HeartbeatRow, PingRow
from mainstay.heartbeats.rules import is_late
from mainstay.heartbeats.spec import HeartbeatSpec
from mainstay.heartbeats.verbs import PING_KEY_FACT
from mainstay.kernel.errors import NotFound
from mainstay.kernel.matchers import all_match
from mainstay.kernel.resource import Resource
from mainstay.kernel.secret import SecretMissing
from mainstay.kernel.subject import Said
from mainstay.kernel.views import INSIDE, At, View
from mainstay.store.models import FactRow
from mainstay.store.resources.queries import by_uid, find, resource, resources
from mainstay.store.secrets import SecretSource

log = structlog.get_logger("heartbeats")

_MANY = 500  # uids in one question
# What a list puts first.
STATE_ORDER = ("down", "unknown", "late", "up", "new", "paused")


@dataclass(frozen=True, slots=True)
class HeartbeatView(View):
    """One heartbeat as pages and programs see it; lengths are seconds."""

    uid: str
    name: str
    state: Annotated[str, "new, up, down, unknown or paused"]
    late: Annotated[bool, "overdue, but within the grace period"]
    started: Annotated[bool, "a run is in progress"]
    reason: str
    since: At
    schedule: str
    grace: float
    severity: str
    labels: dict[str, str]
    tags: list[str]
    description: str
    enabled: bool
    manager: str
    slug: str
    uuid: Annotated[str, INSIDE]
    ping_url: Annotated[str | None, "null without the scope monitors:check: whoever knows it can report in"]
    last_ping: At | None
    last_kind: str
    last_start: At | None
    last_duration: float | None
    due_at: At | None
    deadline: At | None
    pings: int
    failures: int
    spec: Annotated[HeartbeatSpec, INSIDE]  # as declared

    @property
    def title(self) -> str:
        """What people call it."""
        return self.name if self.spec.title is None else self.spec.title

    @property
    def alert_labels(self) -> dict[str, str]:
        """The labels that its alerts carry."""
        return {**self.labels, "heartbeat": self.name, "severity": self.severity}

    @property
    def shown(self) -> str:
        """The word that a page shows for its state."""
        return "late" if self.late else self.state


@dataclass(frozen=True, slots=True)
class PingView(View):
    """One ping."""

    n: int
    at: At
    kind: Annotated[str, "success, start, fail, log, or ign: kept without effect"]
    exit_status: int | None
    rid: str
    method: str
    scheme: str
    remote: str
    user_agent: str
    duration: float | None
    late: float  # seconds that it came after `at`; 0: in time
    body_size: Annotated[int, "bytes sent; fewer may be kept"]
    body: Annotated[bytes | None, INSIDE] = None  # set when a single one was asked for

    @property
    def text(self) -> str:
        """The kept body for a page: UTF-8, what is not is replaced."""
        return (self.body or b"").decode("utf-8", "replace")


def slug_url(base_url: str, slug: str, ping_key: str = "<ping-key>") -> str:
    """The address by name, or empty if no letter of the name survives in a slug."""
    return f"{base_url}/ping/{ping_key}/{slug}" if slug else ""


def heartbeats(now: float | None = None, limits: Sequence[str] = ()) -> list[HeartbeatView]:
    """All that lie within the limits of whoever asks, what needs attention first, then by name."""
    moment = time.time() if now is None else now
    rows = HeartbeatRow.objects.in_bulk()
    views = [_view(known, rows[known.uid], moment) for known in resources("heartbeat") if known.uid in rows]
    views = [view for view in views if all_match(limits, view.alert_labels)]
    return sorted(views, key=lambda view: (STATE_ORDER.index(view.shown), view.name))


def heartbeat(name: str, now: float | None = None, limits: Sequence[str] = ()) -> HeartbeatView:
    """NotFound if none within the limits of whoever asks has this name."""
    found = find("heartbeat", name) if limits else resource("heartbeat", name)  # the latter guesses other names
    row = HeartbeatRow.objects.filter(uid=found.uid).first() if found is not None else None
    view = _view(found, row, time.time() if now is None else now) if found is not None and row is not None else None
    if view is None or not all_match(limits, view.alert_labels):
        if found is not None and row is None:
            raise NotFound(f"the heartbeat {name} is not known to the server yet", hint="try again")
        raise NotFound(f"there is no heartbeat `{name[:100]}`")
    return view


def by_uuid(address: str, now: float | None = None) -> HeartbeatView:
    """The one with this ping address; NotFound if there is none."""
    return _by_row(HeartbeatRow.objects.filter(ping_uuid=address).first(), now)


def by_unique_key(unique_key: str, now: float | None = None) -> HeartbeatView:
    """The one whose address hashes to this key, which can be told without giving the address away."""
    addresses = HeartbeatRow.objects.values_list("uid", "ping_uuid").iterator()
    uid = next((uid for uid, address in addresses if unique_key_of(address) == unique_key), None)
    return _by_row(HeartbeatRow.objects.filter(uid=uid).first(), now)


def unique_key_of(address: str) -> str:
    """SHA-1 over the first half of the uuid, as Healthchecks derives it for those who may only read."""
    return hashlib.sha1(UUID(address).hex[:16].encode(), usedforsecurity=False).hexdigest()


def _by_row(row: HeartbeatRow | None, now: float | None) -> HeartbeatView:
    found = by_uid(row.uid) if row is not None else None
    if row is None or found is None:
        raise NotFound("there is no heartbeat with this address")
    return _view(found, row, time.time() if now is None else now)


def counts(now: float | None = None) -> dict[str, int]:
    """How many are in each state, `late` counted apart from `up`."""
    moment = time.time() if now is None else now
    rows = HeartbeatRow.objects.all()
    tally = Counter("late" if _is_late(row, moment) else row.state for row in rows)
    return {state: tally.get(state, 0) for state in STATE_ORDER}


def _is_late(row: HeartbeatRow, now: float) -> bool:
    if row.state != "up" or row.due_at is None or row.due_at > now:  # most; a run under way is due at its start
        return False
    found = by_uid(row.uid)
    return found is not None and is_late(condition_of(row), rhythm_of(spec_of(found)), now)


def pings(uid: str, *, limit: int = 100, before: int | None = None) -> list[PingView]:
    """The newest pings of one heartbeat without their bodies; `before` continues below a number."""
    rows = PingRow.objects.filter(heartbeat=uid).defer("body")
    if before is not None:
        rows = rows.filter(n__lt=before)
    return [_ping(row) for row in rows.order_by("-n")[:limit]]


def ping(uid: str, n: int) -> PingView:
    """One ping with its body; NotFound if it was never sent or is no longer kept."""
    row = PingRow.objects.filter(heartbeat=uid, n=n).first()
    if row is None:
        raise NotFound(f"ping {n} is not kept, or no longer")
    return _ping(row, bytes(row.body) if row.body is not None else None)


def said(uid: str, evidence: Mapping[str, Any]) -> Said | None:
    """With the ping by which a job reported its failure; None if it did not, or the ping is no longer kept."""
    number = evidence.get("ping")
    try:
        found = ping(uid, number) if isinstance(number, int) else None
    except NotFound:
        return None
    return None if found is None else Said(found.text.strip(), found.exit_status)


def has_ping_key() -> bool:
    """Whether addresses by slug work; the key itself is not known to anybody but its holder."""
    return FactRow.objects.filter(key=PING_KEY_FACT).exists()


def ping_key_hash() -> str:
    fact = FactRow.objects.filter(key=PING_KEY_FACT).first()
    return fact.value if fact else ""


def directory_entries() -> list[KnownHeartbeat]:
    """Every declared heartbeat that has a row."""
    addresses = dict(HeartbeatRow.objects.values_list("uid", "ping_uuid"))
    declared = (known for known in resources("heartbeat") if known.uid in addresses)
    return [entry_of(known, addresses[known.uid], _push_token(known)) for known in declared]


def addresses(uids: list[str]) -> dict[str, dict[str, str]]:
    """The address of each of these heartbeats, as a spec declares one; a uid without a row is left out."""
    rows = HeartbeatRow.objects.all() if len(uids) > _MANY else HeartbeatRow.objects.filter(uid__in=uids)
    wanted = set(uids)
    return {uid: {"uuid": address} for uid, address in rows.values_list("uid", "ping_uuid") if uid in wanted}


def _push_token(declared: Resource) -> str:
    """With its references filled in; empty if there is none, or none that can be had."""
    token = declared.document.get("push_token", "")
    try:
        return str(SecretSource(settings.MAINSTAY).fill(token)) if "${" in token else token
    except SecretMissing as error:
        log.warning("push tokens are not available", heartbeat=declared.name, reason=str(error))
        return ""


def load_directory() -> Directory:
    return Directory(directory_entries(), ping_key_hash())


def _view(found: Resource, row: HeartbeatRow, now: float) -> HeartbeatView:
    spec = spec_of(found)
    rhythm = rhythm_of(spec)
    return HeartbeatView(
        uid=found.uid,
        name=found.name,
        state=row.state,
        late=is_late(condition_of(row), rhythm, now),
        started=row.last_start is not None,
        reason=row.reason,
        since=row.since,
        schedule=str(rhythm.schedule),
        grace=rhythm.grace,
        severity=spec.severity,
        labels=dict(spec.labels),
        tags=list(spec.tags),
        description=spec.description,
        enabled=spec.enabled,
        manager=found.manager,
        uuid=row.ping_uuid,
        ping_url=f"{settings.MAINSTAY.base_url}/ping/{row.ping_uuid}",
        slug=row.slug,
        last_ping=row.last_ping,
        last_kind=row.last_kind,
        last_start=row.last_start,
        last_duration=row.last_duration,
        due_at=row.due_at,
        deadline=row.next_at,
        pings=row.pings,
        failures=row.failures,
        spec=spec,
    )


def _ping(row: PingRow, body: bytes | None = None) -> PingView:
    return PingView(
        row.n,
        row.at,
        row.kind,
        row.exit_status,
        row.rid,
        row.method,
        row.scheme,
        row.remote,
        row.user_agent,
        row.duration,
        row.late,
        row.body_size,
        body,
    )


def named(names: Iterable[str], now: float | None = None) -> dict[str, HeartbeatView]:
    """Those of the given names that exist, for status pages and the like."""
    wanted = set(names)
    return {view.name: view for view in heartbeats(now) if view.name in wanted}
