"""kill -9 at random moments, while targets flip and the channel fails: nothing is lost, repeats carry the same key.

`make chaos` sets CHAOS_ROUNDS for a longer run.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from tests.rigs.receivers import Receiver, Reply, Request, receiver

KILLS = max(4, int(os.environ.get("CHAOS_ROUNDS", "4")) // 5)

# One life of the program: a lane delivers while monitors flip; each transition is told on stdout after its commit.
LIFE = """
import asyncio, contextlib, itertools, json, sys
from pathlib import Path
from mainstay.frames.boot import load_settings, migrate, start_django

settings = load_settings(data=sys.argv[1])
start_django(settings, light=True)
from mainstay.alerting.models import AlertRow, OutboxRow
from mainstay.kernel.actor import system
from mainstay.kernel.clock import SystemClock
from tests.rigs.told import Told
from mainstay.alerting.delivery_lane import DeliveryLane
from mainstay.store.seals.proving import verify
from mainstay.store.work import unit_of_work
from mainstay.store.writer import Writer

mode, hook = sys.argv[2], sys.argv[3]

def prepare():
    from mainstay.store.resources.apply import declare
    migrate()
    declare(system("test"), "channel", "hook", {"webhook": {"url": hook}}, manager="api")

def flip(number):
    kind = "monitor.went_down" if number % 2 == 0 else "monitor.went_up"
    name = f"m{number // 2 % 7}"
    with unit_of_work(system("watch")) as work:
        seq = work.record(Told(kind, f"monitor/{name}", {"since": work.now, "labels": {"monitor": name}}))
    print(json.dumps([seq, kind, name]), flush=True)

def waiting():
    sending = OutboxRow.objects.filter(state__in=("pending", "delivering"))
    return sending.exists() or AlertRow.objects.filter(next_at__isnull=False).exists()

def summary():
    rows = [[row.id, row.alert_id, row.kind, row.state] for row in OutboxRow.objects.all()]
    alerts = [[row.id, row.name, row.status] for row in AlertRow.objects.all()]
    broken = verify().broken_at
    print(json.dumps({"rows": rows, "alerts": alerts, "broken": broken}), flush=True)

async def live():
    writer = Writer()
    lane = DeliveryLane(settings, writer, SystemClock())
    task = asyncio.create_task(lane.run())
    if mode == "flip":
        for number in itertools.count():
            await writer.run(lambda: flip(number))
            await asyncio.sleep(0.01)
    while await writer.run(waiting):
        await asyncio.sleep(0.05)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await lane.stop()
    await writer.run(summary)
    writer.stop()

if mode == "prepare":
    prepare()
else:
    asyncio.run(live())
"""


def _life(folder: Path, mode: str, url: str) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAINSTAY_")}
    command = [sys.executable, "-c", LIFE, str(folder), mode, url]
    log = (folder.parent / "stderr.log").open("a")
    with log:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)


def _killed_life(folder: Path, url: str, chance: random.Random) -> list[Any]:
    """Let it live until it works, and a while longer; the transitions that it told of."""
    child = _life(folder, "flip", url)
    assert child.stdout is not None
    told = []
    try:
        line = child.stdout.readline()
        assert line, (folder.parent / "stderr.log").read_text()[-3000:]
        told.append(json.loads(line))
        time.sleep(chance.uniform(0.1, 1.2))  # the random moment of the kill, nothing is waited for
    finally:
        child.kill()
        rest, _ = child.communicate()
    # The last line may have been cut by the kill.
    return told + [json.loads(line) for line in rest.splitlines(keepends=True) if line.endswith("]\n")]


def _answers(hook: Receiver, chance: random.Random) -> None:
    def answer(_request: Request) -> Reply:
        time.sleep(chance.uniform(0.0, 0.05))  # widens the gap between hand-over and record
        return Reply(503 if chance.random() < 0.2 else 200)

    hook.answer = answer


def test_kill_9_loses_nothing(tmp_path: Path) -> None:
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    chance, folder = random.Random(seed), tmp_path / "data"
    with receiver() as hook:
        _answers(hook, chance)
        first = _life(folder, "prepare", hook.url)
        first.communicate(timeout=60)
        assert first.returncode == 0, (tmp_path / "stderr.log").read_text()[-3000:]
        told: list[Any] = []
        for _ in range(KILLS):
            told += _killed_life(folder, hook.url, chance)
        hook.answer = lambda _: Reply(200)
        last = _life(folder, "drain", hook.url)
        output, _ = last.communicate(timeout=90)
        assert last.returncode == 0, (tmp_path / "stderr.log").read_text()[-3000:]
        found = json.loads(output.splitlines()[-1])
        requests = list(hook.requests)
    _check(found, told, requests)


def _check(found: dict[str, Any], told: list[Any], requests: list[Request]) -> None:
    assert found["broken"] is None, "the journal is whole"
    assert len(found["alerts"]) >= KILLS
    assert {state for *_, state in found["rows"]} == {"delivered"}

    falls: dict[str, int] = defaultdict(int)
    for _, kind, name in told:
        falls[name] += kind == "monitor.went_down"
    alerts: dict[str, int] = defaultdict(int)
    for _, name, _ in found["alerts"]:
        alerts[name] += 1
    # A fall of a monitor that was left down by a kill joins the open alert.
    assert all(alerts[name] >= count - KILLS for name, count in falls.items())

    by_alert: dict[str, dict[str, str]] = defaultdict(dict)
    for key, alert, kind, _ in found["rows"]:
        assert kind not in by_alert[alert], "one message of each kind"
        by_alert[alert][kind] = key
    arrived: dict[str, list[Request]] = defaultdict(list)
    for request in requests:
        arrived[request.headers["idempotency-key"]].append(request)
    assert set(arrived) == {key for key, *_ in found["rows"]}, "each message arrived, and nothing else did"
    assert all(len({request.body for request in same}) == 1 for same in arrived.values()), "repeats are equal"
    for alert, _, status in found["alerts"]:
        assert set(by_alert[alert]) == ({"firing", "resolved"} if status == "resolved" else {"firing"})
        if status == "resolved":
            assert arrived[by_alert[alert]["firing"]][0].at <= arrived[by_alert[alert]["resolved"]][0].at
    repeats = sum(len(same) - 1 for same in arrived.values())
    print(f"{len(found['alerts'])} alerts, {len(arrived)} messages, {repeats} repeated, {KILLS} kills")
