"""From what each location found to what counts: one verdict with a named reason. Pure.

- A location has one vote, its newest result. A vote that says nothing (unknown), is stale, or is of a lost location
  is none.
- Every verdict rests on as many votes as the quorum asks for, none of which was counted before; and the second
  failing verdict in a row on places that have failed twice in a row. So one bad check is never taken for two, and
  two bad checks at two places are not taken for one outage that a third place only imagines.
- When the places that made a failing verdict do not agree any more, what follows begins anew.
- Down: so many locations fail. Working: so many do not, and fewer fail than would make it down. With a quorum of half
  the locations or less both may hold: then the failures count.
- Too few votes, or votes that do not agree, are unknown: never up and never down.
- `elsewhere`: a failure that one place alone sees does not count while another place has a vote.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from mainstay.kernel.probing import CheckResult, Verdict, finding

_TEXT = 200  # characters of a location's message that the evidence keeps


class Why(StrEnum):
    """Why a count came out as it did; stable names."""

    AGREED = "agreed"  # as many locations as the quorum asks for say so
    WAITING = "waiting"  # they may agree, but not all of them have checked since the last verdict
    SPLIT = "split"  # enough votes, but no side has as many as the quorum asks for
    TOO_FEW = "too_few_votes"  # fewer locations can be heard than the quorum asks for


@dataclass(frozen=True, slots=True)
class Terms:
    """How a monitor's locations vote. `silence`: seconds after which a vote is stale."""

    locations: tuple[str, ...]
    quorum: int
    elsewhere: bool = False
    failures: int = 2  # failing verdicts in a row that make it down
    interval: float = 60.0
    silence: float = 190.0

    @property
    def words(self) -> str:
        return f"{self.quorum} of {len(self.locations)}"


@dataclass(slots=True)
class Vote:
    """What one location found last, its time by this server's clock.

    `counted`: a verdict rests on it already; `failures`: how often the place has found it failing in a row.
    """

    result: CheckResult
    counted: bool = False
    failures: int = 0

    @property
    def at(self) -> float:
        return self.result.at

    @property
    def verdict(self) -> Verdict:
        return self.result.verdict


@dataclass(frozen=True, slots=True)
class Count:
    """`verdict` is None while there is nothing to say yet; `agreeing` are the locations that made it."""

    verdict: Verdict | None
    why: Why
    agreeing: tuple[str, ...] = ()
    at: float = 0.0  # of the check that made the quorum: so much is certain, and no downtime is claimed before it


def count(terms: Terms, votes: Mapping[str, Vote], now: float, row: int = 0) -> Count:
    """What the votes say at `now`, after `row` failing verdicts in a row; `votes` holds none of lost locations."""
    valid = {
        name: vote for name in terms.locations if (vote := votes.get(name)) is not None and _says(vote, terms, now)
    }
    failing = [name for name, vote in valid.items() if vote.verdict == "down"]
    working = [name for name in valid if name not in failing]
    needed = max(terms.quorum, min(2, len(valid))) if terms.elsewhere else terms.quorum
    lasting = [name for name in failing if valid[name].failures > min(row, terms.failures - 1)]
    if len(_new(valid, lasting)) >= needed:
        return _agreed("down", valid, lasting, needed)
    if len(_new(valid, working)) >= terms.quorum and len(failing) < needed:
        healthy = sum(valid[name].verdict == "up" for name in working)
        return _agreed("up" if healthy >= terms.quorum else "degraded", valid, working, terms.quorum)
    if len(valid) < terms.quorum:
        return Count(None, Why.TOO_FEW)
    if len(failing) < needed and (len(working) < terms.quorum):
        return Count(None, Why.SPLIT)
    return Count(None, Why.WAITING)


def _says(vote: Vote, terms: Terms, now: float) -> bool:
    return vote.verdict != "unknown" and now - vote.at <= terms.silence


def _new(votes: Mapping[str, Vote], names: Iterable[str]) -> list[str]:
    return [name for name in names if not votes[name].counted]


def _agreed(verdict: Verdict, votes: Mapping[str, Vote], names: Sequence[str], needed: int) -> Count:
    times = sorted(votes[name].at for name in _new(votes, names))
    return Count(verdict, Why.AGREED, tuple(names), times[needed - 1])


