"""The contract of a capability: what the rest of the house may know of it, said once, in its `capability.py`.

Adding one is a folder with that file and a line in `runtime.capabilities`. Every register (kinds, scopes, events, the
menu, pages, API, commands, lanes, health), the reference pages and the house tests are derived from these
declarations. What costs time to import is named as `package.module:attribute` and loaded when it is needed.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from mainstay.kernel.settings import OWN, Setting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from mainstay.kernel.event import Event
    from mainstay.kernel.ports import ChannelKind, CheckKind

Level = Literal["developer", "support", "operations", "admin"]
Group = Literal["Now", "Watch", "Respond", "Act", "Protect", "Ship", "Spend", "Know", "Set up"]
GROUPS: tuple[Group, ...] = ("Now", "Watch", "Respond", "Act", "Protect", "Ship", "Spend", "Know", "Set up")
LEVELS: tuple[Level, ...] = ("developer", "support", "operations", "admin")
Slot = Literal["now", "side", "alert"]
At = str  # `package.module:attribute`, loaded by `load`


def load(place: At) -> Any:
    """What stands at `package.module:attribute`; of a module alone, the module."""
    module, _, attribute = place.partition(":")
    found = importlib.import_module(module)
    return getattr(found, attribute) if attribute else found


@dataclass(frozen=True, slots=True)
class Scope:
    """A right. `level`: the built-in roles from this one up have it. `limited`: labels may narrow it.

    `granting`: it hands out access, or is as good as that, so a password alone is not enough to use it.
    """

    name: str
    about: str
    level: Level
    limited: bool = False
    granting: bool = False


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """A page in the menu, shown to whoever holds `scope`; `count` gives a number that needs attention.

    limited: as of its door, see `accounts.doors`: it opens for whoever may see only what carries certain labels.
    """

    group: Group
    order: int
    label: str
    url: str
    icon: str
    scope: str
    count: At = ""
    limited: bool = False


@dataclass(frozen=True, slots=True)
class Routes:
    """Operations of the API: `module` has a `router`, served below `/api/v1` and `prefix`."""

    prefix: str
    module: str
    heading: str


@dataclass(frozen=True, slots=True)
class Command:
    """`mainstay NAME`; `at` is a function or a typer.Typer. Lists of commands go by `order`.

    Of two words, the first is a command of another capability, a group, which has this one as well.
    """

    name: str
    order: int
    at: At
    summary: str


@dataclass(frozen=True, slots=True)
class Lane:
    """A loop of the server: `turn` every so many seconds. `alone`: of several servers one does it.

    `probe`: "ok", or what is wrong, for health; `vital`: without it Mainstay is not healthy.
    """

    name: str
    turn: Callable[[], Awaitable[None]]
    every: float
    alone: bool = False
    probe: Callable[[], Awaitable[str]] | None = None
    vital: bool = True


@dataclass(frozen=True, slots=True)
class Find:
    """Something that a search found: the page at `address`. `kind`: the heading that it is shown under, "Monitors"."""

    title: str
    address: str
    icon: str
    kind: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What kinds are made from: the integrations that there are, and the place that this server checks from."""

    checks: Mapping[str, CheckKind]
    channels: Mapping[str, ChannelKind]
    here: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """What one folder says of itself.

    order: among capabilities, wherever they are listed. kinds: called with `Surroundings`, gives each
    `kernel.resource.Kind`. app: it is a Django app: "tables" of its own, or "templates" alone. guards, followers:
    modules that register some by `store.work.guard` and `store.followers.follow`. settings: those of `settings.py`.
    pages: a module with `urlpatterns`.
    lanes: called with `store.running.Running` when a server starts, gives each `Lane`. panels: called with the request,
    a subject and a slot of its page ("now": what matters at once; "side": besides; "alert": beside an alert, which the
    subject names as `alert/<id>`), gives the HTML that this capability shows there. metrics: a module with METRICS,
    each a `frames.exposition.Metric`, and `collect`, an async function called with `frames.exposition.Figures` and
    `store.running.Running` when they are asked for. tables: each `store.columns.table.Table` that it keeps in the
    columnar store.
    search: called with an `Actor`, a text of at most ten words in lower case and a limit, gives each `Find` that has
    all the words, names that begin with the text first (`kernel.finding`). It asks for scopes and limits itself, and
    gives nothing to who lacks them.
    """

    name: str
    order: int
    about: str
    app: Literal["", "tables", "templates"] = ""
    kinds: At = ""
    scopes: tuple[Scope, ...] = ()
    events: tuple[type[Event], ...] = ()
    guards: str = ""
    followers: str = ""
    settings: tuple[Setting[Any], ...] = ()
    pages: str = ""
    menu: tuple[MenuEntry, ...] = ()
    routes: tuple[Routes, ...] = ()
    commands: tuple[Command, ...] = ()
    lanes: At = ""
    panels: At = ""
    metrics: str = ""
    tables: At = ""
    search: At = ""


