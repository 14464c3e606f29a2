"""`mainstay exec` as a process of its own: what a job does through it, and without it, is the same."""

from __future__ import annotations

import os
import pty
import re
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
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
from tests.rigs.pinging import Served, heartbeat

from mainstay.heartbeats import queries

__all__ = ["place", "served"]  # fixtures


@pytest.fixture(autouse=True)
def _signals_as_usual() -> Iterator[None]:
    """A suite started in the background ignores some signals, and so would every job: a handler is not inherited."""
    ignored = [
        name for name in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT) if signal.getsignal(name) == signal.SIG_IGN
    ]
    for name in ignored:
        signal.signal(name, signal.default_int_handler)
    yield
    for name in ignored:
        signal.signal(name, signal.SIG_IGN)


def test_start_and_end_are_reported_with_code_duration_memory_and_output(served: Served, place: dict[str, str]) -> None:
    uid, url = addressed(served)
    script = "import sys, time; x = 'm' * 80_000_000; time.sleep(0.4); print('did it', flush=True); sys.exit('failed')"
    done = run(place, "--heartbeat", url, "--", sys.executable, "-c", script, "--password=hunter2")
    assert (done.returncode, done.stdout, done.stderr) == (1, b"did it\n", b"failed\n")
    assert told(uid) == [("start", None), ("fail", 1)]
    end, start = queries.pings(uid)
    assert start.rid == end.rid != ""
    assert end.duration is not None
    assert end.duration >= 0.3
    text = body_of(uid)
    found = re.match(r"python\S* ended with exit code 1 after ([\d.]+) s, peak memory ([\d.]+) MB\nOutput:\n\n", text)
    assert found is not None, text
    assert float(found[1]) >= 0.4
    assert float(found[2]) >= 80
    assert text.endswith("did it\nfailed\n")
    assert "hunter2" not in text


def test_a_heartbeat_is_found_by_name_uuid_and_url(served: Served, place: dict[str, str], tmp_path: Path) -> None:
    uid, url = addressed(served, "Nightly.Report")
    server = f"http://127.0.0.1:{served.port}"
    by_name = {**place, "MAINSTAY_PING_KEY": served.key}
    assert run(by_name, "--server", server, "--heartbeat", "Nightly.Report", "true").stderr == b""
    assert run(place, f"--server={server}", "--heartbeat", url.rpartition("/")[2], "--", "true").stderr == b""
    assert run({**place, "MAINSTAY_PING_URL": url}, "--", "true").stderr == b""
    key_file = tmp_path / "config" / "mainstay" / "ping-key"
    key_file.parent.mkdir(parents=True)
    key_file.write_text(served.key + "\n")
    assert run({**place, "MAINSTAY_URL": server}, "--heartbeat", "nightly-report", "--", "true").stderr == b""
    assert told(uid) == [("start", None), ("success", 0)] * 4
    run({**place, "MAINSTAY_URL": server}, "--create", "--heartbeat", "brand-new", "--", "true")
    assert queries.heartbeat("brand-new").pings == 2


@pytest.mark.parametrize("code", [0, 3, 255])
def test_the_exit_code_stays(place: dict[str, str], code: int) -> None:
    assert run(place, *AWAY, "--", "sh", "-c", f"exit {code}").returncode == code


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGPIPE])
def test_death_by_a_signal_is_passed_on_and_reported_as_a_shell_would(
    served: Served, place: dict[str, str], number: int
) -> None:
    uid, url = addressed(served)
    done = run(place, "--heartbeat", url, "--", "sh", "-c", f"kill -{int(number)} $$")
    assert done.returncode == -number
    assert told(uid) == [("start", None), ("fail", 128 + number)]
    assert signal.Signals(number).name in body_of(uid)


def test_what_cannot_be_run_ends_as_in_a_shell(served: Served, place: dict[str, str], tmp_path: Path) -> None:
    uid, url = addressed(served)
    text = tmp_path / "text"
    text.write_text("echo by sh $1\n")
    cases = {"no-such-command": 127, str(tmp_path / "none"): 127, str(tmp_path): 126, str(text): 126}
    for program, code in cases.items():
        done = run(place, "--heartbeat", url, "--", program)
        assert (done.returncode, done.stdout) == (code, b"")
        assert program.encode() in done.stderr
    assert told(uid) == [("fail", code) for code in cases.values()]
    assert body_of(uid).endswith("cannot be run: Permission denied\n")
    text.chmod(0o755)  # a script without #! runs, as under env, nice or timeout
    assert run(place, "--heartbeat", url, "--", str(text), "x").stdout == b"by sh x\n"
    text.write_text("#!/no/such/interpreter\n")
    assert run(place, "--heartbeat", url, "--", str(text)).returncode == 127


