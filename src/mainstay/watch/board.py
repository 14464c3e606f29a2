"""All monitors in memory: results come in, decisions, samples, changes to save and rechecks come out.

No clock, no database, no loop: the watch lane drives it, tests drive it by hand. Whatever must leave is
gathered in `Outgoing` and taken by `drain`. Results are handled in the order in which they come.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from msgspec.structs import replace

from mainstay.kernel.event import Event
from mainstay.kernel.probing import CheckResult
from mainstay.watch.reach import Reach, learned
from mainstay.watch.results.values import Charge, Sample
from mainstay.watch.rules import decide, restarted
from mainstay.watch.state import (
    Decision,
    Excused,
    MonitorState,
    Policy,
    Reason,
    Restored,
    Result,
    Signal,
    WindowBegan,
    WindowEnded,
)
from mainstay.watch.telling import NOTHING_FOUND, Facts, Finding, events_of, finding_of
from mainstay.watch.uplink import Change, Uplink, blamed, is_lookup

_RECHECK_ONCE = 1.0  # seconds within which a parent of many failing children is asked but once
_LOOK_AGAIN = 30.0  # seconds after which the failures of what is down already ask for a new look
_RETURN_SPREAD = 5.0  # seconds over which monitors are checked again when the uplink is back


@dataclass(frozen=True, slots=True)
class Watched:
    """The declared side of one monitor, as far as decisions need it."""

    facts: Facts
    policy: Policy = Policy()
    parents: tuple[str, ...] = ()  # names
    reach: Reach = Reach()
    share: float = 0.0  # 0..1 from the uid: spreads what must not happen to all at once
    inverted: bool = False  # what works is down, and what fails is up


@dataclass(slots=True)
class Tracked:
    """One monitor in memory."""

    watched: Watched
    state: MonitorState
    version: int = 0  # of its row; 0: none yet
    reach: Reach = Reach()
    last: CheckResult | None = None  # the newest result, as it was judged
    arrived: float = 0.0  # monotonic, of the newest result
    heard: float = 0.0  # attended time of the newest result
    asked: float = float("-inf")  # monotonic, of the newest recheck as a parent
    checked: bool = True  # results are expected: neither paused nor without its secrets
    parked: list[tuple[CheckResult, float]] | None = None  # results that wait for the uplink guard


@dataclass(frozen=True, slots=True)
class Moved:
    """A change to record: the row as it must be now, and the events that tell of it."""

    uid: str
    name: str
    version: int  # the row has this one before
    state: MonitorState
    finding: Finding
    events: tuple[Event, ...]


@dataclass(slots=True)
class Outgoing:
    """`look`: the uplink guard is asked to look at the machine."""

    samples: list[Sample] = field(default_factory=list)
    moved: list[Moved] = field(default_factory=list)
    rechecks: dict[str, float] = field(default_factory=dict)  # uid -> seconds
    uplink: list[Change] = field(default_factory=list)
    look: bool = False
    look_up: bool = False  # and to ask the resolver


class Board:
    def __init__(self, uplink: Uplink | None = None) -> None:
        self.uplink = uplink or Uplink()
        self.entries: dict[str, Tracked] = {}
        self.dirty: set[str] = set()  # changed since the counters were saved last
        self.attended = 0.0  # seconds this process was awake; see `attend`
        self._out = Outgoing()
        self._by_name: dict[str, str] = {}
        self._children: dict[str, list[str]] = {}
        self._parked: set[str] = set()
        # zone -> start and monitor of the newest check that found its name
        self._resolved: dict[str, tuple[float, str]] = {}
        self._look_due = float("-inf")  # monotonic; failures after this ask the guard to look

    # -- what is declared --

    def declare(self, watched: Iterable[Watched], stored: Mapping[str, tuple[MonitorState, int]]) -> None:
        """Replace what is watched. Who is known already keeps state and counters; others start as stored."""
        known, self.entries = self.entries, {}
        for monitor in watched:
            uid = monitor.facts.uid
            entry = known.get(uid)
            if entry is None:
                state, version = stored.get(uid, (MonitorState(), 0))
                entry = Tracked(monitor, restarted(state), version, monitor.reach, heard=self.attended)
            elif entry.watched is not monitor:
                if entry.watched.reach != monitor.reach:
                    entry.reach = monitor.reach
                entry.watched, entry.heard, entry.state = monitor, self.attended, restarted(entry.state)
            self.entries[uid] = entry
        self._by_name = {entry.watched.facts.name: uid for uid, entry in self.entries.items()}
        self._children = {}
        for uid, entry in self.entries.items():
            for parent in entry.watched.parents:
                self._children.setdefault(parent, []).append(uid)
        self._resolved = {zone: seen for zone, seen in self._resolved.items() if seen[1] in self.entries}
        self.dirty &= self.entries.keys()
        self._parked &= self.entries.keys()

    def reload(self, uid: str, state: MonitorState, version: int) -> None:
        """Somebody else changed the row (a person paused it): that counts, and what waited here does not."""
        entry = self.entries.get(uid)
        if entry is not None:
            entry.state, entry.version, entry.heard, entry.parked = restarted(state), version, self.attended, None
            self._parked.discard(uid)

    def begin_anew(self, uid: str) -> None:
        """What was found so far was contradicted: nothing that comes is in a row with it."""
        entry = self.entries[uid]
        entry.state = restarted(entry.state)
        self.dirty.add(uid)

    def ask_for_look(self) -> None:
        """Somebody else saw a failure that may lie at this machine's network."""
        self._out.look = True

    def forget(self, uids: Iterable[str]) -> None:
        """Others judge these from now on."""
        for uid in uids:
            self.entries.pop(uid, None)
            self._parked.discard(uid)
            self.dirty.discard(uid)

    def drain(self) -> Outgoing:
        out, self._out = self._out, Outgoing()
        return out

    # -- results --

    def take(self, result: CheckResult, now: float, mono: float) -> None:
        """One result; `now` and `mono` are when it arrived."""
        entry = self.entries.get(result.uid)
        if entry is None:
            return
        entry.heard = self.attended
        if entry.parked is not None:
            entry.parked.append((result, mono))
            return
        plain = not entry.watched.inverted and not entry.reach.assumed
        if result.verdict == "up" and not self.uplink.lost and plain:
            decision = decide(entry.state, Result(result.at, "up"), now, entry.watched.policy)
            self._settle(entry, decision, result, mono)
        else:
            self._weigh(entry, result, now, mono)

    def looked(self, changes: Iterable[Change], began: float, now: float, *, resolver: bool | None = None) -> None:
        """The guard has looked, beginning at monotonic `began`: tell everybody, then judge what waited for it.

        resolver: whether it answered, if it was asked.
        """
        self._look_due = began + _LOOK_AGAIN
        for change in changes:
            self._uplink_changed(change, now)
        for uid in list(self._parked):
            entry = self.entries[uid]
            if entry.parked is None or entry.parked[0][1] > began:
                continue
            waiting, entry.parked = entry.parked, None
            self._parked.discard(uid)
            result = waiting[0][0]
            if is_lookup(result.code) and self._is_to_blame(entry, result, resolver):
                result = blamed(result)
            self._weigh(entry, result, now, waiting[0][1], sure=True)
            for result, arrived in waiting[1:]:
                self.take(result, now, arrived)
        if self._parked:
            self._out.look = self._out.look_up = True

    def _is_to_blame(self, entry: Tracked, result: CheckResult, resolver: bool | None) -> bool:
        """Whether a name that cannot be looked up is at fault itself: the resolver answers, and since the look-up
        before, which failed too, some other name was found. Asks for the checks that can tell."""
        if not any(other.reach.zone not in ("", entry.reach.zone) for other in self.entries.values()):
            return resolver is True
        others = [seen for zone, seen in self._resolved.items() if zone != entry.reach.zone]
        at, peer = max(others, default=(0.0, ""))
        if peer in self.entries and self.entries[peer].checked:
            self._out.rechecks[peer] = 0.0
        before = entry.last
        if before is None or not is_lookup(before.code):
            self._out.rechecks[result.uid] = entry.watched.policy.recheck
            return False
        return at >= before.at and (resolver is True or not self.uplink.resolver_counts)

    def _weigh(self, entry: Tracked, result: CheckResult, now: float, mono: float, *, sure: bool = False) -> None:
        """A result that the uplink may have something to do with. `sure`: the guard has looked since it came.

        What an inverted monitor found is turned round only here: what it says of the network stays as it is.
        """
        found = result
        if result.verdict in ("up", "degraded"):
            self._note_success(entry, result, now)
        elif (excuse := self.uplink.excuse(entry.reach, result.code)) is not None:
            excused = _excused(result, excuse)
            seen = replace(entry.state, seen_at=min(max(entry.state.seen_at, result.at), now))
            decision = decide(seen, Excused(excuse), now, entry.watched.policy)
            self._settle(entry, decision, excused, mono)
            return
        outside = entry.reach.scope != "loopback"
        if outside and not sure and result.verdict == "unknown" and is_lookup(result.code):
            entry.parked = [(result, mono)]
            self._parked.add(result.uid)
            self._out.look = self._out.look_up = True
            return
        if entry.watched.inverted:
            result = _inverted(result)
        decision = decide(entry.state, self._signal(entry, result), now, entry.watched.policy)
        rests_on_failure = decision.transition is not None and found.verdict == "down"
        if outside and not sure and rests_on_failure:
            entry.parked = [(found, mono)]
            self._parked.add(result.uid)
            self._out.look = True
            return
        if outside and found.verdict == "down" and (decision.state.failed_streak == 1 or mono > self._look_due):
            self._out.look = True
        self._settle(entry, decision, result, mono)

    def _note_success(self, entry: Tracked, result: CheckResult, now: float) -> None:
        entry.reach = learned(entry.reach, result.evidence.get("address"))
        for change in self.uplink.succeeded(entry.reach, result.at, looked_up=not is_lookup(result.code)):
            self._uplink_changed(change, now)

    def _signal(self, entry: Tracked, result: CheckResult) -> Result:
        if result.verdict != "down" or not entry.watched.parents:
            return Result(result.at, result.verdict)
        began = entry.state.failing_from if entry.state.failed_streak else result.at
        parents = [found for name in entry.watched.parents if (found := self.named(name)) is not None]
        parents = [parent for parent in parents if parent.checked and parent.state.state != "paused"]
        failing = tuple(parent.watched.facts.name for parent in parents if parent.state.failing)
        return Result(result.at, "down", failing, any(parent.state.seen_at < began for parent in parents))

    def named(self, name: str) -> Tracked | None:
        return self.entries.get(self._by_name.get(name, ""))

    # -- everything that is no result --

    def signal(self, uid: str, signal: Signal, now: float, finding: Finding = NOTHING_FOUND) -> None:
        """A window, a missing secret, a pause from the configuration."""
        entry = self.entries[uid]
        self._apply(entry, decide(entry.state, signal, now, entry.watched.policy), finding)

    def attend(self, seconds: float, now: float) -> None:
        """So many seconds have passed in which results could have been heard (time asleep does not count)."""
        self.attended += seconds
        for entry in self.entries.values():
            silence = entry.watched.policy.silence
            if self.attended - entry.heard > silence and entry.checked and entry.state.state != "paused":
                entry.heard = self.attended
                finding = Finding("check.no_results", f"no result for more than {silence:g} s")
                self.signal(entry.watched.facts.uid, Excused(Reason.NO_RESULTS), now, finding)

    def cover(self, covering: Mapping[str, str], now: float) -> None:
        """covering: uid -> name of the maintenance window, for every monitor that is in one."""
        for uid, entry in self.entries.items():
            window = covering.get(uid, "")
            if window != entry.state.window:
                self.signal(uid, WindowBegan(window) if window else WindowEnded(), now)

    def _uplink_changed(self, change: Change, now: float) -> None:
        """Everybody that the loss touches is unknown at once; when it is over they are checked again."""
        self._out.uplink.append(change)
        if not change.lost and change.part == "resolver":
            self._out.look = self._out.look_up = True  # if it answers by itself, its silence means something again
        reason = Reason.UPLINK_LOST if change.part == "network" else Reason.RESOLVER_DEAD
        for uid, entry in self.entries.items():
            code = entry.last.code if entry.last is not None else ""
            if change.lost:
                if self.uplink.touches(entry.reach, change.part, code):
                    self.signal(uid, Excused(reason), now, Finding(f"check.{reason.value}", change.why))
            elif entry.state.reason == reason and entry.state.state == "unknown":
                decision = decide(entry.state, Restored(), now, entry.watched.policy)
                self._apply(entry, decision, NOTHING_FOUND)
                self._out.rechecks[uid] = entry.watched.share * _RETURN_SPREAD

    # -- consequences --

    def _settle(self, entry: Tracked, decision: Decision, result: CheckResult, mono: float) -> None:
        """Charge the time since the previous result, keep the result, and do what was decided."""
        before, previous = entry.state, entry.last
        charge: Charge = "unknown"
        charged = 0.0
        if previous is not None:
            charge = _charge(before, decision)
            gap = entry.watched.policy.gap
            charged = result.at - previous.at
            if not 0.0 <= charged <= gap:
                # The clock jumped or nobody was awake; what the steady clock says is the better guess.
                charged = min(max(mono - entry.arrived, 0.0), gap)
        entry.last, entry.arrived = result, mono
        if entry.reach.zone and result.verdict != "unknown" and not is_lookup(result.code):
            self._resolved[entry.reach.zone] = (result.at, result.uid)
        self._out.samples.append(_sample(result, charge, charged))
        self.dirty.add(result.uid)
        if decision.reason is Reason.STEADY and decision.flapping is None:
            entry.state = decision.state
            return
        self._apply(entry, decision, finding_of(result))

    def _apply(self, entry: Tracked, decision: Decision, finding: Finding) -> None:
        facts, was = entry.watched.facts, entry.state
        entry.state = decision.state
        events = events_of(facts, decision, finding)
        if events:
            self._out.moved.append(Moved(facts.uid, facts.name, entry.version, decision.state, finding, tuple(events)))
            entry.version += 1
        if decision.state is not was:
            self.dirty.add(facts.uid)
        if decision.recheck_after is not None:
            self._out.rechecks[facts.uid] = decision.recheck_after
        if decision.recheck_parents:
            self._recheck_parents(entry)
        if was.failing and not decision.state.failing and facts.name in self._children:
            self._recheck_children(facts.name)

    def _recheck_parents(self, entry: Tracked) -> None:
        for name in entry.watched.parents:
            parent = self.named(name)
            if parent is not None and parent.checked and entry.arrived - parent.asked > _RECHECK_ONCE:
                parent.asked = entry.arrived
                self._out.rechecks[parent.watched.facts.uid] = 0.0

    def _recheck_children(self, name: str) -> None:
        """The parent is back: whoever it excused is looked at again soon."""
        for uid in self._children[name]:
            child = self.entries.get(uid)
            if child is not None and child.state.suppressed_by:
                self._out.rechecks[uid] = child.watched.share * _RETURN_SPREAD


