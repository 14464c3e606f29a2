"""Every way in, read from the code itself: pages, API operations, fast doors, verbs and commands."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver
from django.utils.regex_helper import normalize
from starlette.routing import Mount, Route

import mainstay
from mainstay.accounts.doors import Door
from mainstay.frames.boot import current_settings
from mainstay.runtime.api import api
from mainstay.watch import results

SOURCES = Path(mainstay.__file__).parent
SAMPLE_UUID = "7b6a1c1e-0d3f-4c7f-9a53-1c2d3e4f5a6b"


@dataclass(frozen=True, slots=True)
class Way:
    """One method of one address. `door` is None where a library keeps its own door."""

    method: str
    path: str  # filled in with samples
    route: str  # as declared
    door: Door | None
    kind: str  # page, operation, keyed, fast

    def __str__(self) -> str:
        return f"{self.method} {self.route}"


def patterns(resolver: URLResolver | None = None, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for item in (resolver or get_resolver()).url_patterns:
        route = prefix + str(item.pattern)
        if isinstance(item, URLResolver):
            yield from patterns(item, route)
        else:
            yield route, item


def sample(route: str) -> str:
    """A path that the route takes."""
    if "^" in route or "(?P" in route:
        text, names = normalize(route.replace("^", "").removesuffix("$"))[0]
        values = dict.fromkeys(names, "abc") | {"unique_key": "a" * 40}
        return "/" + text % {name: values[name] for name in names}

    def fill(found: re.Match[str]) -> str:
        kind, _, name = found[1].rpartition(":")
        return {"int": "1", "uuid": SAMPLE_UUID}.get(kind, "sample" if name != "number" else "1")

    return "/" + re.sub(r"<([^>]+)>", fill, route).replace("{", "").replace("}", "")


def pages() -> Iterator[Way]:
    """Pages of our own and of libraries, with the methods that matter: reading and changing."""
    for route, pattern in patterns():
        if route.startswith("api/v1/") and not hasattr(pattern.callback, "doors"):
            continue  # operations of the API, below
        by_method = getattr(pattern.callback, "doors", None)
        if by_method is not None:
            for method, door in by_method.items():
                yield Way(method, sample(route), route, door, "keyed")
            continue
        door = getattr(pattern.callback, "door", None)
        for method in ("GET", "POST"):
            yield Way(method, sample(route), route, door, "page")


def operations() -> Iterator[Way]:
    for prefix, router in api._routers:
        for path, view in router.path_operations.items():
            for operation in view.operations:
                route = f"api/v1{prefix}{path}"
                filled = re.sub(r"\{(?:(\w+):)?(\w+)\}", _operation_sample, route)
                for method in operation.methods:
                    yield Way(method, "/" + filled, route, getattr(operation.view_func, "door", None), "operation")


def _operation_sample(found: re.Match[str]) -> str:
    return "1" if found[1] == "int" or found[2] == "number" else "sample"


@contextmanager
def running_doors() -> Iterator[tuple[dict[str, Any], Any]]:
    """The fast doors as the runtime puts them together, and the server over them; nothing is started."""
    from concurrent.futures import ThreadPoolExecutor

    from django.db import connections

    from mainstay.runtime.composition import Parts, fast_doors, monitoring_of
    from mainstay.runtime.server import Server, django_application

    before = results._current
    loop = asyncio.new_event_loop()
    threads = ThreadPoolExecutor(1)  # one, so that its database connection can be closed
    loop.set_default_executor(threads)

    async def build() -> tuple[Any, dict[str, Any], Any]:
        parts = Parts(current_settings(), None)
        doors = fast_doors(parts, monitoring_of(parts))
        return parts, doors, Server(doors, django_application(), https=False)

    parts, doors, server = loop.run_until_complete(build())
    server.loop = loop
    try:
        yield doors, server
    finally:
        parts.telemetry.close()
        results.set_current(before)
        threads.submit(connections.close_all).result(10)
        parts.heartbeats.close()
        parts.writer.stop()
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def fast_ways(doors: dict[str, Any]) -> Iterator[Way]:
    """Every route of every fast door."""
    seen = set()
    for prefix, application in doors.items():
        if id(application) in seen:
            continue
        seen.add(id(application))
        door = getattr(application, "door", None)
        if door is not None:
            path = f"{prefix}sample" if prefix.endswith("/") else prefix
            yield Way("GET", path, prefix, door, "fast")
            continue
        for route in application.routes:
            assert isinstance(route, Route | Mount), route
            found = getattr(getattr(route, "endpoint", None), "door", None)
            path = re.sub(r"\{([^}]+)\}", "sample", route.path)
            for method in sorted((getattr(route, "methods", None) or {"GET"}) - {"HEAD", "OPTIONS"}):
                yield Way(method, path, route.path, found, "fast")


def status_of(server: Any, way: Way, headers: dict[str, str]) -> int:
    """The status of an answer; a stream is left as soon as it has begun."""
    raw = [(name.lower().encode(), value.encode()) for name, value in {"host": "localhost", **headers}.items()]
    scope = {
        "type": "http", "http_version": "1.1", "method": way.method, "path": way.path, "raw_path": way.path.encode(),
        "query_string": b"", "root_path": "", "scheme": "http", "headers": raw,
        "client": ("127.0.0.1", 1), "server": ("localhost", 80),
    }  # fmt: skip

    async def ask() -> int:
        started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        asked = False

        async def receive() -> dict[str, Any]:
            nonlocal asked
            if not asked:
                asked = True
                return {"type": "http.request", "body": b"", "more_body": False}
            await started
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start" and not started.done():
                started.set_result(message["status"])

        async with asyncio.timeout(20):
            await server(scope, receive, send)
        return started.result()

    return int(server.loop.run_until_complete(ask()))


# Verbs


def verbs() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Public functions of every verbs room and of the store's apply, and all others that take an actor first."""
    for module in _modules():
        room = module.__name__.rpartition(".")[2]
        own = "verbs" in room or module.__name__ == "mainstay.store.resources.apply"
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ != module.__name__ or name.startswith("_"):
                continue
            if own or next(iter(inspect.signature(function).parameters), "") == "actor":
                yield f"{module.__name__.removeprefix('mainstay.')}.{name}", function


def _modules() -> Iterator[Any]:
    """Modules in which some function takes an actor, or which are called verbs."""
    for path in sorted(SOURCES.rglob("*.py")):
        if "verbs" in path.stem or re.search(r"\(\s*actor: Actor", path.read_text()):
            yield importlib.import_module("mainstay." + ".".join(path.relative_to(SOURCES).with_suffix("").parts))
