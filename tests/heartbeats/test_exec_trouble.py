"""`mainstay exec` in trouble: full disks, closed streams, a server that misbehaves, and a spool that is spoiled."""

from __future__ import annotations

import email.parser
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from tests.rigs.exec_rig import (
    AWAY,
    EXEC,
    NOWHERE,
    addressed,
    body_of,
    place,
    run,
    served,
    spool_of,
    told,
    until,
)
from tests.rigs.pinging import Served

from mainstay.heartbeats import queries
from mainstay.heartbeats.exec.report import Address, Report, Reporter
from mainstay.heartbeats.exec.spool import Waiting

__all__ = ["place", "served"]  # fixtures


def in_shell(place: dict[str, str], script: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """A shell's script in which `"$@"` is the command."""
    line = ["sh", "-c", script, "sh", *EXEC, *arguments]
    return subprocess.run(line, env=place, capture_output=True, timeout=60, check=False)


def path_asked_for(stream: socket.socket) -> str:
    """The whole request is read: what is left would reset the connection."""
    with stream.makefile("rb") as reading:
        path = reading.readline().split(b" ")[1]
        headers = email.parser.BytesParser().parsebytes(b"".join(iter(reading.readline, b"\r\n")))
        reading.read(int(headers.get("Content-Length", "0")))
    return path.decode().partition("?")[0]


@contextmanager
def answering(*answers: bytes, context: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[str]]]:
    """(address of a heartbeat, paths asked for) at a server that gives these answers one by one, the last for good."""
    asked: list[str] = []
    left = list(answers)

    def serve() -> None:
        while True:
            try:
                connection = server.accept()[0]
            except OSError:
                return
            try:
                with context.wrap_socket(connection, server_side=True) if context else connection as stream:
                    asked.append(path_asked_for(stream).rpartition("/")[2])
                    stream.sendall(left.pop(0) if len(left) > 1 else left[0])
            except OSError:  # the client did not like the certificate
                continue

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        port = server.getsockname()[1]
        try:
            yield NOWHERE.replace("http://127.0.0.1:1/", f"{'https' if context else 'http'}://localhost:{port}/"), asked
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(20)


def answer(status: str, *headers: str, body: str = "") -> bytes:
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "Connection: close", "", body]
    return "\r\n".join(lines).encode()


OK = answer("200 OK")


# Streams


def test_a_full_disk_ends_no_job_and_is_told_once(served: Served, place: dict[str, str]) -> None:
    uid, url = addressed(served)
    script = "i=0; while [ $i -lt 40 ]; do head -c 9999 /dev/zero; i=$((i+1)); done; echo; echo done; exit 4"
    done = in_shell(place, '"$@" >/dev/full', "--heartbeat", url, "--", "sh", "-c", script)
    assert (done.returncode, done.stderr) == (
        4,
        b"mainstay exec: output of the job is lost: No space left on device\n",
    )
    assert told(uid) == [("start", None), ("fail", 4)]
    assert body_of(uid).endswith("done\n")


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
def test_closed_streams_stay_closed_and_change_no_exit_code(place: dict[str, str], tmp_path: Path, closed: str) -> None:
    assert in_shell(place, f'"$@" {closed}', *AWAY, "--", "no-such-command").returncode == 127
    seen = tmp_path / "seen"
    script = f"for n in 0 1 2; do test -e /proc/$$/fd/$n || echo $n >> {seen}; done; exit 3"
    assert in_shell(place, f'"$@" {closed}', *AWAY, "--", "sh", "-c", script).returncode == 3
    assert seen.read_text() == ("2\n" if closed == "2>&-" else "0\n1\n2\n")


