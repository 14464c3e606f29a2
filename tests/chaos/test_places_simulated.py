"""Days of three places that check one target, with everything that goes wrong at places: one is blackholed, one lags,
clocks are a minute apart, links are cut, probers are killed, single checks fail, the server is stopped.

What must hold: no false alarm, no missed outage, no outage that is declared over while it lasts, and never `up` while
too few places can be heard. Each day is a story of faults made from its seed. A day that goes wrong is shrunk: faults
are left out as long as it still goes wrong, and what remains is printed.

`t` is the true time, which the server's clock shows; each place has a clock of its own, whose offset is measured.
"""

from __future__ import annotations

import heapq
import itertools
import os
import random
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from mainstay.kernel.probing import CheckResult, Verdict
from mainstay.watch.board import Board, Watched
from mainstay.watch.lanes.voting import Voting
from mainstay.watch.reach import Reach
from mainstay.watch.state import Policy
from mainstay.watch.telling import Facts
from mainstay.watch.votes import Terms

DAYS = int(os.environ.get("PLACES_DAYS", "1000" if "CHAOS_ROUNDS" in os.environ else "25"))
SEED = int(os.environ.get("PLACES_SEED", "20261121"))
PLACES = ("main", "fra", "nyc")
DAY = 86_400.0
QUIET = 3_600.0  # at the end of a day, in which all must be well again
WALL = 1_800_000_000.0
SILENT_AFTER = 30.0
LAG = 45.0  # seconds at most that results of the lagging place are late
UID = "shop"
_NEAR = 60.0  # seconds before an outage in which a check that failed by itself may be taken for its beginning


@dataclass(frozen=True, slots=True)
class Fault:
    """outage: of the target; blackhole: all checks of the place fail; cut: its link is; kill: its prober is dead;
    blip: its next check fails; stop: the server hears nothing; drift: its clock was set, and is not measured yet."""

    kind: str
    place: str
    start: float
    end: float
    amount: float = 0.0

    def __str__(self) -> str:
        what = f"{self.start:>8.0f} to {self.end:.0f}" if self.end > self.start else f"{self.start:>8.0f}"
        return f"{what}: {self.kind} {self.place}" + (f" by {self.amount:+.1f} s" if self.amount else "")


@dataclass(frozen=True, slots=True)
class Setting:
    """What holds for a whole day."""

    seed: int
    policy: Policy
    elsewhere: bool
    lagging: str
    clocks: Mapping[str, float]  # what remains of the offset after it was measured

    @property
    def patience(self) -> float:
        """Seconds within which an outage must be told while two places can see it: a round of checks, the time that
        late results take on their way, and the repeats."""
        once = self.policy.timeout + LAG
        return 2 * self.policy.interval + (self.policy.failures + 1) * (self.policy.recheck + once)


def setting_of(seed: int) -> Setting:
    chance = random.Random(seed)
    policy = Policy(
        interval=chance.choice([60.0, 120.0, 300.0]),
        timeout=10.0,
        failures=chance.choice([2, 2, 3]),
        recheck=5.0,
        successes=2,
        flap_falls=1000,
    )
    clocks = {place: chance.uniform(-0.5, 0.5) for place in PLACES if place != "main"}
    return Setting(seed, policy, chance.random() < 0.5, chance.choice(PLACES[1:]), {"main": 0.0, **clocks})


