"""Which of many things a search means: every word of it stands somewhere in them, in any case of letters."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Thing = TypeVar("Thing")
_LONGEST = 100  # characters of a search that count
_WORDS = 10


def searched(text: str) -> str:
    """What was typed, as searches take it: bounded, in lower case, one blank between words."""
    return " ".join(text[:_LONGEST].lower().split()[:_WORDS])


def best(text: str, limit: int, things: Iterable[Thing], texts: Callable[[Thing], Sequence[str]]) -> list[Thing]:
    """Those that hold every word of `text`, as `searched` gives it, in their `texts`, the first of which is the name.

    Names that begin with the text come first, then all go by name.
    """
    words = text.split()
    fitting = []
    for at, thing in enumerate(things):
        name, *others = (one.lower() for one in texts(thing))
        if all(word in "\n".join((name, *others)) for word in words):
            fitting.append((not name.startswith(text), name, at, thing))
    return [thing for *_order, thing in heapq.nsmallest(limit, fitting, key=lambda found: found[:3])]
