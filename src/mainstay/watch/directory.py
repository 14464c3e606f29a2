"""What is declared, prepared for the watch lane: monitors, their orders to probers, windows and stored states.

Reads block on the database and on secret files; the lane calls this on a thread of its own, one at a time.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from mainstay.kernel.ports import Quorum
from mainstay.kernel.probing import CheckOrder
from mainstay.kernel.resource import Resource
from mainstay.kernel.secret import SecretMissing, references
from mainstay.store.journal import Filter, entries
from mainstay.store.models import FactRow
from mainstay.store.resources.queries import by_uids, latest_revision, resources
from mainstay.store.secrets import SecretSource
from mainstay.watch.board import Watched
from mainstay.watch.facts import share_of, terms_of, watched_of
from mainstay.watch.families import kin_of, shards_of
from mainstay.watch.models import MonitorRequestRow, MonitorStateRow
from mainstay.watch.reach import Reach
from mainstay.watch.spec import MonitorSpec
from mainstay.watch.state import MonitorState, from_json
from mainstay.watch.telling import uplink_subject
from mainstay.watch.uplink import Change, Part, reached_fact
from mainstay.watch.usual import Rule, rule_of
from mainstay.watch.votes import Terms
from mainstay.windows.queries import Window, declared

_REACHED_FOR = 7 * 86_400.0
Stored = dict[str, tuple[MonitorState, int]]  # uid -> (state, version of its row)


@dataclass(frozen=True, slots=True)
class Monitor:
    """One declared monitor. `options` still hold references to secrets."""

    watched: Watched
    revision: int
    enabled: bool
    options: dict[str, Any]
    secret: bool  # its options refer to secrets
    quorum: Quorum | None = None  # judged from other monitors, not by a prober
    usual: Rule | None = None
    terms: Terms | None = None  # several places check it

    @property
    def uid(self) -> str:
        return self.watched.facts.uid


@dataclass(frozen=True, slots=True)
class Location:
    """A declared location. `silent_after`: seconds."""

    uid: str
    name: str
    silent_after: float


class Share(Protocol):
    """The part of runtime.lanes.share that is used here."""

    @property
    def shards(self) -> int:
        """How many there are."""

    @property
    def wanted(self) -> Mapping[int, int]:
        """The shards that this server holds, with the tokens of their leases."""


@dataclass(slots=True)
class Directory:
    """Specs are validated once and kept while their revision stays."""

    secrets: SecretSource
    here: str = "main"  # the location of this server itself
    revision: int = -1
    monitors: dict[str, Monitor] = field(default_factory=dict)
    windows: list[Window] = field(default_factory=list)
    share: Share | None = None  # of several servers on one database; None: this one checks everything
    shards: Mapping[str, int] = field(default_factory=dict)  # uid -> shard, of all monitors
    tokens: Mapping[int, int] = field(default_factory=dict)  # of the leases that `monitors` were chosen by
    locations: dict[str, Location] = field(default_factory=dict)  # declared ones, by name

    def refresh(self) -> Directory:
        """Read everything declared anew; returns itself, for use as a job."""
        revision = latest_revision()  # first: what comes in between is read again, never missed
        if self.share is not None:
            self.tokens = self.share.wanted
        found = self._kept(revision)
        for resource in self._mine(revision):
            known = self.monitors.get(resource.uid)
            if known is None or known.revision != resource.revision or known.watched.facts.name != resource.name:
                spec: MonitorSpec = resource.spec
                options = {"target": spec.target.to_document(), "expect": _document(spec, "expect")}
                secret = any(True for _ in references(options))
                quorum = spec.check.quorum(spec.target) if spec.check.quorum is not None else None
                watched = watched_of(resource, spec)
                usual = rule_of(spec)
                known = Monitor(watched, resource.revision, spec.enabled, options, secret, quorum, usual)
                if spec.locations and (terms := terms_of(spec, self.here)) is not None:
                    # What several places vote is not excused by the state of this machine's own network.
                    known = replace(known, terms=terms, watched=replace(watched, reach=Reach("loopback")))
            found[resource.uid] = known
        self.monitors, self.windows, self.revision = found, declared(), revision
        self.locations = {
            resource.name: Location(resource.uid, resource.name, resource.spec.silent_after)
            for resource in resources("location")
        }
        return self

    def _mine(self, revision: int) -> Iterable[Resource]:
        """All monitors, or those of this server's share."""
        if self.share is None:
            return resources("monitor")
        if revision == self.revision:  # only the share has changed
            missing = [uid for uid, shard in self.shards.items() if shard in self.tokens and uid not in self.monitors]
            return [one for some in _portions(missing) for one in by_uids(some)]
        everything = resources("monitor")
        kin = {one.uid: kin_of(one.name, one.document) for one in everything}
        self.shards = shards_of(kin, self.share.shards)
        return [one for one in everything if self.shards[one.uid] in self.tokens]

    def _kept(self, revision: int) -> dict[str, Monitor]:
        """What needs no reading, where only the share has changed."""
        if self.share is None or revision != self.revision:
            return {}
        return {uid: known for uid, known in self.monitors.items() if self.shards.get(uid) in self.tokens}

    def orders(self, uids: Iterable[str]) -> dict[str, CheckOrder | SecretMissing]:
        """The orders of these monitors with their secrets, or what is missing; none of those that no prober runs."""
        found = [self.monitors[uid] for uid in uids if uid in self.monitors]
        return {monitor.uid: self._order(monitor) for monitor in found if monitor.quorum is None}

    def _order(self, monitor: Monitor) -> CheckOrder | SecretMissing:
        try:
            options = self.secrets.fill(monitor.options) if monitor.secret else monitor.options
            secrets = self.secrets.values(monitor.options) if monitor.secret else ()
        except SecretMissing as missing:
            return missing
        policy = monitor.watched.policy
        return CheckOrder(
            uid=monitor.uid,
            kind=monitor.watched.facts.kind,
            interval=policy.interval,
            timeout=policy.timeout,
            options=options,
            secrets=secrets,
            offset=round(share_of(monitor.uid) * policy.interval, 3),
        )


