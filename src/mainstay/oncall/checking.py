"""What the plan of a schedule warns of."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime

from mainstay.kernel.resource import Complaint
from mainstay.kernel.wording import counted
from mainstay.oncall.holidays import days_of
from mainstay.oncall.rules.duty import schedule_of
from mainstay.oncall.rules.forecast import forecast
from mainstay.oncall.spec import ScheduleSpec

_WEEKS = 52.0


def gaps_ahead(_name: str, spec: ScheduleSpec) -> Iterable[Complaint]:
    """A warning of the gaps of the next 52 weeks; of absences and changes by hand the alert knows."""
    schedule = schedule_of("", spec, {}, days_of(spec.holidays))
    gaps = forecast(schedule, time.time(), _WEEKS).gaps
    if gaps:
        begin, end = (datetime.fromtimestamp(edge, schedule.clock.zone) for edge in gaps[0])
        yield Complaint(
            f"nobody is on duty from {begin:%a %Y-%m-%d %H:%M} to {end:%a %Y-%m-%d %H:%M}: "
            f"{counted(len(gaps), 'gap')} in 52 weeks",
            "if it is meant, say `covers`, or put a layer with `nobody` first",
            ("layers",),
            "warning",
        )
