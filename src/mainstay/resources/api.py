"""Single resources over the API: list, read, create or replace, delete, and their history.

The ETag of a resource is the number of the revision that wrote it last; If-Match keeps two editors apart.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema, Status
from ninja.errors import HttpError
from pydantic import Field

from mainstay.accounts.api_doors import actor_of, requires
from mainstay.kernel.errors import StalePlan
from mainstay.kernel.resource import Resource
from mainstay.kernel.texts import KindName, ResourceName, Text
from mainstay.store.resources import apply, queries
from mainstay.store.resources.files import Reading, read_body
from mainstay.store.resources.showing import shown, shown_revisions
from mainstay.store.secrets import SecretSource

router = Router()

_TAG = re.compile(r'"(\d{1,18})"')
BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"type": "object"}},
            "application/yaml": {"schema": {"type": "string"}},
        },
    }
}


class ResourceOut(Schema):
    kind: str
    name: str
    uid: str = Field(description="never changes while the resource exists")
    manager: str = Field(description="who manages it: file, page, api, command or ping")
    source: str = Field(description="the file's path, the page's user, the token's name")
    revision: int = Field(description="the revision that last changed it; also its ETag")
    position: int = Field(description="position within a kind that is written as a list, else 0")
    document: dict[str, Any] = Field(description="what is declared, without defaults; secrets as references")


class ResourceList(Schema):
    """`revision` is the newest of all; `next` is the offset of the next page, null if there is none."""

    resources: list[ResourceOut]
    total: int
    revision: int
    next: int | None


class ResourceFilter(Schema):
    kind: Text = Field("", max_length=40)
    manager: Literal["", "file", "page", "api", "command", "ping"] = ""
    source: Text = Field("", max_length=400)
    text: Text = Field("", max_length=100, description="part of the name")


class WriteOptions(Schema):
    takeover: bool = Field(False, description="also replace what a file manages")
    position: int | None = Field(None, ge=0, le=1_000_000, description="position within a kind written as a list")


class ResourceKey(Schema):
    kind: KindName
    name: ResourceName


class DeleteMany(Schema):
    resources: list[ResourceKey] = Field(min_length=1, max_length=10_000)


class Deleted(Schema):
    revision: int = Field(description="the revision that deletes them; rolling back to the one before restores them")


def secret_source() -> SecretSource:
    return SecretSource(settings.MAINSTAY)


def read_request(request: HttpRequest) -> Reading:
    """The body's documents. A body without a length reaches Django as nothing at all: that must not pass as `{}`."""
    if "Transfer-Encoding" in request.headers or "Content-Length" not in request.headers:
        raise HttpError(411, "The request must state the length of its body (Content-Length).")
    return read_body(request.body)


def _shown(request: HttpRequest, found: list[Resource]) -> list[dict[str, Any]]:
    seen = shown(actor_of(request), found)
    return [{name: getattr(one, name) for name in ResourceOut.model_fields} for one in seen]


def _answer(request: HttpRequest, response: HttpResponse, resource: Resource) -> dict[str, Any]:
    response["ETag"] = f'"{resource.revision}"'
    return _shown(request, [resource])[0]


@router.get("", response=ResourceList, summary="What is declared")
@requires("resources:read")
def list_resources(
    request: HttpRequest,
    wanted: Annotated[ResourceFilter, Query()],
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:
    kind = queries.kind_named(wanted.kind).name if wanted.kind else None
    found = [
        resource
        for resource in queries.resources(kind)
        if wanted.manager in ("", resource.manager)
        and wanted.source in ("", resource.source)
        and wanted.text in resource.name
    ]
    page = found[offset : offset + limit]
    following = offset + limit if offset + limit < len(found) else None
    revision = queries.latest_revision()
    return {"resources": _shown(request, page), "total": len(found), "revision": revision, "next": following}


@router.get("/{kind}/{name}", response=ResourceOut, summary="One resource")
@requires("resources:read")
def read_resource(request: HttpRequest, response: HttpResponse, kind: KindName, name: ResourceName) -> dict[str, Any]:
    return _answer(request, response, queries.resource(kind, name))


@router.put(
    "/{kind}/{name}",
    response={200: ResourceOut, 201: ResourceOut},
    summary="Create or replace one resource",
    description="The body is the resource's document, as YAML or JSON.",
    openapi_extra=BODY,
)
@requires("resources:write")
def write_resource(
    request: HttpRequest,
    response: HttpResponse,
    kind: KindName,
    name: ResourceName,
    options: Annotated[WriteOptions, Query()],
) -> Status[dict[str, Any]]:
    expected = _expected(request, kind, name)
    is_new = queries.find(queries.kind_named(kind).name, name) is None
    actor, document = actor_of(request), _document(request)
    try:
        resource = apply.declare(
            actor,
            kind,
            name,
            document,
            manager="api",
            source=actor.name,
            takeover=options.takeover,
            position=options.position,
            expected=expected,
        )
    except StalePlan as error:
        raise _precondition(error, expected) from None
    return Status(201 if is_new else 200, _answer(request, response, resource))


@router.delete("/{kind}/{name}", response={204: None}, summary="Delete one resource")
@requires("resources:write")
def delete_resource(request: HttpRequest, kind: KindName, name: ResourceName, takeover: bool = False) -> Status[None]:
    expected = _expected(request, kind, name)
    actor = actor_of(request)
    try:
        apply.remove(actor, kind, name, manager="api", source=actor.name, takeover=takeover, expected=expected)
    except StalePlan as error:
        raise _precondition(error, expected) from None
    return Status(204, None)


@router.post("/delete", response=Deleted, summary="Delete many resources in one revision: all or none")
@requires("resources:write")
def delete_many(request: HttpRequest, wanted: DeleteMany, takeover: bool = False) -> dict[str, int]:
    actor = actor_of(request)
    keys = list(dict.fromkeys((one.kind, one.name) for one in wanted.resources))
    number = apply.remove_all(actor, keys, manager="api", source=actor.name, takeover=takeover)
    return {"revision": number}


@router.get("/{kind}/{name}/history", response=list[dict[str, Any]], summary="The revisions that changed it")
@requires("resources:read")
def read_history(
    request: HttpRequest, kind: KindName, name: ResourceName, limit: Annotated[int, Query(ge=1, le=500)] = 50
) -> list[dict[str, Any]]:
    found = queries.history(queries.kind_named(kind).name, name, limit=limit)
    return [revision.as_dict() for revision in shown_revisions(actor_of(request), found)]


def _document(request: HttpRequest) -> Any:
    """The one document of the body; InvalidInput with every mistake of its form."""
    reading = read_request(request)
    if len(reading.documents) != 1 and not reading.diagnostics.errors:
        reading.diagnostics.add(f"the body holds {len(reading.documents)} documents, and must hold one")
    reading.diagnostics.raise_if_errors()
    return reading.documents[0].data


def _expected(request: HttpRequest, kind: str, name: str) -> int | None:
    """The revision that the caller saw, by If-Match; 0 for If-None-Match: *, which asks for a new resource."""
    if request.headers.get("If-None-Match", "").strip() == "*":
        return 0
    match = request.headers.get("If-Match", "").strip()
    if not match:
        return None
    if match == "*":
        return queries.resource(kind, name).revision
    found = _TAG.fullmatch(match)
    if found is None:
        raise HttpError(400, 'If-Match must be one ETag such as "12".')
    return int(found[1])


def _precondition(error: StalePlan, expected: int | None) -> Exception:
    return error if expected is None else HttpError(412, error.message)
