"""What people meet on the command line: tables that can be read by eyes and by programs, names, and states."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from mainstay.frames.boot import current_settings
from mainstay.frames.output import print_table
from mainstay.heartbeats.models import HeartbeatRow
from mainstay.kernel.actor import system
from mainstay.kernel.errors import UserError
from mainstay.runtime.app import run
from mainstay.runtime.up import declare_targets
from mainstay.store.resources.apply import declare
from mainstay.store.resources.queries import resources
from mainstay.watch.targets import monitor_from_address, same_form

Run = Callable[..., tuple[int, str, str]]
LONG = "the certificate of the peer ended " * 6


@pytest.fixture
def mainstay(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], store: None) -> Run:
    """The command line in this process, on the test's database: (exit code, output, errors)."""
    settings = current_settings()
    monkeypatch.setenv("MAINSTAY_DATA", str(settings.data))
    monkeypatch.setenv("MAINSTAY_DATABASE", settings.database)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO())
        with pytest.raises(SystemExit) as ended:
            run(arguments)
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


def test_a_table_in_a_pipe_holds_the_whole_text(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["id", "état", "why"], [["01J" + "X" * 60, "détruit", LONG], ["b", "上", "short"]])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["id", "01J" + "X" * 60, "b"]
    assert LONG.strip() in lines[1]
    assert not any(line.endswith(" ") for line in lines)


def test_a_narrow_terminal_folds_the_last_column_only() -> None:
    code = (
        "from mainstay.frames.output import print_table\n"
        f"print_table(['id', 'state', 'why'], [['{'X' * 26}', 'acknowledged', {LONG!r}]])"
    )
    parent, child = pty.openpty()
    subprocess.run(
        [sys.executable, "-c", code], stdout=child, check=True, timeout=60, env={"COLUMNS": "80", "TERM": "xterm"}
    )
    os.close(child)
    shown = b""
    with io.FileIO(parent) as terminal:
        while True:
            try:
                part = terminal.read(4096)
            except OSError:  # how Linux says that the other side is closed
                break
            shown += part or b""
            if not part:
                break
    lines = shown.decode().replace("\x1b[1m", "").replace("\x1b[0m", "").splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert lines[1].startswith("X" * 26 + "  acknowledged  ")
    assert " ".join(" ".join(line[42:].strip() for line in lines[1:]).split()) == LONG.strip()


def test_monitors_and_heartbeats_are_paused_and_resumed_by_name(mainstay: Run) -> None:
    actor = system("test")
    declare(actor, "monitor", "api", {"http": "https://a.example"}, manager="web")
    declare(actor, "monitor", "both", {"http": "https://b.example"}, manager="web")
    declare(actor, "heartbeat", "both", {"every": "1h"}, manager="web")
    declare(actor, "heartbeat", "job", {"every": "1h"}, manager="web")

    assert mainstay("pause", "api", "job")[:2] == (0, "monitor/api: paused\nheartbeat/job: paused\n")
    assert mainstay("pause", "api")[1] == "monitor/api was paused already\n"
    assert "api" in mainstay("monitors", "--state", "paused")[1]
    assert mainstay("resume", "api", "heartbeat/job")[1] == "monitor/api: resumed\nheartbeat/job: resumed\n"
    code, _, err = mainstay("pause", "api", "both")
    assert (code, "monitor/both or heartbeat/both" in err) == (1, True)
    assert mainstay("monitors", "--state", "paused")[1] == "no monitor matches\n", "nothing was half done"
    code, _, err = mainstay("resume", "apo")
    assert (code, "there is no monitor or heartbeat `apo`" in err, "api" in err) == (1, True, True)


def test_status_tells_of_heartbeats_too(mainstay: Run) -> None:
    declare(system("test"), "monitor", "api", {"http": "https://a.example"}, manager="web")
    declare(system("test"), "heartbeat", "job", {"every": "1h"}, manager="web")
    assert "1 unknown   1 new" in mainstay("status")[1]
    HeartbeatRow.objects.update(state="up", reason="reported_success")
    assert mainstay("status")[0] == 0
    HeartbeatRow.objects.update(state="down", reason="exit_status")
    code, out, _ = mainstay("status")
    assert (code, "1 down" in out) == (1, True)
    assert re.search(r"down +job .* exit status", out)
    code, out, _ = mainstay("status", "--json")
    told = json.loads(out)
    assert (code, told["counts"]["down"], told["heartbeats"]["counts"]["down"]) == (1, 0, 1)
    assert [one["name"] for one in told["heartbeats"]["wrong"]] == ["job"]


def test_a_heartbeat_without_pings_says_so(mainstay: Run) -> None:
    declare(system("test"), "heartbeat", "job", {"every": "1h"}, manager="web")
    assert mainstay("heartbeats", "job")[1].endswith("/ping/<ping-key>/job\n\nno ping has arrived yet\n")


def test_a_wrong_state_is_an_error_everywhere(mainstay: Run) -> None:
    for command in ("monitors", "heartbeats"):
        code, _, err = mainstay(command, "--state", "sideways")
        assert (code, "there is no state `sideways`" in err, "down" in err) == (1, True, True), command


@pytest.mark.parametrize(
    ("group", "told"),
    [("vault", "no secret is stored"), ("token", "there is no token"), ("users", "nobody has an account yet")],
)
def test_a_group_alone_lists_and_says_when_there_is_nothing(mainstay: Run, group: str, told: str) -> None:
    assert mainstay(group)[0] == 0
    assert told in mainstay(group, "list")[1]
    assert mainstay(group)[1] == mainstay(group, "list")[1]


def test_an_address_may_say_tcp() -> None:
    assert monitor_from_address("tcp://db.internal:5432") == ("db.internal-5432", {"tcp": "db.internal:5432"})
    assert monitor_from_address("TCP://[::1]:53")[1] == {"tcp": "[::1]:53"}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("http://h:1/", "http://h:1", True),
        ("HTTP://H:80#top", "http://h/", True),
        ("https://h:443?a=B", "https://h/?a=B", True),
        ("https://u:P@h", "https://u:P@H/", True),
        ("Db:5432", "db:5432", True),
        ("https://u:p@h", "https://u:P@h/", False),
        ("http://h:443/", "https://h:443/", False),
        ("http://h/a", "http://h/A", False),
        ("http://h/a", "http://h/a/", False),
        ("http://[${env:X}]:${env:PORT}/", "http://h/", False),
    ],
)
def test_addresses_that_lead_to_the_same_place(one: str, other: str, same: bool) -> None:
    assert (same_form(one) == same_form(other)) is same


def test_an_address_that_up_is_given_twice_is_one_monitor(store: None) -> None:
    for _ in range(2):
        declare_targets(current_settings(), ["http://h:1", "http://h:1/", "HTTP://H:1", "h:1"])
    assert sorted(one.name for one in resources("monitor")) == ["h-1", "h-1-2", "mainstay"], "HTTP and TCP"


def test_what_is_no_address_is_refused() -> None:
    for wrong in ("tcp://db.internal", "ftp://x.example", "tcp://a:0", "https://", "://a:1"):
        with pytest.raises(UserError):
            monitor_from_address(wrong)
