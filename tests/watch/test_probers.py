"""Prober processes as the main process sees them: shares, replacement, ends."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.rigs.check_servers import tcp_server, until_closed
from tests.rigs.http_servers import always, answer

from mainstay.kernel.errors import UserError
from mainstay.kernel.probing import CheckOrder, CheckResult
from mainstay.kernel.settings import Settings
from mainstay.watch import probers as probers_room
from mainstay.watch.probers import Probers


def order(uid: str, port: int, **changes: Any) -> CheckOrder:
    fields: dict[str, Any] = {
        "kind": "http",
        "interval": 60.0,
        "timeout": 5.0,
        "options": {"target": {"url": f"http://127.0.0.1:{port}/"}, "expect": {}},
    }
    return CheckOrder(uid=uid, **{**fields, **changes})


class Inbox:
    """Results as they come in."""

    def __init__(self) -> None:
        self.results: list[CheckResult] = []

    def take(self, results: list[CheckResult]) -> None:
        self.results += results

    @property
    def uids(self) -> set[str]:
        return {result.uid for result in self.results}

    def of(self, uid: str) -> list[CheckResult]:
        return [result for result in self.results if result.uid == uid]


async def until(condition: Callable[[], Any], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in other processes
            await asyncio.sleep(0.02)


@asynccontextmanager
async def running(count: int = 1, **settings: Any) -> AsyncIterator[tuple[Probers, Inbox]]:
    inbox = Inbox()
    probers = Probers(Settings.of(dict(probers=count, **settings)), inbox.take)
    await probers.start()
    try:
        yield probers, inbox
    finally:
        await probers.stop()


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(work())


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_orders_are_shared_out_run_and_taken_back() -> None:
    async def work() -> None:
        with tcp_server(always(answer())) as port:
            async with running(2) as (probers, inbox):
                uids = {f"m{number}" for number in range(40)}
                probers.assign([order(uid, port, interval=1.0) for uid in sorted(uids)])
                await until(lambda: inbox.uids == uids)
                await until(lambda: sum(vitals.assigned for vitals in probers.vitals()) == 40)
                assert all(0 < vitals.assigned < 40 for vitals in probers.vitals())
                assert all(vitals.memory > 1_000_000 for vitals in probers.vitals())
                assert {result.verdict for result in inbox.results} == {"up"}
                assert all(result.scheduled for result in inbox.results)
                probers.withdraw(uids)
                await until(lambda: sum(vitals.assigned for vitals in probers.vitals()) == 0)

    run(work)


def test_a_recheck_runs_beside_the_schedule() -> None:
    async def work() -> None:
        with tcp_server(always(answer())) as port:
            async with running() as (probers, inbox):
                probers.assign([order("a", port, interval=3600.0)])
                await until(lambda: inbox.of("a"))
                probers.recheck("a", 0.1)
                await until(lambda: len(inbox.of("a")) == 2)
                assert [result.scheduled for result in inbox.of("a")] == [True, False]
                assert inbox.of("a")[1].at - inbox.of("a")[0].at >= 0.1

    run(work)


def test_a_check_that_was_asked_for() -> None:
    async def work() -> None:
        with tcp_server(always(answer())) as port:
            async with running() as (probers, inbox):
                result = await probers.run_once(order("b", port))
                assert (result.uid, result.verdict, result.scheduled) == ("b", "up", False)
                unknown = await probers.run_once(order("c", port, kind="no-such"))
                assert (unknown.verdict, unknown.code) == ("unknown", "check.kind_missing")
                bad = await probers.run_once(order("d", port, options={"target": {}}))
                assert (bad.verdict, bad.code) == ("unknown", "check.bad_order")
                assert inbox.results == []

    run(work)


def test_a_hanging_target_delays_no_other_and_is_never_checked_twice_at_once() -> None:
    async def work() -> None:
        with tcp_server(until_closed) as hanging, tcp_server(always(answer())) as port:
            async with running() as (probers, inbox):
                probers.assign([order(f"slow{number}", hanging, interval=1.0, timeout=2.5) for number in range(20)])
                probers.assign([order("quick", port, interval=1.0)])
                await until(lambda: len(inbox.of("quick")) >= 4 and len(inbox.uids) == 21)
                assert max(result.lag for result in inbox.of("quick")) < 2
                assert {result.code for result in inbox.of("slow1")} == {"wait.timeout"}
                await until(lambda: sum(vitals.skipped for vitals in probers.vitals()) > 0)

    run(work)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_prober_that_dies_is_replaced_with_its_orders(number: signal.Signals) -> None:
    async def work() -> None:
        with tcp_server(always(answer())) as port:
            async with running() as (probers, inbox):
                probers.assign([order("a", port), order("b", port)])
                await until(lambda: inbox.uids == {"a", "b"})
                before = probers.pids()
                inbox.results.clear()
                os.kill(before[0], number)
                await until(lambda: inbox.uids == {"a", "b"})
                assert probers.pids() != before
                assert not is_running(before[0])

    run(work)


def test_a_prober_that_is_killed_in_a_big_body_costs_nothing_but_the_moment() -> None:
    """As the kernel does it when memory is short."""
    begun, go_on = threading.Event(), threading.Event()

    def big(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 8000000\r\n\r\n" + bytes(4_000_000))
        begun.set()
        go_on.wait(20)
        connection.sendall(bytes(4_000_000))

    async def work() -> None:
        with tcp_server(always(answer())) as port, tcp_server(big) as large, capture_logs() as log:
            async with running() as (probers, inbox):
                probers.assign([order("small", port), order("big", large, timeout=30.0)])
                await until(lambda: begun.is_set() and inbox.uids == {"small"})
                (before,) = probers.pids()
                os.kill(before, signal.SIGKILL)
                inbox.results.clear()
                begun.clear()
                await until(begun.is_set)
                assert not inbox.of("big"), "what nobody saw the end of is no result"
                go_on.set()
                await until(lambda: inbox.uids == {"small", "big"})
                assert {result.verdict for result in inbox.results} == {"up"}
                assert [result.evidence["bytes"] for result in inbox.of("big")] == [8_000_000]
                (told,) = [entry for entry in log if entry["event"] == "prober.replaced"]
                assert (told["pid"], told["status"], told["orders"]) == (before, -signal.SIGKILL, 2)

    run(work)


def test_a_prober_that_falls_silent_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probers_room, "_SILENCE", 2.5)

    async def work() -> None:
        with tcp_server(always(answer())) as port:
            async with running() as (probers, inbox):
                probers.assign([order("a", port)])
                await until(lambda: inbox.uids == {"a"})
                before = probers.pids()
                os.kill(before[0], signal.SIGSTOP)
                inbox.results.clear()
                await until(lambda: inbox.uids == {"a"})
                assert probers.pids() != before
                assert not is_running(before[0])

    run(work)


def test_a_check_that_was_asked_for_is_unknown_when_its_prober_dies() -> None:
    async def work() -> None:
        with tcp_server(until_closed) as port:
            async with running() as (probers, _inbox):
                asked = asyncio.create_task(probers.run_once(order("a", port, timeout=30.0)))
                await until(lambda: sum(vitals.checks + 1 for vitals in probers.vitals()) > 0)
                os.kill(probers.pids()[0], signal.SIGKILL)
                result = await asyncio.wait_for(asked, 10)
                assert (result.verdict, result.code) == ("unknown", "check.prober_lost")

    run(work)


@pytest.mark.parametrize("stopped", [False, True])
def test_they_end_when_asked_even_if_stopped(stopped: bool) -> None:
    async def work() -> None:
        with tcp_server(until_closed) as port:
            async with running(2) as (probers, _inbox):
                probers.assign([order("a", port, timeout=30.0)])
                await until(lambda: len(probers.vitals()) == 2)
                pids = probers.pids()
                if stopped:
                    for pid in pids:
                        os.kill(pid, signal.SIGSTOP)
                began = time.monotonic()
                await probers.stop()
                assert time.monotonic() - began < 10
                assert not any(is_running(pid) for pid in pids)

    run(work)


def test_a_receiver_that_fails_does_not_cost_the_prober() -> None:
    async def work() -> None:
        complaints: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
        taken: list[CheckResult] = []

        def fail(results: list[CheckResult]) -> None:
            taken.extend(results)
            raise RuntimeError("the receiver broke")

        probers = Probers(Settings.of({"probers": 1}), fail)
        await probers.start()
        try:
            with tcp_server(always(answer())) as port:
                probers.assign([order("a", port, interval=1.0)])
                before = probers.pids()
                await until(lambda: len(taken) >= 2)
                assert probers.pids() == before
                assert complaints
        finally:
            await probers.stop()

    run(work)


def test_a_wrong_setting_is_told_at_once() -> None:
    with pytest.raises(UserError, match="MAINSTAY_PROBE_ALLOW"):
        Probers(Settings(probe_allow="sefl"), lambda _results: None)


_MAIN = """
import asyncio, sys
from mainstay.kernel.settings import Settings
from mainstay.watch.probers import Probers

