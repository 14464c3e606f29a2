"""What access costs: from the sign-in form to the first page, one scope check, and one look at the request limits."""

from __future__ import annotations

import http.cookiejar
import re
import statistics
import time
import urllib.parse
import urllib.request
from pathlib import Path

from bench.figures import Figure, at_most, hand_over, percentile, told
from bench.server import RunningServer
from mainstay.kernel.actor import Actor, all_scopes
from mainstay.kernel.settings import Settings

_SIGN_INS = 25  # the server lets an address try 30 times a minute
_CHECKS = 200_000
_EMAIL, _PASSWORD = "bench@example.com", "correct horse battery staple"


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))


def _form_token(page: str) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert found
    return found[1]


def _post(opener: urllib.request.OpenerDirector, url: str, base: str, **fields: str) -> str:
    body = urllib.parse.urlencode(fields).encode()
    request = urllib.request.Request(url, body, {"Referer": url, "Origin": base})
    with opener.open(request, timeout=30) as answer:
        return str(answer.read().decode())


def _join(base: str, printed: str) -> None:
    """Follow the invitation that a command has printed."""
    found = re.search(r"http\S+/join/(\S+)", printed)
    assert found
    opener, url = _opener(), f"{base}/join/{found[1]}"
    with opener.open(url, timeout=30) as answer:
        token = _form_token(answer.read().decode())
    _post(opener, url, base, csrfmiddlewaretoken=token, password1=_PASSWORD, password2=_PASSWORD)


def _sign_in(base: str) -> float:
    """Seconds from sending the form until the overview is there."""
    opener = _opener()
    with opener.open(f"{base}/accounts/login/", timeout=30) as answer:
        token = _form_token(answer.read().decode())
    begun = time.perf_counter()
    page = _post(opener, f"{base}/accounts/login/", base, csrfmiddlewaretoken=token, login=_EMAIL, password=_PASSWORD)
    took = time.perf_counter() - begun
    assert "csrfmiddlewaretoken" in page, "the first page has the sign-out form"
    assert "Overview" in page, "it is the overview"
    return took


def _scope_check() -> float:
    """Seconds of one `require`, by an actor with every scope."""
    actor = Actor("user", _EMAIL, all_scopes())
    begun = time.perf_counter()
    for _ in range(_CHECKS):
        actor.require("monitors:read")
    return (time.perf_counter() - begun) / _CHECKS


def _limit_check() -> float:
    from mainstay.frames.limits import Limits

    given = Settings(data=Path("/nonexistent"), requests_per_address=10**6, reports_per_key=10**6)
    limits = Limits(given)
    path = "/ping/7b6a1c1e-0d3f-4c7f-9a53-1c2d3e"
    scopes = [
        {"path": f"{path}{number:06x}/start", "client": (f"192.0.{number % 250}.{number % 199}", 1), "headers": []}
        for number in range(_CHECKS)
    ]
    begun = time.perf_counter()
    for scope in scopes:
        limits.wait(scope)
    return (time.perf_counter() - begun) / _CHECKS


def measure() -> list[Figure]:
    with RunningServer("", MAINSTAY_REQUIRE_SECOND_FACTOR="") as server:
        base = server.url
        _join(base, server.command("users", "add", _EMAIL, "--role", "admin"))
        _sign_in(base)
        times = [_sign_in(base) for _ in range(_SIGN_INS)]
    return [
        at_most("sign-in to the first page, p95", percentile(times, 0.95) * 1000, 300, "ms"),
        told("sign-in to the first page, median", statistics.median(times) * 1000, "ms"),
        at_most("one scope check", _scope_check() * 1e6, 20, "us"),
        at_most("one look at the request limits", _limit_check() * 1e6, 5, "us"),
    ]


if __name__ == "__main__":
    hand_over(measure())
