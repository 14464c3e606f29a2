from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from tests.rigs.accounts_browser import TEST, browser, person, signed_in, switch_factor_on
from tests.rigs.told import Told

from mainstay.accounts import verbs
from mainstay.store.work import unit_of_work

pytestmark = pytest.mark.usefixtures("store")


@pytest.fixture(autouse=True)
def _quick_and_calm() -> None:
    cache.clear()


def _with_token(*scopes: str) -> Client:
    token = verbs.create_token(TEST, "ci", list(scopes))
    return Client(enforce_csrf_checks=True, headers={"host": "localhost", "authorization": f"Bearer {token}"})


def _error(response: Any) -> dict[str, Any]:
    body = response.json()
    assert set(body["error"]) == {"code", "message", "hint", "diagnostics"}
    error: dict[str, Any] = body["error"]
    return error


def test_nothing_without_a_token_or_a_session() -> None:
    for path in ("journal", "tokens", "monitors", "resources", "openapi.json"):
        response = browser().get(f"/api/v1/{path}")
        assert response.status_code == 401, path
        assert response.headers["www-authenticate"].startswith("Bearer")
        assert _error(response)["code"] == "unauthorized"
    assert browser().get("/api/docs").status_code == 302


def test_a_token_without_the_scope_is_told_which_is_missing() -> None:
    response = _with_token("monitors:read").get("/api/v1/journal")
    assert response.status_code == 403
    assert "journal:read" in _error(response)["message"]


@pytest.mark.parametrize(
    "header", ["Bearer x", "Bearer mst_0_0", "Basic eDp5", "Negotiate abc", "Bearer " + "x" * 9999]
)
def test_a_bad_token_is_not_made_good_by_a_session(header: str) -> None:
    person()
    client = signed_in()
    assert client.get("/api/v1/journal").status_code == 200
    assert client.get("/api/v1/journal", headers={"authorization": header}).status_code == 401


def test_a_session_needs_the_csrf_token_to_change_anything() -> None:
    person()
    client = signed_in(csrf=True)
    client.handler.enforce_csrf_checks = False
    switch_factor_on(client)
    client.handler.enforce_csrf_checks = True
    wanted = json.dumps({"name": "ci", "scopes": ["monitors:read"]})
    refused = client.post("/api/v1/tokens", wanted, content_type="application/json")
    assert refused.status_code == 403
    assert "CSRF" in _error(refused)["message"]
    token = re.search(
        r"X-CSRFToken&quot;: &quot;([^&]+)|X-CSRFToken\": \"([^\"]+)", client.get("/account/").content.decode()
    )
    assert token
    headers = {"x-csrftoken": token[1] or token[2]}
    made = client.post("/api/v1/tokens", wanted, content_type="application/json", headers=headers)
    assert made.status_code == 201
    assert made.json()["token"].startswith("mst_")
    headers["origin"] = "https://evil.example"
    assert client.post("/api/v1/tokens", wanted, content_type="application/json", headers=headers).status_code == 403


def test_tokens_are_listed_and_revoked() -> None:
    client = _with_token("tokens:write", "users:write", "monitors:read")
    made = client.post(
        "/api/v1/tokens", {"name": "child", "scopes": ["monitors:read"], "expires_days": 7}, "application/json"
    ).json()
    listed = {token["name"]: token for token in client.get("/api/v1/tokens").json()}
    assert listed["child"]["state"] == "active"
    assert made["token"] not in str(listed)
    assert client.delete(f"/api/v1/tokens/{made['id']}").status_code == 204
    assert client.delete("/api/v1/tokens/nothing").status_code == 404
    child = Client(headers={"host": "localhost", "authorization": f"Bearer {made['token']}"})
    assert child.get("/api/v1/monitors").status_code == 401


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 422),
        (b'{"name": 3}', 422),
        (b'{"name": "x", "scopes": ["nothing:read"]}', 400),
        (b'{"name": "x", "scopes": ["journal:read"]}', 403),
        (b"\xff\xfe", 400),
        (b'{"name": "x", "scopes": ' + b"[" * 100_000, 400),
    ],
)
def test_bad_input_is_answered_in_the_one_shape(body: bytes, status: int) -> None:
    response = _with_token("tokens:write").post("/api/v1/tokens", body, content_type="application/json")
    assert response.status_code == status
    assert _error(response)["message"]


def _happen(count: int) -> None:
    with unit_of_work(TEST) as work:
        for number in range(count):
            work.record(Told("monitor.went_down", f"monitor/m{number}", {"n": number}))


def test_the_journal_is_searched_in_pages_and_exported_whole() -> None:
    _happen(7)
    client = _with_token("journal:read", "journal:export")
    first = client.get("/api/v1/journal?kind=monitor.*&limit=3").json()
    assert [entry["data"]["n"] for entry in first["entries"]] == [6, 5, 4]
    rest = client.get(f"/api/v1/journal?kind=monitor.*&limit=4&before={first['next']}").json()
    assert [entry["data"]["n"] for entry in rest["entries"]] == [3, 2, 1, 0]
    assert rest["next"] is None
    export = client.get("/api/v1/journal/export?kind=monitor.*")
    assert export.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in b"".join(export.streaming_content).splitlines()]
    assert [line["data"]["n"] for line in lines] == list(range(7))
    assert client.get("/api/v1/journal/verify").json()["broken_at"] is None
    assert client.get("/api/v1/journal?since=2100-01-01T00:00:00Z").json()["entries"] == []
    bad = client.get("/api/v1/journal?limit=100000&since=tomorrow")
    assert bad.status_code == 422
    assert {item["path"].split(".")[-1] for item in _error(bad)["diagnostics"]} == {"limit", "since"}


def test_the_document_describes_every_operation() -> None:
    document = _with_token("monitors:read").get("/api/v1/openapi.json").json()
    assert document["info"]["title"] == "Mainstay"
    for path in ("/api/v1/journal", "/api/v1/tokens", "/api/v1/monitors", "/api/v1/resources"):
        assert path in document["paths"]
    assert set(document["components"]["securitySchemes"]) == {"TokenAuth", "SessionAuth"}
