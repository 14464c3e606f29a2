"""Uptime Kuma's status pages and maintenance, which only its database holds."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mainstay.foreign.importing.draft import Draft, fitting_name
from mainstay.foreign.importing.kuma_source import field, row_of, rows, text
from mainstay.foreign.importing.source import Node, carry, leave

_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_LOOKS = (
    *("icon", "theme", "custom_css", "footer_text", "show_tags", "show_powered_by", "search_engine_index"),
    *("google_analytics_tag_id", "analytics_id", "analytics_type", "analytics_script_url", "auto_refresh_interval"),
    *("show_certificate_expiry", "show_only_last_heartbeat", "created_date", "modified_date", "rss_title"),
)
_LONGEST_MATCHER = 900
_DATES = (("start_date", "from"), ("end_date", "until"))
Made = dict[str, tuple[str, str]]


def read_pages(root: Node, draft: Draft, made: Made) -> None:
    for page in rows(root, "status_page"):
        published, password = page.get("published"), page.get("password")
        if published is not None and not published.is_on:
            page.left("it is not published")
            continue
        if password is not None and password.value:
            page.left("it has a password, and pages of Mainstay are open to everybody")
            continue
        name = draft.name("status_page", text(page, "slug"), text(page, "title"))
        to = f"status_pages.{name}"
        document: dict[str, Any] = {"title": text(page, "title")[:100] or name}
        if text(page, "description"):
            document["description"] = text(page, "description")
        document["components"] = _components(root, page, made, to)
        for key, ours in (("slug", ""), ("title", ".title"), ("description", ".description"), ("published", "")):
            carry(page.get(key), f"{to}{ours}")
        leave(page, "how a page looks is not declared in Mainstay", *_LOOKS)
        leave(page, "Mainstay assigns its own", "id")
        draft.add("status_page", name, document, page)
    leave(root, "a page has one address, /status/<name>", "status_page_cname")


def _components(root: Node, page: Node, made: Made, to: str) -> list[dict[str, Any]]:
    """The monitors of its groups in their order."""
    found: list[dict[str, Any]] = []
    groups = [row for row in rows(root, "group") if text(row, "status_page_id") == page.key]
    for group in sorted(groups, key=_weight):
        members = [row for row in rows(root, "monitor_group") if text(row, "group_id") == group.key]
        for member in sorted(members, key=_weight):
            resource = made.get(text(member, "monitor_id"))
            _joined(member, f"{to}.components", carried=resource is not None)
            if resource is None:
                continue
            shown = row_of(root, "monitor", text(member, "monitor_id")) or member
            found.append(
                {
                    "name": (text(shown, "name") or resource[1])[:100],
                    f"{resource[0]}s": [resource[1]],
                    "group": text(group, "name")[:100],
                }
            )
        _joined(group, f"{to}.components", carried=True)
    return found


def _weight(row: Node) -> tuple[float, int]:
    weight = row.get("weight")
    number = weight.value if weight is not None and isinstance(weight.value, int | float) else 1000
    return float(number), int(row.key) if row.key.isdigit() else 0


def _joined(row: Node, to: str, *, carried: bool) -> None:
    for one in row.fields():
        if one.key in ("send_url", "custom_url", "created_date", "public", "active"):
            one.left("pages of Mainstay show no addresses of what is watched" if "url" in one.key else "not shown")
        elif carried:
            one.carried(to)
        else:
            one.left("its monitor is not imported")


def read_maintenance(root: Node, draft: Draft, made: Made) -> None:
    for node in rows(root, "maintenance"):
        identity = node.key
        members = [row for row in rows(root, "monitor_maintenance") if text(row, "maintenance_id") == identity]
        rules = _rules(node)
        if isinstance(rules, str):
            node.left(rules)
            for row in members:
                row.left("its maintenance is not imported")
            continue
        covers = _covers([made[key] for row in members if (key := text(row, "monitor_id")) in made])
        _windows(node, draft, rules, covers)
        for row in members:
            row.carried("windows")
    leave(root, "a window is shown on every page whose components it covers", "maintenance_status_page")


def _windows(node: Node, draft: Draft, rules: list[dict[str, Any]], covers: list[list[str]]) -> None:
    title = fitting_name(text(node, "title")) or "maintenance"
    for rule in rules:
        for part in covers:
            name = draft.name("window", title)
            document = {**rule, **({"covers": part} if part else {})}
            if text(node, "description"):
                document["description"] = text(node, "description")
            to = draft.add("window", name, document, node)
            for key, ours in (("title", ""), ("description", ".description"), ("timezone", ".timezone"),
                              ("strategy", ".rule"), ("active", "")):  # fmt: skip
                carry(node.get(key), f"{to}{ours}")
            for key in ("start_time", "end_time", "weekdays", "days_of_month", "duration"):
                carry(field(node, key), f"{to}.rule" if "rule" in rule else to)
            for key, ours in _DATES:
                carry(field(node, key), f"{to}.{ours}")
    leave(node, "derived from the times", "cron", "interval_day", "last_start_date")
    leave(node, "Mainstay assigns its own", "id", "user_id")


def _rules(node: Node) -> list[dict[str, Any]] | str:
    """One document for each window, or why there is none."""
    strategy, active = text(node, "strategy"), node.get("active")
    if active is not None and not active.is_on:
        return "it is switched off"
    zone = text(node, "timezone")
    zone = "UTC" if zone in ("", "SAME_AS_SERVER") else zone
    if strategy == "single":
        return _single(node, zone)
    start, end = text(node, "start_time")[:5], text(node, "end_time")[:5]
    if not re.fullmatch(r"\d\d:\d\d", start) or not re.fullmatch(r"\d\d:\d\d", end):
        return f"maintenance by `{strategy[:40]}` cannot be declared as a rule"
    days = _days(node, strategy)
    if not days:
        return f"maintenance by `{strategy[:40]}` cannot be declared as a rule"
    bounds = {ours: at for key, ours in _DATES if (at := _moment(node, key, zone))}
    more = {**({"timezone": zone} if zone != "UTC" else {}), **bounds}
    return [{"rule": f"{day} {start}-{end}", **more} for day in days]


def _single(node: Node, zone: str) -> list[dict[str, Any]] | str:
    times = {ours: _moment(node, key, zone) for key, ours in _DATES}
    return [times] if all(times.values()) else "its start or end is not a time"


def _moment(node: Node, key: str, zone: str) -> str:
    """With its offset; empty if it is no time."""
    try:
        at = datetime.fromisoformat(text(node, key))
        return (at if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone))).isoformat()
    except (ValueError, ZoneInfoNotFoundError, OSError):
        return ""


def _days(node: Node, strategy: str) -> list[str]:
    weekdays, monthdays = node.get("weekdays"), node.get("days_of_month")
    if strategy == "recurring-weekday" and weekdays is not None and isinstance(weekdays.value, list):
        return [_DAYS[int(day) % 7] for day in weekdays.value if str(day).isdigit()]
    if strategy == "recurring-day-of-month" and monthdays is not None and isinstance(monthdays.value, list):
        named = ["last day" if day == "lastDay1" else f"day {day}" for day in monthdays.value]
        return [day for day in named if re.fullmatch(r"last day|day \d{1,2}", day)]
    return ["daily"] if strategy == "recurring-interval" and text(node, "interval_day") == "1" else []


def _covers(resources: list[tuple[str, str]]) -> list[list[str]]:
    """Matchers for each window: as many names as fit into one."""
    found: list[list[str]] = []
    for kind in ("monitor", "heartbeat"):
        names = [re.escape(name) for made, name in resources if made == kind]
        while names:
            part = [names.pop(0)]
            while names and len("|".join((*part, names[0]))) < _LONGEST_MATCHER:
                part.append(names.pop(0))
            written = "|".join(part).replace("\\", "\\\\")
            found.append([f'{kind}=~"{written}"'])
    return found or [[]]
