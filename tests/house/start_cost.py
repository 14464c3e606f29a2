"""Run by test_start_cost in a process of its own: puts a server together, and says what each capability cost.

What a capability costs is what its modules allocate while they are imported, with the libraries that no other part of
the house imports at the top of a module. Printed as JSON: by capability, bytes and milliseconds of CPU.
"""

from __future__ import annotations

import ast
import importlib
import importlib._bootstrap as bootstrap
import json
import sys
import time
import tracemalloc
from collections import defaultdict
from pathlib import Path
from typing import Any

Cost = tuple[int, float]
own: dict[str, Cost] = {}  # by module, without what it imports
inner: list[Cost] = []  # of the modules that are being imported, what they import
_load: Any = bootstrap._load_unlocked  # type: ignore[attr-defined] # imports one module


def measured(spec: Any) -> Any:
    began, at = tracemalloc.get_traced_memory()[0], time.process_time()
    inner.append((0, 0.0))
    try:
        return _load(spec)
    finally:
        size, took = tracemalloc.get_traced_memory()[0] - began, time.process_time() - at
        below = inner.pop()
        own[spec.name] = (size - below[0], took - below[1])
        if inner:
            inner[-1] = (inner[-1][0] + size, inner[-1][1] + took)


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if parts[0] == "mainstay" and len(parts) > 1 else ""


def libraries() -> dict[str, set[str]]:
    """By package, the rooms of the house that import it when they are imported themselves."""
    found: dict[str, set[str]] = defaultdict(set)
    for name in [name for name in own if room(name)]:
        path = getattr(sys.modules.get(name), "__file__", None)
        if path and path.endswith(".py"):
            for node in ast.parse(Path(path).read_text()).body:
                if isinstance(node, ast.Import):
                    for alias in node.names:
                        found[alias.name.partition(".")[0]].add(room(name))
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    found[str(node.module).partition(".")[0]].add(room(name))
    return found


def costs() -> dict[str, Cost]:
    brought = {library: rooms for library, rooms in libraries().items() if len(rooms) == 1}
    total: dict[str, Cost] = defaultdict(lambda: (0, 0.0))
    for module, (size, took) in own.items():
        owner = room(module) or next(iter(brought.get(module.partition(".")[0], {""})))
        total[owner] = (total[owner][0] + size, total[owner][1] + took * 1000)
    return total


if __name__ == "__main__":
    bootstrap._load_unlocked = measured  # type: ignore[attr-defined]
    tracemalloc.start()
    from mainstay.frames.boot import load_settings, migrate, start_django

    settings = load_settings(data=sys.argv[1], database="", serving=True)
    start_django(settings)
    migrate()
    importlib.import_module("mainstay.runtime.up")
    parts = importlib.import_module("mainstay.runtime.composition").Parts(settings, None)
    print(json.dumps(costs()))
    parts.telemetry.close()
    parts.heartbeats.close()
    parts.writer.stop()