async def main():
    probers = Probers(Settings.of(dict(probers=2)), lambda results: None)
    await probers.start()
    print(*probers.pids(), flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.parametrize("stopped", [False, True])
def test_they_do_not_outlive_the_main_process(stopped: bool) -> None:
    main = subprocess.Popen([sys.executable, "-c", _MAIN], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert main.stdout is not None
    try:
        with main.stdout:
            pids = [int(word) for word in main.stdout.readline().split()]
        assert len(pids) == 2
        assert all(os.getsid(pid) == pid for pid in pids)  # a terminal's Ctrl-C does not reach them
        time.sleep(0.5)  # until the prober has begun; there is nothing to see from outside
        if stopped and sys.platform == "linux":
            os.kill(pids[0], signal.SIGSTOP)
    finally:
        main.kill()
        main.wait()

    async def gone() -> None:
        await until(lambda: not any(_alive(pid) for pid in pids))

    run(gone)


def _alive(pid: int) -> bool:
    """Whether it runs; one that nobody waits for stays as a zombie where init does not reap."""
    try:
        with open(f"/proc/{pid}/stat") as handle:
            return handle.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


_IMPORTS = """
import asyncio, sys
sys.argv = ["prober", "-1"]
import mainstay.watch.prober.__main__
from mainstay.kernel.probing import CheckOrder
from mainstay.watch.prober.context import Context
from mainstay.watch.prober.dispatch import prepare
for kind in {kinds!r}:
    check = prepare(CheckOrder(uid="a", kind=kind, interval=1, timeout=1, options={{"target": {{"url": "http://x",
        "address": "x:1", "name": "x", "host": "x"}}}}))
    asyncio.run(check.run(Context()))
print(*sorted(name for name in sys.modules if name.partition(".")[0] in ("django", "pydantic", "ninja", "duckdb")))
"""


def test_a_prober_imports_neither_django_nor_pydantic() -> None:
    script = _IMPORTS.format(kinds=["http", "tcp", "tls", "dns", "icmp"])
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == ""


def test_garbage_on_the_pipe_ends_a_prober() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        child = subprocess.Popen(
            [sys.executable, "-m", "mainstay.watch.prober", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stderr=subprocess.DEVNULL,
        )
        theirs.close()
        with suppress(BrokenPipeError):
            ours.sendall(b"\xff" * 100)
        child.wait(20)
