"""A capability that nothing is declared of costs next to nothing when a server starts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from mainstay.runtime.capabilities import NAMES

HOUSE = {"store", "runtime"}  # what the others stand on, and what starts them
BUDGET = 5_000_000  # bytes


def test_a_capability_that_nothing_declares_costs_less_than_5_megabytes_at_start(tmp_path: Path) -> None:
    script = Path(__file__).parent / "start_cost.py"
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)], capture_output=True, text=True, check=True, timeout=110
    )
    costs = json.loads(done.stdout.splitlines()[-1])
    assert set(NAMES) <= set(costs)
    assert sum(size for size, _ in costs.values()) > 4 * BUDGET  # something was measured
    for name in NAMES:
        size, took = costs[name]
        print(
            f"{name:12} {size / 1e6:6.2f} MB {took:6.0f} ms"
        )  # time depends on the machine: told, never a reason to fail
    assert {name: costs[name][0] for name in set(NAMES) - HOUSE if costs[name][0] > BUDGET} == {}
