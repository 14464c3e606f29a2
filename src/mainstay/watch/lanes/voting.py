"""Monitors that several places check: results of each place become votes, votes become what counts.

Of monitors without locations nothing is kept here. The rules are in `watch/votes.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec.structs import replace

from mainstay.kernel.probing import CheckResult
from mainstay.watch.board import Board
from mainstay.watch.reach import Reach, reach_of
from mainstay.watch.results.values import Sample
from mainstay.watch.state import Excused, Reason
from mainstay.watch.telling import Finding
from mainstay.watch.uplink import blamed, is_lookup
from mainstay.watch.votes import Ballot, Terms, Vote


class Places(Protocol):
    """The part of runtime.fleet that orders checks at several places."""

    def place(self, placed: Mapping[str, tuple[str, ...]]) -> list[str]:
        """uid -> its locations, of every monitor that names some. Gives the uids that must be ordered anew."""

    def recheck_at(self, location: str, uid: str, delay: float) -> None: ...


class Voting:
    """`here` names the location of this server itself."""

    def __init__(self, board: Board, places: Places, here: str) -> None:
        self._board, self._places, self.here = board, places, here
        self.ballots: dict[str, Ballot] = {}
        self._targets: dict[str, Reach] = {}
        self._away: set[str] = set()  # locations that are lost

    def declare(self, terms: Mapping[str, Terms], mono: float) -> list[str]:
        """Every monitor that several places check. Gives the uids whose orders must be given anew."""
        known, self.ballots = self.ballots, {}
        for uid, wanted in terms.items():
            ballot = known.get(uid)
            if ballot is None:
                ballot = Ballot(wanted, spoke=mono)
            elif ballot.terms != wanted:
                ballot.terms = wanted
                ballot.votes = {name: vote for name, vote in ballot.votes.items() if name in wanted.locations}
            self.ballots[uid] = ballot
        entries = self._board.entries
        self._targets = {uid: reach_of(entries[uid].watched.facts.address) for uid in terms if uid in entries}
        return self._places.place({uid: wanted.locations for uid, wanted in terms.items()})

    def reach(self, location: str, now: float, *, lost: bool) -> None:
        """A location was lost or is back. What it said before it was lost is no vote any more, and of monitors that
        miss its vote nothing is known from now on."""
        if not lost:
            self._away.discard(location)
            return
        if location in self._away:
            return
        self._away.add(location)
        for uid, ballot in self.ballots.items():
            ballot.votes.pop(location, None)
            if location in ballot.terms.locations:
                self._check_quorum(uid, ballot.terms, now)

    def _check_quorum(self, uid: str, terms: Terms, now: float) -> None:
        left = [name for name in terms.locations if name not in self._away]
        if len(left) < terms.quorum and uid in self._board.entries:
            lost = ", ".join(name for name in terms.locations if name in self._away)
            message = f"{terms.words} locations must agree, and no reports from {lost}"
            finding = Finding("check.too_few_votes", message)
            self._board.signal(uid, Excused(Reason.TOO_FEW_VOTES), now, finding)

    def take(self, location: str, result: CheckResult, now: float, mono: float) -> CheckResult | None:
        """The result that counts, if this one makes one."""
        ballot = self.ballots.get(result.uid)
        if ballot is None:
            return None
        if location == self.here and result.verdict == "down":
            result = self._excused(result)
        before = ballot.votes.get(location)
        if result.verdict == "unknown" and is_lookup(result.code) and self._is_to_blame(location, result, before):
            result = blamed(result)
        if location in self._away or not ballot.take(location, result, now):
            return None
        if result.verdict == "down" and ballot.terms.elsewhere and (before is None or before.verdict != "down"):
            for other in ballot.terms.locations:
                if other != location:
                    self._places.recheck_at(other, result.uid, 0.0)
        made = ballot.verdict(result.uid, now, mono)
        if made is None:
            self._wait(location, result, ballot, now)
        return made

    def _is_to_blame(self, location: str, result: CheckResult, before: Vote | None) -> bool:
        """Whether a name that the place could not look up twice is at fault itself: it found another one since."""
        if before is None or not is_lookup(before.result.code):
            return False
        zone = self._targets.get(result.uid, Reach()).zone
        return any(
            vote.at >= before.at and vote.verdict != "unknown" and not is_lookup(vote.result.code)
            for uid, ballot in self.ballots.items()
            if (target := self._targets.get(uid)) is not None and target.zone not in ("", zone)
            if (vote := ballot.votes.get(location)) is not None
        )

    def _wait(self, location: str, result: CheckResult, ballot: Ballot, now: float) -> None:
        """This vote made no verdict. If there was a failing one before, it is over, or this place is asked again."""
        entry = self._board.entries.get(result.uid)
        if entry is None or not ballot.row or entry.state.state == "down":
            return
        if ballot.dissolved(now):
            self._board.begin_anew(result.uid)
        elif result.verdict == "down" and entry.watched.policy.recheck < ballot.terms.interval:
            self._places.recheck_at(location, result.uid, entry.watched.policy.recheck)

    def due(self, now: float, mono: float) -> list[CheckResult]:
        """Unknown results of those whose votes have not agreed for too long."""
        found = []
        for uid, ballot in self.ballots.items():
            entry = self._board.entries.get(uid)
            if entry is None or entry.state.state == "paused" or not entry.checked:
                ballot.spoke = mono
                continue
            policy = entry.watched.policy
            made = ballot.overdue(uid, now, mono, policy.gap)
            if made is not None:
                found.append(made)
        return found

    def sample(self, location: str, result: CheckResult) -> Sample:
        """What one location found, for the history; it is charged to nothing."""
        return Sample(
            uid=result.uid,
            at=result.at,
            verdict=result.verdict,
            duration=result.duration,
            charge="unknown",
            charged=0.0,
            lag=result.lag,
            phases=result.phases,
            code=result.code,
            message=result.message,
            evidence=result.evidence,
            location=location,
        )

    def _excused(self, result: CheckResult) -> CheckResult:
        """A failure that may lie at this machine's own network is no vote."""
        target = self._targets.get(result.uid, Reach())
        reason = self._board.uplink.excuse(target, result.code)
        if reason is None:
            if target.scope != "loopback":
                self._board.ask_for_look()
            return result
        return replace(result, verdict="unknown", code=f"check.{reason.value}")
