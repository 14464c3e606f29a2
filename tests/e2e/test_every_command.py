"""Every documented command as a process of its own, on one data folder: its exit code, and never a traceback."""

from __future__ import annotations

import multiprocessing
import os
import re
import shlex
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from bench.server import RunningServer
from tests.rigs.changeable import wait_for

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "commands.md"
IMPORTS = Path(__file__).resolve().parents[1] / "data" / "imports"
CONFIG = """
monitors:
  shop: {tcp: "127.0.0.1:1", every: 1s, confirm: {failures: 1}}
  file: {tcp: "127.0.0.1:1", enabled: false}
heartbeats:
  nightly: {every: 1h, grace: 10m}
channels:
  hook: {webhook: {url: "http://127.0.0.1:1/x"}}
locations:
  paris: {}
"""
DAYS = """{"format": "mainstay day roll-ups", "version": 1}
{"monitor": "shop", "at": 1767225600, "checks": 10, "failures": 1, "seconds": {"up": 86400}}
"""
ROBOT = '{"stat": "ok", "monitors": [{"id": 1, "friendly_name": "Site", "url": "https://a.example", "type": 1}]}'
KUMA = """
CREATE TABLE monitor (id INTEGER, name TEXT, type TEXT, hostname TEXT, port INTEGER);
CREATE TABLE heartbeat (monitor_id INTEGER, time TEXT, status INTEGER, ping INTEGER, duration INTEGER);
INSERT INTO monitor VALUES (1, 'shop', 'port', 'shop.example', 80);
INSERT INTO heartbeat VALUES (1, '2026-01-02 12:00:00', 1, 20, 60);
"""
# One line for each command, in an order in which they can follow one another: `exit code: arguments`.
# What stands in braces is in `Scene`; a command that is not here fails the test.
STEPS = """
1: check tcp 127.0.0.1:1
1: status
0: monitors
0: locations
0: locations token paris
1: probe --join http://192.0.2.1:8800 --location paris --token wrong
0: exec --heartbeat nightly --server http://127.0.0.1:1 --wait 0.1 -- true
0: heartbeats
0: alerts
0: alerts show {alert}
0: alerts ack {alert}
0: alerts mute {alert} --for 2h
0: alerts unmute {alert}
0: alerts unack {alert}
0: alerts note {alert} "the switch is broken"
0: alerts send {alert}
0: alerts resolve {alert} --reason "moved elsewhere"
0: channels
0: routes
0: routes test severity=P1
0: pause shop
0: resume shop
0: windows begin shop --for 1h
0: windows end shop
0: sources
0: changes
0: changes add "shop 1.4 is out" --label service=shop
0: oncall
1: oncall shifts nobody
1: oncall override nobody --from 2030-01-07T09:00 --until 2030-01-07T18:00 --add anna
1: oncall swap nobody anna berta --from 2030-01-07T09:00 --until 2030-01-07T18:00
0: plan {folder}/mainstay.yaml
0: apply --yes {folder}/mainstay.yaml
0: import gatus {imports}/gatus.yaml -o {folder}/gatus.out
0: import kuma {folder}/kuma.db -o {folder}/kuma.out
0: import kuma {folder}/kuma.db --history
0: import kuma {folder}/days.jsonl --history
0: import blackbox {imports}/blackbox.yml -o {folder}/blackbox.out
0: import prometheus {imports}/prometheus.yml -o {folder}/prometheus.out
0: import uptimerobot {folder}/robot.json -o {folder}/robot.out
1: import healthchecks --url http://127.0.0.1:1 --key key
0: export
0: schema
0: rollback --yes 1
1: notify test hook
0: nodes
1: nodes drain nobody
1: nodes undrain nobody
1: nodes forget nobody
0: journal
0: journal verify
0: journal seal
0: journal export
0: token create robot --role developer
0: token rotate {token}
0: token list
0: token revoke {token}
0: token ping-key
0: users add anna@example.com
0: users list
0: users link anna@example.com
0: users role anna@example.com developer
0: users address anna@example.com berta@example.com
0: users off berta@example.com
0: users on berta@example.com
1: users reset-factor berta@example.com
0: access setup
0: access recover berta@example.com
0: access erase --yes berta@example.com
0: vault set KEY
0: vault list
0: vault rotate
0: vault remove KEY
0: snapshot --to {folder}/snapshots
0: restore --check {snapshot}
1: migrate-store --to postgres://nobody@127.0.0.1:1/nothing
0: doctor
"""
LIBRARIES = ["django.urls", "django.core.management", "duckdb", "pydantic", "rich.pretty", "structlog", "typer", "yaml"]
_USAGE = re.compile(r"^`Usage: mainstay ((?:[a-z-]+ )*)\[OPTIONS\](?! COMMAND)", re.MULTILINE)