def test_bytes_pass_through_in_both_directions(served: Served, place: dict[str, str]) -> None:
    uid, url = addressed(served)
    everything = bytes(range(256)) * 1000
    done = run(place, "--heartbeat", url, "--", "sh", "-c", "tee /dev/stderr", input=everything)
    assert (done.returncode, done.stdout, done.stderr) == (0, everything, everything)
    newest = queries.ping(uid, queries.pings(uid)[0].n)
    assert newest.body is not None
    assert b"the last 10,000 of 512,000 bytes" in newest.body or b"of 512,000 bytes" in newest.body
    assert newest.body.endswith(everything[-1000:])


def test_a_hundred_megabytes_pass_without_growth(place: dict[str, str]) -> None:
    script = "import sys\nfor _ in range(1600): sys.stdout.buffer.write(bytes(range(256)) * 256)"
    began = time.monotonic()
    process = subprocess.Popen([*EXEC, *AWAY, "--", sys.executable, "-c", script], env=place, stdout=subprocess.PIPE)
    assert process.stdout is not None
    count, peak = 0, 0
    while chunk := process.stdout.read(1 << 20):
        count += len(chunk)
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except FileNotFoundError:
            continue
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        peak = max(peak, int(found[1]) if found else 0)
    process.stdout.close()
    assert process.wait(20) == 0
    print(f"100 MB in {time.monotonic() - began:.2f} s, peak of exec {peak / 1024:.1f} MB")
    assert count == 1600 * 65536
    assert 0 < peak < 60 * 1024


def test_one_file_for_both_streams_keeps_their_order(place: dict[str, str], tmp_path: Path) -> None:
    script = "i=0; while [ $i -lt 300 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done"
    wanted = b"".join(b"out %d\nerr %d\n" % (number, number) for number in range(300))
    for name, mode in (("fresh", "wb"), ("appended", "ab")):
        with (tmp_path / name).open(mode) as log:
            subprocess.run([*EXEC, *AWAY, "--", "sh", "-c", script], env=place, stdout=log, stderr=log, check=True)
        assert (tmp_path / name).read_bytes() == wanted


def test_a_terminal_stays_a_terminal(place: dict[str, str]) -> None:
    master, slave = pty.openpty()
    script = "test -t 0 && test -t 1 && test -t 2 && stty size && exit 5"
    process = subprocess.Popen(
        [*EXEC, *AWAY, "--", "sh", "-c", script], env=place, stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    seen = b""
    while process.poll() is None or select.select([master], [], [], 0)[0]:
        if select.select([master], [], [], 0.1)[0]:
            try:
                seen += os.read(master, 1000)
            except OSError:  # the last one has closed it
                break
    os.close(master)
    assert process.wait(10) == 5
    assert re.fullmatch(rb"\d+ \d+\r\n", seen)


def test_control_c_reaches_the_job_once(place: dict[str, str], tmp_path: Path) -> None:
    script = "trap 'echo got >> log; exit 9' INT; echo ready; while :; do sleep 0.05; done"
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execvpe(EXEC[0], [*EXEC, *AWAY, "--", "sh", "-c", script], place)
    while b"ready" not in os.read(master, 1000):
        pass
    os.write(master, b"\x03")
    _, status = os.waitpid(pid, 0)
    os.close(master)
    assert os.waitstatus_to_exitcode(status) == 9
    assert (tmp_path / "log").read_text() == "got\n"


def started(place: dict[str, str], script: str, *options: str, **more: Any) -> subprocess.Popen[bytes]:
    """A job that has said `ready`."""
    process = subprocess.Popen(
        [*EXEC, *AWAY, *options, "--", "sh", "-c", script], env=place, stdout=subprocess.PIPE, **more
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


@pytest.mark.parametrize("name", ["HUP", "INT", "QUIT", "TERM", "USR1", "USR2", "ALRM"])
def test_signals_are_passed_on(place: dict[str, str], name: str) -> None:
    script = f"trap 'echo got {name}; exit 7' {name}; echo ready; while :; do sleep 0.05; done"
    process = started(place, script)
    process.send_signal(getattr(signal, f"SIG{name}"))
    out, _ = process.communicate(timeout=20)
    assert (process.returncode, out) == (7, f"got {name}\n".encode())


def test_a_job_that_heeds_no_signal_goes_on(place: dict[str, str]) -> None:
    process = started(place, "trap '' TERM; echo ready; sleep 0.5; echo still here; exit 4")
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=20)
    assert (process.returncode, out) == (4, b"still here\n")


def test_what_nohup_ignores_stays_ignored(place: dict[str, str]) -> None:
    script = "kill -HUP $PPID; kill -HUP $$; sleep 0.2; echo alive"
    done = subprocess.run(
        ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *EXEC, *AWAY, "--", "sh", "-c", script],
        env=place,
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"alive\n", b"")


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_stopped_job_stops_and_goes_on(place: dict[str, str]) -> None:
    process = started(place, "echo ready; while :; do sleep 0.05; done", process_group=0)
    process.send_signal(signal.SIGTSTP)
    until(lambda: state(process.pid) == "T")
    process.send_signal(signal.SIGCONT)
    until(lambda: state(process.pid) == "S")
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == -signal.SIGTERM


