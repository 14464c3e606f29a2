"""How long units of work take in this process, by their names: for metrics, and for whoever makes them shorter."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import partial
from types import FrameType

LONG = 0.05  # seconds; what takes longer holds up others


@dataclass(slots=True)
class Timing:
    """All units of one name since the start. Seconds: `waited` for the turn to write, `held` from then to the end."""

    count: int = 0
    held: float = 0.0
    waited: float = 0.0
    longest: float = 0.0
    long: int = 0  # units that held it for more than LONG


class Timings:
    """Noted by any thread, read by any other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_name: dict[str, Timing] = {}

    def note(self, name: str, waited: float, held: float) -> None:
        with self._lock:
            timing = self._by_name.setdefault(name, Timing())
            timing.count += 1
            timing.waited += waited
            timing.held += held
            timing.longest = max(timing.longest, held)
            timing.long += held > LONG

    def read(self) -> dict[str, Timing]:
        """A copy, by name."""
        with self._lock:
            return {
                name: Timing(one.count, one.held, one.waited, one.longest, one.long)
                for name, one in sorted(self._by_name.items())
            }


TIMINGS = Timings()


def name_of_frame(frame: FrameType) -> str:
    """`watch.verbs.record_transitions`: the function that is running in it."""
    return f"{str(frame.f_globals.get('__name__', '')).removeprefix('mainstay.')}.{frame.f_code.co_name}"


def name_of_job(job: object) -> str:
    """The verb that a job belongs to, also if the job is a function within it, or has its arguments already."""
    while isinstance(job, partial):
        job = job.func
    module, name = str(getattr(job, "__module__", "")), str(getattr(job, "__qualname__", "job"))
    return f"{module.removeprefix('mainstay.')}.{name.partition('.<locals>')[0]}"
