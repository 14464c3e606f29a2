"""kill -9 of the running server at random moments while targets flip and the hook fails: nothing is lost.

CHAOS_ROUNDS says how many lives it has, CHAOS_SEED repeats a run.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator

import pytest
from tests.rigs.changeable import Target, wait_for
from trouble import ROUNDS, Group, Records, TroubledHook, seeded

NAMES = [f"m{number}" for number in range(8)]


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


class _Flips(threading.Thread):
    """Targets break and are mended, each for a while, until told to stop."""

    def __init__(self, target: Target, chance: random.Random) -> None:
        super().__init__()
        self.target, self.chance, self.enough = target, chance, threading.Event()

    def run(self) -> None:
        while not self.enough.wait(self.chance.uniform(0.05, 0.6)):
            self.target.healthy ^= {f"/{self.chance.choice(NAMES)}"}

    def stop(self) -> None:
        self.enough.set()
        self.join()


def _config(target: Target, hook: TroubledHook) -> str:
    monitors = "".join(
        f"  {name}: {{http: {target.url}/{name}, every: 1s, timeout: 2s, confirm: {{failures: 2, recheck: 100ms}}, "
        "recover: {successes: 1}, flapping: {falls: 100}}\n"
        for name in NAMES
    )
    return f"monitors:\n{monitors}channels:\n  hook: {{webhook: {{url: {hook.url}/x}}}}\n"


def test_kill_9_of_the_server_loses_nothing(target: Target, hook: TroubledHook) -> None:
    chance = seeded("server crash")
    hook.answers = lambda _body: chance.choices([204, 503, 0], [6, 2, 2])[0]
    hook.pause = lambda: chance.uniform(0.0, 0.3)  # a kill finds messages that arrived and are not recorded
    with Group(_config(target, hook)) as server:
        records = Records(server.data)
        flips = _Flips(target, random.Random(chance.random()))
        flips.start()
        try:
            for _ in range(ROUNDS):
                _die_and_return(server, chance)
        finally:
            flips.stop()
        hook.answers, hook.pause = lambda _body: 204, lambda: 0.0
        server.wait_healthy()
        truth = {name: "up" if f"/{name}" in target.healthy else "down" for name in NAMES}
        wait_for(lambda: {name: records.states()[name] for name in NAMES} == truth, 60, "the truth is on the board")
        wait_for(lambda: records.undelivered() == 0, 60, "all is delivered")
        server.command("journal", "verify")
        assert server.stop() == 0
        assert "Traceback" not in server.log
        _check(records, hook, truth)


def _die_and_return(server: Group, chance: random.Random) -> None:
    """A kill and a start. Most lives are long enough to work; some end before they are healthy."""
    if chance.random() < 0.75:
        server.wait_healthy()
        time.sleep(chance.uniform(0.3, 2.5))
    else:
        time.sleep(chance.uniform(0.2, 3.0))
    assert server.members()
    server.kill()
    wait_for(lambda: not server.members(), 10, "no process outlives the main one")
    server.launch()


def _check(records: Records, hook: TroubledHook, truth: dict[str, str]) -> None:
    lines = records.check_transitions()
    assert {name: lines[name][-1] for name in NAMES} == truth
    events = records.events()
    alerts = records.rows("SELECT id, name, status FROM alert ORDER BY id")
    for name in NAMES:
        falls = lines[name].count("down")
        of_it = [(alert, status) for alert, subject, status in alerts if subject == name]
        assert len(of_it) == falls, f"{name} went down {falls} times, with an alert each"
        assert [status for _, status in of_it].count("firing") == (truth[name] == "down")
        fired = [
            data["alert"] for kind, subject, data in events if (kind, subject) == ("alert.fired", f"monitor/{name}")
        ]
        assert fired == [alert for alert, _ in of_it]
    assert {state for (state,) in records.rows("SELECT state FROM outbox")} <= {"delivered"}
    for alert, name, status in alerts:
        told = hook.of(alert)
        assert [what for _, what in told] == (["firing"] if status == "firing" else ["firing", "resolved"]), name
    keys = {identifier for (identifier,) in records.rows("SELECT id FROM outbox")}
    assert {key for key, *_ in hook.arrived} == keys
    bodies: dict[str, object] = {}
    for key, body, _ in hook.arrived:
        assert bodies.setdefault(key, body) == body, "a repeat says the same"
    print(f"{len(alerts)} alerts, {len(hook.arrived)} messages, {len(hook.arrived) - len(keys)} of them repeats")