def story_of(setting: Setting) -> list[Fault]:
    """A day's faults. At any moment one place at most is blackholed, cut off or dead, but now and then a second one."""
    chance = random.Random(setting.seed + 1)
    end, faults = DAY - QUIET, []
    at = chance.uniform(600, 4_000)
    while at < end:
        until = min(end, at + chance.choice([20.0, 90.0, 400.0, 1_500.0, 4_000.0]) * chance.uniform(0.5, 1.5))
        faults.append(Fault("outage", "target", at, until))
        at = until + 1_800 + chance.expovariate(1 / 12_000)
    others = [place for place in PLACES if place != setting.lagging]
    faults += _troubles(chance, end, others, ("blackhole", "blackhole", "cut", "kill"), 3_000)
    faults += _troubles(chance, end, [setting.lagging], ("cut", "kill"), 20_000)
    for place in PLACES:
        at = chance.expovariate(1 / 9_000)
        while at < end:
            faults.append(Fault("blip", place, at, at))
            at += 2 * setting.policy.interval + chance.expovariate(1 / 9_000)
    faults += [Fault("stop", "server", at, at + chance.uniform(5, 60)) for at in (chance.uniform(0, end) for _ in "ab")]
    set_at = chance.uniform(0, end)
    faults.append(Fault("drift", chance.choice(PLACES[1:]), set_at, set_at + 16, chance.choice([-60.0, 60.0])))
    return sorted(faults, key=lambda fault: fault.start)


def _troubles(
    chance: random.Random, end: float, places: list[str], kinds: tuple[str, ...], every: float
) -> list[Fault]:
    faults, at = [], chance.expovariate(1 / every)
    while at < end:
        kind, place = chance.choice(kinds), chance.choice(places)
        if place == "main" and kind != "blackhole":
            kind = "blackhole"
        until = min(end, at + chance.choice([15.0, 120.0, 900.0, 7_200.0]) * chance.uniform(0.5, 1.5))
        faults.append(Fault(kind, place, at, until))
        at = until + chance.expovariate(1 / every)
    return faults


@dataclass(slots=True)
class Told:
    """A transition that was recorded."""

    at: float
    to: str
    since: float


