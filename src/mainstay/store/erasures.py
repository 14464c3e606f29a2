"""What the journal tells of its own erasures, held against the entries that are erased. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace

from mainstay.store.proof import JournalRow, is_first, shown, shown_digest, shows_only_what_it_may

ERASED = "journal.erased"  # the event that tells of erased entries


@dataclass(frozen=True, slots=True)
class Told:
    """One `journal.erased`. Without a digest: of the version before, which kept none."""

    seq: int
    rows: frozenset[int]
    digest: str


def told_by(seq: int, data: str) -> Told:
    found = json.loads(data)
    # One that tells of itself or of later ones cannot have been; how many more it claims does not matter.
    spans = ((max(0, first), min(last, seq)) for first, last in found.get("entries", ()))
    rows = frozenset(number for first, last in spans for number in range(first, last + 1))
    return Told(seq, rows, str(found.get("digest", "")))


class Erasures:
    """Takes the entries in their order; `mistake` then says whether each erased one is as it was told."""

    def __init__(self) -> None:
        self._shown: dict[int, str] = {}
        self._strict: dict[int, bool] = {}  # whether names that are no longer proven are fixed, too
        self._wrong: list[int] = []
        self._told: list[Told] = []
        self._second: int | None = None  # the first entry of the format of now
        self.gone_to = 0  # entries up to it are deleted by age, and nothing can be said of them

    @property
    def count(self) -> int:
        return len(self._shown)

    def take(self, row: JournalRow, *, told: bool) -> None:
        if self._second is None and not is_first(row):
            self._second = row.seq
        if row.erased:
            self._shown[row.seq], self._strict[row.seq] = shown(row), shows_only_what_it_may(row)
            if not shows_only_what_it_may(row, names=False):
                self._wrong.append(row.seq)
        if told:
            found = told_by(row.seq, row.data)
            self._told.append(replace(found, rows=frozenset(row for row in found.rows if row > self.gone_to)))

    def told_before(self, number: int) -> set[int]:
        """Erased entries before this one that are told of."""
        return {row for told in self._told for row in told.rows if row < number}

    def mistake(self) -> tuple[int, str] | None:
        """The entry and what is wrong with it. A later telling stands for an earlier one of the same entries."""
        if self._wrong:
            return self._wrong[0], "it was erased, but shows what no erased entry shows"
        covered: set[int] = set()
        for told in reversed(self._told):
            if not told.rows <= covered:
                reason = self._differs(told, covered)
                if reason:
                    return min(told.rows), reason
                covered |= told.rows
        untold = self._shown.keys() - covered
        return (min(untold), "it was erased, but no later entry records that") if untold else None

    def _differs(self, told: Told, covered: Iterable[int]) -> str:
        if not told.digest:
            late = self._second is not None and told.seq > self._second
            return f"it was erased, but entry {told.seq} records it without a digest" if late else ""
        if max(told.rows) >= told.seq or not told.rows.isdisjoint(covered):
            return f"entry {told.seq} records an erasure that cannot have happened"
        rows = sorted(told.rows)
        if not all(self._strict.get(number) for number in rows):
            return "it was erased, but shows what no erased entry shows"
        found = shown_digest((number, self._shown[number]) for number in rows)
        return "" if found == told.digest else f"it, or one with it, is not as the erasure in entry {told.seq} left it"
