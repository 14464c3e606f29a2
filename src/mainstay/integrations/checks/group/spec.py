"""What a monitor may say about a group of other monitors.

Members count once their own confirmation has decided; the group's own `confirm` comes on top of it. A member of which
nothing is known, that is paused or in maintenance, counts neither as up nor as down: where it decides, the group is
unknown. A degraded member counts as up, and makes the group degraded where it is needed.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from mainstay.kernel.asking import refers
from mainstay.kernel.ports import CheckKind, Quorum
from mainstay.kernel.resource import Spec
from mainstay.kernel.wording import counted


class GroupTarget(Spec):
    members: list[str] = Field(
        min_length=1,
        max_length=200,
        description="names of monitors, which may be groups",
        json_schema_extra=refers("monitor"),
    )
    up: int | Literal["any", "most", "all"] = Field(
        "most", description="how many members must be up: a number, any (one), most (more than half), or all"
    )

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if len(set(self.members)) != len(self.members):
            raise ValueError("a member is named twice")
        if isinstance(self.up, int) and not 1 <= self.up <= len(self.members):
            raise ValueError(f"up is {self.up}, but the group has {counted(len(self.members), 'member')}")
        return self


class GroupExpect(Spec):
    """Nothing: the target says it all."""


def quorum(target: GroupTarget) -> Quorum:
    count = len(target.members)
    named = {"any": 1, "most": count // 2 + 1, "all": count}
    return Quorum(tuple(target.members), target.up if isinstance(target.up, int) else named[target.up])


def _address(target: GroupTarget) -> str:
    shown = ", ".join(target.members[:10]) + (", ..." if len(target.members) > 10 else "")
    return f"{quorum(target).up} of {shown}"


KIND = CheckKind(
    "group",
    "Quorum over other monitors",
    GroupTarget,
    GroupExpect,
    "members",
    _address,
    bare=list[str],
    local=True,
    quorum=quorum,
)
