"""The sockets that integrations plug into. The runtime finds the folders under `integrations/`.

A check kind is a folder `integrations/checks/<name>/` with
    spec.py  `KIND = CheckKind(...)` and its pydantic models; imported where specs are validated
    run.py   imported in probers only, when first used; it may import neither Django nor pydantic:
             `def prepare(order: CheckOrder) -> Plan` is pure and called once for an order, to compile patterns and
             read options; the plan is kept while the order stands
             `async def run(plan: Plan, context: CheckContext) -> CheckResult` makes one check. It answers with
             `kernel.probing.finding(...)` or raises `CheckFault`; the prober fills in uid, at, lag, scheduled and,
             where it is 0, duration. It keeps to `order.timeout` itself, so that its code can name the phase that
             took too long; a run that does not is cancelled shortly after and becomes `check.timeout`
A channel kind is a folder `integrations/channels/<name>/` with
    spec.py     `KIND = ChannelKind(...)`
    deliver.py  `def deliver(target, message, context) -> Receipt`; imported when first used
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mainstay.kernel.probing import Configure
    from mainstay.kernel.resource import Spec
    from mainstay.kernel.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Quorum:
    """So many of these monitors, by name, must be up."""

    members: tuple[str, ...]
    up: int


@dataclass(frozen=True, slots=True)
class CheckKind:
    """How a monitor says what to check.

    target: model of the value under the key `name` in a monitor (`http: {url: ..., method: ...}`).
    shorthand: the target's field that a bare value fills (`http: https://...`); `bare`: the type of that value.
    expect: model of the monitor's `expect`.
    address: target -> what a person reads ("https://api.example.com/health"), without secrets.
    requires: (module, extra) pairs beyond a plain install, told at plan time when missing.
    quorum: for a target that is judged from the states of other monitors. No prober runs such a check.
    scope: what its author must hold besides `resources:write`, for a check that is as good as running a program.
    """

    name: str
    summary: str
    target: type[Spec]
    expect: type[Spec]
    shorthand: str
    address: Callable[[Any], str]
    interval: float = 60.0  # default `every`, seconds
    timeout: float = 10.0  # default `timeout`, seconds
    bare: Any = str
    requires: tuple[tuple[str, str], ...] = ()
    local: bool = False  # looks at this machine only: the state of the network says nothing about it
    quorum: Callable[[Any], Quorum] | None = None
    scope: str = ""


@dataclass(frozen=True, slots=True)
class ChannelKind:
    """How a channel says where to deliver: model of the value under the key `name` in a channel.

    load: imports `deliver.py` and gives its function, so that a plan does not pay for mail and chat libraries.
    """

    name: str
    summary: str
    target: type[Spec]
    load: Callable[[], Deliver]
    shorthand: str = ""
    requires: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Notification:
    """What a channel is asked to say. JSON-able; `links` are absolute URLs."""

    id: str  # stable over repeats: the idempotency key
    status: str  # "firing", "resolved", "test" or "report"
    alert: Mapping[str, Any]  # id monitor kind severity labels since until title summary
    evidence: Mapping[str, Any]
    links: Mapping[str, str]  # monitor, acknowledge
    changes: tuple[str, ...] = ()  # what changed lately, one sentence each
    group: Mapping[str, Any] | None = None  # alerts told of together: labels firing resolved alerts truncated
    thread: str = ""  # id of the first notification about this alert on this channel, if that is another one


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the channel answered, kept with the notification: a status and a short excerpt."""

    detail: str = ""
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeliveryContext:
    """What a delivery may use. `timeout`: seconds for all of it; `now`: epoch seconds for texts such as `3 min ago`;
    `proxy`: address of an HTTP proxy to go through, empty for none."""

    settings: Settings
    now: float
    timeout: float = 10.0
    proxy: str = ""


class Deliver(Protocol):
    """Hand one message over, on a thread that may block for `context.timeout`.

    `target` is the channel's document with every default written out and every secret filled in.
    Raises Refused (repeating is useless) or Unavailable (repeat with backoff), without secrets in the text.
    A repeat comes with the same `message.id`, because a crash may fall between hand-over and record.
    """

    def __call__(self, target: Mapping[str, Any], message: Notification, context: DeliveryContext) -> Receipt: ...


class AddressGuard(Protocol):
    """Decides which addresses may be connected to (see integrations/addresses.py)."""

    def refuses(self, address: str) -> str:
        """Empty if allowed, else the reason for a person."""


class CheckContext(Protocol):
    """What a prober lends to its runs."""

    @property
    def guard(self) -> AddressGuard: ...

    @property
    def ca_file(self) -> str:
        """PEM file of the certificates to trust."""

    @property
    def configured(self) -> Configure:
        """What the settings let probers do on this machine."""

    async def addresses(self, host: str, family: int = 0) -> list[str]:
        """The addresses of a name, or the literal itself, in the order to try, refused ones left out.

        `family` is 0, socket.AF_INET or socket.AF_INET6. CheckFault `lookup.not_found` (down), `lookup.failed`
        or `lookup.refused` (unknown) and `check.address_refused` (unknown). It has no time limit of its own:
        wrap it in asyncio.timeout and answer `lookup.timeout`.
        """

    def shared(self, key: str, make: Callable[[], T]) -> T:
        """One object per prober, such as a connection pool: made on first use, kept until the end."""
