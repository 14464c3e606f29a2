"""What happened to the tea shop in the 90 days before today. Made up; the same again for the same seed and day."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime

DAY = 86_400
DAYS = 90
SEED = 1773  # of a tea party


@dataclass(frozen=True, slots=True)
class Spell:
    """A time in which something was not as usual. Times are epoch seconds."""

    subject: str  # monitor/shop-api
    state: str  # down degraded maintenance
    began: float
    ended: float
    code: str = ""
    message: str = ""

    @property
    def name(self) -> str:
        return self.subject.partition("/")[2]

    def overlap(self, since: float, until: float) -> float:
        """Seconds of it that lie in [since, until)."""
        return max(0.0, min(self.ended, until) - max(self.began, since))


# Days ago, hour of that day, minutes that it lasted, and what was seen.
_TOLD = [
    (83, 9.4, 26, "monitor/shop-api", "down", "expect.status", "the status is 502, not 200"),
    (83, 9.41, 25, "monitor/checkout", "down", "expect.status", "the status is 502, not 201"),
    (71, 14.2, 95, "monitor/model-provider", "down", "expect.status", "the status is 529, not 200-299"),
    (64, 17.1, 210, "monitor/shop-search", "degraded", "expect.latency", "it took 1.24 s, more than 700 ms"),
    (
        52,
        2.6,
        12,
        "monitor/shop-database",
        "down",
        "connect.refused",
        "it refuses connections: nothing listens there",
    ),
    (38, 6.3, 140, "monitor/uploads-disk", "down", "expect.json", "$.used_percent is 93, expected < 90"),
    (30, 11.0, 44, "monitor/shop-api", "degraded", "expect.latency", "it took 910 ms, more than 700 ms"),
    (21, 20.5, 65, "heartbeat/stock-sync", "down", "exit_1", "the run exited with 1"),
    (16, 18.9, 8, "monitor/checkout", "down", "expect.status", "the status is 500, not 201"),
    (9, 15.6, 33, "monitor/model-provider", "down", "expect.status", "the status is 529, not 200-299"),
    (4, 17.4, 75, "monitor/shop-search", "degraded", "expect.latency", "it took 1.08 s, more than 700 ms"),
    (2, 10.2, 3, "monitor/shop-site", "down", "wait.timeout", "no answer within 5 s"),
]
_UPDATED = ("shop-database", "order-queue")  # by the window of mainstay.yaml
_USUAL = {  # seconds that a check takes
    "shop-site": 0.024, "shop-api": 0.015, "shop-search": 0.018, "checkout": 0.023, "shop-database": 0.007,
    "order-queue": 0.006, "uploads-disk": 0.004, "model-provider": 0.255, "mail-server": 0.004,
}  # fmt: skip


def spells(now: float) -> list[Spell]:
    """All of them, in the order in which they began; updates of the database on Sundays are among them."""
    midnight = now // DAY * DAY
    found = []
    for ago, hour, minutes, subject, state, code, message in _TOLD:
        began = midnight - ago * DAY + hour * 3600
        found.append(Spell(subject, state, began, began + minutes * 60, code, message))
    for ago in range(1, DAYS):
        began = midnight - ago * DAY + 3 * 3600
        if datetime.fromtimestamp(began, UTC).weekday() == 6:
            found += [Spell(f"monitor/{name}", "maintenance", began, began + 45 * 60) for name in _UPDATED]
    return sorted(found, key=lambda spell: spell.began)


def usual(name: str, at: float, chance: random.Random) -> float:
    """Seconds that a good check took then: slower by day, and now and then a slow one."""
    hour = at % DAY / 3600
    busy = 1 + 0.35 * max(0.0, 1 - abs(hour - 16) / 7)
    slow = 3.0 if chance.random() < 0.01 else 1.0
    return _USUAL.get(name, 0.01) * busy * slow * chance.uniform(0.85, 1.2)
