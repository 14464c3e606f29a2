"""The check `steps` against a small shop: cookies, values handed on, credentials masked, and every way to fail."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest
from msgspec.structs import replace
from pydantic import ValidationError
from tests.rigs.check_servers import context_with, free_port, order_for, run_check, tcp_server, until_closed
from tests.rigs.http_servers import always, answer, read_request

from mainstay.integrations.addresses import Guard
from mainstay.integrations.checks.steps.spec import KIND
from mainstay.integrations.checks.steps.variables import fill, fill_url
from mainstay.kernel.probing import CheckResult
from mainstay.kernel.secret import resolve
from mainstay.watch.prober.context import Context
from mainstay.watch.prober.dispatch import prepare

SESSION = "s3cr3t-session-value"
CSRF = "csrf-token-1234567"


class Shop:
    """Signs in by a form, keeps a session in a cookie and orders behind a token of the page."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str], str]] = []

    def __call__(self, connection: Any) -> None:
        line, headers, body = read_request(connection)
        if not line:
            return
        method, path, _ = line.split(" ")
        self.seen.append((f"{method} {path}", headers, body.decode()))
        connection.sendall(self.respond(method, path, headers, body.decode()))

    def respond(self, method: str, path: str, headers: dict[str, str], body: str) -> bytes:
        signed_in = f"session={SESSION}" in headers.get("cookie", "")
        if path == "/login":
            if parse_qs(body) != {"user": ["probe & co"], "password": ["open sesame"]}:
                return answer(b"wrong password", "403 Forbidden")
            return answer(
                b"",
                "302 Found",
                ("Location: /home", f"Set-Cookie: session={SESSION}; Path=/; HttpOnly", "X-Trace: abc"),
            )
        if not signed_in:
            return answer(b"sign in first", "401 Unauthorized")
        if path == "/home":
            return answer(f'<input name="csrf" value="{CSRF}">Hello, your cookie is {SESSION}'.encode())
        if headers.get("x-csrf-token") != CSRF:
            return answer(b"no token", "400 Bad Request")
        if (method, path) == ("POST", "/orders"):
            article = json.loads(body)["article"]
            document = {"id": 77, "article": article, "state": "open", "ref": "a/b c"}
            return answer(json.dumps(document).encode(), "201 Created", ("Content-Type: application/json",))
        if (method, path) == ("GET", "/orders/77?ref=a%2Fb%20c"):
            return answer(b'{"id": 77}', headers=("Content-Type: application/json",))
        return answer(b"no such page", "404 Not Found")


@pytest.fixture
def shop() -> Iterator[tuple[Shop, str]]:
    server = Shop()
    with tcp_server(server) as port:
        yield server, f"http://127.0.0.1:{port}"


def journey(base: str, **changes: Any) -> dict[str, Any]:
    calls = {
        "sign in": {
            "url": "{{base}}/login",
            "form": {"user": "{{user}}", "password": "${env:PASSWORD}"},
            "expect": {"contains": "Hello"},
            "save": {"csrf": {"regex": 'name="csrf" value="([^"]+)"', "secret": True}},
        },
        "order": {
            "url": "{{base}}/orders",
            "method": "POST",
            "headers": {"X-CSRF-Token": "{{csrf}}"},
            "json": {"article": "{{article}}"},
            "expect": {"status": 201, "json": {"$.article": "{{article}}", "$.state": "open"}},
            "save": {"order": "$.id", "ref": "$.ref"},
        },
        "look": {
            "url": "{{base}}/orders/{{order}}?ref={{ref}}",
            "headers": {"X-CSRF-Token": "{{csrf}}"},
            "expect": {"json": {"$.id": "{{order}}"}},
        },
    }
    for name, change in changes.items():
        calls[name.replace("_", " ")] |= change
    return {
        "variables": {"base": base, "user": "probe & co", "article": "42"},
        "calls": [{"name": name, **call} for name, call in calls.items()],
    }


def run(target: dict[str, Any], expect: dict[str, Any] | None = None, *, limit: float = 5.0) -> CheckResult:
    order = order_for("steps", target, expect, limit)
    filled = replace(
        order, options=resolve(order.options, lambda source, name: "open sesame"), secrets=("open sesame",)
    )
    return asyncio.run(prepare(filled).run(context_with()))


def test_a_whole_journey(shop: tuple[Shop, str]) -> None:
    server, base = shop
    result = run(journey(base))
    assert result.verdict == "up", result.message
    assert [seen[0] for seen in server.seen] == [
        "POST /login",
        "GET /home",
        "POST /orders",
        "GET /orders/77?ref=a%2Fb%20c",
    ]
    assert list(result.phases) == ["sign in", "order", "look"]
    assert result.duration == pytest.approx(sum(result.phases.values()), abs=1e-5)
    assert result.evidence["steps"] == [
        {"name": "sign in", "status": 200},
        {"name": "order", "status": 201},
        {"name": "look", "status": 200},
    ]


