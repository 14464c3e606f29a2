"""What must be in step with an event: a change of what is declared is looked at for gaps at once."""

from __future__ import annotations

from mainstay.kernel.event import Event
from mainstay.oncall.recording import look_again
from mainstay.store.work import Work, guard


@guard("resources.applied", "resources.rolled_back")
def look_for_gaps(_work: Work, _event: Event) -> None:
    look_again()


@guard("schedule.overridden", "schedule.override_removed", "schedule.temporary_made", "schedule.temporary_removed")
def look_at_what_was_changed(_work: Work, _event: Event) -> None:
    look_again()