@dataclass(slots=True)
class Ballot:
    """The votes about one monitor. Times: `at` epoch seconds, `mono` seconds of a steady clock."""

    terms: Terms
    votes: dict[str, Vote] = field(default_factory=dict)
    at: float = 0.0  # of the last verdict
    row: int = 0  # failing verdicts since the last other one
    spoke: float = 0.0  # mono, of the last verdict

    def take(self, location: str, result: CheckResult, now: float) -> bool:
        """Whether the result is the location's vote now: not one from before it, and not one that is stale."""
        known = self.votes.get(location)
        if location not in self.terms.locations or now - result.at > self.terms.silence:
            return False
        if known is not None and known.at > result.at:
            return False
        failures = 0 if known is None or result.at - known.at > self.terms.silence else known.failures
        failures = failures + 1 if result.verdict == "down" else failures if result.verdict == "unknown" else 0
        self.votes[location] = Vote(result, failures=failures)
        return True

    def dissolved(self, now: float) -> bool:
        """Whether those who made the failing verdicts so far agree no longer; then what follows begins anew."""
        failing = sum(vote.verdict == "down" and _says(vote, self.terms, now) for vote in self.votes.values())
        if not self.row or failing >= self.terms.quorum:
            return False
        self.row = 0
        return True

    def verdict(self, uid: str, now: float, mono: float) -> CheckResult | None:
        """The result that counts, if the votes make a new one."""
        found = count(self.terms, self.votes, now, self.row)
        if found.verdict is None:
            return None
        self.row = self.row + 1 if found.verdict == "down" else 0
        self.at, self.spoke = min(max(found.at, self.at), now), mono
        made = _result(self, found, now)
        made.uid, made.at = uid, self.at
        for vote in self.votes.values():
            vote.counted = True
        return made

    def overdue(self, uid: str, now: float, mono: float, patience: float) -> CheckResult | None:
        """Unknown, if the votes have made no verdict for `patience` seconds; said once an interval."""
        if mono - self.spoke <= patience:
            return None
        self.spoke = mono - patience + self.terms.interval
        found = count(self.terms, self.votes, now)
        why = Why.SPLIT if found.why is Why.SPLIT else Why.TOO_FEW
        said = ", ".join(f"{name} {_words(self.votes.get(name), self.terms, now)}" for name in self.terms.locations)
        made = finding(
            "unknown", f"check.{why.value}", f"{self.terms.words} locations must agree: {said}", evidence=self.told(now)
        )
        self.at = max(self.at, now)
        made.uid, made.at, made.scheduled = uid, self.at, False
        return made

    def told(self, now: float) -> dict[str, Any]:
        """What each location says, for evidence and pages."""
        return {"quorum": self.terms.words, "locations": {name: self._told(name, now) for name in self.terms.locations}}

    def _told(self, name: str, now: float) -> dict[str, Any]:
        vote = self.votes.get(name)
        if vote is None:
            return {"verdict": "unknown", "message": "no result"}
        found: dict[str, Any] = {"verdict": vote.verdict, "at": round(vote.at, 3)}
        found["duration"] = round(vote.result.duration, 6)
        if now - vote.at > self.terms.silence:
            found["stale"] = True
        if vote.result.code:
            found["code"], found["message"] = vote.result.code, vote.result.message[:_TEXT]
        return found


def _words(vote: Vote | None, terms: Terms, now: float) -> str:
    if vote is None or now - vote.at > terms.silence:
        return "is silent"
    return "cannot tell" if vote.verdict == "unknown" else f"says {vote.verdict}"


def _result(ballot: Ballot, found: Count, now: float) -> CheckResult:
    """The verdict with the findings of the location in the middle of those that agree."""
    votes = ballot.votes
    same = [name for name in found.agreeing if votes[name].verdict == found.verdict] or list(found.agreeing)
    same.sort(key=lambda name: votes[name].result.duration)
    name = same[len(same) // 2]
    source = votes[name].result
    evidence = dict(source.evidence)
    others = {vote.verdict for vote in votes.values()} != {"up"} or len(votes) < len(ballot.terms.locations)
    if others:
        evidence |= ballot.told(now)
    message = source.message
    if found.verdict != "up":
        message = f"{len(found.agreeing)} of {len(ballot.terms.locations)} locations: {name}: {message or source.code}"
    return CheckResult(
        uid="",
        at=0.0,
        lag=source.lag,
        duration=source.duration,
        verdict=found.verdict or "unknown",
        code=source.code,
        message=message,
        phases=source.phases,
        evidence=evidence,
        scheduled=source.scheduled,
    )
