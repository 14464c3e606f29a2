"""The check `http` against servers that behave: requests, expectations, redirects, evidence."""

from __future__ import annotations

import base64
import gzip
import json
import socket
from typing import Any

import pytest
from pydantic import ValidationError
from tests.rigs.check_servers import context_with, tcp_server
from tests.rigs.http_servers import always, answer, by_path, check, check_filled, checks, read_request

from mainstay.integrations.checks.http.spec import KIND

BODY = json.dumps({"status": "healthy", "count": 3, "items": [{"id": "a"}, {"id": "b"}], "odd key": None, "ok": True})


def test_a_good_answer_is_up_with_all_phases() -> None:
    with tcp_server(always(answer())) as port:
        result = check(f"http://127.0.0.1:{port}/")
    assert (result.verdict, result.code) == ("up", "")
    assert set(result.phases) == {"connect", "wait", "transfer"}
    assert result.duration == pytest.approx(sum(result.phases.values()), abs=1e-5)
    assert result.evidence == {"status": 200, "http_version": "1.1", "bytes": 5, "address": f"127.0.0.1:{port}"}


def test_a_name_is_looked_up_and_timed() -> None:
    with tcp_server(always(answer())) as port:
        result = check(f"http://app.test:{port}/", context=context_with({"app.test": ["127.0.0.1"]}))
    assert result.verdict == "up"
    assert set(result.phases) == {"lookup", "connect", "wait", "transfer"}
    assert result.evidence["address"] == f"127.0.0.1:{port}"


def test_the_next_address_is_tried() -> None:
    with tcp_server(always(answer())) as port:
        names = {"app.test": ["127.0.0.2", "127.0.0.1"]}
        result = check(f"http://app.test:{port}/", context=context_with(names))
    assert result.verdict == "up"
    assert result.evidence["address"] == f"127.0.0.1:{port}"


def test_ipv6() -> None:
    with tcp_server(always(answer()), "::1") as port:
        result = check(f"http://[::1]:{port}/")
    assert result.verdict == "up"
    assert result.evidence["address"] == f"[::1]:{port}"


@pytest.mark.parametrize(
    ("target", "line", "headers", "body"),
    [
        ({}, "GET / HTTP/1.1", {"user-agent": "Mainstay/0.1.0"}, b""),
        ({"method": "HEAD"}, "HEAD / HTTP/1.1", {}, b""),
        ({"method": "POST"}, "POST / HTTP/1.1", {"content-length": "0"}, b""),
        ({"method": "POST", "body": "a=1"}, "POST / HTTP/1.1", {"content-type": "text/plain; charset=utf-8"}, b"a=1"),
        ({"method": "PUT", "json": {"a": "é"}}, "PUT / HTTP/1.1", {"content-type": "application/json"}, None),
        ({"method": "DELETE"}, "DELETE / HTTP/1.1", {}, b""),
        ({"headers": {"X-Tier": "gold", "X-Empty": ""}}, "GET / HTTP/1.1", {"x-tier": "gold", "x-empty": ""}, b""),
        (
            {"headers": {"User-Agent": "me", "Host": "other"}},
            "GET / HTTP/1.1",
            {"user-agent": "me", "host": "other"},
            b"",
        ),
        ({"http_version": "1.0"}, "GET / HTTP/1.0", {}, b""),
        ({"compressed": True}, "GET / HTTP/1.1", {"accept-encoding": "deflate, gzip, br"}, b""),
    ],
)
def test_the_request_is_what_was_declared(
    target: dict[str, Any], line: str, headers: dict[str, str], body: bytes | None
) -> None:
    seen: list[tuple[str, dict[str, str], bytes]] = []
    with tcp_server(by_path({"/": answer(b"")}, seen)) as port:
        result = check({"url": f"http://127.0.0.1:{port}/", **target})
    assert result.verdict == "up", result.message
    got_line, got_headers, got_body = seen[0]
    assert got_line == line
    assert headers.items() <= got_headers.items()
    assert "expect" not in got_headers
    assert got_body == ('{"a": "é"}'.encode() if body is None else body)


