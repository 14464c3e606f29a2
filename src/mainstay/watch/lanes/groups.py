"""Results of groups: made here from the states of their members, each interval and whenever a member changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mainstay.kernel.ports import Quorum
from mainstay.kernel.probing import CheckResult
from mainstay.watch.board import Board
from mainstay.watch.quorum import judge


@dataclass(slots=True)
class _Group:
    quorum: Quorum
    due: float = 0.0  # monotonic
    asked: bool = True  # by a person or by the rules, beside the interval
    seen: tuple[str, ...] = ()  # the members' states at the last look


class Groups:
    def __init__(self, board: Board) -> None:
        self._board = board
        self._groups: dict[str, _Group] = {}
        self._of_member: dict[str, list[str]] = {}

    def declare(self, quorums: Mapping[str, Quorum]) -> None:
        """uid -> quorum of every group there is; one that did not change keeps its next turn."""
        known = self._groups
        self._groups = {}
        for uid, quorum in quorums.items():
            same = known.get(uid)
            self._groups[uid] = same if same is not None and same.quorum == quorum else _Group(quorum)
        self._of_member = {}
        for uid, group in self._groups.items():
            for name in group.quorum.members:
                self._of_member.setdefault(name, []).append(uid)

    def recheck(self, uid: str, at: float) -> None:
        """Judge again at monotonic `at`, if it is a group; a look that is due before stays."""
        group = self._groups.get(uid)
        if group is not None and at < group.due:
            group.due, group.asked = at, True

    def follow(self, moved: Iterable[str], now: float, mono: float) -> list[CheckResult]:
        """The groups that these members belong to, where their states differ from what was judged last."""
        uids = {uid for name in moved for uid in self._of_member.get(name, ())}
        return [result for uid in uids if (result := self._judge(uid, now, mono, due=False)) is not None]

    def due(self, now: float, mono: float) -> list[CheckResult]:
        """The groups whose turn it is, and those with a member that changed without moving (a person paused it)."""
        return [result for uid in self._groups if (result := self._judge(uid, now, mono, due=True)) is not None]

    def _judge(self, uid: str, now: float, mono: float, *, due: bool) -> CheckResult | None:
        group, entry = self._groups[uid], self._board.entries.get(uid)
        if entry is None or entry.state.state == "paused":
            return None
        states = {name: self._state_of(name) for name in group.quorum.members}
        seen = tuple(states.values())
        if seen == group.seen and not (due and mono >= group.due):
            return None
        result = judge(group.quorum, states)
        result.uid, result.at, result.scheduled = uid, now, not group.asked
        interval = entry.watched.policy.interval
        group.seen, group.due, group.asked = seen, mono + interval, False
        return result

    def _state_of(self, name: str) -> str:
        member = self._board.named(name)
        return member.state.shown if member is not None else "unknown"
