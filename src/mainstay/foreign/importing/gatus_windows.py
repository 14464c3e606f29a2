"""Gatus' maintenance periods as windows."""

from __future__ import annotations

import re
from typing import Any

from mainstay.foreign.importing.draft import Draft
from mainstay.foreign.importing.source import Node, carry
from mainstay.foreign.importing.values import go_duration

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_DAY_MINUTES = 24 * 60


def read_window(node: Node, draft: Draft, name: str, covers: list[str]) -> None:
    """One window for each weekday that is named, or one for every day."""
    enabled = node.get("enabled")
    if enabled is not None and not enabled.is_on:
        node.left("it is switched off")
        return
    start, length = _start(node), _minutes(node)
    if start is None or length is None:
        return
    days = _days(node)
    for day in days:
        own = draft.name("window", name if len(days) == 1 else f"{name}-{day}")
        document: dict[str, Any] = {"rule": f"{day} {_clock(start)}-{_clock((start + length - 1) % _DAY_MINUTES + 1)}"}
        if node.text("timezone"):
            document["timezone"] = node.text("timezone")
        if covers:
            document["covers"] = covers
        to = draft.add("window", own, document, node)
        for key in ("start", "duration", "every"):
            carry(node.get(key), f"{to}.rule")
        carry(node.get("timezone"), f"{to}.timezone")
        carry(enabled, to)


def _start(node: Node) -> int | None:
    start = node.get("start")
    found = re.fullmatch(r"(\d\d):(\d\d)", start.as_text()) if start is not None else None
    if found is None or int(found[1]) > 23 or int(found[2]) > 59:
        (start or node).mistake("`start` must be a time such as 23:00")
        return None
    return int(found[1]) * 60 + int(found[2])


def _minutes(node: Node) -> int | None:
    duration = node.get("duration")
    seconds = go_duration(duration.value) if duration is not None else None
    if seconds is None or not 0 < seconds <= 86_400:
        (duration or node).mistake("`duration` must be more than 0 and at most 24h")
        return None
    if seconds % 60 and duration is not None:
        duration.approximated("", "windows begin and end at whole minutes")
    return max(1, round(seconds / 60))


def _days(node: Node) -> list[str]:
    every = node.get("every")
    if every is None or not isinstance(every.value, list) or not every.value:
        return ["daily"]
    days = []
    for index, day in enumerate(every.value):
        if day in _DAYS:
            days.append(str(day).lower())
        else:
            Node(day, (*every.path, index), every.report).mistake(f"`{str(day)[:20]}` is not a day such as Monday")
    return days


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"