@pytest.mark.parametrize(
    ("expect", "code"),
    [
        ({}, ""),
        ({"status": 200}, ""),
        ({"status": "200-299,404"}, ""),
        ({"status": ["3xx", 204]}, "expect.status"),
        ({"headers": {"X-Version": "v7"}}, ""),
        ({"headers": {"x-version": "/^v\\d+$/"}}, ""),
        ({"headers": {"X-Version": "v8"}}, "expect.header"),
        ({"headers": {"X-Missing": "/./"}}, "expect.header"),
        ({"contains": "healthy"}, ""),
        ({"contains": ["healthy", "sick"]}, "expect.contains"),
        ({"not_contains": "error"}, ""),
        ({"not_contains": ["error", "count"]}, "expect.not_contains"),
        ({"regex": '"count": [1-9]'}, ""),
        ({"regex": "^nothing"}, "expect.regex"),
        ({"regex": "(h+)+$|(a+)+!"}, "expect.regex"),
        ({"json": {"$.status": "healthy", "$.count": 3, "$.items[-1].id": "b", "$.ok": True}}, ""),
        ({"json": {"$.count": ">= 3", "$['odd key']": None, "$.items[0]['id']": "=~ ^a$", "$.ok": "!= null"}}, ""),
        ({"json": {"$.count": "3"}}, "expect.json"),
        ({"json": {"$.ok": 1}}, "expect.json"),
        ({"json": {"$.count": "< 3"}}, "expect.json"),
        ({"json": {"$.items[2].id": "c"}}, "expect.json"),
        ({"min_bytes": 10, "max_bytes": 1000}, ""),
        ({"min_bytes": 1000}, "expect.min_bytes"),
        ({"max_bytes": 10}, "expect.max_bytes"),
        ({"protocol": "1.1"}, ""),
        ({"protocol": "2"}, "expect.protocol"),
        ({"down_after": 0.0}, "expect.latency"),
    ],
)
def test_expectations(expect: dict[str, Any], code: str) -> None:
    with tcp_server(always(answer(BODY.encode(), headers=("X-Version: v7", "Content-Type: application/json")))) as port:
        result = check(f"http://127.0.0.1:{port}/", expect)
    assert result.code == code, result.message
    assert result.verdict == ("down" if code else "up")


def test_slower_than_wanted_is_degraded() -> None:
    with tcp_server(always(answer())) as port:
        result = check(f"http://127.0.0.1:{port}/", {"degraded_after": 0})
    assert (result.verdict, result.code) == ("degraded", "expect.latency")
    assert "more than 0 ms" in result.message


def test_a_failure_shows_the_answer_without_secrets() -> None:
    page = b"Internal error for token s3cr3t-token\x1b[31m \xff and more " + b"x" * 1000
    headers = ("Content-Type: text/html", "Server: demo", "Set-Cookie: session=1", "Location: /x?token=s3cr3t-token")
    target = {"url": "http://127.0.0.1:{port}/", "headers": {"Authorization": "Bearer ${env:X}"}}
    with tcp_server(always(answer(page, "500 Oops", headers))) as port:
        result = check_filled(target, port, {"${env:X}": "s3cr3t-token"}, {"contains": "fine"})
    assert (result.verdict, result.code) == ("down", "expect.status")
    assert result.message == "the status is 500, not 200-299"
    shown = result.evidence
    assert shown["headers"]["server"] == "demo"
    assert "set-cookie" not in shown["headers"]
    assert shown["excerpt"].startswith("Internal error for token ***")
    assert len(shown["excerpt"]) <= 500
    assert "\x1b" not in shown["excerpt"]
    assert shown["also"] == ["the body lacks `fine`"]
    assert "s3cr3t" not in repr(result)


def test_binary_is_not_shown() -> None:
    with tcp_server(always(answer(b"\x89PNG\0\0", "500 Oops", ("Content-Type: image/png",)))) as port:
        assert "excerpt" not in check(f"http://127.0.0.1:{port}/").evidence


@pytest.mark.parametrize(
    ("auth", "wanted"),
    [
        (
            {"basic": {"username": "oncall", "password": "${env:P}"}},
            "Basic " + base64.b64encode(b"oncall:pa:ss").decode(),
        ),
        ({"bearer": "${env:P}"}, "Bearer pa:ss"),
    ],
)
def test_signing_in(auth: dict[str, Any], wanted: str) -> None:
    seen: list[tuple[str, dict[str, str], bytes]] = []
    with tcp_server(by_path({"/": answer()}, seen)) as port:
        result = check_filled({"url": "http://127.0.0.1:{port}/", "auth": auth}, port, {"${env:P}": "pa:ss"})
    assert result.verdict == "up"
    assert seen[0][1]["authorization"] == wanted


