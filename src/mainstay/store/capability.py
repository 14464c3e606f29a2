"""What others may know of store."""

from __future__ import annotations

from mainstay.kernel.capability import Capability
from mainstay.store.events import EVENTS

CAPABILITY = Capability(
    name="store",
    order=85,
    about="What is declared, what happened, and the secrets and copies of both",
    app="tables",
    events=EVENTS,
)
