"""What a person asks of a declared window."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mainstay.kernel.clock import to_datetime
from mainstay.kernel.resource import Fact
from mainstay.store.resources.matching import fitting
from mainstay.windows.queries import window_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mainstay.kernel.resource import Resource


def window_facts(resource: Resource, every: Sequence[Resource]) -> Iterator[Fact]:
    window, now = window_of(resource.name, resource.spec), time.time()
    active, coming = window.active(now), window.next_after(now)
    if active:
        yield Fact("In force", f"until {_moment(active[1])}")
    yield Fact("Next", f"{_moment(coming[0])} to {_moment(coming[1])}" if coming else "never again")
    yield fitting("Covers now", list(window.covers), every)


def _moment(at: float) -> str:
    return to_datetime(at).strftime("%a %Y-%m-%d %H:%M UTC")