def _document(spec: MonitorSpec, part: str) -> dict[str, Any]:
    value = getattr(spec, part, None)
    found: dict[str, Any] = value.to_document() if value is not None else {}
    return found


def stored_states(only: Collection[str] | None = None) -> Stored:
    rows = MonitorStateRow.objects.values_list("uid", "version", "counters")
    wanted = [rows] if only is None else [rows.filter(uid__in=some) for some in _portions(only)]
    return {uid: (from_json(counters), version) for found in wanted for uid, version, counters in found}


def _portions(uids: Iterable[str]) -> Iterator[list[str]]:
    ordered = sorted(uids)
    return (ordered[start : start + 2000] for start in range(0, len(ordered), 2000))


def stored_versions() -> dict[str, int]:
    return dict(MonitorStateRow.objects.values_list("uid", "version"))


def stored_state(uid: str) -> tuple[MonitorState, int] | None:
    row = MonitorStateRow.objects.filter(uid=uid).values_list("version", "counters").first()
    return None if row is None else (from_json(row[1]), row[0])


def news() -> tuple[int, bool]:
    """(newest revision, whether somebody asked for something); cheap, polled every second or so."""
    return latest_revision(), MonitorRequestRow.objects.exists()


def reached_targets(now: float, node: str = "") -> set[str]:
    """The uplink targets that could be reached lately; after _REACHED_FOR this machine may have been moved."""
    row = FactRow.objects.filter(key=reached_fact(node)).first()
    found: dict[str, Any] = json.loads(row.value) if row is not None else {"at": 0.0, "targets": []}
    return set(found["targets"]) if abs(now - found["at"]) < _REACHED_FOR else set()


def lost_parts(node: str = "") -> dict[Part, Change]:
    """What the journal says is lost of this machine's uplink: a restart does not bring it back."""
    found: dict[Part, Change] = {}
    parts: tuple[Part, Part] = ("network", "resolver")
    for part in parts:
        for entry in entries(Filter(kind="uplink.*", subject=uplink_subject(part, node)), limit=1):
            if entry.kind == "uplink.lost":
                found[part] = Change(part, True, float(entry.data.get("since", entry.at)), str(entry.data["reason"]))
    return found
