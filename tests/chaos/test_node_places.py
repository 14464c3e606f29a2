"""Two servers on one PostgreSQL and a prober elsewhere that joins both: votes go on when one of the servers dies."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from node_rig import Node, SharedRecords, postgres, wait_until
from tests.places_rig import RunningProbe

from changeable import Hook, Target, wait_for

NAMES = [f"m{number}" for number in range(8)]


@dataclass
class Scene:
    a: Node
    b: Node
    records: SharedRecords
    target: Target
    hook: Hook
    token: str

    def shows(self, state: str) -> bool:
        return set(self.records.shown(NAMES).values()) == {state}

    def heard(self, node: Node) -> float:
        return node.metric('mainstay_location_results_total{location="fra"}', self.token)


def _config(target: Target, hook: Hook) -> str:
    monitors = "".join(
        f"  {name}: {{http: {target.url}/{name}, every: 1s, timeout: 1s, locations: [main, fra], quorum: 2 of 2, "
        "confirm: {failures: 2, recheck: 200ms}, recover: {successes: 1}, flapping: {start: 100, stop: 99}}\n"
        for name in NAMES
    )
    channel = f"channels:\n  hook: {{webhook: {{url: {hook.url}/x}}}}\n"
    return f"locations:\n  fra: {{silent_after: 5s}}\nmonitors:\n{monitors}{channel}"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    target, hook = Target([f"/{name}" for name in NAMES]), Hook()
    keys = Path(tempfile.mkdtemp(prefix="mainstay-keys-"))
    with postgres() as folder:
        a, b = (Node(name, folder, keys, _config(target, hook)) for name in ("a", "b"))
        try:
            a.start()
            b.start()
            key = a.command("locations", "token", "fra").strip()
            probe = RunningProbe(tmp_path_factory.mktemp("probe"), a.url, "fra", key, "--join", b.url)
            try:
                yield Scene(a, b, SharedRecords(folder), target, hook, a.token())
            finally:
                probe.close()
        finally:
            for node in (a, b):
                node.__exit__(None, None, None)
                node.close()
            target.close()
            hook.close()
            shutil.rmtree(keys)


def test_the_prober_works_for_both(scene: Scene) -> None:
    wait_for(lambda: scene.records.holders() == {"a": 32, "b": 32}, 40, "the work is shared")
    wait_for(lambda: scene.shows("up"), 40, "all are up, which takes both votes")
    before = scene.heard(scene.a), scene.heard(scene.b)
    wait_for(lambda: scene.heard(scene.a) > before[0] and scene.heard(scene.b) > before[1], 20, "both hear the prober")
    assert json.loads(scene.b.command("locations", "--json"))[0]["state"] == "up"


def test_an_outage_is_told_once_by_the_votes_of_both_places(scene: Scene) -> None:
    scene.target.healthy.clear()
    wait_for(lambda: scene.shows("down"), 30, "all are down")
    scene.target.healthy |= {f"/{name}" for name in NAMES}
    wait_for(lambda: scene.shows("up"), 30, "all are up again")
    wait_for(lambda: scene.records.undelivered() == 0, 30, "all is delivered")
    lines = scene.records.check_transitions()
    assert {name: lines[name].count("down") for name in NAMES} == dict.fromkeys(NAMES, 1)


def test_votes_go_on_when_a_server_dies_and_when_it_is_back(scene: Scene) -> None:
    seen = scene.records.newest()
    scene.a.kill()
    wait_for(lambda: scene.records.holders() == {"b": 64}, 30, "the other one has all")
    heard = scene.heard(scene.b)
    seconds = wait_until(lambda: scene.shows("up") and scene.heard(scene.b) > heard + 2 * len(NAMES), 30, "both vote")
    print(f"votes of both places {seconds:.1f} s after the shares were taken over")
    kinds = scene.records.kinds(seen, "monitor.")
    assert "monitor.went_down" not in kinds, "what died was a server, not a target"
    assert "location.went_silent" not in scene.records.kinds(seen, "location.")
    scene.target.healthy.clear()
    wait_for(lambda: scene.shows("down"), 30, "an outage is seen by the one that is left")
    scene.target.healthy |= {f"/{name}" for name in NAMES}
    scene.a.start()
    wait_for(lambda: scene.records.holders() == {"a": 32, "b": 32}, 60, "the work is shared again")
    wait_for(lambda: scene.shows("up"), 30, "all are up")
    time.sleep(2)
    assert scene.shows("up")
