"""Pings that were answered while the database was away: a file on this server's disk, and the way back from it.

    header   32 characters: the generation, new each time the file begins anew
    record   length (4 bytes, big-endian), CRC-32 of what follows (4 bytes), MessagePack of one ping

A ping is in the file, and flushed to the disk, before it is answered. How far the file was read back stands in the
database, written in the transaction of the pings themselves, so that a crash in between doubles none.
"""

from __future__ import annotations

import os
import struct
import threading
import uuid
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import msgspec
import structlog

from mainstay.heartbeats.directory import KnownHeartbeat
from mainstay.heartbeats.intake import Covering, Incoming, take_in
from mainstay.heartbeats.rules import Ping
from mainstay.kernel.actor import Actor, system
from mainstay.kernel.clock import Clock
from mainstay.store.models import FactRow
from mainstay.store.work import quietly

log = structlog.get_logger("pings")

_ACTOR = system("pings")

FILE = "pings.spool"
_HEAD = struct.Struct(">II")
_GENERATION = 32
_RECORD_LIMIT = 16 * 1024 * 1024  # bytes; a longer one in the file is damage
_PING_FIELDS = {field.name for field in fields(Ping)}
_LATE = 1.0  # seconds after which a ping counts as one that comes late


class SpoolFull(Exception):
    """No more fits; the ping must be refused."""


