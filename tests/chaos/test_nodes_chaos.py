"""Three servers on one PostgreSQL, of which some are always killed, stopped or cut off: nothing is lost or doubled.

Real processes, a database of their own, targets that flip, a channel that fails. CHAOS_SEED repeats a run's choices,
CHAOS_FAULTS says how many there are.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from networks import Unavailable, Wire
from node_rig import Link, Node, SharedRecords, WiredLink, postgres
from tests.rigs.changeable import Target, wait_for
from trouble import LONG, TroubledHook, seeded

FAULTS = int(os.environ.get("CHAOS_FAULTS", "500" if LONG else "6"))
NAMES = [f"m{number}" for number in range(24)]
PATIENCE = 120.0 if LONG else 60.0


@pytest.fixture
def target() -> Iterator[Target]:
    served = Target([f"/{name}" for name in NAMES])
    yield served
    served.close()


@pytest.fixture
def hook() -> Iterator[TroubledHook]:
    served = TroubledHook()
    yield served
    served.close()


@pytest.fixture
def database() -> Iterator[Path]:
    with postgres() as folder:
        yield folder


def _config(target: Target, hook: TroubledHook) -> str:
    monitors = "".join(
        f"  {name}: {{http: {target.url}/{name}, every: 1s, timeout: 2s, confirm: {{failures: 2, recheck: 100ms}}, "
        f"recover: {{successes: 1}}, flapping: {{falls: 100}}{_parents(name)}}}\n"
        for name in NAMES
    )
    return f"monitors:\n{monitors}channels:\n  hook: {{webhook: {{url: {hook.url}/x}}}}\n"


def _parents(name: str) -> str:
    """One family among them, which must stay on one server. Its parent never fails."""
    return ", parents: [m0]" if name in ("m1", "m2") else ""


class _Flips(threading.Thread):
    """Targets break and are mended. Longer outages than the servers may take to notice are written down."""

    def __init__(self, target: Target, chance: random.Random) -> None:
        super().__init__()
        self.target, self.chance, self.enough = target, chance, threading.Event()
        self.flips = 0

    def run(self) -> None:
        while not self.enough.wait(self.chance.uniform(0.1, 0.8)):
            self.target.healthy ^= {f"/{self.chance.choice(NAMES[1:])}"}
            self.flips += 1

    def stop(self) -> None:
        self.enough.set()
        self.join()


class _Fault:
    """What happens to one server until `ends`."""

    def __init__(self, node: Node, chance: random.Random) -> None:
        self.node, self.kind = node, chance.choice(["kill", "stop", "stop main", "cut", "leave"])
        self.ends = time.monotonic() + chance.choice([0.3, 1.0, 2.0, 3.0, 8.0]) * chance.uniform(0.7, 1.3)
        getattr(self, f"_{self.kind.replace(' ', '_')}")()

    def _kill(self) -> None:
        self.node.kill()

    def _leave(self) -> None:
        self.node.stop(30)

    def _stop(self) -> None:
        self.stopped = list(self.node.members())
        self._signal(signal.SIGSTOP)

    def _stop_main(self) -> None:
        self.stopped = [self.node.pid]
        self._signal(signal.SIGSTOP)

    def _cut(self) -> None:
        self.node.link.cut()

    def _signal(self, number: int) -> None:
        for pid in self.stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def end(self) -> None:
        if self.kind in ("kill", "leave"):
            wait_for(lambda: not self.node.members(), 15, "no process outlives the main one")
            self.node.launch()
        elif self.kind == "cut":
            self.node.link.mend()
        else:
            self._signal(signal.SIGCONT)


def _trouble(nodes: list[Node], chance: random.Random) -> None:
    """Faults, one after the other and two at a time; one server is always left alone."""
    running: list[_Fault] = []
    for _ in range(FAULTS):
        time.sleep(chance.uniform(0.1, 1.0))
        _revive([node for node in nodes if node not in [fault.node for fault in running]])
        while True:
            for fault in [one for one in running if time.monotonic() >= one.ends]:
                fault.end()
                running.remove(fault)
            free = [node for node in nodes if node not in [fault.node for fault in running]]
            if len(free) > 1:
                break
            time.sleep(0.05)
        node = chance.choice(free)
        if node.is_running:
            running.append(_Fault(node, chance))
    for fault in running:
        time.sleep(max(0.0, fault.ends - time.monotonic()))
        fault.end()


def _link(database: Path, number: int) -> Link:
    """Two of three through networks of their own where that may be: packets are lost, and old ones arrive late."""
    if number:
        with suppress(Unavailable):
            return WiredLink(database, Wire(number))
    return Link(database)


def _revive(nodes: list[Node]) -> None:
    """What a supervisor does: a server that was cut off while it started has ended by itself."""
    for node in nodes:
        if not node.is_running:
            node.launch()


def test_nothing_is_lost_whichever_server_dies_hangs_or_is_cut_off(
    target: Target, hook: TroubledHook, database: Path
) -> None:
    chance = seeded("nodes")
    hook.answers = lambda _body: chance.choices([204, 503, 0], [8, 1, 1])[0]
    hook.pause = lambda: chance.uniform(0.0, 0.2)
    keys, records = Path(tempfile.mkdtemp(prefix="mainstay-keys-")), SharedRecords(database)
    links = [_link(database, number) for number in range(3)]
    config = _config(target, hook)
    nodes = [Node(name, database, keys, config, link=link) for name, link in zip("abc", links, strict=True)]
    flips = _Flips(target, random.Random(chance.random()))
    try:
        for node in nodes:
            node.start()
        flips.start()
        try:
            _trouble(nodes, chance)
        finally:
            flips.stop()
        hook.answers, hook.pause = lambda _body: 204, lambda: 0.0
        _revive(nodes)
        for node in nodes:
            node.wait_healthy()
        truth = {name: "up" if f"/{name}" in target.healthy else "down" for name in NAMES}
        wait_for(lambda: records.shown(NAMES) == truth, PATIENCE, "the truth is on the board")
        wait_for(lambda: sorted(records.holders().values()) == [21, 21, 22], 30, "the work is shared")
        wait_for(lambda: records.undelivered() == 0, PATIENCE, "all is delivered")
        nodes[0].command("journal", "verify")
        _check(records, hook, truth)
        print(f"{FAULTS} faults, {flips.flips} flips")
    finally:
        for node in nodes:
            node.__exit__(None, None, None)
            node.close()
        shutil.rmtree(keys)
    for node in nodes:
        assert "Deadlock" not in node.last_log


def _check(records: SharedRecords, hook: TroubledHook, truth: dict[str, str]) -> None:
    lines = records.check_transitions()
    assert {name: lines[name][-1] for name in NAMES} == truth
    alerts = records.rows("SELECT id, name, status FROM alert WHERE subject LIKE 'monitor/%' ORDER BY id")
    for name in NAMES:
        falls = lines[name].count("down")
        of_it = [status for _, subject, status in alerts if subject == name]
        assert len(of_it) == falls, f"{name} went down {falls} times, with an alert each"
        assert of_it.count("firing") == (truth[name] == "down")
    assert {state for (state,) in records.rows("SELECT state FROM outbox")} <= {"delivered"}
    for alert, name, status in alerts:
        told = [what for _, what in hook.of(alert)]
        assert told == (["firing"] if status == "firing" else ["firing", "resolved"]), name
    keys = {identifier for (identifier,) in records.rows("SELECT id FROM outbox")}
    assert {key for key, *_ in hook.arrived} == keys, "each message arrived, and nothing else did"
    bodies: dict[str, object] = {}
    for key, body, _ in hook.arrived:
        assert bodies.setdefault(key, body) == body, "a repeat says the same"
    print(f"{len(alerts)} alerts, {len(hook.arrived)} messages, {len(hook.arrived) - len(keys)} of them repeats")
