"""Real servers on loopback that deliveries are sent to, and the shortest way to declare and to fail something."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

from tests.rigs.told import Told

from mainstay.alerting.advancing import advance_due
from mainstay.kernel.actor import system
from mainstay.kernel.capability import CAPABILITIES
from mainstay.kernel.subject import tells
from mainstay.kernel.wording import cause_words
from mainstay.store.resources.queries import find
from mainstay.store.work import unit_of_work

T = TypeVar("T")


@dataclass
class Request:
    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes
    at: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    """`stream`: written after the headers, without a length, until the client has had enough."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    wait: threading.Event | None = None  # answer only after this is set (or the server ends)
    stream: bytes = b""


class Receiver:
    """An HTTP server that records requests; `answer` decides about each."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answer: Callable[[Request], Reply] = lambda _request: Reply()
        self._arrived = threading.Condition()
        self.ending = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.take(self, Request(self.path, headers, self.rfile.read(length), time.time()))

            def log_message(self, *_args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_args: None  # type: ignore[method-assign]  # clients that leave are expected
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def take(self, handler: BaseHTTPRequestHandler, request: Request) -> None:
        with self._arrived:
            self.requests.append(request)
            self._arrived.notify_all()
        reply = self.answer(request)
        while reply.wait is not None and not reply.wait.wait(0.02) and not self.ending.is_set():
            pass
        handler.send_response(reply.status)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        if reply.stream:
            handler.send_header("Connection", "close")
            handler.end_headers()
            handler.close_connection = True
            while not self.ending.is_set():
                handler.wfile.write(reply.stream)
        else:
            handler.send_header("Content-Length", str(len(reply.body)))
            handler.end_headers()
            handler.wfile.write(reply.body)

    def wait_for(self, count: int, seconds: float = 20.0) -> list[Request]:
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.requests) >= count, seconds), f"{len(self.requests)} came"
            return list(self.requests)

    def stop(self) -> None:
        self.ending.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def receiver() -> Iterator[Receiver]:
    running = Receiver()
    try:
        yield running
    finally:
        running.stop()


async def in_thread(work: Callable[..., T], *arguments: Any) -> T:
    """Run on a thread, and leave no database connection behind on it."""
    from django.db import connections

    def run() -> T:
        try:
            return work(*arguments)
        finally:
            connections.close_all()

    return await asyncio.to_thread(run)


def declare(kind: str, name: str, document: dict[str, Any]) -> str:
    """Declare one resource; its uid."""
    from mainstay.store.resources.apply import declare as store_declare

    return store_declare(system("test"), kind, name, document, manager="api").uid


def remove(kind: str, name: str) -> None:
    from mainstay.store.resources.apply import remove as store_remove

    store_remove(system("test"), kind, name, manager="api")


def happen(kind: str, subject: str, clock: Any = None, **data: Any) -> None:
    """One event, and what the delivery lane decides about the alerts that are due then."""
    occur(kind, subject, clock, **data)
    decide(clock)


def decide(clock: Any = None) -> int:
    """Take the due alerts through the stages, as the delivery lane does; how many."""
    return advance_due(system("delivery"), clock)


def occur(kind: str, subject: str, clock: Any = None, **data: Any) -> None:
    """One event in a transaction of its own, with the data that watch gives to transitions."""
    name = subject.partition("/")[2]
    defaults: dict[str, Any] = {
        "uid": "",
        "severity": "P1",
        "labels": {"monitor": name, "severity": data.get("severity", "P1")},
        "address": f"https://{name}.example.com/health",
        "previous": "up",
        "reason": "confirmed",
        "code": "connect.refused",
        "message": "connection refused",
        "evidence": {"address": "192.0.2.1"},
        "suppressed_by": "",
    }
    if kind == "monitor.went_maintenance":
        defaults["aside"] = "a maintenance window covers it"
    if tells(CAPABILITIES.events[kind]) == "trouble":
        defaults |= _trouble(kind, subject, flapping="flapping" in data)
    with unit_of_work(system("watch"), clock) as work:
        work.record(Told(kind, subject, {"since": work.now - 10, **defaults, **data}))


def _trouble(kind: str, subject: str, *, flapping: bool) -> dict[str, Any]:
    """What the capability of the subject would say of it, by the contract of `kernel.subject`."""
    about, _, name = subject.partition("/")
    level = kind.partition("went_")[2] if kind.startswith("monitor.went_") else "down"
    words = {"down": "is down", "degraded": "is degraded", "unknown": "cannot be checked"}
    titles = {"heartbeat": f"{name} did not report in", "uplink": cause_words(subject)}
    title = f"{name} is flapping" if flapping else titles.get(about, f"{name} {words[level]}")
    found = find("monitor", name) if about == "monitor" else None
    alert_on = found.document.get("alert_on", ["down"]) if found else ["down"]
    return {"title": title, "level": level, "alert_on": alert_on}
