from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from django.test import Client

from mainstay.accounts import verbs
from mainstay.kernel.actor import command, system
from mainstay.store.resources import queries
from mainstay.store.resources.apply import declare

pytestmark = pytest.mark.usefixtures("store")

FILE = """
monitors: {api: {http: https://a.example, every: 30s}}
channels: {hook: {webhook: {url: https://x.example, secret: "${env:NO_SUCH}"}}}
routes: [{to: [hook]}]
"""


class Api:
    """A program with a token."""

    def __init__(self, *scopes: str) -> None:
        token = verbs.create_token(system("test"), "ci", list(scopes))
        self._client = Client(headers={"Authorization": f"Bearer {token}", "host": "localhost"})

    def __call__(self, method: str, path: str, body: Any = b"", kind: str = "application/yaml", **headers: str) -> Any:
        if isinstance(body, dict | list):
            body, kind = json.dumps(body), "application/json"
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._client.generic(method, f"/api/v1/{path}", body, content_type=kind, headers=given)


@pytest.fixture
def api() -> Api:
    return Api("resources:read", "resources:write")


def test_many_are_deleted_in_one_revision_or_none_of_them(api: Api) -> None:
    made = api("POST", "apply", "monitors: {a: {http: https://a.example}, b: {http: https://b.example}}")
    assert made.status_code == 200, made.content
    keys = [{"kind": "monitor", "name": name} for name in "ab"]
    lost = api("POST", "resources/delete", {"resources": [*keys, {"kind": "monitor", "name": "c"}]})
    assert lost.status_code == 404
    assert api("GET", "resources").json()["total"] == 2
    assert api("POST", "resources/delete", {"resources": keys}).json() == {"revision": 2}
    assert api("GET", "resources").json()["total"] == 0
    assert Api("resources:read")("POST", "resources/delete", {"resources": keys}).status_code == 403


def test_one_resource_is_created_read_replaced_and_deleted(api: Api) -> None:
    made = api("PUT", "resources/monitor/api", {"http": "https://a.example", "every": "30s"})
    assert made.status_code == 201, made.content
    assert made.headers["ETag"] == '"1"'
    body = made.json()
    assert body["document"] == {"http": {"url": "https://a.example"}, "every": "30s"}
    assert (body["manager"], body["revision"]) == ("api", 1)
    assert body["source"].startswith("ci")
    changed = api("PUT", "resources/monitor/api", "http: https://b.example\n")
    assert (changed.status_code, changed.json()["uid"]) == (200, body["uid"])
    assert api("GET", "resources/monitor/api").json()["document"] == {"http": {"url": "https://b.example"}}
    history = api("GET", "resources/monitor/api/history").json()
    assert [one["changes"][0]["action"] for one in history] == ["update", "create"]
    assert api("DELETE", "resources/monitor/api").status_code == 204
    assert api("GET", "resources/monitor/api").status_code == 404
    assert api("DELETE", "resources/monitor/api").status_code == 404


def test_etags_keep_two_editors_apart(api: Api) -> None:
    document = {"http": "https://a.example"}
    assert api("PUT", "resources/monitor/a", document, If_None_Match="*").status_code == 201
    assert api("PUT", "resources/monitor/a", document, If_None_Match="*").status_code == 412
    tag = api("GET", "resources/monitor/a").headers["ETag"]
    other = {"http": "https://b.example"}
    assert api("PUT", "resources/monitor/a", other, If_Match=tag).status_code == 200
    assert api("PUT", "resources/monitor/a", document, If_Match=tag).status_code == 412
    assert api("DELETE", "resources/monitor/a", If_Match=tag).status_code == 412
    assert api("PUT", "resources/monitor/a", document, If_Match="soon").status_code == 400
    assert api("PUT", "resources/monitor/new", document, If_Match="*").status_code == 404
    assert api("DELETE", "resources/monitor/a", If_Match="*").status_code == 204


def test_what_a_file_keeps_is_taken_over_only_when_asked(api: Api) -> None:
    declare(command("me"), "monitor", "a", {"http": "https://a.example"}, manager="file", source="/etc/m.yaml")
    other = {"http": "https://b.example"}
    refused = api("PUT", "resources/monitor/a", other)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "conflict")
    assert "/etc/m.yaml" in refused.json()["error"]["message"]
    assert api("DELETE", "resources/monitor/a").status_code == 409
    assert api("PUT", "resources/monitor/a?takeover=true", other).json()["manager"] == "api"


def test_lists_are_filtered_and_paged(api: Api) -> None:
    for number in range(5):
        declare(command("me"), "monitor", f"m{number}", {"http": "https://a.example"}, manager="page", source="oncall")
    declare(command("me"), "heartbeat", "h", {"every": "1h"}, manager="api")
    assert api("GET", "resources").json()["total"] == 6
    found = api("GET", "resources?kind=monitor&manager=page&source=oncall&text=m&limit=2&offset=1").json()
    assert [one["name"] for one in found["resources"]] == ["m1", "m2"]
    assert (found["total"], found["next"], found["revision"]) == (5, 3, 6)
    assert api("GET", "resources?kind=monitr").json()["error"]["hint"] == "did you mean `monitor`"
    assert api("GET", "resources?limit=0").status_code == 422
    assert api("GET", "resources?manager=nobody").status_code == 422


