"""Calendars that others subscribe to: iCalendar (RFC 5545) of a person's or a schedule's shifts.

Times are in UTC, and a shift keeps its UID however often it is asked for, so that programs know it again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime

from mainstay.oncall.models import FeedRow
from mainstay.oncall.queries import Duty, duty
from mainstay.oncall.rules.forecast import WEEK, Shift, forecast

_BACK = 14 * 86_400.0  # seconds
_WEEKS = 26.0  # ahead
_LINE = 73  # octets before a line is folded; the standard allows 75


def feed(secret: str, now: float) -> str | None:
    """The calendar at this address; None if there is none."""
    row = FeedRow.objects.filter(secret_hash=hashlib.sha256(secret.encode()).hexdigest()).first()
    if row is None:
        return None
    kind, _, name = row.subject.partition("/")
    return calendar_text(duty(now), kind, name, now)


def calendar_text(known: Duty, kind: str, name: str, now: float) -> str:
    """`kind`: person or schedule. One that is no longer declared has no shifts."""
    events = [line for schedule, shift in _shifts(known, kind, name, now) for line in _event(schedule, shift, now)]
    head = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Mainstay//On-call//EN", "CALSCALE:GREGORIAN"]
    lines = [*head, f"X-WR-CALNAME:{_text('On-call ' + name)}", *events, "END:VCALENDAR"]
    return "".join(part + "\r\n" for line in lines for part in _folded(line))


def _shifts(known: Duty, kind: str, name: str, now: float) -> Iterator[tuple[str, Shift]]:
    for schedule in known.schedules.values():
        if kind == "person" or schedule.name == name:
            # From the beginning of a year on, so that a shift which goes on always begins at the same time.
            begin = datetime(datetime.fromtimestamp(now - _BACK, UTC).year, 1, 1, tzinfo=UTC).timestamp()
            for shift in forecast(schedule, begin, (now - begin) / WEEK + _WEEKS).shifts:
                if shift.end > now - _BACK and (kind == "schedule" or shift.person == name):
                    yield schedule.name, shift


def _event(schedule: str, shift: Shift, now: float) -> list[str]:
    uid = hashlib.sha256(f"{schedule}\n{shift.person}\n{shift.start}".encode()).hexdigest()[:32]
    return [
        "BEGIN:VEVENT",
        f"UID:{uid}@mainstay",
        f"DTSTAMP:{_utc(now)}",
        f"DTSTART:{_utc(shift.start)}",
        f"DTEND:{_utc(shift.end)}",
        f"SUMMARY:{_text(f'On call: {shift.person} ({schedule})')}",
        f"DESCRIPTION:{_text(shift.why)}",
        "END:VEVENT",
    ]


def _utc(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%SZ")


def _text(value: str) -> str:
    for sign in ("\\", ";", ","):
        value = value.replace(sign, f"\\{sign}")
    return value.replace("\n", "\\n")


def _folded(line: str) -> Iterator[str]:
    """Lines of at most 75 octets, cut between characters."""
    part, size = "", 0
    for sign in line:
        octets = len(sign.encode())
        if size + octets > _LINE:
            yield part
            part, size = " ", 1
        part, size = part + sign, size + octets
    yield part