def steps() -> list[tuple[int, str]]:
    lines = [line.partition(": ") for line in STEPS.strip().splitlines()]
    return [(int(code), arguments) for code, _, arguments in lines]


def test_every_documented_command_is_tried() -> None:
    documented = {found.strip() for found in _USAGE.findall(REFERENCE.read_text())}
    tried = [arguments for _, arguments in steps()]
    missing = {name for name in documented if not any(f"{one} ".startswith(f"{name} ") for one in tried)}
    assert len(documented) > 50
    assert missing == {"up"}  # the scene is one


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    """A data folder with an alert, whose server has ended: that is `up`."""
    with RunningServer(CONFIG) as started:
        wait_for(lambda: alert(started.folder), what="an alert")
        assert started.stop() == 0
        assert "Traceback" not in started.log
        fill(started.folder)
        yield started


@pytest.mark.parametrize(("code", "line"), steps(), ids=[line for _, line in steps()])
def test_a_command_ends_with_its_exit_code(server: RunningServer, code: int, line: str) -> None:
    ended, told = run_command(server, shlex.split(line.format_map(Scene(server.folder))))
    assert "Traceback" not in told
    assert ended == code, told


class Scene(dict[str, str]):
    """What stands in braces in a line: a file of this folder, or an id as it is now."""

    def __init__(self, folder: Path) -> None:
        super().__init__({"folder": str(folder), "imports": str(IMPORTS)})
        self.folder = folder

    def __missing__(self, name: str) -> str:
        if name == "snapshot":
            return str(next((self.folder / "snapshots").iterdir()))
        return {"alert": alert, "token": token}[name](self.folder)


def run_command(server: RunningServer, arguments: list[str]) -> tuple[int | None, str]:
    """Exit code and output. The process is forked from one that has loaded libraries, and nothing of Mainstay."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LIBRARIES)
    output = server.folder / "output"
    process = context.Process(target=become, args=(arguments, dict(server.environment), str(output)))
    process.start()
    process.join()
    return process.exitcode, output.read_text()


def become(arguments: list[str], environment: dict[str, str], output: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    reader, writer = os.pipe()
    os.write(writer, b"secret\n")  # what `vault set` asks for
    os.close(writer)
    os.dup2(reader, 0)
    told = os.open(output, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
    os.dup2(told, 1)
    os.dup2(told, 2)
    assert not any(name.partition(".")[0] == "mainstay" for name in sys.modules)
    from mainstay.runtime.app import run

    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    run(arguments)


def alert(folder: Path) -> str:
    return _first(folder, "SELECT id FROM alert")


def token(folder: Path) -> str:
    return _first(folder, "SELECT id FROM account_token WHERE revoked_us IS NULL")


def _first(folder: Path, query: str) -> str:
    with closing(sqlite3.connect(folder / "data" / "state.sqlite3")) as database:
        return next((str(row[0]) for row in database.execute(query)), "")


def fill(folder: Path) -> None:
    (folder / "days.jsonl").write_text(DAYS)
    (folder / "robot.json").write_text(ROBOT)
    with closing(sqlite3.connect(folder / "kuma.db")) as database:
        database.executescript(KUMA)
