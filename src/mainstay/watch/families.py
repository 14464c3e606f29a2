"""Which monitors must be judged by the same node: those that are connected by parents or as members of a group.

A node needs the states of a monitor's parents, and of a group's members, to decide about it. Connected monitors
are therefore one family and share a shard, so that no node ever needs what another one knows. Pure.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Kin:
    """One monitor: its name, and the names of those that it needs to be judged."""

    name: str
    needs: tuple[str, ...] = ()


def kin_of(name: str, document: Mapping[str, Any]) -> Kin:
    """From a declared document, which is not validated here: 50,000 of them are looked through at each apply."""
    group = document.get("group")
    members = group.get("members") if isinstance(group, Mapping) else group
    return Kin(name, (*_names(document.get("parents")), *_names(members)))


def _names(found: Any) -> tuple[str, ...]:
    return tuple(str(name) for name in found) if isinstance(found, list) else ()


def shards_of(kin: Mapping[str, Kin], shards: int) -> dict[str, int]:
    """uid -> number of its shard: CRC-32 of the smallest uid of its family."""
    by_name = {one.name: uid for uid, one in kin.items()}
    roots = {uid: uid for uid in kin}
    for uid, one in kin.items():
        for name in one.needs:
            if name in by_name:
                _join(roots, uid, by_name[name])
    return {uid: zlib.crc32(_root(roots, uid).encode()) % shards for uid in kin}


def _root(roots: dict[str, str], uid: str) -> str:
    while roots[uid] != uid:
        roots[uid] = roots[roots[uid]]
        uid = roots[uid]
    return uid


def _join(roots: dict[str, str], one: str, other: str) -> None:
    """The smaller uid stands for both."""
    first, second = sorted((_root(roots, one), _root(roots, other)))
    roots[second] = first
