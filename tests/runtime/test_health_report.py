"""What makes the whole server unhealthy, and what is only told."""

from __future__ import annotations

import asyncio

from mainstay.frames.health import Health


async def well() -> str:
    return "ok"


async def ill() -> str:
    return "nothing is heard of it"


def report(health: Health) -> tuple[str, dict[str, str]]:
    found = asyncio.run(health.report())
    return found["status"], found["services"]


def test_a_vital_part_makes_the_server_unhealthy() -> None:
    health = Health()
    health.register("database", ill)
    health.register("writer", well)
    assert report(health) == ("unhealthy", {"database": "nothing is heard of it", "writer": "ok"})


def test_another_part_is_told_and_the_server_stays_in_service() -> None:
    health = Health()
    health.register("database", well)
    health.register("locations", ill, vital=False)
    assert report(health) == ("healthy", {"database": "ok", "locations": "nothing is heard of it"})
