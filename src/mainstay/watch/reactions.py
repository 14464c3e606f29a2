"""Reactions of watch to events of other capabilities."""

from __future__ import annotations

from mainstay.kernel.actor import system
from mainstay.kernel.event import Event
from mainstay.store.work import Work, react


@react("resources.applied", "resources.rolled_back")
def on_applied(_work: Work, _event: Event) -> None:
    """The rows of states follow what is declared, in the transaction that declares it."""
    from mainstay.watch.declared import follow_resources

    follow_resources(system("watch"))
