"""A small company with three months of history, for tests of pages, screenshots and benchmarks.

Everything goes through the same verbs as in life, except results and pings: those are written as they would
lie in their stores after three months.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

from tests.rigs.told import Told

from mainstay.kernel.actor import system
from mainstay.kernel.event import Event
from mainstay.kernel.resource import Resource
from mainstay.store.resources.apply import declare, declare_all
from mainstay.store.resources.queries import resources
from mainstay.store.work import unit_of_work
from mainstay.watch.results.history import HISTORY
from mainstay.watch.results.results import Results
from mainstay.watch.results.values import Sample

DAY = 86_400
SEED = system("seed")

MONITORS: dict[str, dict[str, Any]] = {
    "api": {"http": "https://api.acme.example/health", "severity": "P0", "labels": {"service": "api"}, "every": "30s"},
    "api-search": {"http": "https://api.acme.example/search?q=ok", "severity": "P1", "labels": {"service": "api"}},
    "api-docs": {"http": "https://docs.acme.example/", "severity": "P3", "labels": {"service": "api"}},
    "website": {"http": "https://www.acme.example/", "severity": "P1", "labels": {"service": "website"}},
    "website-certificate": {"tls": "www.acme.example:443", "severity": "P2", "labels": {"service": "website"}},
    "checkout": {"http": "https://shop.acme.example/checkout", "severity": "P0", "labels": {"service": "shop"}},
    "shop": {"http": "https://shop.acme.example/", "severity": "P1", "labels": {"service": "shop"}},
    "database": {"tcp": "db.acme.example:5432", "severity": "P0", "labels": {"service": "platform"}},
    "cache": {"tcp": "cache.acme.example:6379", "severity": "P1", "labels": {"service": "platform"}},
    "resolver": {"dns": "acme.example", "severity": "P2", "labels": {"service": "platform"}},
    "gateway": {"icmp": "gw.acme.example", "severity": "P1", "labels": {"service": "platform"}},
    "staging": {"http": "https://staging.acme.example/", "severity": "P3", "labels": {"service": "platform"}},
}
OTHERS: list[tuple[str, str, Any]] = [
    ("heartbeat", "nightly-backup", {"cron": "0 2 * * *", "grace": "30m", "severity": "P1", "tags": ["backup"]}),
    ("heartbeat", "invoice-mailer", {"every": "1h", "grace": "10m"}),
    ("heartbeat", "report-builder", {"cron": "15 6 * * 1-5", "timezone": "Europe/Berlin", "grace": "1h"}),
    ("channel", "team-chat", {"webhook": {"url": "https://hooks.acme.example/chat"}, "description": "Team chat"}),
    ("channel", "pager", {"webhook": {"url": "https://hooks.acme.example/pager"}, "description": "Who is on call"}),
    ("route", "urgent", {"match": ['severity=~"P0|P1"'], "to": ["pager", "team-chat"]}),
    ("route", "rest", {"to": ["team-chat"]}),
    (
        "window",
        "monthly-updates",
        {"rule": "first tuesday 02:00-04:00", "covers": ['service="platform"'], "description": "Monthly updates"},
    ),
    (
        "status_page",
        "acme",
        {
            "title": "Acme",
            "description": "How our services are doing.",
            "support": "help@acme.example",
            "components": [
                {"name": "Website", "monitors": ["website", "website-certificate"], "group": "For everyone"},
                {"name": "Shop", "monitors": ["shop", "checkout"], "group": "For everyone"},
                {"name": "API", "monitors": ["api", "api-search"], "group": "For developers"},
                {"name": "Documentation", "monitors": ["api-docs"], "group": "For developers"},
            ],
        },
    ),
]


def declare_company(now: float) -> dict[str, Resource]:
    """Declare everything in one revision; resources by name."""
    wanted = [("monitor", name, document) for name, document in MONITORS.items()]
    source = "/etc/mainstay/acme.yaml"
    declare_all(SEED, [*wanted, *(one for one in OTHERS if one[0] != "route")], manager="file", source=source)
    for kind, name, document in OTHERS:
        if kind == "route":  # one after the other: their order matters
            declare(SEED, kind, name, document, manager="file", source=source)
    return {resource.name: resource for resource in resources()}


def declare_many(count: int, groups: int = 40) -> list[Resource]:
    """`count` HTTP monitors in `groups` services."""
    wanted = [
        (
            "monitor",
            f"service-{number % groups:03d}-node-{number:05d}",
            {
                "http": f"https://n{number}.fleet.example/health",
                "labels": {"service": f"service-{number % groups:03d}"},
                "tags": ["fleet", f"zone-{number % 3}"],
            },
        )
        for number in range(count)
    ]
    declare_all(SEED, wanted, manager="file", source="/etc/mainstay/fleet.yaml")
    return resources("monitor")


def day_rows(uid: str, days: int, now: float, *, chance: random.Random, trouble: float = 0.02) -> list[list[Any]]:
    """Rows of the day table of the `days` days before today, a few of them with trouble."""
    midnight = int(now) // DAY * DAY
    base = 0.04 + chance.random() * 0.2
    rows = []
    for back in range(days, 0, -1):
        down = degraded = 0.0
        if chance.random() < trouble:
            down = round(60 * math.exp(chance.random() * 4.5))
        elif chance.random() < trouble * 1.5:
            degraded = 900 + chance.random() * 9000
        mean = base * (0.9 + 0.2 * chance.random())
        checks, failures = 1440, int(down / 60)
        states = [DAY - down - degraded, degraded, down, 0.0, 0.0, 0.0]
        phases = [mean * share for share in (0.05, 0.12, 0.25, 0.5, 0.08)]
        at = (midnight - back * DAY) * 1_000_000
        rows.append([uid, at, checks, failures, *states, mean, mean * 0.95, mean * 1.8, mean * 3, *phases])
    return rows


def samples_of(uid: str, now: float, *, count: int, step: float, chance: random.Random, code: str = "") -> list[Sample]:
    """Results every `step` seconds until now; with a `code` the last minutes are failures."""
    base = 0.05 + chance.random() * 0.12
    found = []
    for number in range(count, 0, -1):
        at = now - number * step + chance.random()
        failing = bool(code) and number * step < 900
        wave = 1 + 0.35 * math.sin(at / 9000) + chance.random() * 0.4
        total = base * wave * (4 if chance.random() < 0.01 else 1)
        phases = {
            "lookup": total * 0.06,
            "connect": total * 0.14,
            "tls": total * 0.26,
            "wait": total * 0.46,
            "transfer": total * 0.08,
        }
        evidence: dict[str, Any] = {"status": 503 if failing else 200, "address": "203.0.113.10", "protocol": "HTTP/2"}
        found.append(
            Sample(
                uid=uid,
                at=at,
                verdict="down" if failing else "up",
                duration=total,
                charge="down" if failing else "up",
                charged=step,
                phases=phases,
                code=code if failing else "",
                message="the status is 503, expected 200-299" if failing else "",
                evidence=evidence,
            )
        )
    return found


def fill_history(telemetry: Results, uids: Sequence[str], now: float, days: int = 90) -> None:
    """Day roll-ups of `days` days for all of these."""
    chance = random.Random(7)
    rows = [row for uid in uids for row in day_rows(uid, days, now, chance=chance)]
    telemetry.import_days(rows)


def record(events: Sequence[Event]) -> None:
    with unit_of_work(SEED) as work:
        for event in events:
            work.record(event)


# What a result of each outage said: code, sentence, evidence.
OUTAGES: dict[str, tuple[str, str, str, float]] = {
    # name: state, code, message, minutes ago
    "checkout": ("down", "expect.status", "the status is 503, expected 200-299", 14),
    "api-search": ("degraded", "expect.latency", "it took 812 ms, more than 500 ms", 41),
    "staging": ("unknown", "lookup.servfail", "the name server of acme.example does not answer", 6),
}


def settle_company(telemetry: Results, now: float, *, hours: float = 24) -> None:
    """States, alerts, results and pings as they are on a day on which the checkout is broken."""
    from django.db import transaction

    with transaction.atomic():  # one wait for the disk instead of sixty
        _settle(telemetry, now, hours)
    telemetry.flush()
    telemetry.maintain(now)
    HISTORY.forget()


def _settle(telemetry: Results, now: float, hours: float) -> None:
    from mainstay.alerting.advancing import advance_due

    known = {resource.name: resource for resource in resources("monitor")}
    chance = random.Random(3)
    fill_history(telemetry, [resource.uid for resource in known.values()], now)
    for name, resource in known.items():
        state, code, message, minutes = OUTAGES.get(name, ("up", "", "", 0.0))
        since = now - minutes * 60 if minutes else now - chance.uniform(2, 40) * DAY
        step = 30.0 if name == "api" else 60.0
        failing = "expect.status" if state == "down" else ""
        samples = samples_of(resource.uid, now, count=int(hours * 3600 / step), step=step, chance=chance, code=failing)
        telemetry.append(samples)
        latest = samples[-1]
        set_state(resource.uid, state, since, now, code=code, message=message, duration=latest.duration)
        if state != "up":
            record([outage_event(resource, state, since, code, message)])
    pause(known["resolver"].uid, now)
    settle_heartbeats(now)
    advance_due(system("delivery"))
    settle_past(known, now)


def set_state(
    uid: str, state: str, since: float, now: float, *, code: str = "", message: str = "", duration: float = 0.08
) -> None:
    """The row of a monitor as the watch lane would have written it."""
    from mainstay.watch.models import MonitorStateRow
    from mainstay.watch.state import RANKS

    MonitorStateRow.objects.filter(uid=uid).update(
        state=state,
        rank=RANKS[state],  # type: ignore[index]
        since=since,
        reason="confirmed" if state in ("down", "degraded") else "recovered",
        code=code,
        message=message,
        last_at=now - 12,
        last_verdict=state if state in ("up", "degraded", "down") else "unknown",
        last_duration=duration,
        last_code=code,
        last_message=message,
    )


def pause(uid: str, now: float) -> None:
    from mainstay.watch.models import MonitorStateRow
    from mainstay.watch.state import RANKS

    MonitorStateRow.objects.filter(uid=uid).update(
        state="paused", rank=RANKS["paused"], since=now - 3 * DAY, paused_by="user:ops@acme.example"
    )


def outage_event(resource: Resource, state: str, since: float, code: str, message: str) -> Event:
    document = resource.document
    words = {"down": "is down", "degraded": "is degraded", "unknown": "cannot be checked"}
    data = {
        "title": f"{resource.name} {words.get(state, 'is up')}",
        "level": state,
        "alert_on": document.get("alert_on", ["down"]),
        "uid": resource.uid,
        "severity": document.get("severity", "P2"),
        "labels": {**document.get("labels", {}), "monitor": resource.name, "severity": document.get("severity", "P2")},
        "address": resource.spec.address,
        "previous": "up",
        "since": since,
        "reason": "confirmed",
        "code": code,
        "message": message,
        "evidence": {"status": 503, "address": "203.0.113.10", "phases": {"connect": 0.012, "tls": 0.03, "wait": 0.2}},
        "suppressed_by": "",
    }
    return Told(f"monitor.went_{state}", f"monitor/{resource.name}", data)


def settle_heartbeats(now: float) -> None:
    from mainstay.heartbeats.models import HeartbeatRow, PingRow

    ages = {"nightly-backup": 5.2 * 3600, "invoice-mailer": 1700.0, "report-builder": 20 * 3600.0}
    for resource in resources("heartbeat"):
        last = now - ages.get(resource.name, 600.0)
        late = resource.name == "invoice-mailer"
        due = now - 200 if late else now + 5 * 3600
        HeartbeatRow.objects.filter(uid=resource.uid).update(
            state="up",
            reason="reported_success",
            since=now - 12 * DAY,
            last_ping=last,
            last_kind="success",
            last_duration=94.0,
            due_at=due,
            next_at=due + 600,
            pings=240,
            failures=2,
        )
        for number in range(12):
            body = b"dumped 4 databases\nuploaded 1.2 GB\nverified 4 of 4\n" if number % 2 == 0 else None
            PingRow.objects.create(
                heartbeat=resource.uid,
                n=240 - number,
                at=last - (number // 2) * DAY - (94 if number % 2 else 0),
                kind="start" if number % 2 else "success",
                method="POST",
                scheme="https",
                remote="203.0.113.24",
                user_agent="curl/8.14.1",
                duration=None if number % 2 else 94.0,
                body=body,
                body_size=len(body) if body else 0,
            )


def settle_past(known: dict[str, Resource], now: float) -> None:
    """An outage of nine days ago that is over, so that lists of the past are not empty."""
    from mainstay.alerting.models import AlertRow, OutboxRow

    began = now - 9.3 * DAY
    resource = known["shop"]
    alert = AlertRow.objects.create(
        id="01past0000000000000000shop",
        subject="monitor/shop",
        uid=resource.uid,
        name="shop",
        severity="P1",
        level="down",
        labels={"service": "shop", "monitor": "shop", "severity": "P1"},
        status="resolved",
        title="shop is down",
        address="https://shop.acme.example/",
        reason="confirmed",
        code="connect.timeout",
        message="no connection to 203.0.113.10 port 443 within 10 s",
        opened_at=began + 6,
        since=began,
        resolved_at=began + 1140,
        resolved_reason="it works again",
        acknowledged_at=began + 130,
        acknowledged_by="user:ops@acme.example",
    )
    for number, (channel, kind, state) in enumerate(
        [("pager", "firing", "delivered"), ("team-chat", "firing", "delivered"), ("pager", "resolved", "delivered")]
    ):
        at = began + 7 + (1140 if kind == "resolved" else 0)
        OutboxRow.objects.create(
            id=f"01past00000000000000000{number:03d}",
            alert=alert,
            channel=channel,
            kind=kind,
            payload={"alert": {"title": "shop is down", "monitor": "shop"}},
            state=state,
            reason="route urgent",
            attempts=1,
            created_at=at,
            delivered_at=at + 0.4,
            expires_at=at + DAY,
        )
