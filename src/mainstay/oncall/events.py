"""What happens in on-call."""

from __future__ import annotations

from typing import Annotated

from mainstay.kernel.event import Event
from mainstay.kernel.subject import Trouble

Start = Annotated[float, "when it begins, in epoch seconds"]
End = Annotated[float, "when it is over, in epoch seconds"]
Id = Annotated[str, "identifies it among its sort"]
Added = Annotated[str, "who is on duty in addition; empty if nobody is"]
Removed = Annotated[str, "who is not on duty; empty if that is nobody"]
Note = Annotated[str, "a person's words"]
Giver = Annotated[str, "who gives the shift away"]
Taker = Annotated[str, "who is asked to take it"]
Index = Annotated[int, "position of the contact, from 0"]
Way = Annotated[str, "how the person is reached, such as sms"]


class HandedOver(Event, kw_only=True):
    """Other people are on duty than before."""

    kind, icon, title = "schedule.handed_over", "user", "Handed over"
    people: Annotated[list[str], "who is on duty now"]
    previous: Annotated[list[str], "who was on duty before"]
    since: Annotated[float, "when it changed, in epoch seconds"]


class Overridden(Event, kw_only=True):
    """Somebody changed by hand who is on duty for a while."""

    kind, icon, title = "schedule.overridden", "edit", "Overridden"
    override: Id
    start: Start
    end: End
    add: Added
    remove: Removed
    note: Note


class OverrideRemoved(Event, kw_only=True):
    """An override was removed, or ended early."""

    kind, icon, title = "schedule.override_removed", "trash", "Override removed"
    override: Id


class SwapAsked(Event, kw_only=True):
    """One person asked another to take a shift."""

    kind, icon, title = "schedule.swap_asked", "refresh", "Swap asked for"
    swap: Id
    start: Start
    end: End
    giver: Giver
    taker: Taker
    note: Note


class SwapAnswered(Event, kw_only=True):
    """A swap was accepted, declined or withdrawn."""

    kind, icon, title = "schedule.swap_answered", "check", "Swap answered"
    swap: Id
    giver: Giver
    taker: Taker
    answer: Annotated[str, "accepted, declined or withdrawn"]


class TemporaryMade(Event, kw_only=True):
    """A temporary schedule stands for all rotations and overrides for a while."""

    kind, icon, title = "schedule.temporary_made", "edit", "Temporary schedule made"
    temporary: Id
    start: Start
    end: End
    note: Note


class TemporaryRemoved(Event, kw_only=True):
    """A temporary schedule was removed."""

    kind, icon, title = "schedule.temporary_removed", "trash", "Temporary schedule removed"
    temporary: Id


class GapAhead(Trouble, kw_only=True):
    """Nobody will be on duty for a time in which somebody must be."""

    kind, icon, title = "schedule.gap_ahead", "degraded", "Gap ahead"


class Covered(Event):
    """The gap that was told of is closed."""

    kind, icon, title, over = "schedule.covered", "up", "Gap closed", "somebody is on duty all the time again"


class CodeAsked(Event, kw_only=True):
    """A code is to be sent to a person, to see that a way to reach them is theirs."""

    kind, icon, title = "contact.code_asked", "shield", "Code asked for"
    index: Index
    way: Way


class ContactVerified(Event, kw_only=True):
    """The code came back: the way to reach the person may be used."""

    kind, icon, title = "contact.verified", "check", "Contact verified"
    index: Index
    way: Way


class TestAsked(Event):
    """A test message is to be sent to a person by every way that may be used."""

    kind, icon, title = "contact.test_asked", "play", "Test asked for"


class FeedMade(Event):
    """A calendar address was made; the one before it stops working."""

    kind, icon, title = "oncall.feed_made", "rss", "Calendar address made"


EVENTS = (
    HandedOver,
    Overridden,
    OverrideRemoved,
    SwapAsked,
    SwapAnswered,
    TemporaryMade,
    TemporaryRemoved,
    GapAhead,
    Covered,
    CodeAsked,
    ContactVerified,
    TestAsked,
    FeedMade,
)
