"""What psutil reads of this machine, as plain numbers: percentages, bytes, degrees Celsius. Blocks."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

DISK_LIMIT = 50  # disks that are looked at
_WITHOUT_ROOM = {"squashfs", "iso9660", "udf", "erofs", "cramfs"}  # always full, by design
Times = tuple[float, float, float, float]  # processor seconds since the start: all, idle, waiting for disks, stolen


@dataclass(frozen=True, slots=True)
class Space:
    """One disk. Percentages as df(1) counts them: of what ordinary users may fill."""

    path: str
    percent: float
    free: int  # bytes
    total: int
    inodes_percent: float | None  # None where the file system has no fixed number of them


@dataclass(slots=True)
class Readings:
    cpu: float = 0.0
    iowait: float = 0.0
    stolen: float = 0.0
    processors: int = 1
    memory: float = 0.0
    memory_available: int = 0
    memory_total: int = 0
    swap: float | None = None  # None: the machine has none
    load: tuple[float, float, float] = (0.0, 0.0, 0.0)
    temperature: float | None = None
    sensor: str = ""
    disks: list[Space] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)  # disks that cannot be read, each with the reason
    processes: dict[str, int] = field(default_factory=dict)


def processor_times() -> Times:
    now = psutil.cpu_times()
    guest = getattr(now, "guest", 0.0) + getattr(now, "guest_nice", 0.0)  # counted in user and nice already
    return sum(now) - guest, now.idle, getattr(now, "iowait", 0.0), getattr(now, "steal", 0.0)


def processor_shares(before: Times, after: Times) -> tuple[float, float, float]:
    """(in use, waiting for disks, stolen by other machines of the host) in percent between two readings."""
    whole, idle, waiting, stolen = (max(0.0, late - early) for early, late in zip(before, after, strict=True))
    if whole <= 0:
        return 0.0, 0.0, 0.0
    return tuple(round(min(100.0, 100 * part / whole), 1) for part in (whole - idle - waiting, waiting, stolen))  # type: ignore[return-value]  # three of them


def read_memory(into: Readings) -> None:
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    into.memory, into.memory_available, into.memory_total = memory.percent, memory.available, memory.total
    into.swap = swap.percent if swap.total else None
    into.processors = psutil.cpu_count() or 1
    into.load = os.getloadavg()


def read_temperature(into: Readings) -> None:
    """The hottest sensor; many machines, and nearly all virtual ones, have none."""
    sensors = getattr(psutil, "sensors_temperatures", None)
    for chip, rows in (sensors() if sensors is not None else {}).items():
        for row in rows:
            if row.current and (into.temperature is None or row.current > into.temperature):
                into.temperature, into.sensor = round(row.current, 1), f"{chip} {row.label}".strip()


def mounted_disks() -> list[str]:
    """Mount points of disks that can be written to, each disk once, and the root in any case."""
    found: dict[str, str] = {}
    for part in psutil.disk_partitions(all=False):
        if part.fstype not in _WITHOUT_ROOM and "ro" not in part.opts.split(","):
            found.setdefault(part.device, part.mountpoint)
    paths = list(found.values())
    return (paths if "/" in paths else ["/", *paths])[:DISK_LIMIT]


def read_disks(into: Readings, paths: Sequence[str], note: Callable[[str], None]) -> None:
    """`note` is told each path before it is read: a network file system may not answer for hours."""
    for path in paths:
        note(path)
        try:
            into.disks.append(_space(path))
        except OSError as error:
            into.missing.append(f"{path}: {error.strerror or error}")


def _space(path: str) -> Space:
    usage, file_system = psutil.disk_usage(path), os.statvfs(path)
    usable = file_system.f_files - file_system.f_ffree + file_system.f_favail
    inodes = round(100 * (file_system.f_files - file_system.f_ffree) / usable, 1) if usable else None
    return Space(path, usage.percent, usage.free, usage.total, inodes)


def count_processes(into: Readings, names: Iterable[str]) -> None:
    """How many processes of each name run. A name is that of the program, or of the script it was started with."""
    wanted = set(names)
    into.processes = dict.fromkeys(wanted, 0)
    if not wanted:
        return
    for process in psutil.process_iter(["name", "cmdline", "status"]):
        if process.info["status"] == psutil.STATUS_ZOMBIE:
            continue
        command = process.info["cmdline"] or []
        called = {process.info["name"], *(os.path.basename(word) for word in command[:2])}
        for name in wanted & called:
            into.processes[name] += 1
