"""What is usual for each monitor that asks for it: read from telemetry once an hour, on a thread, and kept."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from mainstay.kernel.clock import Clock
from mainstay.kernel.probing import CheckResult
from mainstay.watch.results.results import Results
from mainstay.watch.usual import Baseline, Rule, baseline, hour_of, judged, past_hours

_AT_ONCE = 200  # baselines read in one turn


class UsualTimes:
    def __init__(self, telemetry: Results, clock: Clock) -> None:
        self._telemetry = telemetry
        self._clock = clock
        self._rules: dict[str, Rule] = {}
        self._known: dict[str, tuple[float, Baseline | None]] = {}  # uid -> the hour that it is for
        self._wanted: dict[str, None] = {}  # in the order in which they were asked for

    def declare(self, rules: Mapping[str, Rule]) -> None:
        """Every monitor with a rule; a changed one is read anew."""
        self._known = {uid: kept for uid, kept in self._known.items() if rules.get(uid) == self._rules.get(uid)}
        self._rules = dict(rules)

    def judged(self, result: CheckResult) -> CheckResult:
        """The result as it counts. Nothing is said about it until the hour's baseline was read."""
        if result.uid not in self._rules:
            return result
        hour, known = self._known.get(result.uid, (0.0, None))
        if hour != hour_of(self._clock.now()):
            self._wanted[result.uid] = None
            return result
        return judged(result, known) if known is not None else result

    async def turn(self) -> None:
        """Read what results have asked for."""
        uids = [uid for uid in self._wanted if uid in self._rules][:_AT_ONCE]
        if not uids:
            self._wanted.clear()
            return
        hour = hour_of(self._clock.now())
        rules = {uid: self._rules[uid] for uid in uids}
        found = await asyncio.to_thread(self._read, rules, hour)
        for uid, known in found.items():
            self._wanted.pop(uid, None)
            if self._rules.get(uid) == rules[uid]:
                self._known[uid] = (hour, known)

    def _read(self, rules: Mapping[str, Rule], hour: float) -> dict[str, Baseline | None]:
        return {
            uid: baseline(self._telemetry.hours(uid, past_hours(hour, rule.weeks)), hour, rule)
            for uid, rule in rules.items()
        }
