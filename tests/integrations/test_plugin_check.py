"""The check `plugin` with Debian's monitoring-plugins-basic as they are, and with programs that misbehave."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from pydantic import ValidationError
from tests.rigs.check_servers import free_port, order_for, run_check, tcp_server, until_closed
from tests.rigs.http_servers import always, answer

from mainstay.integrations.checks.plugin.output import parse
from mainstay.integrations.checks.plugin.spec import KIND
from mainstay.kernel.probing import CheckResult, Configure
from mainstay.kernel.secret import resolve
from mainstay.kernel.settings import Settings
from mainstay.watch.prober.context import Context
from mainstay.watch.prober.dispatch import prepare
from mainstay.watch.settings import PLUGIN_DIRS

DEBIAN = "/usr/lib/nagios/plugins"


def run(command: Any, expect: dict[str, Any] | None = None, *, dirs: str = DEBIAN, limit: float = 10.0) -> CheckResult:
    context = Context(configured=Configure("self", plugin_dirs=dirs))
    return run_check("plugin", command, expect, limit=limit, context=context)


def script(folder: Path, body: str, name: str = "check_mine") -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return name


@pytest.mark.parametrize(
    ("code", "verdict", "error"),
    [
        (0, "up", ""),
        (1, "degraded", "expect.warning"),
        (2, "down", "expect.critical"),
        (3, "unknown", "check.plugin_unknown"),
    ],
)
def test_exit_codes(code: int, verdict: str, error: str) -> None:
    result = run(f"check_dummy {code} 'so it is'")
    assert (result.verdict, result.code) == (verdict, error)
    assert result.evidence["text"].endswith("so it is")
    assert result.evidence["exit_code"] == code
    assert set(result.phases) == {"wait"}


def test_check_tcp_and_its_performance_data() -> None:
    with tcp_server(until_closed) as port:
        up = run(["check_tcp", "-H", "127.0.0.1", "-p", str(port)])
        slow = run(f"check_tcp -H 127.0.0.1 -p {port}", {"degraded_after": "0ms"})
    down = run(f"check_tcp -H 127.0.0.1 -p {free_port()}")
    assert up.verdict == "up", up.message
    assert up.evidence["performance"][0]["label"] == "time"
    assert up.evidence["performance"][0]["unit"] == "s"
    assert (slow.verdict, slow.code) == ("degraded", "expect.latency")
    assert (down.verdict, down.code) == ("down", "expect.critical")
    assert "refused" in down.message


def test_check_http() -> None:
    with tcp_server(always(answer(b"welcome"))) as port:
        up = run(f"check_http -I 127.0.0.1 -p {port} -s welcome")
        down = run(f"check_http -I 127.0.0.1 -p {port} -s goodbye")
    assert up.verdict == "up", up.message
    assert [one["label"] for one in up.evidence["performance"]] == ["time", "size"]
    assert (down.verdict, "not found" in down.message) == ("down", True)


def test_a_link_keeps_its_name() -> None:
    def pop(connection: socket.socket) -> None:
        connection.sendall(b"+OK ready\r\n")
        until_closed(connection)

    with tcp_server(pop) as port:
        result = run(f"check_pop -H 127.0.0.1 -p {port}")
    assert result.verdict == "up", result.message
    assert result.evidence["text"].startswith("POP OK")


def test_no_shell_reads_the_arguments(tmp_path: Path) -> None:
    name = script(tmp_path, 'for word in "$@"; do echo "[$word]"; done')
    result = run(f"{name} '$(id)' \"a b\" '; rm x' *", dirs=str(tmp_path))
    assert (result.evidence["text"], result.evidence["more"]) == ("[$(id)]", "[a b]\n[; rm x]\n[*]")


def test_the_environment_is_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THE_PARENT", "yes")
    name = script(tmp_path, "env | cut -d= -f1 | sort | tr '\\n' ' '; pwd")
    result = run({"command": name, "env": {"MINE": "1"}}, dirs=str(tmp_path))
    assert result.evidence["text"].split() == ["LANG", "LC_ALL", "MINE", "PATH", "PWD", "/"]


def test_secrets_arrive_whole_and_are_masked(tmp_path: Path) -> None:
    name = script(tmp_path, 'echo "$# $1 $TOKEN | t=1"; echo "$TOKEN" >&2; exit 2')
    order = order_for("plugin", {"command": f"{name} ${{env:A}}", "env": {"TOKEN": "${env:B}"}})
    values = {"A": "two words", "B": "hush-hush"}
    filled = resolve(order.options, lambda source, name: values[name])
    context = Context(configured=Configure("self", plugin_dirs=str(tmp_path)))
    result = asyncio.run(
        prepare(replace(order, options=filled, secrets=tuple(values.values()))).run(context),
    )
    assert result.message == "1 *** ***"
    assert "hush" not in str(result)
    assert "two words" not in str(result)


def test_a_silent_program_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    name = script(tmp_path, f"sleep 300 & echo $! > {tmp_path}/child; sleep 300")
    result = run(name, dirs=str(tmp_path), limit=0.5)
    assert (result.verdict, result.code) == ("down", "wait.timeout")
    assert result.duration < 5
    _until_gone(int((tmp_path / "child").read_text()))


def test_what_it_leaves_behind_does_not_hold_the_check(tmp_path: Path) -> None:
    name = script(tmp_path, f"sleep 300 & echo $! > {tmp_path}/child; echo fine")
    result = run(name, dirs=str(tmp_path))
    assert (result.verdict, result.evidence["text"]) == ("up", "fine")
    assert result.duration < 5
    _until_gone(int((tmp_path / "child").read_text()))


def _until_gone(pid: int) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return
        if state == "Z":
            return
        time.sleep(0.02)
    pytest.fail(f"process {pid} is still there")


@pytest.mark.parametrize(
    ("body", "verdict", "code", "says"),
    [
        ("yes", "unknown", "check.plugin_output", "over 64 KiB"),
        ("exit 17", "unknown", "check.plugin_failed", "exit code 17 is not"),
        ("kill -SEGV $$", "unknown", "check.plugin_failed", "ended by SIGSEGV"),
        ("exit 2", "down", "expect.critical", "without output"),
        ("printf '\\000\\377\\033[31mred'; exit 1", "degraded", "expect.warning", "\ufffd\ufffd\ufffd[31mred"),
        ("exec >&- 2>&-; sleep 0.1; exit 0", "up", "", ""),
    ],
)
def test_programs_that_misbehave(tmp_path: Path, body: str, verdict: str, code: str, says: str) -> None:
    result = run(script(tmp_path, body), dirs=str(tmp_path))
    assert (result.verdict, result.code) == (verdict, code), result.message
    assert says in result.message
    assert len(str(result.evidence)) < 3000


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        ("check_nothing", "check.plugin_missing", "there is no program check_nothing in"),
        ("/bin/true", "check.plugin_refused", "outside MAINSTAY_PLUGIN_DIRS"),
        ("link", "check.plugin_refused", "outside MAINSTAY_PLUGIN_DIRS"),
        ("plain", "check.plugin_refused", "is not an executable program"),
        ("folder", "check.plugin_refused", "is not an executable program"),
        ("torn", "check.plugin_refused", "cannot be executed"),
        ("alias", "check.plugin_refused", "runs other programs"),
    ],
)
def test_only_programs_of_the_allowed_folders_run(tmp_path: Path, command: str, code: str, says: str) -> None:
    (tmp_path / "link").symlink_to("/bin/true")
    script(tmp_path, "exec /bin/true", "negate")
    (tmp_path / "alias").symlink_to("negate")
    (tmp_path / "plain").write_text("text")
    (tmp_path / "folder").mkdir()
    (tmp_path / "torn").write_bytes(b"#!/nowhere/at/all\n")
    (tmp_path / "torn").chmod(0o755)
    result = run(command, dirs=str(tmp_path))
    assert (result.verdict, result.code) == ("unknown", code), result.message
    assert says in result.message


def test_a_link_within_the_folders_and_a_whole_path_are_allowed(tmp_path: Path) -> None:
    script(tmp_path, "basename $0")
    (tmp_path / "check_other").symlink_to("check_mine")
    linked = tmp_path / "linked"
    linked.symlink_to(tmp_path)
    assert run("check_other", dirs=str(tmp_path)).verdict == "up"
    assert run(f"{linked}/check_mine", dirs=f"/nowhere, {tmp_path}").verdict == "up"


def test_no_folder_is_open_unless_a_setting_names_it() -> None:
    result = run("check_dummy 0", dirs=Settings()[PLUGIN_DIRS])
    assert (result.verdict, result.code) == ("unknown", "check.plugin_refused")


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("", "at least 1 item"),
        ("check_http 'open", "No closing quotation"),
        ("../check_http", "is not a program"),
        ("${env:PROGRAM} -x", "is not a program"),
        ({"command": "check_x", "env": {"LD_PRELOAD": "x"}}, "may not be set"),
        ({"command": "check_x", "env": {"a-b": "x"}}, "is not the name"),
        ({"command": "check_x ${HOME}"}, "is not a reference"),
        ("negate /bin/sh -c id", "runs other programs"),
        ("urlize http://example.com /bin/id", "runs other programs"),
        ("/usr/lib/nagios/plugins/check_by_ssh -H x -o ProxyCommand=id", "runs other programs"),
        ("Python3.11 -c 1", "runs other programs"),
    ],
)
def test_wrong_commands_are_refused(command: Any, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        KIND.target.model_validate(command if isinstance(command, dict) else {"command": command})


def test_performance_data_as_the_guidelines_write_it() -> None:
    found = parse(
        "DISK OK - free space: / 3326 MB (56%); | /=2643MB;5948;5958;0;5968 'a b''s'=1.5e3% x=U;;;; t=,5s\n"
        "/ 15272 MB (77%);\n/boot 68 MB (69%); | /boot=68MB;88;93;0;98\n/home=69357MB;253404;253409;0;253414\nbad=x\n"
    )
    assert found.text == "DISK OK - free space: / 3326 MB (56%);"
    assert found.more == "/ 15272 MB (77%);\n/boot 68 MB (69%);"
    assert found.performance[0] == {
        "label": "/",
        "value": 2643.0,
        "unit": "MB",
        "warn": "5948",
        "critical": "5958",
        "min": "0",
        "max": "5968",
    }
    assert [(one["label"], one["value"], one.get("unit")) for one in found.performance[1:]] == [
        ("a b's", 1500.0, "%"),
        ("x", None, None),
        ("t", 0.5, "s"),
        ("/boot", 68.0, "MB"),
        ("/home", 69357.0, "MB"),
    ]
    assert parse("").text == ""


def test_nothing_is_left_open(tmp_path: Path) -> None:
    name = script(tmp_path, "echo ok")
    run(name, dirs=str(tmp_path))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        run(name, dirs=str(tmp_path))
        run("torn", dirs=str(tmp_path))
    assert len(os.listdir("/proc/self/fd")) <= before
