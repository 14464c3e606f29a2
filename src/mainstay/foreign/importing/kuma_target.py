"""What a reader of Uptime Kuma's monitors works on, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mainstay.foreign.importing.draft import Draft
from mainstay.foreign.importing.kuma_source import field as field_of
from mainstay.foreign.importing.kuma_source import text
from mainstay.foreign.importing.source import Node


@dataclass(slots=True)
class Target:
    """`kind` of check with its document."""

    kind: str
    target: Any
    expect: dict[str, Any] = field(default_factory=dict)
    alert_on: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Monitor:
    node: Node
    draft: Draft
    name: str
    root: Node
    to: str

    def get(self, name: str) -> Node | None:
        return field_of(self.node, name)

    def carry(self, name: str, to: str, why: str = "") -> None:
        found = self.get(name)
        if found is not None:
            found.carried(f"{self.to}.{to}", why)

    def leave(self, why: str, *names: str) -> None:
        """These fields, as far as they are set, are not carried."""
        for name in names:
            if (found := self.get(name)) is not None:
                found.left(why)

    def is_on(self, name: str) -> bool:
        found = self.get(name)
        return found is not None and found.is_on

    def endpoint(self, kind: str, default: int | None = None) -> str:
        host, port = text(self.node, "hostname").rpartition("://")[2], text(self.node, "port").removesuffix(".0")
        self.carry("hostname", f"{kind}.address")
        self.carry("port", f"{kind}.address")
        if ":" in host and not host.startswith("["):
            host = f"[{host}]"
        number = port or (str(default) if default else "")
        return f"{host}:{number}" if number else host
