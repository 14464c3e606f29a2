"""Bounds on how often strangers may ask, alone and at a server's door."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from django.conf import settings

from mainstay.frames.limits import BURST, Limits, Rates
from mainstay.runtime.server import Server

UUID = "7b6a1c1e-0d3f-4c7f-9a53-1c2d3e4f5a6b"
KEY = "k" * 22


def scope(path: str = "/status/x/", client: str = "192.0.2.1", **headers: str) -> dict[str, Any]:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "path": path, "method": "GET", "client": (client, 1), "headers": raw, "query_string": b""}


def limits(per_address: int = 10, per_key: int = 2, proxies: str = "") -> Limits:
    given = replace(
        settings.MAINSTAY, requests_per_address=per_address, reports_per_key=per_key, trusted_proxies=proxies
    )
    return Limits(given)


def allowed(found: Limits, wanted: dict[str, Any], at: float, tries: int = 1000) -> int:
    return sum(found.wait(wanted, at) == 0 for _ in range(tries))


def test_a_burst_and_then_the_rate() -> None:
    rates = Rates(lambda: 10)
    assert sum(rates.take("a", 100.0) == 0 for _ in range(500)) == 10 * BURST
    wait = rates.take("a", 100.0)
    assert wait == pytest.approx(0.1)
    assert rates.take("a", 100.0 + wait) == 0
    assert rates.take("a", 100.0 + wait) > 0
    assert rates.take("b", 100.0) == 0, "others do not pay for it"
    assert sum(rates.take("a", 200.0) == 0 for _ in range(500)) == 10 * BURST, "silence earns a burst"


def test_zero_is_no_limit() -> None:
    assert allowed(limits(0, 0), scope(f"/ping/{UUID}"), 5.0) == 1000


def test_the_table_is_bounded_and_keeps_who_is_busy() -> None:
    rates = Rates(lambda: 1, kept=100)
    for number in range(10_000):
        rates.take(f"k{number}", 50.0)
        assert (rates.take("busy", 50.0) == 0) == (number < BURST)
    assert len(rates) == 100
    assert rates.take("busy", 50.0) > 0


def test_addresses_are_counted_by_client_and_ipv6_by_network() -> None:
    found = limits()
    assert allowed(found, scope(), 5.0) == 100
    assert allowed(found, scope(client="192.0.2.2"), 5.0) == 100
    assert allowed(found, scope(client="2001:db8::1"), 5.0) == 100
    assert allowed(found, scope(client="2001:db8::ffff:2"), 5.0) == 0
    assert allowed(found, scope(client="2001:db8:0:1::1"), 5.0) == 100


@pytest.mark.parametrize("client", ["127.0.0.1", "127.8.0.1", "::1"])
def test_this_machine_itself_is_bounded_by_keys_only(client: str) -> None:
    found = limits()
    assert allowed(found, scope(client=client), 5.0) == 1000
    assert allowed(found, scope(f"/ping/{UUID}", client), 5.0) == 20


@pytest.mark.parametrize(
    ("one", "same", "other"),
    [
        (f"/ping/{UUID}", f"/ping/{UUID}/fail", f"/ping/{UUID[:-1]}0"),
        (f"/ping/{KEY}/backup", f"/ping/{KEY}/backup/3", f"/ping/{KEY}/other"),
        ("/api/push/abc", "/api/push/abc", "/api/push/abd"),
        ("/api/v1/endpoints/core_a/external", "/api/v1/endpoints/core_a/external", "/api/v1/endpoints/core_b/external"),
    ],
)
def test_reports_are_counted_by_what_they_report_to(one: str, same: str, other: str) -> None:
    found = limits(per_address=0)
    assert allowed(found, scope(one), 5.0) == 20
    assert allowed(found, scope(same, "192.0.2.9"), 5.0) == 0
    assert allowed(found, scope(other), 5.0) == 20


def test_the_word_of_a_declared_proxy_counts_and_nobody_elses() -> None:
    found = limits(proxies="10.0.0.0/8")
    assert allowed(found, scope(client="10.0.0.1", x_forwarded_for="198.51.100.1"), 5.0) == 100
    assert allowed(found, scope(client="10.0.0.1", x_forwarded_for="198.51.100.2"), 5.0) == 100
    stranger = limits(proxies="10.0.0.0/8")
    assert sum(allowed(stranger, scope(x_forwarded_for=f"198.51.100.{n}"), 5.0, 100) for n in range(5)) == 100


def test_the_server_answers_429_with_a_time_and_its_headers() -> None:
    asked = []

    async def door(_scope: Any, _receive: Any, send: Any) -> None:
        asked.append(1)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    server = Server({"/ping/": door}, door, https=True, limits=limits(1, 1))
    answers: list[dict[str, Any]] = []

    async def ask() -> None:
        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                answers.append(message)

        for _ in range(12):
            await server(scope(f"/ping/{UUID}"), None, send)  # type: ignore[arg-type]

    asyncio.run(ask())
    assert len(asked) == 10
    headers = dict(answers[-1]["headers"])
    assert answers[-1]["status"] == 429
    assert int(headers[b"retry-after"]) >= 1
    assert b"strict-transport-security" in headers
