"""What others may know of nodes."""

from __future__ import annotations

from mainstay.kernel.capability import Capability, Command, Routes, Scope
from mainstay.nodes.events import EVENTS
from mainstay.nodes.settings import SETTINGS

CAPABILITY = Capability(
    name="nodes",
    order=70,
    about="Several servers on one database",
    app="tables",
    scopes=(Scope("nodes:write", "let a server hand over its share, and remove one that is gone", "operations"),),
    pages="mainstay.nodes.page_urls",
    routes=(Routes("/nodes", "mainstay.nodes.api", "Servers"),),
    commands=(Command("nodes", 200, "mainstay.nodes.commands:nodes", "List servers that share a database; hand over"),),
    events=EVENTS,
    settings=SETTINGS,
    metrics="mainstay.nodes.metrics",
)
