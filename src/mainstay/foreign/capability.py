"""What others may know of the formats of other tools."""

from __future__ import annotations

from mainstay.foreign.settings import SETTINGS
from mainstay.kernel.capability import Capability, Command

CAPABILITY = Capability(
    name="foreign",
    order=84,
    about="Formats of other tools: importers for their files, and APIs for their clients",
    commands=(
        Command(
            "import",
            150,
            "mainstay.foreign.commands:imports",
            "Convert another tool's configuration to a Mainstay file",
        ),
    ),
    settings=SETTINGS,
)