class PingSpool:
    """`append` and `replay` run on threads, one at a time each. `limit` is in bytes."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._path = folder / FILE
        self._limit = limit
        self._lock = threading.Lock()
        self._file = -1  # not open
        self._generation = ""
        self._size = 0  # bytes of the file that count
        self._read = 0  # of them, how many are in the database
        self.waiting = 0  # pings that are in the file and not in the database
        self.taken = 0  # since the start
        self.lost = 0  # since the start, because the database does not take them
        self.refused = 0  # since the start, because it was full

    def open(self) -> None:
        """Find what a former start left; damage at its end was never answered."""
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        head = os.pread(self._file, _GENERATION, 0)
        if len(head) < _GENERATION:
            self._begin_anew()
            return
        self._generation = head.decode("ascii", "replace")
        row = FactRow.objects.filter(key=self._fact).first()
        self._read = self._size = int(row.value) if row is not None else _GENERATION
        self.waiting = 0
        while (record := self._record(self._size)) is not None:
            self._size += _HEAD.size + len(record)
            self.waiting += 1
        os.ftruncate(self._file, self._size)
        if self.waiting:
            log.warning("reading back pings of the previous run", pings=self.waiting)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def append(self, batch: Sequence[Incoming]) -> None:
        """Durable when it returns. SpoolFull, with nothing written, if they do not fit; OSError if the disk is full."""
        raw = b"".join(map(_packed, batch))
        with self._lock:
            if self._file < 0:
                raise SpoolFull
            if self._size + len(raw) > self._limit:
                self.refused += len(batch)
                raise SpoolFull
            try:
                os.pwrite(self._file, raw, self._size)
                os.fdatasync(self._file)
            except OSError:
                os.ftruncate(self._file, self._size)
                self.refused += len(batch)
                raise
            self._size += len(raw)
            self.waiting += len(batch)
            self.taken += len(batch)

    def replay(
        self,
        actor: Actor,
        known: Mapping[str, KnownHeartbeat],
        limit: int,
        *,
        kept: int,
        covering: Covering,
        clock: Clock,
    ) -> int:
        """Take the next pings in, in one transaction; how many. Those of heartbeats that are gone are dropped.

        Raises StoreBusy; nothing is lost or doubled then.
        """
        actor.require("monitors:check")
        with self._lock:
            found, end = self._next(limit)
            if not found:
                return 0
        now = clock.now()
        batch = [incoming for raw in found if (incoming := _unpacked(raw, known, now)) is not None]

        def write(_work: object) -> None:
            row = FactRow.objects.filter(key=self._fact).first()
            if row is not None and int(row.value) >= end:
                return  # committed already; only its answer was lost
            if batch:
                take_in(actor, batch, kept=kept, covering=covering, clock=clock)
            FactRow.objects.update_or_create(key=self._fact, defaults={"value": str(end)})

        quietly(actor, clock, write)
        if done := self._advance(end, len(found)):
            FactRow.objects.filter(key=done).delete()
        return len(found)

    def skip(self) -> None:
        """Give up the next ping: it cannot be written, and must not keep the others."""
        with self._lock:
            found, end = self._next(1)
            self.lost += len(found)
        if found:
            FactRow.objects.update_or_create(key=self._fact, defaults={"value": str(end)})
            self._advance(end, 1)

    def _advance(self, end: int, count: int) -> str:
        """The fact that is not needed any more, if all is read back."""
        with self._lock:
            self._read = end
            self.waiting -= count
            if self._read < self._size:
                return ""
            done = self._fact
            self._begin_anew()
            return done

    def figures(self) -> dict[str, float]:
        """For metrics."""
        return {"waiting": self.waiting, "taken": self.taken, "refused": self.refused + self.lost}

    @property
    def _fact(self) -> str:
        return f"pings.spool.{self._generation}"

    def _begin_anew(self) -> None:
        self._generation = uuid.uuid4().hex
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, self._generation.encode(), 0)
        os.fdatasync(self._file)
        self._size = self._read = _GENERATION
        self.waiting = 0

    def _next(self, limit: int) -> tuple[list[bytes], int]:
        found: list[bytes] = []
        at = self._read
        while len(found) < limit and at < self._size and (record := self._record(at)) is not None:
            found.append(record)
            at += _HEAD.size + len(record)
        return found, at

    def _record(self, at: int) -> bytes | None:
        head = os.pread(self._file, _HEAD.size, at)
        if len(head) < _HEAD.size:
            return None
        length, checksum = _HEAD.unpack(head)
        if not 0 < length <= _RECORD_LIMIT:
            return None
        record = os.pread(self._file, length, at + _HEAD.size)
        return record if len(record) == length and zlib.crc32(record) == checksum else None


def _packed(incoming: Incoming) -> bytes:
    told = {
        "uid": incoming.entry.uid,
        "ping": asdict(incoming.ping),
        "method": incoming.method,
        "scheme": incoming.scheme,
        "remote": incoming.remote,
        "user_agent": incoming.user_agent,
        "body": incoming.body,
        "body_size": incoming.body_size,
    }
    record = msgspec.msgpack.encode(told)
    return _HEAD.pack(len(record), zlib.crc32(record)) + record


def _unpacked(record: bytes, known: Mapping[str, KnownHeartbeat], now: float) -> Incoming | None:
    told: dict[str, Any] = msgspec.msgpack.decode(record)
    entry = known.get(told.pop("uid"))
    if entry is None:
        return None
    ping = Ping(**{name: value for name, value in told.pop("ping").items() if name in _PING_FIELDS})
    if (waited := now - ping.at) > max(_LATE, ping.late):
        ping = replace(ping, late=waited)
    return Incoming(entry, ping, **told)


class Writing:
    """A batch on its way into the database, which can be called off until its commit begins."""

    def __init__(self, write: Callable[[], frozenset[str]], spool: PingSpool) -> None:
        self._write, self._spool = write, spool
        self._lock = threading.Lock()
        self._called_off = self._committing = False

    def __call__(self) -> frozenset[str]:
        """On the writer's thread, again while the database is away."""

        def write(_work: object) -> frozenset[str]:
            gone = self._write()
            with self._lock:
                if self._called_off:
                    raise CalledOff(self._spool)
                self._committing = True
            return gone

        with self._lock:
            self._committing = False
            if self._called_off:
                raise CalledOff(self._spool)
        return quietly(_ACTOR, None, write)

    def call_off(self) -> bool:
        """False if it may be in the database already."""
        with self._lock:
            self._called_off = not self._committing
            return self._called_off


class CalledOff(Exception):
    """The batch goes to the spool instead."""

    def __init__(self, spool: PingSpool) -> None:
        super().__init__("called off")
        self.spool = spool
