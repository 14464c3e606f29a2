"""A capability is one folder and one line: what it declares is found by every register of the house."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from mainstay.kernel.capability import CAPABILITIES, load

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def test_a_capability_moves_in_with_one_folder_and_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(HERE / "newcomer" / "moves_in.py"), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    said, found = done.stdout.splitlines()[-2:]
    assert said == "never"
    assert json.loads(found) == {
        "roles": ["operations"],
        "schema": True,
        "event": True,
        "guard": True,
        "refused": True,
        "alert": ["drill/fire", "the drill fire overran", "P3", "firing"],
        "page_of_alert": "/drills/#fire",
        "said": "nobody left the upper floor",
        "ended_by": "it works again",
        "page": True,
        "find": True,
        "setting": [3, "declared"],
        "form": True,
        "shown": True,
        "documented": [True, True],
        "metric": True,
        "kept": 3,
        "journal": True,
        "editor": True,
        "operation": ["fire"],
        "openapi": True,
        "command": 1,
        "probe": "nobody practised for long",
        "health": True,
        "lane": True,
        "columns": True,
        "follower": "ok",
        "ended": 0,
    }


def test_what_capabilities_name_can_be_loaded() -> None:
    places = [
        place
        for one in CAPABILITIES
        for place in (
            one.kinds,
            one.guards,
            one.followers,
            one.pages,
            one.lanes,
            one.tables,
            one.search,
            *(f"{one.metrics}:{name}" for name in ("METRICS", "collect") if one.metrics),
            *(setting.check for setting in one.settings),
            *(entry.count for entry in one.menu),
            *(command.at for command in one.commands),
            *(f"{routes.module}:router" for routes in one.routes),
        )
        if place
    ]
    assert len(places) > 50
    assert all(load(place) is not None for place in places)


def test_no_two_capabilities_say_the_same_metric() -> None:
    named = [metric.name for one in CAPABILITIES if one.metrics for metric in load(f"{one.metrics}:METRICS")]
    assert len(named) > 50
    assert sorted(set(named)) == sorted(named)


def test_saying_what_a_capability_is_costs_little() -> None:
    """A list of commands must not import what the capabilities do."""
    code = (
        "import sys; from mainstay.runtime.capabilities import load_capabilities; load_capabilities();"
        "print(*sorted({name.partition('.')[0] for name in sys.modules} & {'django', 'pydantic', 'typer', 'rich'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == ""
