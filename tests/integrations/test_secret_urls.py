"""Secrets with `#`, `/`, `&`, `?`, `%`, `@` or spaces within a URL arrive as they are, wherever in it they stand."""

from __future__ import annotations

import asyncio
import dataclasses
from base64 import b64decode
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from msgspec.structs import replace
from tests.rigs.channel_rigs import notification
from tests.rigs.check_servers import order_for
from tests.rigs.receivers import Request, receiver

from mainstay.alerting.handover import hand_over
from mainstay.frames.boot import current_settings
from mainstay.kernel.resource import KINDS
from mainstay.kernel.secret import resolve
from mainstay.watch.prober.context import Context
from mainstay.watch.prober.dispatch import prepare

AWKWARD = "p#/&?%41@ :+=ü"
CODED = "p%23%2F%26%3F%2541%40%20%3A%2B%3D%C3%BC"


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("${env:S}", AWKWARD),
        ("Bearer ${env:S}", f"Bearer {AWKWARD}"),
        ("see https://example.com/ and ${env:S}", f"see https://example.com/ and {AWKWARD}"),
        ("https://example.com/${env:S}", f"https://example.com/{CODED}"),
        ("https://example.com/a/${env:S}/b", f"https://example.com/a/{CODED}/b"),
        ("https://example.com/?key=${env:S}&x=1", f"https://example.com/?key={CODED}&x=1"),
        ("https://example.com?a=1&key=${env:S}#top", f"https://example.com?a=1&key={CODED}#top"),
        ("https://example.com/#${env:S}", f"https://example.com/#{CODED}"),
        ("https://user:${env:S}@example.com/", f"https://user:{CODED}@example.com/"),
        ("socks5h://${env:S}:${env:S}@example.com:1080", f"socks5h://{CODED}:{CODED}@example.com:1080"),
        ("https://${env:BOTH}@example.com/", "https://user:p%40ss@example.com/"),
        ("https://${env:HOST}/${env:S}", f"https://example.com:8443/{CODED}"),
        ("${env:BASE}/x?key=${env:S}", f"https://example.com/hook/x?key={CODED}"),
        ("https://example.com/?${env:QUERY}", "https://example.com/?a=1&b=2%23"),
        ("https://example.com/a@b?mail=${env:S}", f"https://example.com/a@b?mail={CODED}"),
    ],
)
def test_a_secret_is_encoded_for_its_place(text: str, filled: str) -> None:
    values = {
        "S": AWKWARD,
        "BOTH": "user:p@ss",
        "HOST": "example.com:8443",
        "BASE": "https://example.com/hook",
        "QUERY": "a=1&b=2#",
    }
    assert resolve({"url": [text]}, lambda _source, name: values[name]) == {"url": [filled]}


def _told(request: Request) -> tuple[str, str, str]:
    """The secret as it came in the path, the query and as the password."""
    parts = urlsplit(request.path)
    password = b64decode(request.headers["authorization"].removeprefix("Basic ")).decode().partition(":")[2]
    return unquote(parts.path.removeprefix("/in/")), parse_qs(parts.query)["key"][0], password


def _run(kind: str, target: Any) -> Any:
    order = order_for(kind, target)
    filled = resolve(order.options, lambda _source, _name: AWKWARD)
    return asyncio.run(prepare(replace(order, options=filled, secrets=(AWKWARD,))).run(Context()))


@pytest.mark.parametrize("kind", ["http", "steps"])
def test_checks_send_it_as_it_is(kind: str) -> None:
    with receiver() as hook:
        url = hook.url.replace("://", "://user:${env:S}@") + "/in/${env:S}?key=${env:S}"
        call = {"url": url, "method": "POST"}
        found = _run(kind, {"calls": [call]} if kind == "steps" else call)
        assert found.verdict == "up", found
        assert _told(hook.requests[0]) == (AWKWARD, AWKWARD, AWKWARD)
    assert AWKWARD not in str(found)
    assert CODED not in str(found)


def test_channels_send_it_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S", AWKWARD)
    with receiver() as hook:
        url = hook.url.replace("://", "://user:${env:S}@") + "/in/${env:S}?key=${env:S}"
        spec: Any = KINDS["channel"].validate({"webhook": {"url": url}})
        hand_over(spec, notification(), dataclasses.replace(current_settings()), 1_800_000_000.0)
        assert _told(hook.requests[0]) == (AWKWARD, AWKWARD, AWKWARD)
