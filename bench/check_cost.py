"""CPU per HTTP and HTTPS check: our prober and Debian's blackbox exporter against the same local nginx.

Both make the same number of checks at the same steady rate, on the same one processor, with a new connection for each
check, over HTTPS with a full handshake and the certificate verified against a CA made for the run; nginx and this
process have the other processors. What counts is the CPU time (user and system) of the whole process; rounds of the
two take turns, and the middle share of all rounds is told, so that a busy neighbour, who slows both down alike, does
not decide.
"""

from __future__ import annotations

import asyncio
import http.client
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import structlog
import trustme
import uvloop

from bench.figures import Figure, at_most, hand_over, told
from bench.server import free_port
from mainstay.kernel.probing import CheckOrder, CheckResult
from mainstay.kernel.settings import Settings
from mainstay.watch.probers import Probers

_ROUNDS = 5
_RATE = 400  # checks per second of either; at rest both cost more per check, at full load less
_WARM_UP = 2.0
_CHECKS = 1600  # that are measured in each round of either
_CLIENTS = 4  # connections to the exporter, kept open
_EXPORTER = "prometheus-blackbox-exporter"
_EVERYWHERE = os.sched_getaffinity(0)
_MEASURED = {max(_EVERYWHERE)}  # the processor of what is measured
_BESIDE = _EVERYWHERE - _MEASURED or _EVERYWHERE
_TICKS = os.sysconf("SC_CLK_TCK")

_NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log; user root;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  ssl_protocols TLSv1.2 TLSv1.3;
  server {{ listen 127.0.0.1:{http} backlog=4096; location / {{ return 200 "ok"; }} }}
  server {{
    listen 127.0.0.1:{ecdsa} ssl backlog=4096; location / {{ return 200 "ok"; }}
    ssl_certificate {folder}/ecdsa.pem; ssl_certificate_key {folder}/ecdsa.pem;
  }}
  server {{
    listen 127.0.0.1:{rsa} ssl backlog=4096; location / {{ return 200 "ok"; }}
    ssl_certificate {folder}/rsa.pem; ssl_certificate_key {folder}/rsa.pem;
  }}
}}
"""
_MODULE = "modules: {m: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4, tls_config: {ca_file: %s}}}}\n"


@dataclass
class Cost:
    """CPU milliseconds per check of each round."""

    ours: list[float] = field(default_factory=list)
    main: list[float] = field(default_factory=list)
    exporter: list[float] = field(default_factory=list)


@contextmanager
def _process(*command: str, on: set[int] = _BESIDE) -> Iterator[int]:
    path = f"{os.environ['PATH']}:/usr/sbin:/usr/bin"
    os.sched_setaffinity(0, on)  # which a process that is started takes over, with all threads that it makes
    process = subprocess.Popen(
        command, env={**os.environ, "PATH": path}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.sched_setaffinity(0, _BESIDE)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int) -> None:
    for _ in range(200):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
        try:
            connection.request("GET", "/")
            connection.getresponse().read()
        except OSError:
            time.sleep(0.05)
        else:
            return
        finally:
            connection.close()
    raise RuntimeError(f"nothing answers on port {port}")


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _own_cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _exporter_round(port: int, pid: int, url: str) -> float:
    """CPU milliseconds per probe, at the rate of our prober."""

    def probe_often(client: int, begin: float, count: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        for number in range(count):
            time.sleep(max(0.0, begin + (number * _CLIENTS + client) / _RATE - time.monotonic()))
            connection.request("GET", f"/probe?module=m&target={url}")
            if b"\nprobe_success 1\n" not in connection.getresponse().read():
                raise RuntimeError(f"the exporter could not probe {url}")
        connection.close()

    def probe_all(checks: int) -> None:
        begin, count = time.monotonic(), checks // _CLIENTS
        with ThreadPoolExecutor(_CLIENTS) as clients:
            for client in [clients.submit(probe_often, client, begin, count) for client in range(_CLIENTS)]:
                client.result()

    probe_all(_CHECKS // 4)
    before = _cpu_seconds(pid)
    probe_all(_CHECKS)
    return (_cpu_seconds(pid) - before) / _CHECKS * 1000


async def _our_round(url: str) -> tuple[float, float]:
    """CPU milliseconds per check of the prober, and of this side of the pipe."""
    results: list[CheckResult] = []
    enough = asyncio.Event()

    def take(found: Iterable[CheckResult]) -> None:
        results.extend(found)
        if len(results) >= _CHECKS:
            enough.set()

    probers = Probers(Settings.of({"probers": 1}), take)
    os.sched_setaffinity(0, _MEASURED)
    await probers.start()
    os.sched_setaffinity(0, _BESIDE)
    try:
        probers.assign(
            CheckOrder(
                uid=f"m{number}",
                kind="http",
                interval=1.0,
                timeout=5.0,
                offset=number / _RATE,
                first_delay=number / _RATE,
                options={"target": {"url": url}, "expect": {}},
            )
            for number in range(_RATE)
        )
        await asyncio.sleep(_WARM_UP)
        (pid,) = probers.pids()
        results.clear()
        enough.clear()
        theirs, own = _cpu_seconds(pid), _own_cpu_seconds()
        async with asyncio.timeout(_CHECKS / _RATE * 10):
            await enough.wait()
        count = len(results)
        used, own = _cpu_seconds(pid) - theirs, _own_cpu_seconds() - own
    finally:
        await probers.stop()
    if bad := [result for result in results if result.verdict != "up"]:
        raise RuntimeError(f"{len(bad)} of {count} checks failed: {bad[0].message}")
    return used / count * 1000, own / count * 1000


def _prepare(folder: Path) -> dict[str, int]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    for name, key in (("ecdsa", trustme.KeyType.ECDSA), ("rsa", trustme.KeyType.RSA)):
        issued = authority.issue_cert("127.0.0.1", key_type=key)
        issued.private_key_and_cert_chain_pem.write_to_path(folder / f"{name}.pem")
    ports = {name: free_port() for name in ("http", "ecdsa", "rsa")}
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, **ports))
    (folder / "blackbox.yml").write_text(_MODULE % (folder / "ca.pem"))
    return ports


def measure() -> list[Figure]:
    if shutil.which(_EXPORTER) is None:
        sys.exit(f"{_EXPORTER} is missing: apt-get install {_EXPORTER}")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mainstay-cost-")))
        ports = _prepare(folder)
        os.environ["SSL_CERT_FILE"] = str(folder / "ca.pem")  # what our prober trusts
        stack.enter_context(_process("nginx", "-c", str(folder / "nginx.conf")))
        port = free_port()
        pid = stack.enter_context(
            _process(
                _EXPORTER,
                f"--config.file={folder}/blackbox.yml",
                f"--web.listen-address=127.0.0.1:{port}",
                on=_MEASURED,
            )
        )
        _wait_for(ports["http"])
        _wait_for(port)
        costs = {name: Cost() for name in ports}
        for _ in range(_ROUNDS):
            for name, cost in costs.items():
                url = f"{'http' if name == 'http' else 'https'}://127.0.0.1:{ports[name]}/"
                cost.exporter.append(_exporter_round(port, pid, url))
                ours, main = uvloop.run(_our_round(url))
                cost.ours.append(ours)
                cost.main.append(main)
    return [figure for name, cost in costs.items() for figure in _figures(name, cost)]


def _figures(name: str, cost: Cost) -> list[Figure]:
    what = {"http": "HTTP", "ecdsa": "HTTPS (ECDSA P-256)", "rsa": "HTTPS (RSA 2048)"}[name]
    ours, main, exporter = (statistics.median(values) for values in (cost.ours, cost.main, cost.exporter))
    share = statistics.median(one / other for one, other in zip(cost.ours, cost.exporter, strict=True))
    return [
        at_most(f"{what}: share of the exporter's CPU", share, 0.25 if name == "http" else 0.5, "x"),
        told(f"{what}: prober, CPU per check", ours, "ms"),
        told(f"{what}: main process, CPU per result taken in", main, "ms"),
        told(f"{what}: blackbox exporter, CPU per check", exporter, "ms"),
    ]


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # figures go to the standard output
    hand_over(measure())
