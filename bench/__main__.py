"""Run benchmarks one after the other, each in a process of its own, and print what they found."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

# name -> what it measures; each is a module `bench.<name>` with `measure() -> list[Figure]`
BENCHMARKS = {
    "startup": "start-up of commands",
    "check_cost": "CPU per check beside the blackbox exporter",
    "lag": "10,000 monitors every 60 s",
    "nodes": "start lag and CPU of 50,000 monitors every 60 s, by one and by two servers on one PostgreSQL",
    "restart": "1,000 monitors after a restart",
    "pings": "durable pings per second",
    "detection": "from the confirming check to the channel",
    "storm": "10,000 alerts as Prometheus sends them, beside Alertmanager",
    "heartbeats": "10,000 heartbeats and 1,000 pings/s: from a missed one to the channel",
    "duty": "who is on duty, and forecasts of a year",
    "imports": "import of 1,000 monitors, plan of 10,000 resources",
    "bulk": "5,000 monitors created, changed, paused and deleted, and how long others wait meanwhile",
    "pages": "pages and status page with 1,000 monitors and 90 days",
    "telemetry": "results by the million in DuckDB and ClickHouse: a page of 90 days, disk",
    "equality": "10,000 generated cases of matchers, routes, inhibitions and intervals, answered as Alertmanager does",
    "access": "sign-in, scope checks and request limits",
    "idle": "memory and CPU with 100 monitors",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []], help="which (default: all)")
    parser.add_argument("--results", type=int, help="how many results `telemetry` makes, such as 100000000")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    chosen = parser.parse_args()
    if chosen.results:
        os.environ["BENCH_RESULTS"] = str(chosen.results)
    figures = []
    for name in chosen.names or BENCHMARKS:
        print(f"\n{name}: {BENCHMARKS[name]}", flush=True)
        figures += _run(name)
    document = json.dumps(figures, indent=2)
    print(f"\n{document}")
    if chosen.json:
        chosen.json.write_text(document)


def _run(name: str) -> list[dict[str, object]]:
    done = subprocess.run([sys.executable, "-m", f"bench.{name}"], capture_output=True, text=True, check=False)
    sys.stderr.write(done.stderr)
    if done.returncode:
        print(f"  did not finish: exit code {done.returncode}")
        return [{"benchmark": name, "error": done.stderr[-2000:]}]
    figures: list[dict[str, object]] = json.loads(done.stdout)
    for figure in figures:
        target = f"   asked: {figure['target']}" if figure.get("target") else ""
        met = {True: "reached", False: "NOT reached", None: ""}[figure.get("reached")]  # type: ignore[index]
        print(f"  {figure['name']:<58} {figure['value']:>12} {figure['unit']:<8}{target:<24}{met}")
    return [{"benchmark": name, **figure} for figure in figures]


if __name__ == "__main__":
    main()