def test_each_request_may_ask_past_every_cache() -> None:
    asked: list[str] = []

    def moves(connection: socket.socket) -> None:
        asked.append(read_request(connection)[0].split(" ")[1])
        connection.sendall(answer(b"", "302 Found", ("Location: /there",)) if "?" in asked[-1] else answer())

    with tcp_server(moves) as port:
        results = checks({"url": f"http://127.0.0.1:{port}/?a=1", "cache_bust": True})
    assert [result.message for result in results] == ["", ""]
    first, followed, second, _ = asked
    assert first.startswith("/?a=1&cache_bust=")
    assert second.startswith("/?a=1&cache_bust=")
    assert first != second
    assert followed == "/there"


def test_userinfo_of_the_url_signs_in_and_is_not_shown() -> None:
    seen: list[tuple[str, dict[str, str], bytes]] = []
    with tcp_server(by_path({"/": answer(b"", "500 Oops")}, seen)) as port:
        result = check_filled({"url": "http://oncall:${env:P}@127.0.0.1:{port}/"}, port, {"${env:P}": "p@ss"})
    assert seen[0][1]["authorization"] == "Basic " + base64.b64encode(b"oncall:p@ss").decode()
    assert "p%40ss" not in repr(result)
    assert "p@ss" not in repr(result)


def test_digest() -> None:
    seen: list[tuple[str, dict[str, str], bytes]] = []
    asks = answer(b"", "401 Unauthorized", ('WWW-Authenticate: Digest realm="r", nonce="n", qop="auth"',))

    def serve(connection: Any) -> None:
        page = asks if not seen else answer()
        by_path({"/": page}, seen)(connection)

    with tcp_server(serve) as port:
        auth = {"digest": {"username": "oncall", "password": "${env:P}"}}
        result = check_filled({"url": "http://127.0.0.1:{port}/", "auth": auth}, port, {"${env:P}": "pass"})
    assert result.verdict == "up"
    assert seen[1][1]["authorization"].startswith('Digest username="oncall", realm="r", nonce="n"')


def test_redirects_are_followed_and_credentials_stay_behind() -> None:
    seen: list[tuple[str, dict[str, str], bytes]] = []
    with tcp_server(by_path({"/end": answer()}, seen)) as other:
        away = answer(b"", "302 Found", (f"Location: http://localhost:{other}/end",))
        near = answer(b"", "301 Moved", ("Location: /away",))
        with tcp_server(by_path({"/": near, "/away": away}, seen)) as port:
            target = {
                "url": "http://127.0.0.1:{port}/",
                "headers": {"X-Api-Key": "${env:K}", "X-Plain": "1"},
                "auth": {"bearer": "${env:K}"},
            }
            context = context_with({"localhost": ["127.0.0.1"]})
            result = check_filled(target, port, {"${env:K}": "key-1234"}, context=context)
    assert result.verdict == "up", result.message
    assert result.evidence["redirects"] == 2
    assert result.evidence["url"] == f"http://localhost:{other}/end"
    assert [headers.get("x-api-key") for _, headers, _ in seen] == ["key-1234", "key-1234", None]
    assert [headers.get("authorization") for _, headers, _ in seen] == ["Bearer key-1234", "Bearer key-1234", None]
    assert [headers.get("x-plain") for _, headers, _ in seen] == ["1", "1", "1"]


@pytest.mark.parametrize(("status", "method", "body"), [(302, "GET", b""), (303, "GET", b""), (307, "POST", b"x=1")])
def test_what_a_redirect_makes_of_a_post(status: int, method: str, body: bytes) -> None:
    seen: list[tuple[str, dict[str, str], bytes]] = []
    pages = {"/": answer(b"", f"{status} Over There", ("Location: /end",)), "/end": answer()}
    with tcp_server(by_path(pages, seen)) as port:
        check({"url": f"http://127.0.0.1:{port}/", "method": "POST", "body": "x=1"})
    assert (seen[1][0], seen[1][2]) == (f"{method} /end HTTP/1.1", body)
    assert ("content-type" in seen[1][1]) == (method == "POST")


def test_redirects_that_are_not_followed_are_fine() -> None:
    page = answer(b"", "302 Found", ("Location: http://169.254.169.254/",))
    with tcp_server(always(page)) as port:
        result = check({"url": f"http://127.0.0.1:{port}/", "redirects": {"follow": False}})
    assert (result.verdict, result.evidence["status"]) == ("up", 302)


def test_compressed_answers_are_unpacked() -> None:
    page = answer(gzip.compress(BODY.encode()), headers=("Content-Encoding: gzip",))
    with tcp_server(always(page)) as port:
        result = check({"url": f"http://127.0.0.1:{port}/", "compressed": True}, {"json": {"$.count": 3}})
    assert result.verdict == "up", result.message
    assert result.evidence["bytes"] == len(BODY)


