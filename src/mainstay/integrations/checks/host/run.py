"""Read the machine and hold what is read against its limits.

Reading happens on a thread of its own, one for all checks of a prober: a network file system that does not answer
holds that thread and nothing else, and the next check says so.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mainstay.integrations.checks.host.limits import Limits, limits_of
from mainstay.integrations.checks.host.readings import (
    Readings,
    Times,
    count_processes,
    mounted_disks,
    processor_shares,
    processor_times,
    read_disks,
    read_memory,
    read_temperature,
)
from mainstay.integrations.checks.progress import describe_seconds, document
from mainstay.kernel.probing import CheckFault, finding
from mainstay.kernel.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mainstay.kernel.ports import CheckContext
    from mainstay.kernel.probing import CheckOrder, CheckResult, Verdict

_FIRST_LOOK = 0.5  # seconds between the two readings of a first check; later ones compare with the check before
_RANKS = {"up": 0, "degraded": 1, "unknown": 2, "down": 3}
_UNITS = ((1024**4, "TiB"), (1024**3, "GiB"), (1024**2, "MiB"))


@dataclass(slots=True)
class State:
    """What one run leaves for the next."""

    times: Times | None = None
    reading: str = ""  # the disk that is being read


@dataclass(frozen=True, slots=True)
class Prepared:
    timeout: float
    disks: tuple[str, ...]  # empty: all
    limits: dict[str, Limits]
    disk_limits: dict[str, Limits]
    processes: dict[str, tuple[int, int | None]]
    state: State = field(default_factory=State)


@dataclass(frozen=True, slots=True)
class Problem:
    verdict: Verdict
    code: str
    message: str


def prepare(order: CheckOrder) -> Prepared:
    target, expect = document(order, "target"), document(order, "expect")
    measures = ("cpu", "memory", "swap", "load", "temperature", "disk")
    return Prepared(
        timeout=order.timeout,
        disks=tuple(target.get("disks") or ()),
        limits={measure: limits_of(measure, expect.get(measure)) for measure in measures},
        disk_limits={path: limits_of("disk", found) for path, found in (expect.get("disks") or {}).items()},
        processes={
            name: (found.get("min", 1), found.get("max")) for name, found in (expect.get("processes") or {}).items()
        },
    )


async def run(plan: Prepared, context: CheckContext) -> CheckResult:
    if reason := context.guard.refuses("127.0.0.1"):
        raise CheckFault("check.address_refused", f"this machine may not be inspected: {reason}", verdict="unknown")
    reader = context.shared("host.reader", _Reader)
    if plan.state.times is None:
        plan.state.times = processor_times()
        await asyncio.sleep(min(_FIRST_LOOK, plan.timeout / 4))
    try:
        async with asyncio.timeout(plan.timeout):
            readings = await reader.read(plan)
    except TimeoutError:
        return _late(plan)
    return judge(plan, readings)


class _Reader:
    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="host")

    async def read(self, plan: Prepared) -> Readings:
        return await asyncio.get_running_loop().run_in_executor(self._pool, _read, plan)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def _read(plan: Prepared) -> Readings:
    found, state = Readings(), plan.state

    def note(path: str) -> None:
        state.reading = path

    before, state.times = state.times, processor_times()
    if before is not None:
        found.cpu, found.iowait, found.stolen = processor_shares(before, state.times)
    read_memory(found)
    read_temperature(found)
    count_processes(found, plan.processes)
    read_disks(found, plan.disks or mounted_disks(), note)
    state.reading = ""
    return found


def _late(plan: Prepared) -> CheckResult:
    limit = describe_seconds(plan.timeout)
    if path := plan.state.reading:
        return finding("down", "wait.disk", f"the disk {path} did not answer within {limit}", evidence={"disk": path})
    return finding("unknown", "check.timeout", f"this machine could not be read within {limit}")


def judge(plan: Prepared, readings: Readings) -> CheckResult:
    """Pure: what the readings mean by the limits of the plan, the worst first."""
    problems = sorted(_problems(plan, readings), key=lambda problem: -_RANKS[problem.verdict])
    evidence = _evidence(readings)
    if not problems:
        return finding("up", evidence=evidence)
    if len(problems) > 1:
        evidence["also"] = [problem.message for problem in problems[1:10]]
    worst = problems[0]
    return finding(worst.verdict, worst.code, worst.message, evidence=evidence)


def _problems(plan: Prepared, readings: Readings) -> Iterator[Problem]:
    per_processor = round(readings.load[1] / readings.processors, 2)
    measured = {
        "cpu": (readings.cpu, f"the processors are {readings.cpu:g} % busy"),
        "memory": (
            readings.memory,
            f"memory is {readings.memory:g} % in use, {_size(readings.memory_available)} are available",
        ),
        "swap": (readings.swap or 0.0, f"swap is {readings.swap or 0:g} % in use"),
        "load": (
            per_processor,
            f"the load is {per_processor:g} for each of {counted(readings.processors, 'processor')}",
        ),
        "temperature": (readings.temperature, f"the sensor {readings.sensor} shows {readings.temperature} °C"),
    }
    for measure, (value, sentence) in measured.items():
        limits = plan.limits[measure]
        if value is None:
            if limits.given:
                yield Problem("unknown", "check.no_sensor", "this machine has no temperature sensor")
            continue
        verdict, limit = limits.judge(value)
        if verdict != "up":
            yield Problem(verdict, f"expect.{measure}", f"{sentence} ({limit})")
    yield from _disk_problems(plan, readings)
    yield from _process_problems(plan, readings)


def _disk_problems(plan: Prepared, readings: Readings) -> Iterator[Problem]:
    for reason in readings.missing:
        yield Problem("down", "expect.disk_missing", f"a disk cannot be read: {reason}")
    for space in readings.disks:
        limits = plan.disk_limits.get(space.path, plan.limits["disk"])
        verdict, limit = limits.judge(space.percent)
        if verdict != "up":
            sentence = f"the disk {space.path} is {space.percent:g} % full, {_size(space.free)} are free ({limit})"
            yield Problem(verdict, "expect.disk", sentence)
        if space.inodes_percent is not None:
            verdict, limit = limits.judge(space.inodes_percent)
            if verdict != "up":
                sentence = f"the disk {space.path} has used {space.inodes_percent:g} % of its inodes ({limit})"
                yield Problem(verdict, "expect.inodes", sentence)


def _process_problems(plan: Prepared, readings: Readings) -> Iterator[Problem]:
    for name, (least, most) in plan.processes.items():
        count = readings.processes.get(name, 0)
        runs = "no process runs" if not count else "1 process runs" if count == 1 else f"{count} processes run"
        if count < least:
            yield Problem("down", "expect.process", f"{runs} as {name}, at least {least} must")
        elif most is not None and count > most:
            yield Problem("degraded", "expect.process", f"{runs} as {name}, at most {most} should")


def _evidence(readings: Readings) -> dict[str, Any]:
    evidence: dict[str, Any] = {
        "cpu_percent": readings.cpu,
        "iowait_percent": readings.iowait,
        "memory_percent": readings.memory,
        "memory_available": _size(readings.memory_available),
        "memory_total": _size(readings.memory_total),
        "load": [round(value, 2) for value in readings.load],
        "processors": readings.processors,
        "disks": {
            space.path: {
                "percent": space.percent,
                "free": _size(space.free),
                "total": _size(space.total),
                **({} if space.inodes_percent is None else {"inodes_percent": space.inodes_percent}),
            }
            for space in readings.disks
        },
    }
    if readings.stolen:
        evidence["stolen_percent"] = readings.stolen
    if readings.swap is not None:
        evidence["swap_percent"] = readings.swap
    if readings.temperature is not None:
        evidence["temperature"] = {"celsius": readings.temperature, "sensor": readings.sensor}
    if readings.processes:
        evidence["processes"] = readings.processes
    return evidence


def _size(count: int) -> str:
    """`1.5 GiB`."""
    for unit, name in _UNITS:
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count / 1024:.3g} KiB"
