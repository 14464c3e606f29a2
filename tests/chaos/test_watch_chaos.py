"""Hours of simulated trouble for the watch board: targets flip, the uplink is cut, the resolver dies, the clock
jumps, processes are stopped and killed, the database is locked. What must hold: no false alarm, no transition
lost, no downtime that was not there, and the truth on the board when the trouble is over.

The simulation has a true time (`t`); the wall clock the board sees is `t + offset`. A check is a moment.
"""

from __future__ import annotations

import heapq
import itertools
import os
import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from mainstay.kernel.event import Event
from mainstay.kernel.probing import CheckResult
from mainstay.watch.board import Board, Moved, Watched
from mainstay.watch.reach import Reach
from mainstay.watch.results.values import Sample
from mainstay.watch.state import Policy, from_json, to_json
from mainstay.watch.telling import Facts, uplink_event
from mainstay.watch.uplink import Change, Evidence, Routes, Uplink

HOURS = 3
SEEDS = range(int(os.environ.get("CHAOS_ROUNDS", "8")))
WALL = 1_800_000_000.0
Span = tuple[float, float]


def spans(chance: random.Random, end: float, every: float, length: tuple[float, float]) -> list[Span]:
    """Periods of trouble, `every` seconds apart on average, none in the last half hour."""
    found: list[Span] = []
    at = chance.expovariate(1 / every)
    while at < end - 1800:
        until = at + chance.uniform(*length)
        found.append((at, min(until, end - 1800)))
        at = until + 120 + chance.expovariate(1 / every)
    return found


def inside(periods: list[Span], t: float) -> bool:
    return any(start <= t < end for start, end in periods)


@dataclass(slots=True)
class Target:
    uid: str
    reach: Reach
    policy: Policy
    outages: list[Span]


@dataclass(slots=True)
class Rows:
    """What survives a kill: rows by compare and set, and the journal."""

    states: dict[str, tuple[str, int]] = field(default_factory=dict)
    journal: list[Event] = field(default_factory=list)
    reached: frozenset[str] = frozenset()  # uplink targets

    def write(self, move: Moved | Change) -> None:
        if isinstance(move, Change):
            self.journal.append(uplink_event(move))
            return
        _, version = self.states.get(move.uid, ("", 0))
        assert version == move.version, "only one process writes here, so no write may be out of step"
        self.states[move.uid] = (to_json(move.state), version + 1)
        self.journal += move.events


