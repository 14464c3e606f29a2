"""What the engine says about a container, and what it means. Pure.

Names are those of GET /containers/{id}/json in the Docker Engine API (https://docs.docker.com/reference/api/engine/).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from mainstay.integrations.checks.progress import describe_seconds, excerpt
from mainstay.kernel.probing import CheckFault
from mainstay.kernel.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOOKS = 5000  # remembered looks at one container


class Probe(msgspec.Struct, rename="pascal"):
    """One run of the container's own health check."""

    exit_code: int = 0
    output: str = ""


class Health(msgspec.Struct, rename="pascal"):
    status: str = "none"  # none, starting, healthy, unhealthy
    failing_streak: int = 0
    log: list[Probe] | None = None


class State(msgspec.Struct, rename="pascal"):
    status: str  # created, running, paused, restarting, removing, exited, dead
    running: bool = False
    exit_code: int = 0
    error: str = ""
    started_at: str = ""
    finished_at: str = ""
    killed: bool = msgspec.field(default=False, name="OOMKilled")
    health: Health | None = None


class Config(msgspec.Struct, rename="pascal"):
    image: str = ""


class Container(msgspec.Struct, rename="pascal"):
    id: str
    state: State
    name: str = ""
    restart_count: int = 0
    config: Config | None = None


@dataclass(slots=True)
class Looks:
    """The restart counts that were seen, for as long as they matter."""

    within: float
    _seen: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=_LOOKS))
    _id: str = ""

    def restarts(self, container: Container, mono: float) -> int:
        """How often it was started anew within the time, as far as this process was there to see it."""
        if container.id != self._id or (self._seen and container.restart_count < self._seen[-1][1]):
            self._seen.clear()  # another container of the same name, or one that a person started anew
            self._id = container.id
        self._seen.append((mono, container.restart_count))
        while len(self._seen) > 1 and self._seen[1][0] <= mono - self.within:
            self._seen.popleft()
        return container.restart_count - self._seen[0][1]


@dataclass(frozen=True, slots=True)
class Limits:
    health: str
    warn: int | None
    critical: int | None
    within: float


def judge(container: Container, restarts: int, limits: Limits) -> None:
    """CheckFault with the worst that is wrong."""
    faults = list(_faults(container, restarts, limits))
    faults.sort(key=lambda fault: fault.verdict != "down")
    if faults:
        raise faults[0]


def _faults(container: Container, restarts: int, limits: Limits) -> Iterator[CheckFault]:
    state = container.state
    if state.status != "running":
        yield CheckFault("expect.state", _not_running(state))
    elif limits.health != "ignored":
        yield from _health_faults(state.health, required=limits.health == "required")
    times = f"it restarted {counted(restarts, 'time')} within {describe_seconds(limits.within)}"
    if limits.critical is not None and restarts >= limits.critical:
        yield CheckFault("expect.restarts", times)
    elif limits.warn is not None and restarts >= limits.warn:
        yield CheckFault("expect.restarts", times, verdict="degraded")


def _not_running(state: State) -> str:
    sentence = f"the container is {excerpt(state.status[:40])}"
    if state.status in ("exited", "dead", "restarting"):
        sentence += f", its exit code was {state.exit_code}"
        if state.killed:
            sentence += ": it was killed because it used too much memory"
    return f"{sentence}: {excerpt(state.error)}" if state.error else sentence


def _health_faults(health: Health | None, *, required: bool) -> Iterator[CheckFault]:
    status = health.status if health is not None else "none"
    if status == "unhealthy" and health is not None:
        said = excerpt(health.log[-1].output.strip()) if health.log else ""
        sentence = f"its own health check has failed {counted(health.failing_streak, 'time')}"
        yield CheckFault("expect.health", f"{sentence}: {said}" if said else sentence)
    elif status == "starting":
        yield CheckFault("expect.health", "it is starting: its own health check has not passed yet", verdict="degraded")
    elif status in ("none", "") and required:
        yield CheckFault("expect.health", "it has no health check of its own, and one is required")


def describe(container: Container, restarts: int) -> dict[str, Any]:
    """For evidence."""
    state = container.state
    shown: dict[str, Any] = {
        "container": excerpt(container.name.lstrip("/")[:200]),
        "id": container.id[:12],
        "image": excerpt(container.config.image[:200]) if container.config is not None else "",
        "state": excerpt(state.status[:40]),
        "started_at": excerpt(state.started_at[:40]),
        "restart_count": container.restart_count,
        "restarts_lately": restarts,
    }
    if state.health is not None:
        shown["health"] = excerpt(state.health.status[:40])
    if state.status != "running":
        shown |= {"exit_code": state.exit_code, "finished_at": excerpt(state.finished_at[:40])}
        shown["out_of_memory"] = state.killed
    return shown
