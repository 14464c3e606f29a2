from __future__ import annotations

from pathlib import Path

import pytest

from mainstay.frames.web.hosts import host_allowed
from mainstay.frames.web.middleware import security_headers
from mainstay.kernel.settings import Settings

LOCAL = Settings(data=Path("/none"), listen="127.0.0.1:8800")
EVERYWHERE = Settings(
    data=Path("/none"), listen="0.0.0.0:8800", url="https://ops.example.com", hosts="mainstay, in.lan"
)


@pytest.mark.parametrize(
    ("host", "local", "everywhere"),
    [
        ("localhost", True, True),
        ("localhost:8800", True, True),
        ("LOCALHOST.", True, True),
        ("127.0.0.1:8800", True, True),
        ("127.8.8.8", True, True),
        ("[::1]:8800", True, True),
        ("ops.example.com", False, True),
        ("mainstay:80", False, True),
        ("in.lan", False, True),
        ("192.168.1.7:8800", False, True),
        ("[fd00::1]", False, True),
        ("evil.example", False, False),
        ("ops.example.com.evil.example", False, False),
        ("localhost@evil.example", False, False),
        ("localhost:8800/..", False, False),
        ("localhost\r\nX: y", False, False),
        ("", False, False),
        ("a" * 300, False, False),
        ("2130706433", False, False),
    ],
)
def test_names_that_nobody_gave_us_are_refused(host: str, local: bool, everywhere: bool) -> None:
    assert host_allowed(host, LOCAL) is local
    assert host_allowed(host, EVERYWHERE) is everywhere


def test_headers_for_other_doors() -> None:
    plain, https = dict(security_headers(False)), dict(security_headers(True))
    assert b"'unsafe" not in plain[b"content-security-policy"]
    assert plain[b"content-security-policy"].startswith(b"default-src 'none'")
    assert b"strict-transport-security" not in plain
    assert b"strict-transport-security" in https
