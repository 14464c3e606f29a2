"""Debian's Alertmanager as a peer: started on a configuration, asked over its API. Nothing here knows our own code."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bench.server import free_port

_PROGRAM = "prometheus-alertmanager"
_SETTLED = 0.15  # seconds
_PATIENCE = 30.0  # seconds until it has to have taken in what it was sent

# (receiver, labels of the group) of each group that an alert is in, and whether it is inhibited.
Answer = tuple[list[tuple[str, tuple[tuple[str, str], ...]]], bool]


class Peer:
    """A running Alertmanager, asked over one connection that stays open."""

    def __init__(self, port: int) -> None:
        self._link = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """(status, what it answered)."""
        text = None if body is None else json.dumps(body)
        self._link.request(method, path, text, {"Content-Type": "application/json"})
        answer = self._link.getresponse()
        raw = answer.read()
        return answer.status, json.loads(raw) if raw[:1] in (b"{", b"[", b'"') else raw.decode()

    def close(self) -> None:
        self._link.close()

    def take(self, alerts: Iterable[Mapping[str, str]]) -> None:
        """Send alerts that fire from now on, by their labels."""
        status, said = self.ask("POST", "/api/v2/alerts", [{"labels": dict(labels)} for labels in alerts])
        if status != 200:
            raise RuntimeError(f"alerts were refused: {said}")

    def fitting(self, matcher: str) -> set[str] | None:
        """The label `id` of each alert that a matcher fits; None if it is no matcher."""
        status, found = self.ask("GET", f"/api/v2/alerts?filter={quote(matcher, safe='')}")
        return {one["labels"]["id"] for one in found} if status == 200 else None

    def groups(self, count: int) -> dict[str, Answer]:
        """Of each of `count` alerts by its label `id`: (receiver, labels of the group) of each of its groups, and
        whether it is inhibited. Its dispatcher and its inhibitor take alerts in each at its own pace, so an answer
        counts that has not changed for a while."""
        until = time.monotonic() + _PATIENCE
        before: dict[str, Answer] | None = None
        found: dict[str, Answer] = {}
        while time.monotonic() < until:
            before, found = found, {}
            for group in self.ask("GET", "/api/v2/alerts/groups")[1]:
                there = (group["receiver"]["name"], tuple(sorted(group["labels"].items())))
                for alert in group["alerts"]:
                    kept = found.setdefault(alert["labels"]["id"], ([], bool(alert["status"]["inhibitedBy"])))
                    kept[0].append(there)
            if len(found) == count and found == before:
                return {name: (sorted(groups), inhibited) for name, (groups, inhibited) in found.items()}
            time.sleep(_SETTLED)
        raise RuntimeError(f"{len(found)} of {count} alerts are in groups after {_PATIENCE:g} s")


@contextmanager
def running(config: Mapping[str, Any]) -> Iterator[Peer]:
    """One of its own, on a configuration; FileNotFoundError where the package is not installed."""
    with tempfile.TemporaryDirectory(prefix="mainstay-bench-alertmanager-") as folder:
        file, port = Path(folder) / "alertmanager.yml", free_port()
        file.write_text(json.dumps(config))  # which YAML reads
        environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/bin"}
        process = subprocess.Popen(
            [
                _PROGRAM,
                f"--config.file={file}",
                f"--storage.path={folder}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--cluster.listen-address=",
            ],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        peer = Peer(port)
        try:
            _wait(peer, process)
            yield peer
        finally:
            peer.close()
            process.kill()
            process.communicate()


def _wait(peer: Peer, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        if process.poll() is not None:
            assert process.stderr is not None
            raise RuntimeError(process.stderr.read().decode()[-2000:])
        try:
            if peer.ask("GET", "/-/ready")[0] == 200:
                return
        except (OSError, http.client.HTTPException):
            peer.close()
            time.sleep(0.02)
    raise RuntimeError("it was not ready in time")
