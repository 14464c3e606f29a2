"""Notifications on the devices of people, by the push service of each device's browser."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from mainstay.kernel.ports import ChannelKind, Deliver
from mainstay.kernel.resource import Spec

Account = Annotated[str, StringConstraints(pattern=r"^[^@\s]{1,64}@[^@\s]{1,255}$", to_lower=True)]


class PushTarget(Spec):
    accounts: list[Account] = Field(
        min_length=1, max_length=50, description="e-mail addresses of accounts; each device of theirs is notified"
    )


def _load() -> Deliver:
    from mainstay.integrations.channels.push.deliver import deliver

    return deliver


KIND = ChannelKind("push", "devices of people, by web push", PushTarget, _load)