def test_a_daemon_left_behind_holds_neither_our_input_nor_the_spool(place: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = NOWHERE.replace(":1/", f":{silent.getsockname()[1]}/")
        spool_of(place).add(Waiting(url, "", 0, "", time.time(), b""))  # so that the lock is held at the end
        line = [*EXEC, "--wait", "0.5", "--heartbeat", url, "--", "sh", "-c", "sleep 60 & echo $!"]
        with subprocess.Popen(line, env=place, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            daemon = int(process.stdout.readline())
            try:
                assert process.wait(20) == 0
                with pytest.raises(BrokenPipeError):
                    os.write(process.stdin.fileno(), b"x")
                with spool_of(place).only_one() as chosen:
                    assert chosen
            finally:
                os.kill(daemon, signal.SIGKILL)


# Signals


def test_a_killed_exec_leaves_the_job_alone(place: dict[str, str], tmp_path: Path) -> None:
    gate, mark = tmp_path / "gate", tmp_path / "mark"
    os.mkfifo(gate)
    line = [*EXEC, *AWAY, "--", "sh", "-c", f"read word < {gate}; echo $word > {mark}"]
    with subprocess.Popen(line, env=place) as process:
        with gate.open("w") as writing:  # opens once the job reads
            process.kill()
            process.wait(20)
            writing.write("went on\n")
        until(lambda: mark.exists() and mark.read_text() == "went on\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a job of another user")
def test_a_job_of_another_user_cannot_be_signalled_and_is_waited_for(place: dict[str, str]) -> None:
    """As with sudo, whose process a signal of ours does not reach."""
    script = """
import os, resource  # which others may not be able to read
from mainstay.heartbeats.exec.child import Child, Tail
child = Child(("sh", "-c", "echo ready; read word; exit 5"), Tail(0))
os.setresuid(65534, 65534, 0)
os._exit(child.wait().code)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script],
        env=place,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.terminate()
        assert process.stderr is not None
        assert b"runs as another user" in process.stderr.readline()
        process.communicate(b"go\n", timeout=20)
        assert process.returncode == 5


def test_two_runs_at_once_are_told_apart(served: Served, place: dict[str, str]) -> None:
    uid, url = addressed(served)
    line = [*EXEC, "--heartbeat", url, "--", "cat"]
    runs = [subprocess.Popen(line, env=place, stdin=subprocess.PIPE) for _ in range(2)]
    until(lambda: len(queries.pings(uid)) == 2)
    for one in runs:
        one.communicate(timeout=20)
    kinds = sorted((ping.kind, ping.rid) for ping in queries.pings(uid))
    assert [kind for kind, _ in kinds] == ["start", "start", "success", "success"]
    assert len({rid for _, rid in kinds}) == 2
    assert {rid for _, rid in kinds[:2]} == {rid for _, rid in kinds[2:]}


# The server


@pytest.mark.parametrize("first", ["429 Too Many Requests", "503 Service Unavailable", "502 Bad Gateway"])
def test_an_end_that_is_not_taken_at_once_is_tried_again(place: dict[str, str], first: str) -> None:
    with answering(OK, answer(first), OK) as (url, asked):
        done = run(place, "--heartbeat", url, "--", "sh", "-c", "exit 3")
    assert (done.returncode, done.stderr) == (3, b"")
    assert asked == ["start", "3", "3"]
    assert spool_of(place).count() == 0


def test_a_certificate_that_is_not_accepted_loses_no_report(place: dict[str, str], tmp_path: Path) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with answering(OK, context=context) as (url, asked):
        done = run(place, "--verbose", "--wait", "0", "--heartbeat", url, "--", "true")
        assert (done.returncode, spool_of(place).count(), asked) == (0, 1, [])
        done = run(place, "--verbose", "--wait", "1", "--heartbeat", url, "--", "true")
        assert b"certificate verify failed" in done.stderr
        assert b"/ping/" not in done.stderr
        assert run({**place, "SSL_CERT_FILE": str(tmp_path / "ca.pem")}, "--flush").stdout == b"Reports: 2 sent.\n"
        assert asked == ["0", "0"]


@pytest.mark.parametrize("target", ["http://127.0.0.2:1/x", "http://localhost.example/", "//evil.example", "ftp:/"])
def test_a_redirect_to_another_host_takes_no_ping_key_along(place: dict[str, str], target: str) -> None:
    with answering(answer("302 Found", f"Location: {target}")) as (url, asked):
        done = run(place, "--heartbeat", url, "--", "true")
    assert (done.returncode, asked) == (0, ["start", "0"])
    assert done.stderr == b"mainstay exec: nothing was recorded: the server redirects to another host\n"


def test_no_redirect_takes_the_ping_key_off_https(place: dict[str, str], tmp_path: Path) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    trusting = {**place, "SSL_CERT_FILE": str(tmp_path / "ca.pem")}
    with (
        answering(OK) as (plain, overheard),
        answering(answer("308 Permanent Redirect", f"Location: {plain}/start"), context=context) as (url, _),
    ):
        done = run(trusting, "--heartbeat", url, "--", "true")
    assert (done.returncode, overheard) == (0, [])
    assert b"from https to http" in done.stderr


def test_an_answer_that_repeats_the_address_is_not_repeated(place: dict[str, str]) -> None:
    path = NOWHERE.removeprefix("http://127.0.0.1:1")
    with answering(answer("404 Not Found", body=f"Cannot POST {path}/start")) as (url, _):
        done = run(place, "--heartbeat", url, "--", "true")
    assert b"does not know the heartbeat (404 )" in done.stderr
    assert path.encode() not in done.stderr


def test_a_run_of_more_than_a_year_is_taken(served: Served, place: dict[str, str]) -> None:
    uid, url = addressed(served)
    reporter = Reporter(Address(url, ""), spool_of(place))

    def goes_on(_seconds: float) -> bool:
        time.sleep(0.01)
        return False

    assert reporter.finish(Report(0, time.time(), b"", 40_000_000.0), 20, goes_on) == ""
    assert told(uid) == [("success", 0)]


# The spool


def test_files_that_are_no_reports_stop_nothing(served: Served, place: dict[str, str]) -> None:
    uid, url = addressed(served)
    spool = spool_of(place)
    spool.add(Waiting(NOWHERE, "", 3, "", time.time(), b""))
    good = Path(spool.folder, spool.names()[0]).read_text()
    spoiled = {
        "number": good.replace(f'"{NOWHERE}"', "7"),
        "text": good.replace('"code": 3', '"code": "3"'),
        "late": good.replace('"ended": ', '"ended": 1e300, "seconds": '),
        "never": good.replace('"ended": ', '"ended": NaN, "seconds": '),
        "deep": "[" * 100_000,
        "cut": good[:50],
        "nothing": "",
        "address": good.replace(NOWHERE, "http://[/\\ud800"),
    }
    for name, text in spoiled.items():
        Path(spool.folder, f"0{name}.json").write_text(text)
    os.mkfifo(Path(spool.folder, "0pipe.json"))
    Path(spool.folder, "0folder.json").mkdir()
    Path(spool.folder, "0link.json").symlink_to("/dev/zero")
    done = run(place, "--heartbeat", url, "--", "true")
    assert (done.returncode, done.stderr) == (0, b"")
    assert told(uid) == [("start", None), ("success", 0)]
    done = run(place, "--flush")
    assert (done.stdout.split(b" in ")[0], done.stderr) == (
        b"Reports: 0 sent, 1 permanently refused by the server, 1 still waiting",
        b"",
    )


def test_tries_on_a_full_disk_leave_nothing_behind(place: dict[str, str]) -> None:
    done = in_shell(place, 'ulimit -f 0; "$@"', *AWAY, "--", "sh", "-c", "exit 6")
    assert done.returncode == 6
    assert b"could not be spooled" in done.stderr
    assert b"File too large" in done.stderr
    assert os.listdir(spool_of(place).folder) in ([], [".lock"])


def test_reports_stay_in_order_when_the_clock_is_set_back(place: dict[str, str]) -> None:
    spool = spool_of(place)
    spool.add(Waiting(NOWHERE, "", 1, "", 1.0, b""))
    ahead = f"{time.time_ns() + 7_200 * 10**9:020d}-1.json"
    os.rename(Path(spool.folder, spool.names()[0]), Path(spool.folder, ahead))
    spool.add(Waiting(NOWHERE, "", 2, "", 2.0, b""))
    assert [found.code for name in spool.names() if (found := spool.read(name))] == [1, 2]
