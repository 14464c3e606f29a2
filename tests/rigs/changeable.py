"""A target whose health tests decide, and a hook that takes notifications and can be out of order."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class _Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"
    owner: Any

    def log_message(self, *args: object) -> None:
        """Tests read what was recorded, not what was printed."""

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.end_headers()


class _TargetHandler(_Quiet):
    def do_GET(self) -> None:
        self.owner.asked += 1
        self.answer(200 if self.path in self.owner.healthy else 503)


class _HookHandler(_Quiet):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.owner.status
        if status < 300:
            self.owner.messages.append(Message(self.headers["Idempotency-Key"], json.loads(body), dict(self.headers)))
        self.answer(status)


@dataclass(frozen=True)
class Message:
    key: str
    body: dict[str, Any]
    headers: dict[str, str]

    @property
    def what(self) -> tuple[str, str]:
        return self.body["alert"]["monitor"], self.body["status"]


class _Served:
    def __init__(self, handler: type[_Quiet], host: str = "127.0.0.1") -> None:
        bound = type(handler.__name__, (handler,), {"owner": self})
        self._server = ThreadingHTTPServer((host, 0), bound)
        self.url = f"http://{host}:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Target(_Served):
    """Paths in `healthy` answer 200, others 503."""

    def __init__(self, paths: list[str], host: str = "127.0.0.1") -> None:
        self.healthy = set(paths)
        self.asked = 0
        super().__init__(_TargetHandler, host)


class Hook(_Served):
    """Answers with `status`; keeps what it accepted."""

    def __init__(self) -> None:
        self.status = 204
        self.messages: list[Message] = []
        super().__init__(_HookHandler)

    def of(self, monitor: str) -> list[str]:
        """Statuses told of a monitor in order, repeats of one key once."""
        seen: dict[str, str] = {}
        for message in list(self.messages):
            if message.body["alert"]["monitor"] == monitor:
                seen.setdefault(message.key, message.body["status"])
        return list(seen.values())


def wait_for(condition: Callable[[], object], seconds: float = 30, what: str = "") -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what or condition}"
        time.sleep(0.05)
