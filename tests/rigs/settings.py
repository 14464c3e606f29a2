"""Settings that differ from others, whoever they belong to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mainstay.kernel.settings import OWN, Settings


def having(settings: Settings, **changes: Any) -> Settings:
    """The same with these; what belongs to capabilities as if the environment said it."""
    names = {one.name for one in OWN} | {"given", "declared", "revision"}
    own = {name: value for name, value in changes.items() if name in names}
    return replace(settings, **own, said={**settings.said, **{n: v for n, v in changes.items() if n not in names}})
