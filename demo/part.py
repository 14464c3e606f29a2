"""What parts with a port share: a server on a thread of its own, and a request to another part."""

from __future__ import annotations

import json
import threading
import urllib.request
from typing import Any

import uvicorn
from starlette.applications import Starlette


def serve(application: Starlette, port: int) -> None:
    """Serve on loopback until the process ends."""
    config = uvicorn.Config(application, host="127.0.0.1", port=port, log_level="warning", lifespan="off")
    threading.Thread(target=uvicorn.Server(config).run, daemon=True).start()


def forever() -> None:
    """Until a signal ends the process; no part has anything to put in order."""
    threading.Event().wait()


def ask(url: str, body: Any = None, patience: float = 5) -> Any:
    """The JSON answer. OSError if there is none, or it tells of an error."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data=data, headers=headers)  # noqa: S310  loopback, http
    with urllib.request.urlopen(request, timeout=patience) as answer:  # noqa: S310
        return json.load(answer)
