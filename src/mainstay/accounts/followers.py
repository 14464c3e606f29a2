"""What accounts do a moment after resources changed."""

from __future__ import annotations

from mainstay.kernel.actor import system
from mainstay.store.followers import follow
from mainstay.store.journal import Entry
from mainstay.store.work import Work


@follow("accounts.sessions", "resources.applied", "resources.rolled_back")
def end_closed_ways(_work: Work, _entry: Entry) -> None:
    """Where single sign-on has become the only way in, sessions that came by another end, if it is known to work."""
    from mainstay.accounts.session_verbs import end_other_ways  # with the web, which commands start without

    end_other_ways(system("sign-in"))
