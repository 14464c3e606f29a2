"""Whole files over the API: plan, apply, export, schema, revisions and rollback."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import Path, Query, Router, Schema
from pydantic import Field

from mainstay.accounts.api_doors import actor_of, requires
from mainstay.kernel.errors import StalePlan
from mainstay.kernel.texts import MOST, WITHOUT_NUL
from mainstay.resources.api import BODY, read_request, secret_source
from mainstay.store.resources import apply, queries
from mainstay.store.resources.plan import Plan
from mainstay.store.resources.planning import Terms, plan_reading
from mainstay.store.resources.schema import file_schema
from mainstay.store.resources.showing import export_file, shown_plan, shown_revisions

router = Router()

_REPEATS = 5


class PlanOptions(Schema):
    prune: Literal["none", "sources", "all"] = Field(
        "none", description="delete what was declared over the API and is not in the body: by this token, or by any"
    )
    takeover: bool = Field(False, description="also change what a file manages")


class PlanOut(Schema):
    """`changes` lists created, updated and deleted resources with their fields before and after."""

    base: int = Field(description="the revision that the plan was made against")
    counts: dict[str, int]
    changes: list[dict[str, Any]]
    warnings: list[dict[str, Any]]


class AppliedOut(PlanOut):
    revision: int = Field(description="the new revision, or the newest if nothing changed")


class RevisionOut(Schema):
    number: int
    at: str
    actor: str
    manager: str
    source: str
    message: str
    counts: dict[str, int]
    changes: list[dict[str, Any]]


Options = Annotated[PlanOptions, Query()]


def _plan(request: HttpRequest, options: PlanOptions) -> Plan:
    actor = actor_of(request)
    terms = Terms("api", actor.name[:400], options.takeover, options.prune, secret_source())
    reading = read_request(request)
    if not reading.documents and not reading.diagnostics.errors:
        reading.diagnostics.add("the body is empty", hint="write {} if nothing is to be declared")
    return plan_reading(actor, reading, terms)


@router.post("/plan", response=PlanOut, summary="What a file would change", openapi_extra=BODY)
@requires("resources:write")
def make_plan(request: HttpRequest, options: Options) -> dict[str, Any]:
    return shown_plan(actor_of(request), _plan(request, options)).as_dict()


@router.post(
    "/apply",
    response=AppliedOut,
    summary="Apply a file: change what is declared to match it",
    description="`base`: the revision of the plan that you approved; 409 if the resources have changed since.",
    openapi_extra=BODY,
)
@requires("resources:write")
def apply_file(
    request: HttpRequest, options: Options, base: Annotated[int | None, Query(ge=0, le=MOST)] = None
) -> dict[str, Any]:
    for _ in range(_REPEATS):
        plan = _plan(request, options)
        if base is not None and plan.base != base:
            raise StalePlan(f"the resources changed since revision {base}", hint="plan again")
        try:
            revision = apply.apply(actor_of(request), plan)
            return {"revision": revision, **shown_plan(actor_of(request), plan).as_dict()}
        except StalePlan:
            if base is not None:
                raise
    raise StalePlan("the resources keep changing", hint="try again when the other changes are done")


@router.get(
    "/export",
    summary="Everything declared as one YAML file",
    description="Includes the addresses of heartbeats for whoever has `monitors:check`; `addresses=false` leaves "
    "them out.",
)
@requires("resources:read")
def export(
    request: HttpRequest, kind: Annotated[str, Query(max_length=40, pattern=WITHOUT_NUL)] = "", addresses: bool = True
) -> HttpResponse:
    found = queries.resources(queries.kind_named(kind).name if kind else None)
    text = export_file(actor_of(request), found, addresses=addresses)
    headers = {"Content-Disposition": 'attachment; filename="mainstay.yaml"', "Cache-Control": "no-store"}
    return HttpResponse(text, content_type="application/yaml; charset=utf-8", headers=headers)


@router.get("/schema", summary="JSON Schema of declared files")
@requires("resources:read")
def schema(request: HttpRequest) -> HttpResponse:
    return JsonResponse(file_schema(), content_type="application/schema+json")


@router.get("/revisions", response=list[RevisionOut], summary="Revisions, newest first, without their changes")
@requires("resources:read")
def list_revisions(
    request: HttpRequest,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    before: Annotated[int | None, Query(ge=0, le=MOST)] = None,
) -> list[dict[str, Any]]:
    return [revision.as_dict() for revision in queries.revisions(limit=limit, before=before)]


@router.get("/revisions/{number}", response=RevisionOut, summary="One revision with its first changes")
@requires("resources:read")
def read_revision(
    request: HttpRequest, number: Annotated[int, Path(ge=0, le=MOST)], limit: Annotated[int, Query(ge=1, le=5000)] = 500
) -> dict[str, Any]:
    return shown_revisions(actor_of(request), [queries.revision(number, limit=limit)])[0].as_dict()


@router.post("/revisions/{number}/rollback", response=AppliedOut, summary="Go back to a revision")
@requires("resources:write")
def roll_back(request: HttpRequest, number: Annotated[int, Path(ge=0, le=MOST)]) -> dict[str, Any]:
    actor = actor_of(request)
    revision, plan = apply.rollback(actor, number, manager="api", source=actor.name[:400])
    return {"revision": revision, **shown_plan(actor, plan).as_dict()}