def _charge(before: MonitorState, decision: Decision) -> Charge:
    """The state that the time before this result belongs to: the one in force, with two exceptions.

    The result that confirms a failure shows that it was down since the failed check before. And while a
    recovery is only held back because of flapping, the target does work.
    """
    moved = decision.transition
    if moved is not None and moved.to == "down" and decision.state.failed_streak > 1 and before.state != "maintenance":
        return "down"
    if before.state == "down" and decision.reason is Reason.RECOVERY_HELD:
        return "degraded"
    return before.shown


def _sample(result: CheckResult, charge: Charge, charged: float) -> Sample:
    return Sample(
        uid=result.uid,
        at=result.at,
        verdict=result.verdict,
        duration=result.duration,
        charge=charge,
        charged=charged,
        lag=result.lag,
        phases=result.phases,
        code=result.code,
        message=result.message,
        evidence=result.evidence,
    )


def _inverted(result: CheckResult) -> CheckResult:
    if result.verdict == "unknown":
        return result
    if result.verdict == "down":
        return replace(result, verdict="up", message=f"it fails, as expected: {result.message or result.code}")
    message = f"it works, but is declared as `inverted`{': ' if result.message else ''}{result.message}"
    return replace(result, verdict="down", code="expect.inverted", message=message)


def _excused(result: CheckResult, reason: Reason) -> CheckResult:
    """The result as it counts: unknown, with what it said before in its message."""
    what = "this machine has no network" if reason is Reason.UPLINK_LOST else "the name resolver does not answer"
    message = f"{what}: {result.message or result.code}"
    return replace(result, verdict="unknown", code=f"check.{reason.value}", message=message)
