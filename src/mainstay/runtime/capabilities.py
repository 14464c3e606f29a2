"""The list of capabilities, and what is made of it when a process starts. A new capability is one line here."""

from __future__ import annotations

import importlib

from mainstay.kernel.capability import CAPABILITIES, Surroundings, load

# From the lowest to the highest: each may import those of the lines before its own, and none beside or after it
# (tests/house/test_layers.py).
LAYERS = (
    ("store",),
    ("accounts",),
    ("nodes",),
    ("windows",),
    ("watch",),
    ("heartbeats",),
    ("oncall",),
    ("alerting",),
    ("sources",),
    ("statuspage", "snapshots", "vault", "journal", "resources"),
    ("foreign",),
    ("runtime",),
)
NAMES = tuple(name for layer in LAYERS for name in layer)


def load_capabilities() -> None:
    """Read what each says of itself; safe to repeat. Cheap: nothing of a capability is imported but that."""
    for name in NAMES:
        if name not in CAPABILITIES:
            CAPABILITIES.register(importlib.import_module(f"mainstay.{name}.capability").CAPABILITY)


def register_kinds() -> Surroundings:
    """Fill KINDS, in the order in which files are exported; what they were made from. Safe to repeat."""
    from mainstay.frames.boot import current_settings
    from mainstay.kernel.resource import KINDS  # with pydantic, which lists of commands have no use for
    from mainstay.runtime.kinds import channel_kinds, check_kinds

    load_capabilities()
    surroundings = Surroundings(check_kinds(), channel_kinds(), current_settings().location)
    if not list(KINDS):
        for capability in CAPABILITIES:
            for kind in load(capability.kinds)(surroundings) if capability.kinds else ():
                KINDS.register(kind)
    return surroundings


def register_followers() -> None:
    """Import what guards and follows the events of others; Django is set up."""
    for capability in CAPABILITIES:
        for module in filter(None, (capability.guards, capability.followers)):
            load(module)


def apps(kind: str) -> list[str]:
    """The Django apps with `tables` of their own, or with `templates` alone."""
    load_capabilities()
    return [f"mainstay.{capability.name}" for capability in CAPABILITIES if capability.app == kind]
