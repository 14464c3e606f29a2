"""What browsers are told to keep to, on every page and every door: headers, no inline code, texts that stay texts."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test import Client, override_settings
from django.utils import timezone
from tests.rigs.accounts_browser import PASSWORD, TEST, browser, person, signed_in
from tests.rigs.door_list import fast_ways, operations, pages, running_doors
from tests.rigs.settings import having

from mainstay.accounts.models import User
from mainstay.store.resources.apply import declare
from mainstay.watch.results import open_results, set_current

pytestmark = pytest.mark.usefixtures("store")
EXPECTED = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
EVIL = '<script>alert(1)</script><img src=x onerror=alert(2)> [a](javascript:alert(3)) "\' onclick="x'


@pytest.fixture(autouse=True)
def _calm() -> Iterator[None]:
    cache.clear()
    free = having(settings.MAINSTAY, require_second_factor="")
    with override_settings(MAINSTAY=free):
        yield


@pytest.fixture
def telemetry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    opened = open_results(replace(settings.MAINSTAY, data=tmp_path_factory.mktemp("telemetry")))
    yield
    set_current(None)
    opened.close()


def shown_pages(client: Client) -> Iterator[tuple[str, Any]]:
    """Every page of ours that can be looked at, as an administrator sees it."""
    for way in pages():
        if way.method == "GET" and way.kind == "page":
            response = client.get(way.path.replace("/sample", "/api"))
            if response.status_code == 200 and "text/html" in response.headers.get("content-type", ""):
                yield way.route, response


def furnish() -> None:
    document = {"http": {"url": "https://example.com"}, "description": EVIL, "labels": {"team": "core"}}
    declare(TEST, "monitor", "api", document, manager="api")
    declare(TEST, "heartbeat", "api", {"every": "1h", "description": EVIL}, manager="api")
    declare(TEST, "channel", "api", {"webhook": {"url": "https://example.com"}, "description": EVIL}, manager="api")
    page = {"title": EVIL, "description": EVIL, "components": [{"name": EVIL, "monitors": ["api"]}]}
    declare(TEST, "status_page", "api", page, manager="api")


@pytest.mark.usefixtures("telemetry")
def test_no_page_holds_inline_code_and_each_forbids_it() -> None:
    person()
    furnish()
    wrong, seen = [], 0
    for route, response in shown_pages(signed_in()):
        seen += 1
        text, policy = response.content.decode(), response.headers["content-security-policy"]
        if "unsafe" in policy or "default-src 'none'" not in policy or "script-src 'self'" not in policy:
            wrong.append(f"{route}: {policy}")
        if "base-uri 'none'" not in policy or "frame-ancestors 'none'" not in policy or "form-action" not in policy:
            wrong.append(f"{route}: {policy}")
        if re.search(r"<[^>]*\s(style|on[a-z]+)=", re.sub(r'"[^"]*"', '""', text)) or "<style" in text:
            wrong.append(f"{route}: inline style or handler")
        tags = re.findall(r"<script\b[^>]*>", text)
        wrong += [f"{route}: {tag}" for tag in tags if "src=" not in tag and "application/json" not in tag]
        wrong += [f"{route}: {name}" for name, value in EXPECTED.items() if response.headers.get(name) != value]
    assert wrong == []
    assert seen > 30


@pytest.mark.usefixtures("telemetry")
def test_what_people_write_stays_text_on_every_page() -> None:
    """There is no Markdown and no HTML in what people declare: it is shown as it was written."""
    person()
    furnish()
    told = 0
    for route, response in shown_pages(signed_in()):
        text = response.content.decode()
        assert "<script>alert" not in text, route
        assert "<img src=x" not in text, route
        assert not re.search(r'href="\s*javascript:', text), route
        told += "&lt;script&gt;alert(1)" in text
    assert told >= 1


def test_behind_tls_browsers_are_told_to_stay_there() -> None:
    secure = replace(settings.MAINSTAY, url="https://ops.example.com")
    with override_settings(MAINSTAY=secure):
        for path in ("/accounts/login/", "/nothing", "/api/v1/monitors", "/account/"):
            answer = browser(host="ops.example.com").get(path)
            assert answer.headers["strict-transport-security"] == "max-age=31536000", path
    assert "strict-transport-security" not in browser().get("/accounts/login/").headers


def test_every_door_of_the_event_loop_has_the_headers() -> None:
    import httpx

    from mainstay.runtime.server import Server, django_application

    with running_doors() as (doors, server):
        secure = Server(doors, django_application(), https=True)

        async def ask(path: str) -> httpx.Headers:
            transport = httpx.ASGITransport(app=secure)
            async with httpx.AsyncClient(transport=transport, base_url="https://localhost") as client:
                return (await client.get(path)).headers

        wrong = []
        for way in fast_ways(doors):
            if way.route == "/live" or way.method != "GET":
                continue  # a stream that never ends; the same dispatch puts its headers there
            headers = server.loop.run_until_complete(asyncio.wait_for(ask(way.path), 20))
            wrong += [f"{way}: {name}" for name in EXPECTED if name not in headers]
            if "max-age" not in headers.get("strict-transport-security", ""):
                wrong.append(f"{way}: strict-transport-security")
            if "default-src 'none'" not in headers.get("content-security-policy", ""):
                wrong.append(f"{way}: content-security-policy")
    assert wrong == []


# Sockets


def test_no_socket_is_opened_but_by_the_door_that_is_made_for_it() -> None:
    with running_doors() as (doors, server):
        found = {}
        paths = [way.path for way in fast_ways(doors)] + ["/", "/account/", "/api/v1/monitors", "/probe/join"]
        for path in paths:
            found[path] = server.loop.run_until_complete(asyncio.wait_for(_knock(server, path), 20))
    assert not [path for path, answer in found.items() if answer == "websocket.accept"]


async def _knock(server: Any, path: str) -> str:
    """What a handshake for a WebSocket, without credentials, is answered with."""
    answers: list[str] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        answers.append(message["type"])

    scope = {
        "type": "websocket", "path": path, "raw_path": path.encode(), "query_string": b"location=x", "scheme": "ws",
        "headers": [(b"host", b"localhost")], "client": ("127.0.0.1", 1), "server": ("localhost", 80),
        "extensions": {"websocket.http.response": {}}, "subprotocols": [],
    }  # fmt: skip
    await server(scope, receive, send)
    return answers[0]


# Stale sessions, and tokens of other pages


def ways_in() -> list[tuple[str, str]]:
    own = [way for way in pages() if way.kind == "page" and way.door is not None and not way.door.public]
    return [(way.method, way.path) for way in (*own, *operations())]


def closed(client: Client) -> list[str]:
    """Ways that let this browser in."""
    found = []
    for method, path in ways_in():
        answer = client.generic(method, path)
        if answer.status_code not in (401, 403) and "/accounts/login/" not in answer.headers.get("location", ""):
            found.append(f"{method} {path}: {answer.status_code}")
    return found


def test_a_session_past_its_end_opens_nothing() -> None:
    person()
    client = signed_in()
    assert client.get("/account/").status_code == 200
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    assert closed(client) == []


def test_a_session_from_before_a_new_password_opens_nothing() -> None:
    person()
    client = signed_in()
    user = User.objects.get()
    user.set_password("another one entirely")
    user.save()
    assert closed(client) == []


def test_a_session_of_a_deleted_person_opens_nothing() -> None:
    person()
    client = signed_in()
    User.objects.all().delete()
    assert closed(client) == []


def test_a_session_in_which_nobody_ever_signed_in_opens_nothing() -> None:
    person()
    client = browser()
    session = client.session
    session["account_authentication_methods"] = [{"method": "password", "at": time.time()}]
    session["_auth_user_id"] = str(User.objects.get().pk)
    session["_auth_user_backend"] = settings.AUTHENTICATION_BACKENDS[0]
    session["_auth_user_hash"] = "forged"
    session.save()
    assert closed(client) == []


def test_a_form_token_of_another_browser_does_not_work() -> None:
    person()
    victim, attacker = signed_in(csrf=True), browser(csrf=True)
    page = attacker.get("/accounts/login/").content.decode()
    token = re.search(r'csrfmiddlewaretoken" value="([^"]+)', page)
    assert token
    victim.get("/account/")
    form = {"csrfmiddlewaretoken": token[1], "oldpassword": PASSWORD, "password1": "x" * 12, "password2": "x" * 12}
    assert victim.post("/accounts/password/change/", form).status_code == 403
    assert victim.post("/vault/set", {**form, "name": "a", "value": "b"}).status_code == 403
