"""The sockets that integrations plug into. The runtime finds the folders under `integrations/`.

A check kind is a folder `integrations/checks/<name>/` with
    spec.py  `KIND = CheckKind(...)` and its pydantic models; imported where specs are validated
    run.py   `async def run(order, context) -> CheckResult`; imported in probers only, when first used
A channel kind is a folder `integrations/channels/<name>/` with
    spec.py     `KIND = ChannelKind(...)`
    deliver.py  `def deliver(target, message, context) -> Receipt`; imported when first used
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mainstay.kernel.probing import CheckOrder, CheckResult
    from mainstay.kernel.resource import Spec


@dataclass(frozen=True, slots=True)
class CheckKind:
    """How a monitor says what to check.

    target: model of the value under the key `name` in a monitor (`http: {url: ..., method: ...}`).
    shorthand: the target's field that a bare string fills (`http: https://...`).
    expect: model of the monitor's `expect`.
    address: target -> what a person reads ("https://api.example.com/health"), without secrets.
    requires: (module, extra) pairs beyond a plain install, told at plan time when missing.
    """

    name: str
    summary: str
    target: type[Spec]
    expect: type[Spec]
    shorthand: str
    address: Callable[[Any], str]
    interval: float = 60.0  # default `every`, seconds
    requires: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ChannelKind:
    """How a channel says where to deliver: model of the value under the key `name` in a channel."""

    name: str
    summary: str
    target: type[Spec]
    shorthand: str = ""
    requires: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Notification:
    """What a channel is asked to say. JSON-able; `links` are absolute URLs."""

    id: str  # stable over repeats: the idempotency key
    status: str  # "firing", "resolved" or "test"
    alert: Mapping[str, Any]  # id monitor kind severity labels since until title summary
    evidence: Mapping[str, Any]
    links: Mapping[str, str]  # monitor, acknowledge
    changes: tuple[str, ...] = ()  # what changed lately, one sentence each


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the channel answered, kept with the notification: a status and a short excerpt."""

    detail: str = ""
    data: dict[str, Any] = field(default_factory=dict)


class AddressGuard(Protocol):
    """Decides which addresses may be connected to (see integrations/addresses.py)."""

    def refuses(self, address: str) -> str:
        """Empty if allowed, else the reason for a person."""


class CheckRunner(Protocol):
    async def __call__(self, order: CheckOrder, context: Any) -> CheckResult: ...
