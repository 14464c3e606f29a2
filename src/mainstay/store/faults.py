"""Which guards and followers fail, and at what: one event when one begins to fail, one when it works again.

It works again once it has worked for everything that it failed at, or the last failure at it is an hour past. The
list is a fact in the database, so that it outlives restarts and is the same for all servers.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any

from mainstay.kernel.event import Event, Happened
from mainstay.store.events import ReactionFailed, ReactionWorks
from mainstay.store.models import FactRow

_OWN_KINDS = frozenset({ReactionFailed.kind, ReactionWorks.kind})
_FORGOTTEN = 3600.0  # seconds after a failure in which nothing more was heard of its subject
_KEPT = 100  # subjects of one reaction
_PREFIX = "reaction."
_PERHAPS = "notifications may have been missed"


def _works(part: str) -> Event:
    return ReactionWorks(f"mainstay/{part}", part)


def name_of(guard: Any) -> str:
    """`alerting.guards.on_failing`: module and function, for a person who reports the mistake."""
    return f"{guard.__module__.removeprefix('mainstay.')}.{guard.__name__}"[: 60 - len(_PREFIX)]


def any_known() -> bool:
    return FactRow.objects.filter(key__startswith=_PREFIX).exists()


def forget_unknown(parts: Collection[str]) -> Iterator[Event]:
    """What ends the alerts about parts that this version has no more; nothing else would."""
    for row in FactRow.objects.filter(key__startswith=_PREFIX).order_by("key"):
        part = row.key.removeprefix(_PREFIX)
        if part not in parts:
            row.delete()
            yield _works(part)


class Faults:
    """What failed, within one unit of work: read from the database once, when the first guard has run."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, float]] | None = None

    def failed(self, reaction: str, event: Happened, error: Exception, now: float, aside: str = "") -> Event | None:
        """The event that tells of it; None if that was told already, or if telling itself is what fails.

        aside: what became of the event for it, if that is known.
        """
        if event.kind in _OWN_KINDS:
            return None
        about = self._subjects().get(reaction)
        self._keep(reaction, {**dict(list((about or {}).items())[1 - _KEPT :]), event.subject: now})
        if about is not None:
            return None
        what = f"{event.kind} of {event.subject}"
        return ReactionFailed(
            f"mainstay/{reaction}",
            heading=f"a part of Mainstay itself fails: {reaction}",
            since=now,
            severity="P1",
            labels={"mainstay": reaction},
            reason=f"it failed on {what}"[:300],
            message=f"{type(error).__name__} at {what}: {aside or _PERHAPS}; the log has more"[:1000],
            reaction=reaction,
            event=event.kind,
            about=event.subject,
        )

    def worked(self, reaction: str, event: Happened, now: float) -> Event | None:
        """The event that tells that it works again, if it failed before and nothing is left that it fails at."""
        about = self._subjects().get(reaction)
        if about is None or event.kind in _OWN_KINDS:
            return None
        # What failed later than now did so before the clock was set back, and counts as long past.
        left = {one: at for one, at in about.items() if one != event.subject and 0 <= now - at < _FORGOTTEN}
        if left != about:
            self._keep(reaction, left)
        return None if left else _works(reaction)

    def _subjects(self) -> dict[str, dict[str, float]]:
        if self._known is None:
            rows = FactRow.objects.filter(key__startswith=_PREFIX).values_list("key", "value")
            self._known = {key.removeprefix(_PREFIX): json.loads(value) for key, value in rows}
        return self._known

    def _keep(self, reaction: str, about: dict[str, float]) -> None:
        known = self._subjects()
        if about:
            known[reaction] = about
            FactRow.objects.update_or_create(key=_PREFIX + reaction, defaults={"value": json.dumps(about)})
        else:
            known.pop(reaction, None)
            FactRow.objects.filter(key=_PREFIX + reaction).delete()