def test_the_charset_of_the_answer_counts() -> None:
    with tcp_server(
        always(answer("grün".encode("latin-1"), headers=("Content-Type: text/plain; charset=latin-1",)))
    ) as port:
        assert check(f"http://127.0.0.1:{port}/", {"contains": "grün"}).verdict == "up"


def test_a_proxy_is_asked_for_the_whole_url() -> None:
    seen: list[tuple[str, dict[str, str], bytes]] = []
    with tcp_server(by_path({"http://far.test/x": answer()}, seen)) as port:
        result = check({"url": "http://far.test/x", "proxy": f"http://127.0.0.1:{port}"})
    assert result.verdict == "up", result.message
    assert seen[0][0] == "GET http://far.test/x HTTP/1.1"


def test_the_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with tcp_server(always(answer())) as port:
        assert check(f"http://127.0.0.1:{port}/").verdict == "up"


def test_each_check_makes_a_connection_of_its_own() -> None:
    connections: list[int] = []

    def serve(connection: Any) -> None:
        connections.append(connection.getpeername()[1])
        by_path({"/": answer()})(connection)

    with tcp_server(serve) as port:
        results = checks(f"http://127.0.0.1:{port}/", times=3)
    assert [result.verdict for result in results] == ["up"] * 3
    assert len(set(connections)) == 3


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ({"url": "ftp://example.com"}, "not a URL with http://"),
        ({"url": "http://"}, "not a URL"),
        ({"url": "http://exa mple.com"}, "a space"),
        ({"url": "http://example.com:99999"}, "not a URL"),
        ({"url": "http://oncall:secret@example.com"}, "holds a user or a password"),
        ({"url": "http://example.com/?api_key=abcdef"}, "`api_key` looks like a credential"),
        ({"url": "http://x", "headers": {"Authorization": "Bearer abc"}}, "Authorization holds a credential"),
        ({"url": "http://x", "headers": {"Cookie": "a=b"}}, "Cookie holds a credential"),
        ({"url": "http://x", "headers": {"X-Api-Key": "abc"}}, "X-Api-Key holds a credential"),
        ({"url": "http://x", "headers": {"Proxy-Authorization": "abc"}}, "holds a credential"),
        ({"url": "http://x", "headers": {"PRIVATE-TOKEN": "abc"}}, "holds a credential"),
        ({"url": "http://x", "headers": {"X-A": "a\r\nHost: b"}}, "line break"),
        ({"url": "http://x", "headers": {"X A": "a"}}, "not a valid header name"),
        ({"url": "http://x", "auth": {"bearer": "abc"}}, "must be a reference"),
        ({"url": "http://x", "auth": {}}, "exactly one of"),
        ({"url": "http://x", "body": "a", "json": {}}, "either body or json"),
        ({"url": "http://x", "proxy": "ftp://x"}, "not a URL with http://"),
        ({"url": "http://x", "tls": {"certificate": "${file:a}"}}, "needs both"),
        ({"url": "http://x", "tls": {"certificate": "${file:a}", "key": "-----BEGIN"}}, "must be a reference"),
    ],
)
def test_targets_with_mistakes(target: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        KIND.target.model_validate(target)


@pytest.mark.parametrize(
    ("expect", "words"),
    [
        ({"status": "2000"}, "not a status"),
        ({"status": "300-200"}, "ends before it begins"),
        ({"status": True}, "status"),
        ({"regex": "("}, "not a regular expression"),
        ({"headers": {"X": "/(/"}}, "not a regular expression"),
        ({"json": {"status": 1}}, "begins with"),
        ({"json": {"$..a": 1}}, "at character 2"),
        ({"json": {"$.a[*]": 1}}, "at character 4"),
        ({"json": {"$.a": "> many"}}, "needs a number"),
        ({"json": {"$.a": "=~ ("}}, "not a regular expression"),
        ({"contains": ""}, "1 to 10000"),
        ({"min_bytes": 2, "max_bytes": 1}, "min_bytes is above"),
        ({"degraded_after": "2s", "down_after": "1s"}, "degraded_after is above"),
    ],
)
def test_expectations_with_mistakes(expect: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        KIND.expect.model_validate(expect)


def test_credentials_by_reference_are_accepted_and_the_address_hides_them() -> None:
    target = KIND.target.model_validate({"url": "https://oncall:${env:P}@example.com/x?token=${env:T}"})
    assert KIND.address(target) == "https://example.com/x?token=${env:T}"