@dataclass
class World:
    """The truth of a day, and the board and the votes that only see results. The `Places` of the voting."""

    setting: Setting
    story: list[Fault]
    told: list[Told] = field(default_factory=list)
    states: list[tuple[float, str]] = field(default_factory=list)  # what the board showed, every change

    def __post_init__(self) -> None:
        self.t = 0.0
        self._order = itertools.count()
        self._queue: list[tuple[float, int, str, str, CheckResult | None]] = []
        self._by: dict[tuple[str, str], list[Fault]] = {}
        for fault in self.story:
            self._by.setdefault((fault.kind, fault.place), []).append(fault)
        self._blips = {place: [fault.start for fault in self._by.get(("blip", place), [])] for place in PLACES}
        self._checks = 0
        policy = self.setting.policy
        self.board = Board()
        facts = Facts(UID, UID)
        self.board.declare([Watched(facts, policy, reach=Reach("loopback"))], {})
        self.voting = Voting(self.board, self, "main")
        terms = Terms(PLACES, 2, self.setting.elsewhere, policy.failures, policy.interval, policy.silence)
        self.voting.declare({UID: terms}, 0.0)

    # -- what voting asks --

    def place(self, placed: Mapping[str, tuple[str, ...]]) -> list[str]:
        return list(placed)

    def recheck_at(self, location: str, uid: str, delay: float) -> None:
        del uid
        if not self._in("cut", location):
            self._at(self.t + delay + 0.05, "again", location)

    # -- the day --

    def run(self) -> None:
        for number, place in enumerate(PLACES):
            self._at(1.0 + number * self.setting.policy.interval / 3, "check", place)
            for kind in ("cut", "kill"):
                for fault in self._by.get((kind, place), []):
                    self._at(fault.start + SILENT_AFTER, "lost", place)
                    self._at(fault.end + 3.0, "back", place)
        self._at(5.0, "tick", "")
        while self._queue:
            self.t, _, what, place, result = heapq.heappop(self._queue)
            if self.t > DAY:
                break
            getattr(self, f"_{what}")(place, result)

    def _at(self, t: float, what: str, place: str, result: CheckResult | None = None) -> None:
        heapq.heappush(self._queue, (t, next(self._order), what, place, result))

    def _in(self, kind: str, place: str, t: float | None = None) -> Fault | None:
        moment = self.t if t is None else t
        return next((one for one in self._by.get((kind, place), ()) if one.start <= moment < one.end), None)

    def _check(self, place: str, _result: object) -> None:
        self._at(self.t + self.setting.policy.interval, "check", place)
        self._again(place, None)

    def _again(self, place: str, _result: object) -> None:
        if self._in("kill", place):
            return
        self._checks += 1
        chance = zlib.crc32(f"{self.setting.seed}:{place}:{self.t:.3f}".encode()) / 2**32
        verdict, duration = self._verdict(place, chance)
        clock = self.setting.clocks[place]
        if (drift := self._in("drift", place)) is not None:
            clock += drift.amount
        code = "" if verdict == "up" else "connect.refused"
        result = CheckResult(uid=UID, at=WALL + self.t + clock, verdict=verdict, code=code, duration=duration)
        late = LAG * chance if place == self.setting.lagging else 0.05
        self._at(self.t + duration + late, "arrive", place, result)

    def _verdict(self, place: str, chance: float) -> tuple[Verdict, float]:
        blips = self._blips[place]
        blip = bool(blips) and blips[0] <= self.t
        while blips and blips[0] <= self.t:
            blips.pop(0)
        if self._in("outage", "target") or self._in("blackhole", place) or blip:
            return "down", 10.0 if chance < 0.5 else 0.01
        return "up", 0.1

    def _arrive(self, place: str, result: CheckResult) -> None:
        if (cut := self._in("cut", place)) is not None:
            self._at(cut.end + 3.0 + self._checks % 7 / 10, "arrive", place, result)
            return
        if self._in("kill", place):
            return  # what it had in memory is gone
        if (stop := self._in("stop", "server")) is not None:
            self._at(stop.end + self._checks % 5 / 100, "arrive", place, result)
            return
        now = WALL + self.t
        result.at = min(result.at, now)
        counted = self.voting.take(place, result, now, self.t)
        if counted is not None:
            self.board.take(counted, now, self.t)
        self._ship()

    def _lost(self, place: str, _result: object) -> None:
        gone = self._in("cut", place) or self._in("kill", place)
        if gone is not None and self.t - gone.start >= SILENT_AFTER - 0.001:
            self.voting.reach(place, WALL + self.t, lost=True)
            self._ship()

    def _back(self, place: str, _result: object) -> None:
        if not self._in("cut", place) and not self._in("kill", place):
            self.voting.reach(place, WALL + self.t, lost=False)
            self._at(self.t + 0.2, "again", place)

    def _tick(self, _place: str, _result: object) -> None:
        self._at(self.t + 5.0, "tick", "")
        if self._in("stop", "server"):
            return
        for result in self.voting.due(WALL + self.t, self.t):
            self.board.take(result, WALL + self.t, self.t)
        self.board.attend(5.0, WALL + self.t)
        self._ship()

    def _ship(self) -> None:
        out = self.board.drain()
        for moved in out.moved:
            for event in moved.events:
                if event.kind.startswith("monitor.went_"):
                    since = float(event.data["since"]) - WALL
                    self.told.append(Told(self.t, event.kind.removeprefix("monitor.went_"), since))
                    self.states.append((self.t, self.told[-1].to))
        for delay in out.rechecks.values():
            for place in PLACES:
                self.recheck_at(place, UID, delay)


def trouble(setting: Setting, story: list[Fault]) -> str:
    """What went wrong on this day; empty if nothing did."""
    world = World(setting, story)
    world.run()
    outages = [fault for fault in story if fault.kind == "outage"]
    return _false_words(world, outages) or _missed(world, outages) or _claimed(world, story) or _not_well_again(world)


