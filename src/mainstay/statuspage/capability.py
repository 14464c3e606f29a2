"""What others may know of statuspage."""

from __future__ import annotations

from mainstay.kernel.capability import Capability, MenuEntry

CAPABILITY = Capability(
    name="statuspage",
    order=50,
    about="Pages for the public",
    app="templates",
    kinds="mainstay.statuspage.spec:kinds",
    pages="mainstay.statuspage.page_urls",
    menu=(MenuEntry("Respond", 60, "Status pages", "/status-pages/", "status", "resources:read"),),
    search="mainstay.statuspage.search:search",
)
