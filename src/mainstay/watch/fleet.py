"""All that runs checks: the probers of this machine, and those at other places, behind one interface.

Monitors without locations go to this machine's probers as ever; nothing is kept of them here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from mainstay.kernel.probing import CheckOrder


class LocalProbers(Protocol):
    def assign(self, orders: Iterable[CheckOrder]) -> None: ...

    def withdraw(self, uids: Iterable[str]) -> None: ...

    def recheck(self, uid: str, delay: float) -> None: ...


class RemoteProbers(Protocol):
    def assign(self, location: str, orders: list[CheckOrder]) -> None: ...

    def withdraw(self, location: str, uids: list[str]) -> None: ...

    def recheck(self, location: str, uid: str, delay: float) -> None: ...


class Fleet:
    def __init__(self, local: LocalProbers, remote: RemoteProbers, here: str) -> None:
        self._local, self._remote, self._here = local, remote, here
        self._placed: dict[str, tuple[str, ...]] = {}

    def place(self, placed: Mapping[str, tuple[str, ...]]) -> list[str]:
        """Take up who is checked where. Gives the uids whose places changed: their orders must be given anew."""
        known, self._placed = self._placed, dict(placed)
        moved = [uid for uid in known.keys() | placed.keys() if known.get(uid) != placed.get(uid)]
        withdrawn: dict[str, list[str]] = {}
        for uid in moved:
            for location in known.get(uid, (self._here,)):
                if location not in placed.get(uid, (self._here,)):
                    withdrawn.setdefault(location, []).append(uid)
        for location, uids in withdrawn.items():
            self._withdraw(location, uids)
        return moved

    def assign(self, orders: Iterable[CheckOrder]) -> None:
        if not self._placed:
            self._local.assign(orders)
            return
        shares: dict[str, list[CheckOrder]] = {}
        for order in orders:
            for location in self._placed.get(order.uid, (self._here,)):
                shares.setdefault(location, []).append(order)
        for location, share in shares.items():
            if location == self._here:
                self._local.assign(share)
            else:
                self._remote.assign(location, share)

    def withdraw(self, uids: Iterable[str]) -> None:
        shares: dict[str, list[str]] = {}
        for uid in uids:
            for location in self._placed.get(uid, (self._here,)):
                shares.setdefault(location, []).append(uid)
        for location, share in shares.items():
            self._withdraw(location, share)

    def recheck(self, uid: str, delay: float) -> None:
        """Once more, at every place that checks it."""
        for location in self._placed.get(uid, (self._here,)):
            self.recheck_at(location, uid, delay)

    def recheck_at(self, location: str, uid: str, delay: float) -> None:
        if location == self._here:
            self._local.recheck(uid, delay)
        else:
            self._remote.recheck(location, uid, delay)

    def _withdraw(self, location: str, uids: list[str]) -> None:
        if location == self._here:
            self._local.withdraw(uids)
        else:
            self._remote.withdraw(location, uids)