def test_plan_apply_and_stale_bases(api: Api) -> None:
    planned = api("POST", "plan", FILE).json()
    assert planned["counts"] == {"create": 3, "update": 0, "delete": 0, "unchanged": 0}
    assert planned["warnings"][0]["path"] == "channels.hook.webhook.secret"
    assert queries.latest_revision() == 0
    applied = api("POST", f"apply?base={planned['base']}", FILE)
    assert (applied.status_code, applied.json()["revision"]) == (200, 1)
    stale = api("POST", "apply?base=0", FILE)
    assert (stale.status_code, stale.json()["error"]["code"]) == (409, "stale_plan")
    smaller = {"monitors": {"api": {"http": "https://a.example", "every": "30s"}}}
    assert api("POST", "apply", smaller).json()["changes"] == []
    pruned = api("POST", "apply?prune=sources", smaller).json()
    assert pruned["counts"] == {"create": 0, "update": 0, "delete": 2, "unchanged": 1}


def test_mistakes_are_listed_with_their_places(api: Api) -> None:
    answer = api("POST", "apply", "monitors:\n  a: {http: https://a.example, evry: 1}\n  b: {}\n")
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["code"] == "invalid_input"
    assert [(one["line"], one["path"]) for one in error["diagnostics"]] == [(2, "monitors.a.evry"), (3, "monitors.b")]
    answer = api("PUT", "resources/monitor/a", {"http": "https://a.example", "evry": 1})
    assert answer.json()["error"]["diagnostics"][0]["path"] == "monitors.a.evry"
    assert api("PUT", "resources/monitr/a", {}).status_code == 404
    assert api("PUT", "resources/monitor/a b", {"http": "https://a.example"}).status_code == 422
    assert queries.latest_revision() == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"\x00",
        b"[" * 100_000,
        b"{",
        b"--- a\n--- b\n",
        b"!!python/object:x y",
        b'{"a": NaN}',
        b"null",
    ],
)
@pytest.mark.parametrize("path", ["PUT resources/monitor/a", "POST plan", "POST apply"])
def test_bad_bodies_change_nothing(api: Api, path: str, body: bytes) -> None:
    answer = api(*path.split(), body)
    assert answer.status_code == (422 if body else 411) or (answer.status_code == 422 and not body)
    assert queries.resources() == []


def test_a_body_of_unknown_length_does_not_pass_as_an_empty_one(api: Api) -> None:
    api("POST", "apply", FILE)
    answer = api("POST", "apply?prune=sources", b"", Transfer_Encoding="chunked")
    assert answer.status_code == 411
    assert api("POST", "apply?prune=sources", b"# nothing\n").status_code == 422
    assert len(queries.resources()) == 3
    assert api("POST", "apply?prune=sources", b"{}").json()["counts"]["delete"] == 3


def test_a_body_that_is_too_large_is_refused(api: Api) -> None:
    answer = api("POST", "apply", b"x-a: " + b"y" * (10 * 1024 * 1024))
    assert answer.status_code == 413
    assert answer.json()["error"]["message"]


def test_export_schema_and_revisions(api: Api) -> None:
    api("POST", "apply", FILE)
    exported = api("GET", "export")
    assert exported.headers["Content-Type"].startswith("application/yaml")
    assert list(yaml.safe_load(exported.content)) == ["monitors", "channels", "routes"]
    assert list(yaml.safe_load(api("GET", "export?kind=channel").content)) == ["channels"]
    assert api("GET", "schema").json()["additionalProperties"] is False
    api("DELETE", "resources/monitor/api")
    assert [one["number"] for one in api("GET", "revisions").json()] == [2, 1]
    assert api("GET", "revisions/2").json()["changes"][0]["action"] == "delete"
    assert api("GET", "revisions/9").status_code == 404
    back = api("POST", "revisions/1/rollback").json()
    assert (back["revision"], back["counts"]["create"]) == (3, 1)
    assert api("POST", "revisions/9/rollback").status_code == 404


def test_scopes_are_needed() -> None:
    reader, nobody = Api("resources:read"), Client(headers={"host": "localhost"})
    assert reader("GET", "resources").status_code == 200
    for method, path in [
        ("PUT", "resources/monitor/a"),
        ("DELETE", "resources/monitor/a"),
        ("POST", "plan"),
        ("POST", "apply"),
        ("POST", "revisions/1/rollback"),
    ]:
        assert reader(method, path, "{}").status_code == 403, path
    writer = Api("resources:write")
    for path in ("resources", "resources/monitor/a", "export", "schema", "revisions", "revisions/1"):
        assert writer("GET", path).status_code == 403, path
        assert nobody.get(f"/api/v1/{path}").status_code == 401, path
