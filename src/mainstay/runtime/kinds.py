"""The integrations that there are: kinds of checks and of channels, from their folders."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING

import mainstay.integrations.channels
import mainstay.integrations.checks

if TYPE_CHECKING:
    from types import ModuleType

    from mainstay.kernel.ports import ChannelKind, CheckKind


def _folders(package: ModuleType) -> list[str]:
    return sorted(found.name for found in pkgutil.iter_modules(package.__path__) if found.ispkg)


@cache
def check_kinds() -> dict[str, CheckKind]:
    """Every check kind by name, from the folders under integrations/checks."""
    package = mainstay.integrations.checks
    return {name: importlib.import_module(f"{package.__name__}.{name}.spec").KIND for name in _folders(package)}


@cache
def channel_kinds() -> dict[str, ChannelKind]:
    """Every channel kind by name, from the folders under integrations/channels."""
    package = mainstay.integrations.channels
    return {name: importlib.import_module(f"{package.__name__}.{name}.spec").KIND for name in _folders(package)}
