"""Bad input at every door of the running server: a clear 4xx, no traceback, nothing let out, and good health after."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
from tests.rigs.changeable import wait_for
from trouble import Group, get

PING = "5f1e2f80-7d5a-4d0c-8d3e-2f5a0b1c9e77"
MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def server() -> Iterator[Group]:
    config = f"""
monitors:
  one: {{tcp: "127.0.0.1:1", every: 1h}}
heartbeats:
  job: {{every: 1h, uuid: {PING}}}
status_pages:
  public: {{title: Example, components: [{{name: One, monitors: [one]}}]}}
"""
    with Group(config) as running:
        yield running
        assert "Traceback" not in running.log, running.log[-5000:]


@pytest.fixture(scope="module")
def token(server: Group) -> str:
    return server.token()


@pytest.fixture(autouse=True)
def _healthy_afterwards(server: Group) -> Iterator[None]:
    written = len(server.log)
    yield
    assert get(f"{server.url}/api/health")[0] == 200
    assert "Traceback" not in server.log[written:], server.log[written:][:5000]


def _raw(server: Group, *parts: bytes, patience: float = 10.0) -> bytes:
    """What the server says to these bytes before it closes the connection or is silent for `patience` seconds."""
    said = b""
    with closing(socket.create_connection(("127.0.0.1", server.port), timeout=patience)) as connection:
        with contextlib.suppress(OSError):
            for part in parts:
                connection.sendall(part)
        with contextlib.suppress(OSError):
            while data := connection.recv(65_536):
                said += data
    return said


def _get(path: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([b"GET " + path + b" HTTP/1.1", b"Host: 127.0.0.1", b"Connection: close", *headers, b"", b""])


def _status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/") else 0


HOST = b"Host: 127.0.0.1\r\n"
LOGIN = b"POST /accounts/login/ HTTP/1.1\r\n" + HOST


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GARBAGE\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /api/health HTTP/1.1\r\nHost 127.0.0.1\r\n\r\n",
        b"GET /api/health HTTP/1.1\r\n" + HOST + b"Bad Name: x\r\n\r\n",
        b"GET /api/health HTTP/1.1\r\n" + HOST + b"X: a\x00b\r\n\r\n",
        LOGIN + b"Content-Length: -5\r\n\r\n",
        LOGIN + b"Content-Length: 99999999999999999999999\r\n\r\nx",
        LOGIN + b"Content-Length: 3\r\nContent-Length: 5\r\n\r\nabcde",
        b"POST /accounts/login/ HTTP/1.1\r\n"
        + HOST
        + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        LOGIN + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"POST /ping/" + PING.encode() + b" HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"GET /monitors/?q=\xff\xfe HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET http:///// HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1:1\x7f\r\n\r\n",
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"BREW / HTTP/1.1\r\n" + HOST + b"\r\n",
    ],
)
def test_malformed_requests_are_refused(server: Group, request_bytes: bytes) -> None:
    answer = _raw(server, request_bytes, patience=1)  # some are not complete, so nothing is said
    assert _status(answer) in range(300, 500) or not answer, answer[:300]
    assert b"Location: http" not in answer


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"GET / HTTP/1.1\r\nX: ", b"a" * MEGABYTE),
        (b"GET /", b"a" * MEGABYTE),
        (b"GET / HTTP/1.1\r\n", b"".join(b"X-%d: y\r\n" % number for number in range(100_000))),
    ],
    ids=["header", "address", "headers"],
)
def test_a_head_without_end_is_cut_off(server: Group, start: bytes, more: bytes) -> None:
    sent = 0
    with closing(socket.create_connection(("127.0.0.1", server.port), timeout=10)) as connection:
        connection.sendall(start)
        with contextlib.suppress(ConnectionError):
            while sent < 64 * MEGABYTE:
                sent += connection.send(more)
    assert sent < 16 * MEGABYTE, "what was sent beyond the limit is in the buffers of the network"


@pytest.mark.parametrize(
    "head",
    [
        b"GET /api/health HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 100_000,
        b"GET /api/health?" + b"a" * 100_000 + b" HTTP/1.1",
    ],
)
def test_a_large_head_is_told_so(server: Group, head: bytes) -> None:
    assert _status(_raw(server, head + b"\r\n\r\n")) == 431


@pytest.mark.parametrize(
    "path",
    [
        "/static/../../state.sqlite3",
        "/static/..%2f..%2f..%2fmodels.py",
        "/static/%2e%2e/%2e%2e/models.py",
        "/static/%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2fetc/passwd",
        "/static//etc/passwd",
        "/static/..\\..\\models.py",
        "/static/%00",
        "/static/mainstay.css%00.html",
        "/static/" + "a" * 5000,
        "/status/../api/status",
        "/status/..%2fapi/status",
        "/status/%00",
        "/status/" + "a" * 5000,
        "/ping/..%2fapi/status",
        "/ping/%00",
        "/ping/%ff",
        "/monitors/%00/",
        "/monitors/..%2f..%2f/",
        "/api/v1/monitors/%00",
        "/api/v1/../status",
        "/api/v2/summary.json?page=..%2f..%2fetc",
        "/api/v2/summary.json?page=%00",
        "/%00",
        "/%ff%fe",
        "/" + "%2f" * 500,
        "/../../../../etc/passwd",
        "/.env",
        "/live?%00",
        "/probe?target=file:///etc/passwd",
        "/setup/" + "x" * 3000,
        "/a/" + "x" * 3000,
    ],
)
def test_tricks_with_paths_lead_nowhere(server: Group, path: str) -> None:
    answer = _raw(server, _get(path.encode()))
    head, _, body = answer.partition(b"\r\n\r\n")
    # 302 leads to the sign-in page, and not to another server.
    assert _status(answer) in (302, 400, 401, 404, 405, 410), answer[:300]
    assert b"SQLite format" not in body
    assert b"root:" not in body
    assert b"import annotations" not in body
    assert b"location: //" not in head.lower()


@pytest.mark.parametrize(
    "path", ["//evil.example/", "//evil.example/%2f..", "/\\evil.example/", "/accounts/login/?next=//evil.example/"]
)
def test_nothing_redirects_to_another_server(server: Group, path: str) -> None:
    answer = _raw(server, _get(path.encode()))
    location = [line for line in answer.split(b"\r\n") if line.lower().startswith(b"location:")]
    assert _status(answer) < 500
    assert not any(line.split(b": ", 1)[1].startswith((b"//", b"/\\", b"http")) for line in location), location


@pytest.mark.parametrize(
    "authorization",
    [
        b"Bearer",
        b"Bearer ",
        b"Bearer mst_",
        b"Bearer mst_%00",
        b"Bearer mst_aaaaaaaaaa_' OR 1=1 --",
        b"Bearer " + b"x" * 20_000,
        b"Bearer \xff\xfe\xfd",
        b"Basic !!!!",
        b"Basic " + base64.b64encode(b"\x00\xff:\xfe"),
        b"Basic " + base64.b64encode(b"a:" + b"b" * 400),
        b"Digest username=x",
        b"\xc3\xbc",
    ],
)
@pytest.mark.parametrize("path", [b"/api/v1/monitors", b"/api/status", b"/api/metrics", b"/probe?target=x"])
def test_malformed_tokens_are_no_tokens(server: Group, authorization: bytes, path: bytes) -> None:
    assert _status(_raw(server, _get(path, b"Authorization: " + authorization))) in (401, 403)


@pytest.mark.parametrize(
    "cookie", [b"sessionid=\x80\x81", b"sessionid=" + b"a" * 5000, b"=;;;=", b'a="\\000"; sessionid=%00']
)
def test_malformed_cookies_are_no_session(server: Group, cookie: bytes) -> None:
    for path in (b"/monitors/", b"/live", b"/api/status"):
        answer = _raw(server, _get(path, b"Cookie: " + cookie))
        assert _status(answer) in (302, 400, 401, 403), answer[:200]


def _post(server: Group, path: str, body: bytes, token: str = "", kind: str = "application/yaml") -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        headers = {"Content-Type": kind} | ({"Authorization": f"Bearer {token}"} if token else {})
        with contextlib.suppress(ConnectionError):  # the server may answer and close before it has read all
            connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()


BOMB = b"a: &a [x, x, x, x, x, x, x, x, x]\n" + b"".join(
    b"%c: &%c [*%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c]\n" % (n + 1, n + 1, *[n] * 9) for n in range(97, 115)
)


@pytest.mark.parametrize(
    "body",
    [
        b"monitors:\n" + b"  m: {http: x}\n" * (10 * MEGABYTE // 15),
        BOMB,
        b"a: &a [*a]\n",
        b"monitors: !!python/object/apply:os.system [id]\n",
        b"[" * 100_000,
        b"{" * 100_000,
        b"- " * 100_000,
        b"monitors: {one: {http: " + b"x" * 500_000 + b"}}",
        b"\xff\xfe\x00bad",
        b"monitors: \x00",
        b"monitors: [1, 2]",
        b"? [a, b]\n: c\n",
        b"monitors: {one: {tcp: 'h:99999999999999999999'}}",
        b"monitors: {one: {http: 'https://x', every: 1e400}}",
        b"monitors: {a: {http: 'https://x', parents: [b]}, b: {http: 'https://x', parents: [a]}}",
        b"heartbeats: {h: {cron: '* * 31 2 *', timezone: Mars/Base}}",
    ],
)
def test_bad_files_are_refused_and_change_nothing(server: Group, token: str, body: bytes) -> None:
    _, before = get(f"{server.url}/api/v1/revisions", token)
    for path in ("/api/v1/plan", "/api/v1/apply"):
        status, answer = _post(server, path, body, token)
        assert status in (400, 413, 422), (status, answer[:300])
        assert json.loads(answer)
    assert get(f"{server.url}/api/v1/revisions", token)[1] == before


@pytest.mark.parametrize("body", [b"{", b"[" * 50_000, b'{"a":' * 50_000, b"null", b"\xff", b'"\\ud800"'])
def test_bad_json_is_refused(server: Group, token: str, body: bytes) -> None:
    for path in ("/api/v1/tokens", "/api/v1/resources/monitor/one"):
        status, answer = _post(server, path, body, token, "application/json")
        assert status in (400, 404, 405, 413, 422), (status, answer[:300])


@pytest.mark.parametrize("path", ["/accounts/login/", "/", "/monitors/", "/resources/", "/api/v1/plan", "/setup/x"])
def test_oversize_bodies_are_refused(server: Group, path: str) -> None:
    status, _ = _post(server, path, b"a=" + b"x" * (10 * MEGABYTE), kind="application/x-www-form-urlencoded")
    assert status in (401, 413), path


def test_slow_senders_do_not_keep_others_out(server: Group) -> None:
    """More of them than there are threads for pages; a form with a cookie is read before it can be refused."""
    form = b"Content-Type: application/x-www-form-urlencoded\r\nCookie: mainstay_csrf=" + b"a" * 32
    head = LOGIN + form + b"\r\nContent-Length: 1000\r\n\r\nx"
    with ExitStack() as slow:
        for start in (head, head[:60]) * 20:
            connection = slow.enter_context(closing(socket.create_connection(("127.0.0.1", server.port))))
            connection.sendall(start)
        wait_for(lambda: server.health()[0] == 200, what="the fast doors answer")
        assert _status(_raw(server, _get(b"/accounts/login/"))) == 200
