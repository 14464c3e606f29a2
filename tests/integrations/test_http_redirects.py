"""What the check `http` takes along over a redirect: nothing bound to an origin, and the cookies that were set."""

from __future__ import annotations

import ssl
from typing import Any

import pytest
import trustme
from tests.rigs.check_servers import tcp_server
from tests.rigs.http_servers import answer, by_path, check, check_filled, checks, with_tls

Seen = list[tuple[str, dict[str, str], bytes]]
SECRET = {"${env:K}": "key-1234"}


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ({"headers": {"Ocp-Apim-Subscription-Key": "${env:K}"}}, "ocp-apim-subscription-key"),
        ({"headers": {"X-Tier": "gold ${env:K}"}}, "x-tier"),
        ({"headers": {"X-Api-Key": "${env:K}"}}, "x-api-key"),
        ({"headers": {"Cookie": "a=${env:K}"}}, "cookie"),
        ({"auth": {"bearer": "${env:K}"}}, "authorization"),
        ({"auth": {"basic": {"username": "oncall", "password": "${env:K}"}}}, "authorization"),
        ({"url": "http://oncall:${env:K}@127.0.0.1:{port}/"}, "authorization"),
        ({"headers": {"Host": "inside.example"}}, "host"),
    ],
)
def test_what_is_bound_to_its_origin_stays_there(target: dict[str, Any], name: str) -> None:
    seen: Seen = []
    with tcp_server(by_path({"/end": answer()}, seen)) as other:
        away = answer(b"", "302 Found", (f"Location: http://127.0.0.1:{other}/end",))
        near = answer(b"", "301 Moved", ("Location: /away",))
        with tcp_server(by_path({"/": near, "/away": away}, seen)) as port:
            result = check_filled({"url": "http://127.0.0.1:{port}/", **target}, port, SECRET)
    assert result.verdict == "up", result.message
    first, second, third = (headers.get(name) for _, headers, _ in seen)
    assert first == second != third
    assert third in (None, f"127.0.0.1:{other}")
    assert "key-1234" not in repr(seen[2])


@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize("body", [{"body": "token=${env:K}"}, {"json": {"token": "${env:K}"}}, {"body": "plain"}])
def test_a_body_does_not_go_to_another_origin(status: int, body: dict[str, Any]) -> None:
    seen: Seen = []
    with tcp_server(by_path({"/end": answer()}, seen)) as other:
        away = answer(b"", f"{status} Over There", (f"Location: http://127.0.0.1:{other}/end",))
        with tcp_server(by_path({"/": away})) as port:
            target = {"url": "http://127.0.0.1:{port}/", "method": "POST", **body}
            result = check_filled(target, port, SECRET)
    assert (result.verdict, result.code) == ("down", "expect.redirects")
    assert f"redirects the body to http://127.0.0.1:{other}" in result.message
    assert seen == []


def test_a_post_that_becomes_a_get_goes_on_without_its_body() -> None:
    seen: Seen = []
    with tcp_server(by_path({"/end": answer()}, seen)) as other:
        away = answer(b"", "303 See Other", (f"Location: http://127.0.0.1:{other}/end",))
        with tcp_server(by_path({"/": away})) as port:
            result = check_filled(
                {"url": "http://127.0.0.1:{port}/", "method": "POST", "body": "${env:K}"}, port, SECRET
            )
    assert result.verdict == "up"
    assert (seen[0][0], seen[0][2]) == ("GET /end HTTP/1.1", b"")


def test_the_certificate_of_the_client_is_shown_to_its_own_origin_only() -> None:
    authority = trustme.CA()
    client = authority.issue_cert("client.test")
    contexts = []
    for _ in range(2):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_OPTIONAL
        contexts.append(context)
    shown: list[bool] = []

    def serve(pages: dict[str, bytes]) -> Any:
        def noting(connection: ssl.SSLSocket) -> None:
            shown.append(bool(connection.getpeercert()))
            by_path(pages)(connection)

        return noting

    with tcp_server(with_tls(serve({"/end": answer()}), contexts[0])) as other:
        away = answer(b"", "302 Found", (f"Location: https://127.0.0.1:{other}/end",))
        with tcp_server(with_tls(serve({"/": away}), contexts[1])) as port:
            tls = {
                "ca": authority.cert_pem.bytes().decode(),
                "certificate": client.cert_chain_pems[0].bytes().decode(),
                "key": "${env:K}",
            }
            key = client.private_key_pem.bytes().decode()
            result = check_filled({"url": "https://127.0.0.1:{port}/", "tls": tls}, port, {"${env:K}": key})
    assert result.verdict == "up", result.message
    assert shown == [True, False]


def test_a_cookie_of_a_redirect_is_sent_to_the_next_step_and_not_to_the_next_run() -> None:
    seen: Seen = []

    def serve(connection: Any) -> None:
        door = answer(
            b"", "302 Found", ("Location: /in", "Set-Cookie: seen=y\xe9s; Path=/", "Set-Cookie: far=1; Domain=x.test")
        )
        inside = answer() if len(seen) % 2 else answer(b"", "302 Found", ("Location: /",))
        by_path({"/": door, "/in": inside}, seen)(connection)

    with tcp_server(serve) as port:
        target = {"url": "http://127.0.0.1:{port}/", "headers": {"Cookie": "own=${env:K}"}}
        results = [check_filled(target, port, SECRET) for _ in range(2)]
    assert [result.verdict for result in results] == ["up", "up"], results[0].message
    cookies = [headers["cookie"] for _, headers, _ in seen]
    assert cookies == ["own=key-1234", "seen=y\xe9s; own=key-1234"] * 2


def test_a_handle_that_is_used_again_has_forgotten_its_cookies() -> None:
    seen: Seen = []
    pages = {"/": answer(b"", "302 Found", ("Location: /in", "Set-Cookie: a=1")), "/in": answer()}
    with tcp_server(by_path(pages, seen)) as port:
        results = checks(f"http://127.0.0.1:{port}/", times=3)
    assert [result.verdict for result in results] == ["up"] * 3
    assert [headers.get("cookie") for _, headers, _ in seen] == [None, "a=1"] * 3


def test_a_redirect_to_a_path_in_raw_bytes_is_followed() -> None:
    pages = {"/": answer(b"", "302 Found", ("Location: /gr\xfcn",)), "/gr%FCn": answer(), "/gr%fcn": answer()}
    with tcp_server(by_path(pages)) as port:
        assert check(f"http://127.0.0.1:{port}/").verdict == "up"
