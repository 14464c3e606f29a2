"""Runs in an environment of its own, with `healthchecks_io` unmodified: every call that it has, told as JSON lines.

healthchecks_program.py SERVER API-VERSION API-KEY READ-ONLY-KEY PING-KEY
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

import healthchecks_io as hc

server, version, key, read_only, ping_key = sys.argv[1:]
addresses = {"api_url": f"{server}/api/", "ping_url": f"{server}/ping/", "api_version": int(version)}


def tell(name: str, found: Any) -> None:
    if isinstance(found, list):
        found = [one.model_dump(mode="json") for one in found]
    elif hasattr(found, "model_dump"):
        found = found.model_dump(mode="json")
    sys.stdout.write(json.dumps([name, found]) + "\n")


def refused(name: str, call: Callable[[], Any]) -> None:
    try:
        call()
    except hc.HCAPIError as error:
        tell(name, type(error).__name__)
    else:
        tell(name, "nothing was refused")


def manage(client: hc.Client) -> hc.Check:
    made = client.create_check(
        hc.CheckCreate(
            name=f"Nightly v{version}", tags=f"prod v{version}", desc="what it does", grace=600, unique=["name"]
        )
    )
    tell("create", made)
    tell("upsert", client.create_check(hc.CheckCreate(name=f"Nightly v{version}", timeout=7200, unique=["name"])))
    tell("cron", client.create_check(hc.CheckCreate(name=f"Cron v{version}", schedule="5 4 * * 1", tz="Europe/Riga")))
    tell("update", client.update_check(made.uuid, hc.CheckUpdate(tags=f"www v{version}", grace=120, methods="POST")))
    tell("list", client.get_checks())
    tell("list by tags", client.get_checks(tags=["www", f"v{version}"]))
    tell("list by no tag", client.get_checks(tags=["nobody-has-this"]))
    tell("get", client.get_check(made.uuid))
    return made


def report(client: hc.Client, made: hc.Check) -> None:
    named = {"slug": made.slug} if made.slug else {"uuid": made.uuid}  # version 3 makes no slug from the name
    tell("start", client.start_ping(uuid=made.uuid, data="off it goes"))
    tell("success", client.success_ping(uuid=made.uuid, data="7 rows"))
    tell("exit code", client.exit_code_ping(3, uuid=made.uuid))
    tell("fail", client.fail_ping(uuid=made.uuid, data="broke"))
    tell("success by slug", client.success_ping(**named))
    with hc.CheckTrap(client, uuid=made.uuid) as trap:
        trap.add_log("a line")
    with hc.CheckTrap(client, **named, suppress_exceptions=True) as trap:
        raise RuntimeError("the job broke")


def look_back(client: hc.Client, made: hc.Check) -> None:
    tell("pings", client.get_check_pings(made.uuid))
    tell("flips", client.get_check_flips(made.uuid))
    tell("flips of an hour", client.get_check_flips(made.uuid, seconds=3600))
    tell("flips of another time", client.get_check_flips(made.uuid, start=1_000_000_000, end=1_000_000_100))
    tell("integrations", client.get_integrations())
    tell("badges", {tag: badges.model_dump(mode="json") for tag, badges in client.get_badges().items()})
    tell("pause", client.pause_check(made.uuid))


def be_refused(client: hc.Client, made: hc.Check) -> None:
    nobody = "8f1f7f0e-9c3b-4e0e-a7f5-0d2b6a3a1c11"
    refused("unknown check", lambda: client.get_check(nobody))
    refused("unknown ping", lambda: client.success_ping(uuid=nobody))
    refused("unknown slug", lambda: client.success_ping(slug="nobody-has-this"))
    refused("flips of what is no time", lambda: client.get_check_flips(made.uuid, seconds=10**12))
    refused("too short", lambda: client.create_check(hc.CheckCreate(name="x", timeout=1)))
    with hc.Client(api_key="wrong", **addresses) as other:
        refused("wrong key", other.get_checks)
    with hc.Client(api_key=read_only, **addresses) as reader:
        unique = reader.get_checks()[0].unique_key
        tell("read only", reader.get_check(unique))
        refused("read only may not write", lambda: reader.pause_check(made.uuid))


async def all_at_once() -> None:
    async with hc.AsyncClient(api_key=key, ping_key=ping_key, **addresses) as client:
        made = await client.create_check(hc.CheckCreate(name=f"Async v{version}", tags="async"))
        async with hc.CheckTrap(client, uuid=made.uuid):
            pass
        await client.start_ping(uuid=made.uuid)
        found = await asyncio.gather(
            client.get_check(made.uuid), client.get_check_pings(made.uuid), client.get_check_flips(made.uuid),
            client.get_integrations(), client.get_badges(), client.get_checks(tags=["async"]),
        )  # fmt: skip
        tell("async", [found[0], *found[1]])
        tell("async update", await client.update_check(made.uuid, hc.CheckUpdate(desc="later")))
        await client.pause_check(made.uuid)
        tell("async delete", await client.delete_check(made.uuid))


with hc.Client(api_key=key, ping_key=ping_key, **addresses) as client:
    check = manage(client)
    report_on = client.update_check(check.uuid, hc.CheckUpdate(methods=""))
    report(client, report_on)
    look_back(client, report_on)
    be_refused(client, check)
    tell("delete", client.delete_check(check.uuid))
    refused("deleted", lambda: client.get_check(check.uuid))
asyncio.run(all_at_once())