class World:
    """The truth, a prober that sees it, and a process with a board that can be stopped and killed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.end = HOURS * 3600
        self.targets = {target.uid: target for target in (self._target(number) for number in range(14))}
        self.cuts = spans(self.chance, self.end, 1500, (15, 400))
        self.deaf = spans(self.chance, self.end, 2000, (20, 400))  # the resolver is dead
        self.stops = spans(self.chance, self.end, 1800, (5, 90))  # SIGSTOP of everything
        self.locks = spans(self.chance, self.end, 1800, (20, 70))  # the database is locked
        self.rows, self.samples = Rows(), list[tuple[float, Sample]]()
        self.unwritten: list[Moved | Change] = []
        self.t, self.offset = 0.0, 0.0
        self._order = itertools.count()
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._generation = 0
        self._waiting: list[CheckResult] = []  # results in the pipe while everything is stopped
        self._start()

    def _target(self, number: int) -> Target:
        reach = [Reach("public", named=True), Reach("public"), Reach("private"), Reach("loopback")]
        policy = Policy(
            interval=self.chance.choice([5.0, 20.0, 60.0]),
            timeout=5.0,
            failures=self.chance.choice([2, 3]),
            recheck=5.0,
            successes=self.chance.choice([1, 2]),
            flap_falls=1000,
        )
        outages = spans(self.chance, self.end, 2500, (60, 900)) if number % 2 else []
        return Target(f"m{number}", reach[number % 4], policy, outages)

    # -- the process --

    def _start(self) -> None:
        """A process begins with what the rows hold."""
        self._generation += 1
        self.unwritten = []
        self.board = Board(self._remembered())
        stored = {uid: (from_json(text), version) for uid, (text, version) in self.rows.states.items()}
        watched = [
            Watched(Facts(uid, uid), target.policy, reach=target.reach, share=self.chance.random())
            for uid, target in self.targets.items()
        ]
        self.board.declare(watched, stored)
        generation = self._generation
        for uid in self.targets:
            self._at(self.t + self.chance.uniform(0, 3), lambda uid=uid: self._check(uid, generation, again=True))
        self._at(self.t + 1, lambda: self._tick(generation))
        self._look_planned = False
        self._plan_look(0.5)

    def _remembered(self) -> Uplink:
        uplink = Uplink(counted=set(self.rows.reached))
        told: dict[str, Event] = {}
        for event in self.rows.journal:
            if event.kind.startswith("uplink."):
                told[event.subject] = event
        for part in ("network", "resolver"):
            event = told.get(f"uplink/{part}")
            if event is not None and event.kind == "uplink.lost":
                uplink.lost[part] = Change(part, True, event.data["since"], event.data["reason"])
        if uplink.lost:
            uplink.private_lost = "network" in uplink.lost
        return uplink

    def _at(self, t: float, job: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (t, next(self._order), job))

    def _resumes(self) -> float:
        """When everything that is stopped now goes on."""
        return next((end for start, end in self.stops if start <= self.t < end), self.t)

    def _check(self, uid: str, generation: int, *, again: bool) -> None:
        if generation != self._generation:
            return
        if (resumes := self._resumes()) > self.t:
            self._at(resumes + self.chance.uniform(0, 0.2), lambda: self._check(uid, generation, again=again))
            return
        target = self.targets[uid]
        self.board.take(self._result(target), self.t + self.offset + WALL, self.t)
        self._ship(generation)
        if again:
            self._at(self.t + target.policy.interval, lambda: self._check(uid, generation, again=True))

    def _result(self, target: Target) -> CheckResult:
        at = self.t + self.offset + WALL
        really = "down" if inside(target.outages, self.t) else "up"
        verdict, code = really, "connect.refused" if really == "down" else ""
        if target.reach.scope != "loopback" and inside(self.cuts, self.t):
            verdict, code = "down", "connect.timeout"
        if target.reach.named and inside(self.deaf, self.t):
            verdict, code = "unknown", "lookup.failed"
        if self.chance.random() < 0.002:
            verdict, code = "unknown", "check.no_prober"
        evidence = {"t": self.t, "really": really}
        return CheckResult(uid=target.uid, at=at, verdict=verdict, code=code, evidence=evidence)  # type: ignore[arg-type]

    def _ship(self, generation: int) -> None:
        out = self.board.drain()
        self.samples += [(self.t, sample) for sample in out.samples]
        self.unwritten += [*out.uplink, *out.moved]
        self._write()
        for uid, delay in out.rechecks.items():
            self._at(self.t + delay, lambda uid=uid: self._check(uid, generation, again=False))
        if out.look:
            self._plan_look(0.05)

    def _write(self) -> None:
        if not inside(self.locks, self.t):
            for move in self.unwritten:
                self.rows.write(move)
            self.unwritten = []
            self.rows.reached = frozenset(self.board.uplink.counted)

    def _plan_look(self, delay: float) -> None:
        if not self._look_planned:
            self._look_planned = True
            generation = self._generation
            self._at(self.t + delay, lambda: self._look(generation))

    def _look(self, generation: int) -> None:
        if generation != self._generation:
            return
        self._look_planned = False
        if (resumes := self._resumes()) > self.t:
            self._plan_look(resumes - self.t + 0.01)
            return
        online, began = not inside(self.cuts, self.t), self.t
        evidence = Evidence(
            self.t + self.offset + WALL,
            Routes(default=True, interface=True),
            {"a": online, "b": online},
            resolver=online and not inside(self.deaf, self.t),
        )
        now, changes = self.t + self.offset + WALL, self.board.uplink.take(evidence)
        self.board.looked(changes, began, now, resolver=evidence.resolver)
        self._ship(generation)
        if self.board.uplink.lost:
            self._plan_look(2.0)

    def _tick(self, generation: int) -> None:
        if generation != self._generation:
            return
        if (resumes := self._resumes()) > self.t:
            self._at(resumes, lambda: self._tick(generation))
            return
        self.board.attend(1.0, self.t + self.offset + WALL)
        self._ship(generation)
        self._at(self.t + 1, lambda: self._tick(generation))

    # -- trouble --

    def run(self) -> None:
        calm = self.end - 1800
        for _ in range(HOURS * 2):
            self._at(self.chance.uniform(60, calm), self._jump)
            self._at(self.chance.uniform(60, calm), self._start)
            self._at(self.chance.uniform(60, calm), self._start)
        while self._queue and self._queue[0][0] < self.end:
            self.t, _, job = heapq.heappop(self._queue)
            job()

    def _jump(self) -> None:
        self.offset += self.chance.choice([-3600.0, 3600.0])


@pytest.fixture(scope="module", params=SEEDS)
def world(request: pytest.FixtureRequest) -> World:
    found = World(request.param)
    found.run()
    return found


def of_monitors(world: World) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = defaultdict(list)
    for event in world.rows.journal:
        if event.subject.startswith("monitor/"):
            found[event.subject.removeprefix("monitor/")].append(event)
    return found


def test_no_alarm_is_false(world: World) -> None:
    downs = [event for event in world.rows.journal if event.kind == "monitor.went_down"]
    assert downs, "the simulation must hold real outages"
    for event in downs:
        assert event.data["evidence"]["really"] == "down", event


def test_every_long_outage_is_told(world: World) -> None:
    """Of a loopback target, which no uplink excuses, and whose machine was awake and alive."""
    for uid, target in world.targets.items():
        if target.reach.scope != "loopback":
            continue
        told = [event.data["evidence"]["t"] for event in of_monitors(world)[uid] if event.kind == "monitor.went_down"]
        for start, end in target.outages:
            troubled = any(first < end and start < last for first, last in world.stops)
            if end - start > 300 and not troubled:
                assert any(start <= t < end for t in told), (uid, start, end)


def test_no_transition_is_lost_or_doubled(world: World) -> None:
    assert not world.unwritten
    for uid, events in of_monitors(world).items():
        moves = [event for event in events if event.kind.startswith("monitor.went_")]
        assert moves[0].data["previous"] == "pending"
        for before, after in itertools.pairwise(moves):
            assert before.kind == f"monitor.went_{after.data['previous']}"
        assert moves[-1].kind == f"monitor.went_{world.board.entries[uid].state.state}"


def test_the_truth_is_shown_in_the_end(world: World) -> None:
    assert {entry.state.state for entry in world.board.entries.values()} == {"up"}
    assert not world.board.uplink.lost


def test_uplink_events_pair(world: World) -> None:
    kinds = defaultdict(list)
    for event in world.rows.journal:
        if event.kind.startswith("uplink."):
            kinds[event.subject].append(event.kind)
    assert kinds["uplink/network"], "the simulation must cut the uplink"
    for told in kinds.values():
        assert told == ["uplink.lost", "uplink.restored"] * (len(told) // 2)


def test_downtime_is_charged_only_where_it_was(world: World) -> None:
    charged: dict[str, float] = defaultdict(float)
    for _, sample in world.samples:
        assert sample.charged >= 0
        if sample.charge == "down":
            charged[sample.uid] += sample.charged
    for uid, target in world.targets.items():
        truth = sum(end - start for start, end in target.outages)
        # Seen one check late at its end, and for as many more as a recovery takes; sleep is charged up to a cap.
        late = (target.policy.interval + 10) * (len(target.outages) + len(world.stops))
        assert charged[uid] <= truth + late, uid


def test_nothing_is_charged_as_down_while_the_state_is_unknown(world: World) -> None:
    for t, sample in world.samples:
        if sample.charge == "down" and world.targets[sample.uid].reach.scope != "loopback":
            target = world.targets[sample.uid]
            began = t - sample.charged - target.policy.interval
            really = any(start <= t and began <= end for start, end in target.outages)
            assert really or not inside(world.cuts, t), (t, sample)


def test_the_simulation_is_no_idyll() -> None:
    """Without the guard the same trouble gives false alarms; so the other tests do prove something."""
    trusting = World(0)

    def blind(self: Uplink, _reach: Reach, _code: str) -> None:
        return None

    def unseeing(self: Uplink, _evidence: Any) -> list[Change]:
        return []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Uplink, "excuse", blind)
        patch.setattr(Uplink, "take", unseeing)
        trusting.run()
    downs = [event for event in trusting.rows.journal if event.kind == "monitor.went_down"]
    assert any(event.data["evidence"]["really"] == "up" for event in downs)
