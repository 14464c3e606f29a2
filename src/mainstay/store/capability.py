"""What others may know of store."""

from __future__ import annotations

from mainstay.kernel.capability import Capability
from mainstay.store.events import EVENTS
from mainstay.store.settings import SETTINGS

CAPABILITY = Capability(
    name="store",
    order=85,
    about="Declared resources, the journal, secrets and snapshots",
    app="tables",
    events=EVENTS,
    settings=SETTINGS,
)
