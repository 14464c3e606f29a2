"""What happens: facts in the past tense, appended to the journal with the state change they tell of.

Each kind is a class of its own in the `events.py` of its capability: its words, and its fields with what they tell,
from which the reference is made. What the journal keeps is plain JSON, so entries outlive the class that wrote them.
"""

from __future__ import annotations

from typing import Any, ClassVar, Protocol, dataclass_transform

import msgspec


class Happened(Protocol):
    """What an event and an entry of the journal have in common."""

    @property
    def kind(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def data(self) -> dict[str, Any]: ...


@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class _Frozen(msgspec.StructMeta):
    """All kinds are frozen as the root is, without each having to say so."""


class Event(msgspec.Struct, frozen=True, metaclass=_Frozen):
    """Root of all kinds; the docstring of each says what happened, and its fields are `Annotated` with what they tell.

    kind: `monitor.went_down`. icon: one of icons.svg. title: heads it in timelines. over: it ends the alert of its
    subject, for this reason; empty if it does not. subject: what it is about as kind/name (`monitor/api`).
    """

    kind: ClassVar[str] = ""
    icon: ClassVar[str] = ""
    title: ClassVar[str] = ""
    over: ClassVar[str] = ""

    subject: str

    @property
    def data(self) -> dict[str, Any]:
        """The other fields, as JSON holds them; those that are None are left out. It holds no secret."""
        keys = zip(self.__struct_fields__[1:], self.__struct_encode_fields__[1:], strict=True)
        told = {key: getattr(self, name) for name, key in keys}
        return {key: value for key, value in told.items() if value is not None}