class Capabilities:
    """All of them, in their order; filled once by `runtime.capabilities`, before anything else is done.

    scopes and events are looked up all the time, so they are kept by name; so are settings, the house's own first.
    """

    def __init__(self) -> None:
        self._all: list[Capability] = []
        self.scopes: dict[str, Scope] = {}
        self.events: dict[str, type[Event]] = {}
        self.settings: dict[str, Setting[Any]] = {one.name: one for one in OWN}

    def register(self, capability: Capability) -> None:
        """AssertionError if a name is taken: two capabilities would answer for one thing."""
        for what, name in _names(capability):
            owner = next((other.name for other in self._all if (what, name) in set(_names(other))), "")
            if owner:
                raise AssertionError(f"{what} {name} of {capability.name} already belongs to {owner}")
        taken = next((one.name for one in capability.settings if one.name in self.settings), "")
        if taken:
            raise AssertionError(f"setting {taken} of {capability.name} is there already")
        self._all.append(capability)
        self._all.sort(key=lambda one: one.order)
        self.scopes = {scope.name: scope for one in self._all for scope in one.scopes}
        self.events = {event.kind: event for one in self._all for event in one.events}
        self.settings = {one.name: one for one in (*OWN, *(one for each in self._all for one in each.settings))}

    def __iter__(self) -> Iterator[Capability]:
        return iter(self._all)

    def __contains__(self, name: object) -> bool:
        return any(one.name == name for one in self._all)

    def commands(self) -> dict[str, Command]:
        """By name, in the order in which they are listed."""
        found = sorted((command for one in self._all for command in one.commands), key=lambda command: command.order)
        return {command.name: command for command in found if " " not in command.name}

    def within(self, group: str) -> dict[str, Command]:
        """What other capabilities add to a command that is a group, by the second word."""
        every = (command for one in self._all for command in one.commands)
        return {command.name[len(group) + 1 :]: command for command in every if command.name.startswith(f"{group} ")}

    def menu(self) -> dict[Group, list[MenuEntry]]:
        """The entries of each group that has some."""
        entries = sorted((entry for one in self._all for entry in one.menu), key=lambda entry: entry.order)
        grouped = {group: [entry for entry in entries if entry.group == group] for group in GROUPS}
        return {group: found for group, found in grouped.items() if found}


def _names(capability: Capability) -> Iterator[tuple[str, str]]:
    yield "capability", capability.name
    yield from (("scope", scope.name) for scope in capability.scopes)
    yield from (("event", event.kind) for event in capability.events)
    yield from (("command", command.name) for command in capability.commands)
    yield from (("page", entry.url) for entry in capability.menu)
    yield from (("prefix", routes.prefix) for routes in capability.routes)


CAPABILITIES = Capabilities()


def shown(event: str) -> tuple[str, str]:
    """Icon and title of a kind of event; those that older versions wrote and this one does not know, by their name."""
    known = CAPABILITIES.events.get(event)
    return (known.icon, known.title) if known else ("clock", event)