def test_each_run_is_a_new_visitor(shop: tuple[Shop, str]) -> None:
    server, base = shop
    order = order_for(
        "steps", {"calls": [{"url": f"{base}/login"}, {"url": f"{base}/home", "expect": {"status": 401}}]}
    )
    target = journey(base)
    first = order_for("steps", target)
    filled = replace(first, options=resolve(first.options, lambda source, name: "open sesame"))
    prepared = prepare(filled)

    async def twice() -> list[CheckResult]:
        context = context_with()
        try:
            return [await prepared.run(context) for _ in range(2)]
        finally:
            context.close()

    assert [result.verdict for result in asyncio.run(twice())] == ["up", "up"]
    assert [bool(seen[1].get("cookie")) for seen in server.seen] == [False, True, True, True] * 2
    assert order.kind == "steps"


def test_credentials_stay_out_of_what_is_shown(shop: tuple[Shop, str]) -> None:
    _, base = shop
    result = run(journey(base, sign_in={"expect": {"contains": "Goodbye"}}))
    assert (result.verdict, result.code) == ("down", "expect.contains")
    assert result.message == "step 1 (sign in): the body lacks `Goodbye`"
    assert "your cookie is ***" in result.evidence["excerpt"]
    for secret in (SESSION, CSRF, "open sesame", "open+sesame"):
        assert secret not in str(result), secret


def test_a_wrong_password_names_its_step(shop: tuple[Shop, str]) -> None:
    _, base = shop
    result = run(journey(base, sign_in={"form": {"user": "somebody", "password": "${env:PASSWORD}"}}))
    assert (result.verdict, result.code) == ("down", "expect.status")
    assert result.message == "step 1 (sign in): the status is 403, not 200-299"
    assert result.evidence["steps"][0]["url"].endswith("/login")
    assert set(result.evidence["steps"][0]["phases"]) >= {"connect", "wait"}


@pytest.mark.parametrize(
    ("changes", "code", "says"),
    [
        (
            {"order": {"save": {"order": "$.number", "ref": "$.ref"}}},
            "expect.save",
            "step 2 (order): order: $.number is",
        ),
        ({"order": {"save": {"order": "$", "ref": "$.ref"}}}, "expect.save", "$ is not one value"),
        ({"sign_in": {"save": {"csrf": {"header": "X-Nothing"}}}}, "expect.save", "the header X-Nothing is missing"),
        ({"sign_in": {"save": {"csrf": {"regex": "token=(.*)"}}}}, "expect.save", "nothing in the body matches"),
        ({"sign_in": {"save": {"csrf": "$.token"}}}, "expect.save", "the body is not JSON"),
        ({"order": {"expect": {"json": {"$.article": "41"}}}}, "expect.json", "expected =="),
        ({"look": {"url": "{{base}}/orders/{{order}}"}}, "expect.status", "step 3 (look): the status is 404"),
        ({"order": {"headers": {"X-CSRF-Token": "{{csrf}}x"}}}, "expect.status", "step 2 (order): the status is 400"),
    ],
)
def test_the_step_that_fails_is_named(shop: tuple[Shop, str], changes: Any, code: str, says: str) -> None:
    _, base = shop
    result = run(journey(base, **changes))
    assert (result.verdict, result.code) == ("down", code), result.message
    assert says in result.message
    assert CSRF not in str(result)


def test_a_slow_step_is_told_but_the_walk_goes_on(shop: tuple[Shop, str]) -> None:
    server, base = shop
    result = run(journey(base, sign_in={"expect": {"degraded_after": "0ms"}}))
    assert (result.verdict, result.code) == ("degraded", "expect.latency")
    assert len(server.seen) == 4


def test_all_steps_together_have_a_limit(shop: tuple[Shop, str]) -> None:
    _, base = shop
    result = run(journey(base), {"down_after": "0ms"})
    assert (result.verdict, result.code) == ("down", "expect.latency")
    assert result.message.startswith("all steps together took")


@pytest.mark.parametrize(
    ("serve", "code"),
    [
        (until_closed, "wait.timeout"),
        (lambda connection: connection.recv(9999), "wait.closed"),
        (always(b"garbage\r\n\r\n"), "wait.malformed"),
        (always(answer(b"x")[:-1] + b""), "transfer.truncated"),
        (always(answer(b"loop", "302 Found", ("Location: /",))), "expect.redirects"),
    ],
)
def test_servers_that_misbehave(serve: Any, code: str) -> None:
    with tcp_server(serve) as port:
        url = f"http://127.0.0.1:{port}/"
        result = run_check("steps", {"calls": [{"url": url}, {"url": url}]}, limit=0.4)
    assert (result.verdict, result.code) == ("down", code), result.message
    assert result.message.startswith("step 1 (step-1): ")


