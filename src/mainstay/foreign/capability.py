"""What others may know of the formats of other tools."""

from __future__ import annotations

from mainstay.kernel.capability import Capability, Command

CAPABILITY = Capability(
    name="foreign",
    order=84,
    about="Formats of other tools: importers of their files, and APIs that their clients speak",
    commands=(Command("import", 150, "mainstay.foreign.commands:imports", "Make a file of what another tool watches"),),
)