def test_a_daemon_left_behind_delays_nothing_and_is_heard(place: dict[str, str], tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    process = subprocess.Popen(
        [*EXEC, *AWAY, "--", "sh", "-c", f"(read word < {gate}; echo $word) & echo first; exit 6"],
        env=place,
        stdout=subprocess.PIPE,
    )
    assert process.wait(20) == 6
    gate.write_text("later\n")
    assert process.stdout is not None
    assert process.stdout.read() == b"first\nlater\n"
    process.stdout.close()


def test_a_daemon_that_never_falls_silent_delays_nothing_either(place: dict[str, str]) -> None:
    process = subprocess.Popen(
        [*EXEC, *AWAY, "--", "sh", "-c", "yes & echo $! >&2; exit 2"],
        env=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    while process.poll() is None:
        process.stdout.read1(65536)
    assert process.returncode == 2
    assert process.stdout.read(20) in (b"y\n" * 10, b"\ny" * 10)
    process.stdout.close()  # which ends the copy, and that the daemon
    gone = int(process.stderr.read())
    process.stderr.close()
    until(lambda: not Path(f"/proc/{gone}").exists() or state(gone) == "Z")


def test_a_reader_that_leaves_ends_the_job_as_it_would_without(place: dict[str, str]) -> None:
    process = started(place, "echo ready; exec yes")
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(20) == -signal.SIGPIPE


def test_no_locale_is_given_to_a_job_that_had_none(place: dict[str, str]) -> None:
    bare = {"PATH": os.environ["PATH"], "XDG_STATE_HOME": place["XDG_STATE_HOME"], "PYTHONPATH": "src"}
    done = run(bare, *AWAY, "--", "env")
    plain = subprocess.run(["env"], env=bare, capture_output=True, check=True)
    assert done.stdout == plain.stdout


def test_reports_wait_for_a_server_that_is_away_and_arrive_in_order(served: Served, place: dict[str, str]) -> None:
    uid, url = addressed(served)
    away = url.replace(str(served.port), "1")
    for number in (3, 0):
        done = run(place, "--wait", "0", "--heartbeat", away, "--", "sh", "-c", f"echo run {number}; exit {number}")
        assert (done.returncode, done.stdout, done.stderr) == (number, f"run {number}\n".encode(), b"")
    spool = spool_of(place)
    assert spool.count() == 2
    assert all(Path(spool.folder, name).stat().st_mode & 0o777 == 0o600 for name in spool.names())
    for name in spool.names():  # the same server, back at its address
        path = Path(spool.folder, name)
        path.write_text(path.read_text().replace(away, url))
    assert run(place, "--heartbeat", url, "--", "true").returncode == 0
    assert spool.count() == 0
    assert told(uid) == [("fail", 3), ("success", 0), ("start", None), ("success", 0)]
    first = queries.ping(uid, 1)
    assert re.match(rb"Reported \d+ s late: it ended at 20\d\d-[\d:TZ-]+, when", first.body or b"")
    assert (first.body or b"").endswith(b"Output:\n\nrun 3\n")


def test_flush_sends_what_waits(served: Served, place: dict[str, str]) -> None:
    uid, url = addressed(served)
    run(place, *AWAY, "--", "true")
    done = run(place, "--flush")
    assert (done.returncode, done.stdout.split(b" still")[0]) == (1, b"Reports: 0 sent, 1")
    spool = spool_of(place)
    path = Path(spool.folder, spool.names()[0])
    path.write_text(path.read_text().replace(NOWHERE, url))
    done = run(place, "--flush")
    assert (done.returncode, done.stdout) == (0, b"Reports: 1 sent.\n")
    assert told(uid) == [("success", 0)]


def test_a_server_that_comes_back_during_the_run_hears_of_the_start(place: dict[str, str], store: None) -> None:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = chosen.getsockname()[1]
    view = heartbeat("job")
    url = f"http://127.0.0.1:{port}/ping/{view.uuid}"
    process = subprocess.Popen([*EXEC, "--heartbeat", url, "--", "cat"], env=place, stdin=subprocess.PIPE)
    received: list[str] = []
    with socket.create_server(("127.0.0.1", port)) as server:
        server.settimeout(30)
        for _ in range(2):
            connection, _ = server.accept()
            with connection:
                received.append(connection.recv(65536).split(b" ")[1].split(b"?")[0].decode().rpartition("/")[2])
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")
            if len(received) == 1:
                assert process.stdin is not None
                process.stdin.close()
    assert process.wait(20) == 0
    assert received == ["start", "0"]
    assert spool_of(place).count() == 0


def test_a_server_that_never_answers_delays_the_job_by_nothing_and_the_end_by_the_wait(
    place: dict[str, str], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = NOWHERE.replace(":1/", f":{silent.getsockname()[1]}/")
        began = time.monotonic()
        script = 'date +%s.%N > "$0"'
        done = run(place, "--wait", "1", "--heartbeat", url, "--", "sh", "-c", script, str(tmp_path / "at"))
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert time.monotonic() - began >= 1
    assert spool_of(place).count() == 1


def test_a_stop_while_reporting_spools_and_ends(place: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = NOWHERE.replace(":1/", f":{silent.getsockname()[1]}/")
        process = subprocess.Popen([*EXEC, "--wait", "60", "--heartbeat", url, "--", "true"], env=place)
        silent.accept()[0].close()  # the start
        with silent.accept()[0]:  # the end, or the start again: it is waited for
            time.sleep(0.3)
            process.terminate()
            assert process.wait(20) == 0
    assert spool_of(place).count() == 1


def test_a_refused_report_is_told_and_changes_nothing_else(served: Served, place: dict[str, str]) -> None:
    unknown = f"http://127.0.0.1:{served.port}/ping/8f1f7f0e-9c3b-4e0e-a7f5-0d2b6a3a1c11"
    done = run(place, "--heartbeat", unknown, "--", "sh", "-c", "echo out; exit 2")
    assert (done.returncode, done.stdout) == (2, b"out\n")
    assert done.stderr == (
        b"mainstay exec: nothing was recorded: the server does not know the heartbeat (404 not found)\n"
    )
    assert spool_of(place).count() == 0


def test_a_spool_that_cannot_be_written_is_told(place: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run({**place, "MAINSTAY_SPOOL": str(tmp_path / "file" / "spool")}, *AWAY, "--", "true")
    assert done.returncode == 0
    assert b"could not be spooled" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), b"no job given"),
        (("--heartbeat", "x", "--"), b"no job given"),
        (("--tail", "many", "--", "true"), b"--tail"),
        (("--tail", "100000", "--", "true"), b"--tail is 0 to 90000"),
        (("--wait", "1h", "--", "true"), b"--wait"),
        (("--flush", "--", "true"), b"--flush runs no job"),
        (("--hartbeat", "x", "--", "true"), b"--heartbeat"),
    ],
)
def test_wrong_arguments_are_told_with_a_hint(place: dict[str, str], arguments: tuple[str, ...], words: bytes) -> None:
    done = run(place, *arguments)
    assert done.returncode == 2
    assert words in done.stderr


def test_a_job_without_an_address_runs_and_says_so(place: dict[str, str]) -> None:
    for arguments, words in (((), b"give --heartbeat"), (("--heartbeat", "nightly"), b"ping key")):
        done = run(place, *arguments, "--", "sh", "-c", "exit 3")
        assert done.returncode == 3
        assert words in done.stderr


def test_options_after_the_data_folder_work_too(place: dict[str, str]) -> None:
    line = [sys.executable, "-m", "mainstay", "--data", "/nowhere", "exec", *AWAY, "--", "sh", "-c"]
    assert subprocess.run([*line, "exit 8"], env=place, check=False, timeout=30).returncode == 8


def test_it_starts_soon(place: dict[str, str]) -> None:
    """The figure is 150 ms above Python itself; the machine may be busy, so it is printed, and modules are counted."""

    def best(arguments: list[str]) -> float:
        times = []
        for _ in range(5):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(arguments, env=place, check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        return min(times)

    plain, through = best([sys.executable, "-c", "pass"]), best([*EXEC, *AWAY, "--", "true"])
    print(f"python {plain * 1000:.0f} ms, exec {through * 1000:.0f} ms of CPU, the report included")
    script = (
        "import sys, mainstay.heartbeats.exec.job; print(len(set(sys.modules) & {'typer', 'click', 'rich', 'ssl'}))"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert found.stdout == b"0\n"
