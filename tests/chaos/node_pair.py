"""Two servers, `a` and `b`, on one PostgreSQL, with a target whose pages they watch and a hook that is told."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from node_rig import Node, SharedRecords, postgres
from tests.rigs.changeable import Hook, Target, wait_for


@dataclass
class Pair:
    names: Sequence[str]  # of the monitors, each of a page of the target
    a: Node
    b: Node
    records: SharedRecords
    target: Target
    hook: Hook
    token: str

    def shows(self, state: str) -> bool:
        return set(self.records.shown(self.names).values()) == {state}

    def is_shared(self) -> bool:
        return self.records.holders() == {"a": 32, "b": 32}

    def mend(self) -> None:
        """Every page of the target answers."""
        self.target.healthy |= {f"/{name}" for name in self.names}

    def settle(self) -> None:
        """Both at work, all up."""
        self.mend()
        wait_for(self.is_shared, 60, "the work is shared")
        wait_for(lambda: self.shows("up"), 40, "all are up")


@contextmanager
def two_servers(names: Sequence[str], config: Callable[[Target, Hook], str]) -> Iterator[Pair]:
    """`config` says what they watch, by the addresses of target and hook."""
    with ExitStack() as stack:
        target = stack.enter_context(closing(Target([f"/{name}" for name in names])))
        hook = stack.enter_context(closing(Hook()))
        keys = Path(tempfile.mkdtemp(prefix="mainstay-keys-"))
        stack.callback(shutil.rmtree, keys)
        folder = stack.enter_context(postgres())
        nodes = [Node(name, folder, keys, config(target, hook)) for name in ("a", "b")]
        for node in nodes:
            stack.callback(node.close)
            stack.push(node.__exit__)
        for node in nodes:
            node.start()
        a, b = nodes
        yield Pair(names, a, b, SharedRecords(folder), target, hook, a.token())
