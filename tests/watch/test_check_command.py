"""`mainstay check`: arguments, exit codes, JSON, and the drawing."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tests.rigs.check_servers import free_port, tcp_server, until_closed

from mainstay.kernel.errors import UserError
from mainstay.kernel.probing import CheckResult
from mainstay.watch.check_command import address_of, make_order, parse_pairs, run
from mainstay.watch.check_drawing import bar, draw, evidence_rows, seconds


def command(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mainstay", "check", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "MAINSTAY_DATA": str(folder), **environment},
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "kind", "target"),
    [
        (("https://a.test/x",), "http", {"url": "https://a.test/x"}),
        (("a.test",), "http", {"url": "https://a.test"}),
        (("a.test/health?x=1",), "http", {"url": "https://a.test/health?x=1"}),
        (("a.test:5432",), "tcp", {"address": "a.test:5432"}),
        (("[::1]:22",), "tcp", {"address": "[::1]:22"}),
        (("a.test:8080/path",), "http", {"url": "https://a.test:8080/path"}),
        (("http", "a.test"), "http", {"url": "https://a.test"}),
        (("http", "http://a.test"), "http", {"url": "http://a.test"}),
        (("tls", "a.test"), "tls", {"address": "a.test"}),
        (("dns", "a.test"), "dns", {"name": "a.test"}),
        (("icmp", "192.0.2.1"), "icmp", {"host": "192.0.2.1"}),
    ],
)
def test_targets(arguments: tuple[str, ...], kind: str, target: dict[str, Any]) -> None:
    order = make_order(arguments[0], arguments[1] if len(arguments) > 1 else None, [], [], "10s")
    assert (order.kind, order.options["target"]) == (kind, target)


def test_a_file_is_for_another_command(tmp_path: Path) -> None:
    (tmp_path / "mainstay.yaml").touch()
    with pytest.raises(UserError, match="is a file") as told:
        make_order(str(tmp_path / "mainstay.yaml"), None, [], [], "10s")
    assert "mainstay plan" in told.value.hint


def test_options_are_validated_documents() -> None:
    order = make_order(
        "dns", "a.test", ["type=MX", "resolver=192.0.2.53"], ["values=10 m.test", "values=20 n.test"], "2s"
    )
    assert order.options["target"] == {"name": "a.test", "type": "MX", "resolver": "192.0.2.53"}
    assert order.options["expect"] == {"values": ["10 m.test", "20 n.test"]}
    assert order.timeout == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("icm", "a.test", [], [], "1s"), "did you mean `icmp`"),
        (("tls", None, [], [], "1s"), "tls needs a target"),
        (("ftp://a.test", None, [], [], "1s"), "not a URL with http"),
        (("not an address", None, [], [], "1s"), "neither a host name nor an IP address"),
        (("a.test", None, [], [], "0s"), "--timeout must be above 0"),
        (("a.test", None, [], [], "soon"), "is not a duration"),
        (("a.test", None, ["metod=GET"], [], "1s"), "did you mean `method`"),
        (("a.test", None, [], ["stauts=200"], "1s"), "did you mean `status`"),
        (("a.test", None, ["method"], [], "1s"), "is not KEY=VALUE"),
        (("tcp", "a.test", [], ["contains=x"], "1s"), "has no port"),
        (("a.test", None, ['auth.bearer="${env:MAINSTAY_NO_SUCH}"'], [], "1s"), "MAINSTAY_NO_SUCH is not set"),
    ],
)
def test_wrong_arguments_say_what_is_wrong(arguments: Any, says: str) -> None:
    with pytest.raises(UserError) as caught:
        make_order(*arguments)
    assert says in str(caught.value)


def test_secrets_come_from_the_environment_and_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHECK_TOKEN", "hush-hush-token")
    order = make_order("https://a.test", None, ["auth.bearer=${env:CHECK_TOKEN}"], [], "1s")
    assert order.options["target"]["auth"] == {"bearer": "hush-hush-token"}
    assert order.secrets == ("hush-hush-token",)
    told = make_order("https://a.test/?key=${env:CHECK_TOKEN}", None, ["method=GET"], [], "1s")
    assert address_of(told) == "https://a.test/?key=***"


def test_pairs() -> None:
    assert parse_pairs(["a=1", "b=text", "c=[1, 2]", "d.e=true", "x=1", "x=2", 'q="1"'], "--set") == {
        "a": 1,
        "b": "text",
        "c": [1, 2],
        "d": {"e": True},
        "x": [1, 2],
        "q": "1",
    }
    assert parse_pairs(["json.$.status=healthy"], "--expect") == {"json": {"$.status": "healthy"}}
    with pytest.raises(UserError, match="already has a value"):
        parse_pairs(["a=1", "a.b=2"], "--set")


@pytest.mark.parametrize(
    ("options", "target", "expectations", "expect"),
    [
        (["http_version=2", "tls.min_version=1.3"], {"http_version": "2", "tls": {"min_version": "1.3"}}, [], {}),
        (["headers.X-Tier=7", "body=12.50"], {"headers": {"X-Tier": "7"}, "body": "12.50"}, [], {}),
        (["max_read=2048", "ip_version=4"], {"max_read": 2048, "ip_version": 4}, [], {}),
        ([], {}, ["contains=404"], {"contains": "404"}),
        ([], {}, ["contains=404", "contains=true"], {"contains": ["404", "true"]}),
        ([], {}, ["protocol=2", "status=404", "json.$.n=3"], {"protocol": "2", "status": 404, "json": {"$.n": 3}}),
    ],
)
def test_values_are_of_the_type_that_the_schema_says(
    options: list[str], target: dict[str, Any], expectations: list[str], expect: dict[str, Any]
) -> None:
    order = make_order("https://a.test/", None, options, expectations, "1s")
    assert order.options["target"] == {"url": "https://a.test/", **target}
    assert order.options["expect"] == expect


def test_mistakes_in_target_and_expectation_are_told_together() -> None:
    with pytest.raises(UserError, match=r"--set max_read: .*; --expect min_bytes: "):
        make_order("https://a.test/", None, ["max_read=much"], ["min_bytes=-1"], "1s")


def test_a_check_in_this_process() -> None:
    with tcp_server(until_closed) as port:
        result = run(make_order(f"127.0.0.1:{port}", None, [], [], "5s"))
    assert (result.verdict, result.scheduled) == ("up", False)
    assert result.at > 0
    assert result.duration > 0


def test_the_command(tmp_path: Path) -> None:
    with tcp_server(until_closed) as port:
        good = command("tcp", f"127.0.0.1:{port}", folder=tmp_path / "none")
        answer = command("--json", "tcp", f"127.0.0.1:{port}", folder=tmp_path / "none")
    assert good.returncode == 0, good.stderr
    assert good.stdout.startswith(f"up  tcp 127.0.0.1:{port}")
    assert "connect" in good.stdout
    document = json.loads(answer.stdout)
    assert (document["kind"], document["verdict"], document["target"]) == ("tcp", "up", f"127.0.0.1:{port}")
    assert set(document["phases"]) == {"lookup", "connect"}
    assert not (tmp_path / "none").exists()  # a check leaves nothing behind


def test_exit_codes(tmp_path: Path) -> None:
    refused = command(f"127.0.0.1:{free_port()}", folder=tmp_path)
    assert refused.returncode == 1
    assert "connect.refused" in refused.stdout
    closed = command(f"127.0.0.1:{free_port()}", folder=tmp_path, MAINSTAY_PROBE_ALLOW="")
    assert closed.returncode == 2
    assert "check.address_refused" in closed.stdout
    wrong = command("smoke://x", folder=tmp_path)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "mainstay check: `smoke://x` is not a URL" in wrong.stderr


def test_neither_django_nor_the_store_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from mainstay.watch.check_command import make_order, run; "
        f"run(make_order('127.0.0.1:{free_port()}', None, [], [], '1s')); "
        "print([name for name in sys.modules if name.split('.')[0] in ('django', 'duckdb', 'pydantic', 'starlette')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "MAINSTAY_DATA": str(tmp_path)},
        check=True,
    )
    assert done.stdout == "[]\n"


RESULT = CheckResult(
    uid="check",
    at=1_800_000_000.0,
    duration=0.2,
    verdict="degraded",
    code="expect.days",
    message="the certificate ends in 9 days",
    phases={"lookup": 0.02, "connect": 0.03, "tls": 0.15},
    evidence={
        "address": "192.0.2.1:443",
        "tls": {"version": "TLSv1.3", "cipher": "X", "verified": True},
        "certificates": [
            {
                "subject": "CN=a.test",
                "not_after": 1_800_777_600.0,
                "days_left": 9.0,
                "names": ["a.test"],
                "key": "RSA 2048",
            }
        ],
        "excerpt": "evil \x1b[31m text",
    },
)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_drawing_fits_the_terminal(width: int) -> None:
    out = io.StringIO()
    draw(make_order("tls", "a.test", [], [], "1s"), RESULT, Console(file=out, width=width, highlight=False))
    lines = out.getvalue().splitlines()
    assert lines[0] == "degraded  tls a.test  200.0 ms"
    assert all(len(line) <= width for line in lines)
    assert any(line.startswith("lookup") for line in lines)
    assert "9 days left" in out.getvalue()
    assert "\x1b" not in out.getvalue()


@pytest.mark.parametrize(
    ("start", "length", "drawn"),
    [
        (0.0, 1.0, "\u2588" * 10),
        (0.5, 0.5, " " * 5 + "\u2588" * 5),
        (0.0, 0.05, "\u258c"),
        (0.0, 0.0, "\u258f"),
        (1.0, 0.0, " " * 9 + "\u258f"),
        (0.9, 0.5, " " * 9 + "\u2588"),
    ],
)
def test_bars(start: float, length: float, drawn: str) -> None:
    assert bar(start, length, 10) == drawn
    assert len(bar(start, length, 10, blocks=False)) <= 10
    assert bar(start, length, 10, blocks=False).isascii()


def test_words() -> None:
    assert (seconds(0.0004), seconds(0.0123), seconds(1.25)) == ("0.4 ms", "12.3 ms", "1.25 s")
    rows = dict(evidence_rows({"loss_percent": 0.0, "round_trip": {"mean": 0.01}, "verified": True}))
    assert rows == {"loss percent": "0.0", "verified": "yes", "round trip": "mean 10.0 ms"}
