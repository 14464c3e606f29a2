"""The check `host` on the machine that the tests run on, and its judgement of machines that are in trouble."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.rigs.check_servers import order_for, run_check

from mainstay.integrations.addresses import Guard
from mainstay.integrations.checks.host import readings as reading
from mainstay.integrations.checks.host import run as host
from mainstay.integrations.checks.host.readings import Readings, Space, processor_shares
from mainstay.integrations.checks.host.spec import KIND
from mainstay.watch.prober.context import Context
from mainstay.watch.prober.dispatch import prepare

CALM: dict[str, Any] = {"memory": {"warn": None}, "disk": {"warn": None, "critical": None}}


def judged(expect: dict[str, Any] | None = None, **found: Any) -> tuple[str, str, str]:
    result = host.judge(host.prepare(order_for("host", {}, expect)), Readings(**found))
    return result.verdict, result.code, result.message


def test_this_machine_is_read() -> None:
    result = run_check("host", {}, CALM)
    assert (result.verdict, result.code) == ("up", ""), result.message
    shown = result.evidence
    assert 0 <= shown["cpu_percent"] <= 100
    assert 0 < shown["memory_percent"] < 100
    assert shown["processors"] == os.cpu_count()
    assert len(shown["load"]) == 3
    assert 0 <= shown["disks"]["/"]["percent"] <= 100
    assert shown["disks"]["/"]["total"].endswith("iB")


def test_the_shorthand_says_that_it_is_this_machine() -> None:
    assert run_check("host", "local", CALM).verdict == "up"
    with pytest.raises(ValidationError):
        KIND.target.model_validate({"machine": "other.example.com"})


def test_limits_on_the_real_numbers() -> None:
    result = run_check("host", {}, CALM | {"memory": {"warn": 0, "critical": 100}, "load": {"critical": 0}})
    assert (result.verdict, result.code) == ("down", "expect.load"), result.message
    assert any("memory is" in also for also in result.evidence["also"])


def test_processes_are_counted_by_program_and_by_script(tmp_path: Path) -> None:
    script = tmp_path / "nightly-worker"
    script.write_text("import sys; print('ready', flush=True); sys.stdin.read()")
    with subprocess.Popen([sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        up = run_check("host", {}, CALM | {"processes": {"nightly-worker": 1}})
        many = run_check("host", {}, CALM | {"processes": {"nightly-worker": {"min": 0, "max": 0}}})
        process.communicate()
    gone = run_check("host", {}, CALM | {"processes": {"nightly-worker": 1}})
    assert (up.verdict, up.evidence["processes"]) == ("up", {"nightly-worker": 1})
    assert (many.verdict, many.code) == ("degraded", "expect.process")
    assert (gone.verdict, gone.message) == ("down", "no process runs as nightly-worker, at least 1 must")


def test_a_disk_that_is_not_there_is_down() -> None:
    result = run_check("host", {"disks": ["/", "/nowhere/at/all"]}, CALM)
    assert (result.verdict, result.code) == ("down", "expect.disk_missing")
    assert "/nowhere/at/all: No such file" in result.message


def test_a_disk_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def hang(path: str) -> Space:
        released.wait(30)
        return Space(path, 1.0, 1, 1, None)

    monkeypatch.setattr(reading, "_space", hang)
    context = Context()
    try:
        result = run_check("host", {"disks": ["/mnt/far"]}, CALM, limit=0.2, context=context)
    finally:
        released.set()
        context.close()
    assert (result.verdict, result.code) == ("down", "wait.disk")
    assert result.message == "the disk /mnt/far did not answer within 200 ms"


@pytest.mark.parametrize(
    ("expect", "found", "verdict", "code", "says"),
    [
        ({}, {"memory": 79.9}, "up", "", ""),
        ({}, {"memory": 80.0, "memory_available": 3 * 1024**3}, "degraded", "expect.memory", "3 GiB are available"),
        ({}, {"memory": 99.9}, "degraded", "expect.memory", "warning from 80"),
        ({"memory": {"warn": 50, "critical": 95}}, {"memory": 96.0}, "down", "expect.memory", "critical from 95"),
        ({}, {"disks": [Space("/", 80.0, 5 << 30, 9 << 30, 1.0)]}, "degraded", "expect.disk", "80 % full, 5 GiB"),
        ({}, {"disks": [Space("/", 10.0, 5, 9, 90.0)]}, "down", "expect.inodes", "90 % of its inodes"),
        ({"disks": {"/b": {"warn": 96, "critical": 99}}}, {"disks": [Space("/b", 95, 1, 9, None)]}, "up", "", ""),
        ({"cpu": {"warn": 90}}, {"cpu": 91.5}, "degraded", "expect.cpu", "91.5 % busy"),
        ({"swap": {"warn": 10}}, {"swap": None}, "up", "", ""),
        ({"swap": {"critical": 10}}, {"swap": 11.0}, "down", "expect.swap", "swap is 11 %"),
        (
            {"load": {"warn": 2}},
            {"load": (0, 9.0, 0), "processors": 4},
            "degraded",
            "expect.load",
            "2.25 for each of 4",
        ),
        (
            {"temperature": {"critical": 90}},
            {"temperature": 95.0, "sensor": "core"},
            "down",
            "expect.temperature",
            "95",
        ),
        ({"temperature": {"critical": 90}}, {}, "unknown", "check.no_sensor", "no temperature sensor"),
        (
            {"cpu": {"warn": 1}},
            {"cpu": 50.0, "disks": [Space("/", 95.0, 1, 9, None)]},
            "down",
            "expect.disk",
            "/ is 95 % full",
        ),
    ],
)
def test_what_readings_mean(expect: dict[str, Any], found: Any, verdict: str, code: str, says: str) -> None:
    got = judged(expect, **found)
    assert got[:2] == (verdict, code)
    assert says in got[2]


def test_processor_time_is_that_between_two_readings() -> None:
    assert processor_shares((100, 50, 10, 0), (200, 100, 20, 5)) == (40.0, 10.0, 5.0)
    assert processor_shares((100, 50, 10, 0), (100, 50, 10, 0)) == (0.0, 0.0, 0.0)


def test_later_checks_compare_with_the_one_before() -> None:
    prepared = prepare(order_for("host", {}, CALM))

    async def twice() -> list[str]:
        context = Context()
        return [(await prepared.run(context)).verdict for _ in range(2)]

    assert asyncio.run(twice()) == ["up", "up"]


def test_a_shared_install_shows_nothing_of_its_machine() -> None:
    result = run_check("host", {}, context=Context(Guard.from_settings("")))
    assert (result.verdict, result.code, result.evidence) == ("unknown", "check.address_refused", {})


@pytest.mark.parametrize(
    ("expect", "says"),
    [
        ({"disk": {"warn": 95}}, "is above critical"),
        ({"cpu": {"warn": 101}}, "less than or equal to 100"),
        ({"processes": {"nginx": {"min": 3, "max": 1}}}, "max is below min"),
        ({"memry": {}}, "Extra inputs"),
    ],
)
def test_wrong_limits_are_refused(expect: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        KIND.expect.model_validate(expect)
    with pytest.raises(ValidationError, match="mount point"):
        KIND.target.model_validate({"disks": ["data"]})
