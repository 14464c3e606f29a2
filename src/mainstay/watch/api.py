"""Monitors over the API: list, one with its results and transitions, pause, resume, check now.

Declaring goes through /resources. Live values come from memory where the server has them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from django.http import HttpRequest
from ninja import Query, Router, Schema, Status
from pydantic import Field

from mainstay.accounts.api_doors import actor_of, requires
from mainstay.frames import schemas
from mainstay.kernel.actor import Actor
from mainstay.kernel.clock import to_iso
from mainstay.kernel.errors import TooLarge, UserError
from mainstay.kernel.texts import WITHOUT_NUL, ResourceName, Text, told
from mainstay.watch import queries, verbs
from mainstay.watch.erasing import erase_history
from mainstay.watch.results import current
from mainstay.watch.results.values import Sample

router = Router()
MOST = 10_000  # monitors of one order
StateName = Annotated[str, told(enum=list(queries.STATES))]
LabelPair = Annotated[str, told(pattern=r"^[^\x00=]*=[^\x00]*$")]


@schemas.of(queries.Last)
class LastOut(Schema):
    pass


@schemas.of(queries.MonitorView)
class MonitorOut(Schema):
    """Times are RFC 3339 in UTC, durations seconds. Code, message and evidence are of what made the state."""

    last: LastOut | None


class MonitorPage(Schema):
    """`counts` is by state, of everything that fits apart from the states asked for."""

    monitors: list[MonitorOut]
    total: int
    counts: dict[str, int]


class ResultOut(Schema):
    at: str
    verdict: str
    duration: float
    code: str
    message: str
    phases: dict[str, float] = Field(description="seconds: lookup, connect, tls, wait, transfer")
    evidence: dict[str, Any]
    state: str = Field(description="that the time until then is attributed to")


@schemas.of(queries.Happening)
class TransitionOut(Schema):
    pass


class Changed(Schema):
    changed: bool = Field(description="false: it was in that state already")


class Wanted(Schema):
    """Which monitors; what is left out fits everything."""

    text: Text = Field("", max_length=200, description="words in name, address, tags or labels")
    state: list[StateName] = Field([], max_length=10, description="one or more states")
    tag: Text = Field("", max_length=200)
    label: list[LabelPair] = Field([], max_length=10, description="`name=value`, all of which must match")
    kind: Text = Field("", max_length=40)
    severity: Text = Field("", max_length=2)

    def as_filter(self) -> queries.MonitorFilter:
        labels = {}
        for pair in self.label:
            name, equals, value = pair.partition("=")
            if not equals:
                raise UserError(f"`{pair[:60]}` is no label", hint="write name=value")
            labels[name] = value
        for state in self.state:
            if state not in queries.STATES:
                raise UserError(f"there is no state `{state[:40]}`", hint=f"states are {', '.join(queries.STATES)}")
        return queries.MonitorFilter(self.text, tuple(self.state), self.tag, labels, self.kind, self.severity)


class OrderMany(Schema):
    """The names, or which ones as in the list of monitors; exactly one of the two."""

    order: Literal["pause", "resume", "check"]
    names: list[ResourceName] = Field([], max_length=MOST)
    matching: Wanted | None = None


class OrderedMany(Schema):
    changed: int = Field(description="how many it made a difference to")


_ORDERS: dict[str, Callable[[Actor, Sequence[str]], int]] = {
    "pause": verbs.pause_monitors,
    "resume": verbs.resume_monitors,
    "check": verbs.check_now,
}


@router.get("", response=MonitorPage, summary="Monitors, failing ones first")
@requires("monitors:read", limited=True)
def list_monitors(
    request: HttpRequest,
    wanted: Annotated[Wanted, Query()],
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, lt=2**31)] = 0,
) -> queries.Page:
    return queries.page(replace(wanted.as_filter(), limits=actor_of(request).limits), limit=limit, offset=offset)


# Two parts, since a monitor may be called `bulk`.
@router.post("/bulk/orders", response=OrderedMany, summary="Pause, resume or check many monitors")
@requires("monitors:check", limited=True)
def order_many(request: HttpRequest, wanted: OrderMany) -> dict[str, int]:
    actor = actor_of(request)
    if bool(wanted.names) == (wanted.matching is not None):
        raise UserError("exactly one of `names` and `matching` is needed", hint='such as {"matching": {"tag": "web"}}')
    names = wanted.names
    if wanted.matching is not None:
        fitting = replace(wanted.matching.as_filter(), limits=actor.limits)
        names = [view.name for view in queries.monitors(fitting)]
        if len(names) > MOST:
            raise TooLarge(f"at most {MOST} monitors at once", hint="narrow the search")
    return {"changed": _ORDERS[wanted.order](actor, names)}


@router.get("/{name}", response=MonitorOut, summary="One monitor")
@requires("monitors:read", limited=True)
def one_monitor(request: HttpRequest, name: ResourceName) -> queries.MonitorView:
    return queries.monitor(name, actor_of(request).limits)


@router.get("/{name}/results", response=list[ResultOut], summary="Its results, newest first")
@requires("monitors:read", limited=True)
def list_results(
    request: HttpRequest,
    name: ResourceName,
    *,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    location: Annotated[
        str, Query(max_length=100, pattern=WITHOUT_NUL, description="what this location found; default: what counted")
    ] = "",
    since: Annotated[float | None, Query(ge=0, lt=2**40, description="epoch seconds; archived results too")] = None,
    until: Annotated[float | None, Query(ge=0, lt=2**40, description="epoch seconds")] = None,
) -> list[dict[str, Any]]:
    uid = queries.monitor(name, actor_of(request).limits).uid
    if since is None and until is None:
        return [_result(sample) for sample in current().latest(uid, limit, location=location)]
    end = 2.0**40 if until is None else until
    return [_result(sample) for sample in current().results(uid, since or 0.0, end, limit, location)]


@router.get("/{name}/transitions", response=list[TransitionOut], summary="Its journal entries, newest first")
@requires("monitors:read", limited=True)
def list_transitions(
    request: HttpRequest,
    name: ResourceName,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    before: Annotated[int | None, Query(ge=0, lt=2**63, description="only entries with a lower number")] = None,
) -> list[queries.Happening]:
    queries.monitor(name, actor_of(request).limits)
    return queries.transitions(name, limit=limit, before_seq=before)


@router.post("/{name}/pause", response=Changed, summary="Stop checking it until it is resumed")
@requires("monitors:check", limited=True)
def pause(request: HttpRequest, name: ResourceName) -> dict[str, bool]:
    return {"changed": verbs.pause_monitors(actor_of(request), [name]) > 0}


@router.post("/{name}/resume", response=Changed, summary="Check it again")
@requires("monitors:check", limited=True)
def resume(request: HttpRequest, name: ResourceName) -> dict[str, bool]:
    return {"changed": verbs.resume_monitors(actor_of(request), [name]) > 0}


@router.post("/{name}/check", response={202: Changed}, summary="Check it now, in addition to its schedule")
@requires("monitors:check", limited=True)
def check(request: HttpRequest, name: ResourceName) -> dict[str, bool]:
    return {"changed": verbs.check_now(actor_of(request), [name]) > 0}


@router.delete("/{name}/history", response={202: None}, summary="Permanently delete all of its results up to now")
@requires("resources:write")
def erase(request: HttpRequest, name: ResourceName) -> Status[None]:
    erase_history(actor_of(request), name)
    return Status(202, None)


def _result(sample: Sample) -> dict[str, Any]:
    return {
        "at": to_iso(sample.at),
        "verdict": sample.verdict,
        "duration": round(sample.duration, 6),
        "code": sample.code,
        "message": sample.message,
        "phases": dict(sample.phases),
        "evidence": dict(sample.evidence),
        "state": sample.charge,
    }
