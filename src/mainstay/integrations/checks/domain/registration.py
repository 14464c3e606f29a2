"""What is known of a registration, and what it means. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from mainstay.kernel.probing import CheckFault
from mainstay.kernel.wording import counted

_DAY = 86_400.0
_ZONE = re.compile(r"(?:\s*\(?(?:utc|gmt)\)?|z)$", re.IGNORECASE)
_FRACTION = re.compile(r"(\d{2}:\d{2}:\d{2})[.,]\d+")
_FORMS = (
    "%Y-%m-%dT%H:%M:%S%z",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M:%S%z",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d",
    "%Y.%m.%d %H:%M:%S",
    "%Y.%m.%d",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d",
    "%Y%m%d",
    "%d-%b-%Y %H:%M:%S",
    "%d-%b-%Y",
    "%d %b %Y",
    "%d %B %Y",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%b %d %Y",
    "%a %b %d %H:%M:%S %Y",
)
# RFC 8056, and the names of EPP that WHOIS shows
_GONE = ("redemption period", "pending delete", "redemptionperiod", "pendingdelete")
_HELD = ("client hold", "server hold", "clienthold", "serverhold")


@dataclass(slots=True)
class Registration:
    source: str  # "rdap" or "whois"
    server: str
    expires: float | None = None  # epoch seconds
    registrar: str = ""
    statuses: list[str] = field(default_factory=list)
    nameservers: list[str] = field(default_factory=list)  # lower case

    def facts(self, now: float) -> dict[str, Any]:
        found: dict[str, Any] = {"source": self.source, "server": self.server[:200]}
        if self.expires is not None:
            found |= {"expires": self.expires, "days_left": round((self.expires - now) / _DAY, 2)}
        if self.registrar:
            found["registrar"] = self.registrar[:200]
        if self.statuses:
            found["statuses"] = [status[:80] for status in self.statuses[:20]]
        if self.nameservers:
            found["nameservers"] = [name[:253] for name in self.nameservers[:20]]
        return found


@dataclass(frozen=True, slots=True)
class Wishes:
    """`expect`, with days until the end of the registration."""

    days: float
    down_days: float
    registrar: str
    nameservers: tuple[str, ...]


def judge(found: Registration, wishes: Wishes, now: float) -> None:
    """CheckFault `expect.*`, the worst first."""
    states = [status.lower() for status in found.statuses]
    if any(word in state for state in states for word in _GONE):
        raise CheckFault("expect.registered", "the registration has expired, and the domain is about to be released")
    left = None if found.expires is None else (found.expires - now) / _DAY
    if left is not None and left <= 0:
        raise CheckFault("expect.expired", f"the registration ended {counted(round(-left), 'day')} ago")
    if any(word in state for state in states for word in _HELD):
        raise CheckFault("expect.held", f"the domain is not published: {', '.join(found.statuses)[:200]}")
    if wishes.registrar and wishes.registrar.lower() not in found.registrar.lower():
        shown = found.registrar[:100] or "unknown"
        raise CheckFault("expect.registrar", f"`{wishes.registrar}` is not in the registrar's name, which is {shown}")
    missing = [name for name in wishes.nameservers if name.rstrip(".").lower() not in found.nameservers]
    if missing:
        shown = ", ".join(found.nameservers[:6]) or "none"
        raise CheckFault(
            "expect.nameservers", f"{', '.join(missing)} is not among the registered name servers ({shown})"
        )
    if left is None:
        reason = f"the {found.source.upper()} server {found.server[:100]} does not say when the domain expires"
        raise CheckFault("expect.no_date", reason, verdict="unknown")
    if left < wishes.days:
        limit = wishes.down_days if left < wishes.down_days else wishes.days
        raise CheckFault(
            "expect.days",
            f"the registration ends in {left:.1f} days, under {limit:g}; renew it",
            verdict="down" if left < wishes.down_days else "degraded",
        )


def instant(text: str) -> float | None:
    """Epoch seconds of a date as registries write it; without a zone it is UTC. None if it is none of the forms."""
    written = _FRACTION.sub(r"\1", " ".join(text.split()))[:60]
    bare = _ZONE.sub("", written).rstrip(",").replace(",", "")
    for candidate in (written, bare, bare.partition(" ")[0]):
        for form in _FORMS:
            zone = "" if form.endswith("%z") else "+0000"
            try:
                moment = datetime.strptime(candidate + zone, form + ("%z" if zone else "")).astimezone(UTC)
            except (ValueError, OverflowError):
                continue
            return moment.timestamp()
    return None
