"""What components show: data that capabilities fill in for them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong now, as the component `problem` shows it.

    `look`: the state of which it has colour and icon, `icon` another one; `since`: epoch seconds; `key` keeps it in
    place while the page is live. Words: `why`, `code` (which check says so), `state`, `badge`. `acknowledge`: address
    that says that somebody has it; empty if somebody has.
    """

    look: str
    title: str
    url: str
    severity: str
    since: float
    why: str
    code: str = ""
    state: str = ""
    badge: str = ""
    icon: str = ""
    key: str = ""
    acknowledge: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened at `at` (epoch seconds), as the component `timeline` shows it; `note`: small print."""

    at: float
    look: str
    words: str
    text: str = ""
    note: str = ""
