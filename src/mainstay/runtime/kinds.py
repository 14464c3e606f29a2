"""Registration of resource kinds, check kinds and channel kinds."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING, Any

import mainstay.integrations.channels
import mainstay.integrations.checks
from mainstay.kernel.resource import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping
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


def _addresses(uids: list[str]) -> Mapping[str, dict[str, Any]]:
    from mainstay.heartbeats.queries import addresses  # knows the tables, which a schema can do without

    return addresses(uids)


def register_kinds() -> None:
    """Fill KINDS in the order in which files are exported."""
    from mainstay.accounts.spec import role_kind, service_account_kind, sign_in_kind
    from mainstay.alerting.spec import channel_kind, route_kind
    from mainstay.heartbeats.spec import heartbeat_kind
    from mainstay.runtime.boot import current_settings
    from mainstay.statuspage.spec import status_page_kind
    from mainstay.watch.spec import location_kind, monitor_kind
    from mainstay.windows.spec import window_kind

    here = current_settings().location
    KINDS.register(monitor_kind(check_kinds(), here))
    KINDS.register(location_kind(here))
    KINDS.register(heartbeat_kind(_addresses))
    KINDS.register(channel_kind(channel_kinds()))
    KINDS.register(route_kind())
    KINDS.register(window_kind())
    KINDS.register(status_page_kind())
    KINDS.register(role_kind())
    KINDS.register(service_account_kind())
    KINDS.register(sign_in_kind())
