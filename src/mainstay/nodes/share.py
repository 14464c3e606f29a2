"""This server's share of the monitors, where several servers check them: which shards, and by what right.

The nodes lane says which leases this server holds (`wanted`); the watch lane takes that up in its own time
(`adopted`) and decides under it. The fence compares what the lane decided under with what the database says.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from mainstay.nodes.queries import standing_leases
from mainstay.nodes.rules import SHARDS, shard_name


class Share:
    """`wanted` and `adopted` are read on other threads: they are replaced as a whole, never changed."""

    shards = SHARDS

    def __init__(self, session: str, node: str) -> None:
        self.session = session
        self.node = node  # its name
        self.wanted: Mapping[int, int] = {}  # shard -> token of the lease
        self.adopted: Mapping[int, int] = {}
        self._of: Mapping[str, int] = {}  # uid -> shard, as adopted
        self.on_change: Callable[[], None] = lambda: None

    @property
    def is_adopted(self) -> bool:
        return self.wanted == self.adopted

    def want(self, tokens: Mapping[int, int]) -> None:
        if tokens != self.wanted:
            self.wanted = dict(tokens)
            self.on_change()

    def adopt(self, of: Mapping[str, int], tokens: Mapping[int, int]) -> set[str]:
        """From now on the lane decides under these leases. The uids that are not this server's any more, or that
        somebody else had in between."""
        gone = set()
        for uid, shard in self._of.items():
            if shard in self.adopted:
                now = of.get(uid, shard)
                if now not in tokens or (now == shard and tokens[now] != self.adopted[shard]):
                    gone.add(uid)
        self._of, self.adopted = of, tokens
        return gone

    def owns(self, uid: str) -> bool:
        return self._of.get(uid) in self.adopted

    def uids(self, shards: Iterable[int]) -> set[str]:
        wanted = set(shards)
        return {uid for uid, shard in self._of.items() if shard in wanted}

    def fence(self, uids: Collection[str]) -> set[str]:
        """Those that this server must not write about. Within a transaction, which holds the leases until its end."""
        of, adopted = self._of, self.adopted
        needed = {of[uid] for uid in uids if of.get(uid) in adopted}
        standing = standing_leases(self.session, {shard_name(shard): adopted[shard] for shard in needed})
        return {uid for uid in uids if of.get(uid) not in adopted or shard_name(of[uid]) not in standing}