def test_refused() -> None:
    result = run_check("steps", {"calls": [{"url": f"http://127.0.0.1:{free_port()}/"}]})
    assert (result.verdict, result.code) == ("down", "connect.refused")


def test_the_limit_is_that_of_all_steps() -> None:
    def slow(connection: Any) -> None:
        read_request(connection)
        time.sleep(0.25)
        connection.sendall(answer())

    with tcp_server(slow) as port:
        calls = [{"url": f"http://127.0.0.1:{port}/{number}"} for number in range(10)]
        began = time.monotonic()
        result = run_check("steps", {"calls": calls}, limit=0.6)
    assert (result.verdict, result.code) == ("down", "wait.timeout")
    assert time.monotonic() - began < 10
    assert 1 <= len(result.phases) < 10


def test_what_a_stranger_answers_leads_nowhere_forbidden() -> None:
    """A value of an answer makes a URL: the guard still decides."""

    def serve(connection: Any) -> None:
        read_request(connection)
        connection.sendall(answer(b'{"next": "http://169.254.169.254/latest", "bad": "file:///etc/passwd"}'))

    with tcp_server(serve) as port:
        first = {"url": f"http://127.0.0.1:{port}/", "save": {"next": "$.next", "bad": "$.bad"}}
        context = Context(Guard.from_settings("self"))
        guarded = run_check("steps", {"calls": [first, {"url": "{{next}}"}]}, context=context)
        no_url = run_check("steps", {"calls": [first, {"url": "{{bad}}"}]})
    assert (guarded.verdict, guarded.code) == ("unknown", "check.address_refused"), guarded.message
    assert (no_url.verdict, no_url.code) == ("unknown", "check.bad_url"), no_url.message


def test_a_value_breaks_no_line() -> None:
    def serve(connection: Any) -> None:
        read_request(connection)
        connection.sendall(answer(b'{"value": "a\\r\\nX-Injected: 1"}'))

    with tcp_server(serve) as port:
        url = f"http://127.0.0.1:{port}/"
        calls = [{"url": url, "save": {"value": "$.value"}}, {"url": url, "headers": {"X-A": "{{value}}"}}]
        result = run_check("steps", {"calls": calls})
    assert (result.code, "holds a line break" in result.message) == ("expect.save", True)


@pytest.mark.parametrize(
    ("calls", "says"),
    [
        ([], "at least 1 item"),
        ([{"url": "{{base}}/x"}], "which nothing defines before it"),
        ([{"url": "https://a.example/{{ to ken }}"}], "is not a variable"),
        ([{"url": "ftp://a.example"}], "is not a URL"),
        ([{"url": "https://a.example", "headers": {"Authorization": "Bearer abc"}}], "holds a credential"),
        ([{"url": "https://a.example", "auth": {"bearer": "abc"}}], "must be a reference"),
        ([{"url": "https://a.example", "body": "x", "form": {"a": "b"}}], "only one of body, json and form"),
        ([{"url": "https://a.example", "save": {"a": "b.c"}}], "is not a JSON path"),
        ([{"url": "https://a.example", "save": {"a": {"json": "$.a", "header": "b"}}}], "exactly one"),
        ([{"url": "https://a.example", "save": {"a-b": "$.a"}}], "not a variable name"),
        ([{"url": "https://a.example", "save": {"a": {"regex": "("}}}], "not a regular expression"),
        (
            [{"url": "https://a.example", "name": "x"}, {"url": "https://a.example", "name": "x"}],
            "two steps are called",
        ),
        ([{"url": "https://a.example", "expect": {"status": 99}}], "is not a status"),
    ],
)
def test_wrong_steps_are_refused_with_a_reason(calls: Any, says: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(says)):
        KIND.target.model_validate({"calls": calls})


def test_filling_keeps_types_and_encodes_urls() -> None:
    variables: dict[str, Any] = {"id": 7, "word": "a/b", "base": "https://a.example", "none": None, "yes": True}
    assert fill({"a": "{{id}}", "b": "no {{id}}", "c": ["{{none}}", "{{ yes }}"]}, variables) == {
        "a": 7,
        "b": "no 7",
        "c": [None, True],
    }
    assert fill_url("{{base}}/{{word}}?q={{yes}}", variables) == "https://a.example/a%2Fb?q=true"


def test_the_address_is_the_first_request() -> None:
    target = KIND.target.model_validate({"variables": {"b": "https://a.example"}, "calls": [{"url": "{{b}}/login"}]})
    assert KIND.address(target) == "https://a.example/login"