def _false_words(world: World, outages: list[Fault]) -> str:
    reach = world.setting.patience + 2.0
    before = -1.0  # since when it was down, if nothing was heard of a recovery; then the same words are not false
    for told in world.told:
        during = [one for one in outages if one.start <= told.at <= one.end + reach]
        if told.to == "down" and not any(one.start - _NEAR <= told.since or told.since == before for one in during):
            return f"a false alarm at {told.at:.0f}: down since {told.since:.0f}"
        if told.to == "up" and any(one.start + reach < told.at < one.end for one in outages):
            return f"declared over at {told.at:.0f} while it lasts"
        before = told.since if told.to == "down" else -1.0 if told.to == "up" else before
    return ""


def _seeing(world: World, t: float) -> list[str]:
    """The places that see the truth at `t`, and can say so."""
    kinds = ("blackhole", "cut", "kill", "drift")
    return [place for place in PLACES if not any(world._in(kind, place, t) for kind in kinds)]


def _missed(world: World, outages: list[Fault]) -> str:
    """An outage that two places could see for long enough must have been told in that time."""
    patience = world.setting.patience
    for one in outages:
        began, t = one.start, one.start
        while t < one.end:
            if len(_seeing(world, t)) < 2 or world._in("stop", "server", t):
                began = t + 5
            if t - began > patience and not _is_down(world, one.start, t):
                return f"an outage at {one.start:.0f} is missed at {t:.0f}, though two places saw it since {began:.0f}"
            t += 5
    return ""


def _is_down(world: World, start: float, until: float) -> bool:
    return any(start <= told.at <= until and told.to == "down" for told in world.told) or (
        world.told != [] and _state(world, start) == "down"
    )


def _state(world: World, t: float) -> str:
    known = [state for at, state in world.states if at <= t]
    return known[-1] if known else "unknown"


def _claimed(world: World, story: list[Fault]) -> str:
    """While two places are lost nothing is known, and nothing is said but that."""
    lost = [fault for fault in story if fault.kind in ("cut", "kill")]
    for one, other in itertools.combinations(lost, 2):
        start, end = max(one.start, other.start) + SILENT_AFTER + 6, min(one.end, other.end)
        if one.place != other.place and start < end and not world._in("stop", "server", start):
            state = _state(world, start)
            if state != "unknown":
                return f"{state} is claimed at {start:.0f}, though {one.place} and {other.place} are lost"
    return ""


def _not_well_again(world: World) -> str:
    state = _state(world, DAY)
    return "" if state == "up" else f"{state} at the end of the day, an hour after all faults"


def shrunk(setting: Setting, story: list[Fault]) -> list[Fault]:
    """The story without whatever it goes wrong without."""
    size = max(1, len(story) // 2)
    while size:
        start = 0
        while start < len(story):
            shorter = story[:start] + story[start + size :]
            if trouble(setting, shorter):
                story = shorter
            else:
                start += size
        size //= 2
    return story


CHUNKS = 5 if DAYS < 100 else 20


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_no_false_alarm_and_no_missed_outage(chunk: int) -> None:
    for day in range(chunk, DAYS, CHUNKS):
        setting = setting_of(SEED + 1_000_003 * day)
        story = story_of(setting)
        wrong = trouble(setting, story)
        if wrong:
            short = shrunk(setting, story)
            lines = "\n".join(str(fault) for fault in short)
            pytest.fail(
                f"day {day} of seed {SEED}: {wrong}\nshort: {trouble(setting, short)}\n{lines}\n{setting}",
                pytrace=False,
            )


def test_the_days_are_not_harmless() -> None:
    """With one vote enough, the same days are full of false alarms: the faults are real."""
    false = 0
    for day in range(5):
        setting = setting_of(SEED + 1_000_003 * day)
        world = World(setting, story_of(setting))
        terms = Terms(PLACES, 1, False, setting.policy.failures, setting.policy.interval, setting.policy.silence)
        world.voting.declare({UID: terms}, 0.0)
        world.run()
        false += bool(_false_words(world, [fault for fault in world.story if fault.kind == "outage"]))
    assert false == 5
