"""The check `browser` with a real Chromium against pages on loopback that behave and misbehave."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import socket
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from pydantic import ValidationError
from tests.rigs.check_servers import context_with, free_port, order_for, run_check, tcp_server
from tests.rigs.http_servers import answer, read_request

from mainstay.integrations.addresses import Guard
from mainstay.integrations.checks.browser import traces
from mainstay.integrations.checks.browser.gate import Gate
from mainstay.integrations.checks.browser.spec import KIND
from mainstay.kernel.probing import CheckResult, Configure
from mainstay.kernel.secret import resolve
from mainstay.watch.prober.context import Context
from mainstay.watch.prober.dispatch import prepare

_HTML = ("Content-Type: text/html; charset=utf-8",)
_PAGES = {
    "/": """<!doctype html><title>Shop</title><h1>Welcome</h1>
        <form action=/home><input id=user name=user><input id=password type=password name=password>
        <button>Sign in</button></form><link rel=icon href=data:,>""",
    "/home": "<!doctype html><title>Home</title><h2>Hello, probe</h2><p id=ad hidden>ad</p><link rel=icon href=data:,>",
    "/broken": "<!doctype html><h1>Half a page</h1><script>console.error('look'); throw new Error('boom')</script>",
    "/frozen": "<!doctype html><h1>Soon</h1><script>addEventListener('load', () => { for (;;); })</script>",
    "/metadata": "<!doctype html><h1>Frame</h1><img src=http://169.254.169.254/latest/>",
}


def _serve(connection: socket.socket) -> None:
    line, _, _ = read_request(connection)
    path = line.split(" ")[1].partition("?")[0] if line else ""
    if path == "/endless":
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<!doctype html><h1>Never done</h1>")
        try:
            while True:
                connection.sendall(b"<p>more</p>")
                time.sleep(0.05)
        except OSError:
            return
    if path in _PAGES:
        connection.sendall(answer(_PAGES[path].encode(), headers=_HTML))
    else:
        connection.sendall(answer(b"no such page", "404 Not Found", _HTML))


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with tcp_server(_serve) as port:
        yield f"http://127.0.0.1:{port}"


def check(target: dict[str, Any], expect: dict[str, Any] | None = None, *, limit: float = 40.0) -> CheckResult:
    return run_check("browser", target, expect, limit=limit)


def test_a_page_that_works(site: str) -> None:
    result = check({"url": f"{site}/"})
    assert (result.verdict, result.message) == ("up", "")
    assert list(result.phases) == ["1 goto"]
    assert result.evidence["status"] == 200
    assert result.evidence["title"] == "Shop"
    assert 0 < result.evidence["vitals"]["ttfb"] <= result.evidence["vitals"]["fcp"] <= result.evidence["vitals"]["lcp"]
    assert result.evidence["vitals"]["cls"] == 0
    assert "screenshot" not in result.evidence
    assert result.evidence["bytes"] > 0


def test_a_journey_with_a_secret(site: str) -> None:
    script = [
        {"fill": {"#user": "probe", "#password": "${env:P}"}},
        {"click": 'role=button[name="Sign in"]'},
        {"expect": {"url": "*/home*", "text": "Hello, probe", "title": "Home", "absent": "#ad"}},
    ]
    order = order_for("browser", {"url": f"{site}/", "script": script}, {"ttfb": "0ms"}, 40.0)
    filled = replace(
        order, options=resolve(order.options, lambda source, name: "open-sesame"), secrets=("open-sesame",)
    )
    result = asyncio.run(prepare(filled).run(Context()))
    assert (result.verdict, result.code) == ("degraded", "expect.ttfb"), result.message
    assert list(result.phases) == ["1 goto", "2 fill", "3 click", "4 expect"]
    assert "open-sesame" not in str(result)


def test_a_missing_element_is_named_and_shown(site: str) -> None:
    result = check({"url": f"{site}/", "patience": "500ms", "script": [{"expect": {"selector": "#basket"}}]})
    assert (result.verdict, result.code) == ("down", "expect.selector")
    assert result.message == "step 2 (expect): there is no visible element `#basket`"
    picture = result.evidence["screenshot"]
    assert picture.startswith("data:image/jpeg;base64,")
    data = base64.b64decode(picture.partition(",")[2])
    assert data[:2] == b"\xff\xd8"
    assert len(data) <= 40_000


def test_an_error_of_a_script(site: str) -> None:
    result = check({"url": f"{site}/broken"})
    assert (result.verdict, result.code) == ("degraded", "expect.errors")
    assert result.message == "a script on the page failed: boom"
    assert "look" in result.evidence["console"]
    assert check({"url": f"{site}/broken"}, {"errors": "ignored"}).verdict == "up"


def test_a_page_that_never_ends_loading(site: str) -> None:
    result = check({"url": f"{site}/endless", "patience": "800ms"})
    assert (result.verdict, result.code) == ("down", "wait.timeout")
    assert "step 1 (goto)" in result.message
    assert "screenshot" in result.evidence


def test_a_page_that_does_not_respond_is_killed(site: str) -> None:
    began = time.monotonic()
    result = check({"url": f"{site}/frozen"}, limit=6)
    assert (result.verdict, result.code) == ("down", "wait.timeout"), result.message
    assert "did not respond" in result.message
    assert time.monotonic() - began < 25
    _until_no_browser_is_left()


def _until_no_browser_is_left() -> None:
    until = time.monotonic() + 15
    while time.monotonic() < until:
        left = [path for path in Path("/proc").glob("[0-9]*/environ") if b"mainstay-browser-" in _read(path)]
        if not left:
            return
        time.sleep(0.05)
    pytest.fail(f"browsers are left: {left}")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_page_that_is_not_there_and_a_server_that_is_not(site: str) -> None:
    missing = check({"url": f"{site}/nowhere"})
    refused = check({"url": f"http://127.0.0.1:{free_port()}/"})
    assert (missing.verdict, missing.code) == ("down", "expect.status")
    assert (refused.verdict, refused.code) == ("down", "connect.refused"), refused.message
    assert "screenshot" not in refused.evidence


def test_the_guard_holds_for_the_page_and_for_what_it_loads(site: str) -> None:
    names = context_with({"inside.test": ["169.254.169.254"]})
    direct = run_check("browser", {"url": "http://inside.test/"}, limit=40, context=names)
    assert (direct.verdict, direct.code) == ("unknown", "check.address_refused"), direct.message
    within = check({"url": f"{site}/metadata"})
    assert any("ERR_SOCKS" in text for text in within.evidence["console"]), within.evidence
    closed = Context(Guard.from_settings(""))
    shared = run_check("browser", {"url": f"{site}/"}, limit=40, context=closed)
    assert (shared.verdict, shared.code) == ("unknown", "check.address_refused")


def test_no_browser_and_no_start(tmp_path: Path) -> None:
    def run(chromium: str) -> CheckResult:
        context = Context(configured=Configure("self", chromium=chromium))
        return run_check("browser", {"url": "http://127.0.0.1:1/"}, limit=20, context=context)

    torn = tmp_path / "chromium"
    torn.write_text("#!/bin/sh\nexit 3\n")
    torn.chmod(0o755)
    assert (run("/nowhere").verdict, run("/nowhere").code) == ("unknown", "check.no_browser")
    broken = run(str(torn))
    assert (broken.verdict, broken.code) == ("unknown", "check.browser_start"), broken.message


def test_the_gate_speaks_socks_and_nothing_else() -> None:
    async def say(*words: bytes) -> list[bytes]:
        async with Gate(Context()) as gate:
            reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
            heard = []
            for word in words:
                writer.write(word)
                heard.append(await reader.read(100))
            writer.close()
            return heard

    greeting, refused = b"\x05\x01\x00", b"\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x01"
    assert asyncio.run(say(greeting, refused))[1][:2] == b"\x05\x01"
    assert asyncio.run(say(greeting, b"\x05\x02" + refused[2:]))[1][:2] == b"\x05\x07"
    assert asyncio.run(say(greeting, b"\x05\x01\x00\x01\xa9\xfe\xa9\xfe\x00\x50"))[1][:2] == b"\x05\x02"


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ({}, "give a url"),
        ({"script": [{"click": "#a"}]}, "give a url"),
        ({"url": "file:///etc/passwd"}, "is not a URL"),
        ({"url": "https://a.example", "script": [{"goto": "javascript:alert(1)"}]}, "is not a URL"),
        ({"url": "https://a.example", "script": [{}]}, "exactly one"),
        ({"url": "https://a.example", "script": [{"click": "#a", "press": "Enter"}]}, "exactly one"),
        ({"url": "https://a.example", "script": [{"expect": {}}]}, "say what to expect"),
        ({"url": "https://a.example", "script": [{"evaluate": "1"}]}, "Extra inputs"),
        ({"url": "https://a.example", "viewport": "big"}, "should match pattern"),
    ],
)
def test_wrong_scripts_are_refused(target: Any, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        KIND.target.model_validate(target)


def traced(target: dict[str, Any], folder: Path, uid: str = "one", **more: Any) -> CheckResult:
    context = Context(Guard.from_settings("self"), configured=Configure("self", traces=str(folder)))
    order = replace(order_for("browser", target, None, 40.0), uid=uid, **more)
    return asyncio.run(prepare(order).run(context))


def test_a_trace_of_what_went_wrong_is_kept_and_can_be_read(site: str, tmp_path: Path) -> None:
    script = [{"fill": {"#user": "probe"}}, {"expect": {"selector": "#basket"}}]
    target = {"url": f"{site}/", "patience": "500ms", "script": script}
    result = traced(target, tmp_path / "traces")
    assert result.code == "expect.selector"
    kept = tmp_path / "traces" / result.evidence["trace"]
    assert re.fullmatch(r"one-\d+\.zip", kept.name)
    assert kept.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(kept) as trace:
        assert "trace.trace" in trace.namelist()
        told = trace.read("trace.trace").decode()
    assert "#user" in told
    assert "#basket" in told


def test_no_trace_of_what_went_well_nor_where_it_is_not_wished(site: str, tmp_path: Path) -> None:
    folder = tmp_path / "traces"
    assert "trace" not in traced({"url": f"{site}/"}, folder).evidence
    assert "trace" not in traced({"url": f"{site}/broken", "trace": False}, folder).evidence
    assert not folder.exists()
    assert "trace" not in check({"url": f"{site}/broken"}).evidence, "and none where there is no folder for it"


def test_no_trace_where_the_script_uses_secrets(site: str, tmp_path: Path) -> None:
    target = {"url": f"{site}/", "patience": "500ms", "script": [{"fill": {"#user": "sesame", "#nobody": "x"}}]}
    result = traced(target, tmp_path / "traces", secrets=("sesame",))
    assert result.verdict == "down"
    assert result.evidence["trace left out"].startswith("the script uses secrets")
    assert not (tmp_path / "traces").exists()


def test_traces_are_bounded_and_too_large_ones_are_left_out(
    site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tmp_path / "made.zip"
    made.write_bytes(b"x" * 1000)
    folder = tmp_path / "traces"
    for uid in ["one"] * 7 + ["two"] * 2:
        assert traces.keep(made, folder, uid)
        time.sleep(0.002)
    names = sorted(path.name.rpartition("-")[0] for path in folder.iterdir())
    assert names == ["one"] * traces.PER_MONITOR + ["two"] * 2
    oldest = min(folder.glob("two-*"))
    os.utime(oldest, (time.time() - traces.OLDEST - 5,) * 2)
    monkeypatch.setattr(traces, "ALL", 4500)
    monkeypatch.setattr(traces, "LARGEST", 1000)
    traces.thin_out(folder)
    assert not oldest.exists()
    assert len(list(folder.iterdir())) == 4
    made.write_bytes(b"x" * 1001)
    assert traces.keep(made, folder, "one") == ""
    (tmp_path / "file").touch()
    result = traced({"url": f"{site}/broken"}, tmp_path / "file")
    assert result.code == "expect.errors"
    assert (
        "could not be kept" in result.evidence["trace left out"] or "larger than" in result.evidence["trace left out"]
    )
