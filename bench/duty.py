"""On-call: who is on duty at an instant, and a forecast of 52 weeks for 20 schedules of every rotation."""

from __future__ import annotations

import time
from typing import Any

from bench.figures import Figure, at_most, hand_over, percentile, told
from mainstay.oncall.rules.duty import Schedule, schedule_of
from mainstay.oncall.rules.forecast import forecast
from mainstay.oncall.spec import ScheduleSpec

_START = 1_796_626_800.0  # 2026-12-07 07:00 UTC
_ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")
_BASE: dict[str, Any] = {"rotation": "weekly", "people": ["x", "y"]}
_ROTATIONS: tuple[dict[str, Any], ...] = (
    {"rotation": "weekly"},
    {"rotation": "weekly", "only": "mon-fri 08:00-20:00"},
    {"rotation": "daily"},
    {"rotation": "daily", "only": "18:00-08:00"},
    {"rotation": "monthly"},
    {"rotation": "custom", "every": "36h", "from": "2026-01-01"},
    {"rotation": "hourly", "length": 12},
)
_QUESTIONS = 2000  # of each schedule, over the year


def measure() -> list[Figure]:
    schedules = [_schedule(number) for number in range(20)]
    began = time.perf_counter()
    shifts = sum(len(forecast(one, _START, 52).shifts) for one in schedules)
    taken = time.perf_counter() - began
    answers = [_answer(one, _START + question * 15_000) for one in schedules for question in range(_QUESTIONS)]
    return [
        at_most("forecast of 52 weeks, 20 schedules", taken, 1, "s"),
        told("shifts in it", shifts, "shifts"),
        at_most("who is on duty at an instant, p99", percentile(answers, 0.99) * 1000, 0.2, "ms"),
    ]


def _schedule(number: int) -> Schedule:
    layers = [_BASE, {**_ROTATIONS[number % len(_ROTATIONS)], "people": ["a", "b", "c"]}]
    spec = ScheduleSpec.model_validate({"timezone": _ZONES[number % len(_ZONES)], "layers": layers})
    return schedule_of(f"s{number}", spec, {})


def _answer(schedule: Schedule, at: float) -> float:
    began = time.perf_counter()
    schedule.at(at)
    return time.perf_counter() - began


if __name__ == "__main__":
    hand_over(measure())
