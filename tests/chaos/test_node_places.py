"""Two servers on one PostgreSQL and a prober elsewhere that joins both: votes go on when one of the servers dies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing

import pytest
from node_pair import Pair, two_servers
from node_rig import Node, wait_until
from tests.rigs.changeable import Hook, Target, wait_for
from tests.rigs.places_rig import RunningProbe

NAMES = [f"m{number}" for number in range(8)]


def _config(target: Target, hook: Hook) -> str:
    monitors = "".join(
        f"  {name}: {{http: {target.url}/{name}, every: 1s, timeout: 1s, locations: [main, fra], quorum: 2 of 2, "
        "confirm: {failures: 2, recheck: 200ms}, recover: {successes: 1}, flapping: {falls: 100}}\n"
        for name in NAMES
    )
    channel = f"channels:\n  hook: {{webhook: {{url: {hook.url}/x}}}}\n"
    return f"locations:\n  fra: {{silent_after: 5s}}\nmonitors:\n{monitors}{channel}"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with two_servers(NAMES, _config) as pair:
        key = pair.a.command("locations", "token", "fra").strip()
        folder = tmp_path_factory.mktemp("probe")
        with closing(RunningProbe(folder, pair.a.url, "fra", key, "--join", pair.b.url)):
            yield pair


def _heard(pair: Pair, node: Node) -> float:
    """Results of the prober that this server took."""
    return node.metric('mainstay_location_results_total{location="fra"}', pair.token)


def test_the_prober_works_for_both(pair: Pair) -> None:
    pair.settle()  # up takes both votes
    before = _heard(pair, pair.a), _heard(pair, pair.b)
    wait_for(lambda: _heard(pair, pair.a) > before[0] and _heard(pair, pair.b) > before[1], 20, "both hear the prober")
    assert json.loads(pair.b.command("locations", "--json"))[0]["state"] == "up"


def test_an_outage_is_told_once_by_the_votes_of_both_places(pair: Pair) -> None:
    pair.target.healthy.clear()
    wait_for(lambda: pair.shows("down"), 30, "all are down")
    pair.mend()
    wait_for(lambda: pair.shows("up"), 30, "all are up again")
    wait_for(lambda: pair.records.undelivered() == 0, 30, "all is delivered")
    lines = pair.records.check_transitions()
    assert {name: lines[name].count("down") for name in NAMES} == dict.fromkeys(NAMES, 1)


def test_votes_go_on_when_a_server_dies_and_when_it_is_back(pair: Pair) -> None:
    seen = pair.records.newest()
    pair.a.kill()
    wait_for(lambda: pair.records.holders() == {"b": 64}, 30, "the other one has all")
    heard = _heard(pair, pair.b)
    seconds = wait_until(lambda: pair.shows("up") and _heard(pair, pair.b) > heard + 2 * len(NAMES), 30, "both vote")
    print(f"votes of both places {seconds:.1f} s after the shares were taken over")
    kinds = pair.records.kinds(seen, "monitor.")
    assert "monitor.went_down" not in kinds, "what died was a server, not a target"
    assert "location.went_silent" not in pair.records.kinds(seen, "location.")
    pair.target.healthy.clear()
    wait_for(lambda: pair.shows("down"), 30, "an outage is seen by the one that is left")
    pair.mend()
    pair.a.start()
    wait_for(pair.is_shared, 60, "the work is shared again")
    wait_for(lambda: pair.shows("up"), 30, "all are up")
    before = _heard(pair, pair.a)
    wait_for(lambda: _heard(pair, pair.a) > before + len(NAMES), 30, "the one that is back hears the prober")
    assert pair.shows("up")
