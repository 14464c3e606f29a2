"""What the check `http` reads of a body: packed, in another charset, too long to be looked into whole."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from typing import Any

import pytest
from tests.rigs.check_servers import tcp_server
from tests.rigs.http_servers import always, answer, by_path, check, check_filled

WORDS = b"fine words\n"


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(WORDS)),
        ("x-gzip", gzip.compress(WORDS)),
        ("deflate", zlib.compress(WORDS)),
        ("gzip, gzip", gzip.compress(gzip.compress(WORDS))),
        ("br", b"\x0b\x05\x80" + WORDS + b"\x03"),
        ("identity", WORDS),
        ("none", WORDS),
    ],
    ids=["gzip", "x-gzip", "deflate", "twice", "br", "identity", "none"],
)
def test_what_comes_packed_is_unpacked_though_nobody_asked(encoding: str, packed: bytes) -> None:
    seen: list[tuple[str, dict[str, str], bytes]] = []
    with tcp_server(by_path({"/": answer(packed, headers=(f"Content-Encoding: {encoding}",))}, seen)) as port:
        url = f"http://127.0.0.1:{port}/"
        found, unwanted = check(url, {"contains": "fine words"}), check(url, {"not_contains": "fine words"})
    assert found.verdict == "up", found.message
    # Where absence counts, the body must be known to be whole, which nobody here can tell of br.
    refused = ("unknown", "expect.encoding") if encoding == "br" else ("down", "expect.not_contains")
    assert (unwanted.verdict, unwanted.code) == refused
    assert found.evidence["bytes"] == len(WORDS)
    assert "accept-encoding" not in seen[0][1]


@pytest.mark.parametrize("expect", [{"contains": "a"}, {"not_contains": "a"}, {"not_regex": "a"}, {"max_bytes": 9}])
def test_a_packing_that_nobody_can_undo_is_named_and_never_up(expect: dict[str, Any]) -> None:
    with tcp_server(always(answer(b"\x28\xb5\x2f\xfd", headers=("Content-Encoding: x-odd",)))) as port:
        result = check(f"http://127.0.0.1:{port}/", expect)
        alone = check(f"http://127.0.0.1:{port}/", {"status": 200})
    assert (result.verdict, result.code) == ("unknown", "expect.encoding")
    assert "compressed as `x-odd`" in result.message
    assert "also" not in result.evidence
    assert alone.verdict == "up", alone.message


LONG = b"".join(b"line %d of many\n" % number for number in range(2_000)) + b"FATAL\n"


def bare(body: bytes) -> bytes:
    """What some servers call deflate: without the head and sum that RFC 1950 puts around."""
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize("absent", [{"not_contains": "FATAL"}, {"not_regex": "FAT.L"}])
@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(LONG)),
        ("deflate", zlib.compress(LONG)),
        ("deflate", bare(LONG)),
        ("gzip, deflate", zlib.compress(gzip.compress(LONG))),
    ],
    ids=["gzip", "deflate", "bare", "both"],
)
def test_absence_is_shown_by_a_whole_packed_body_only(encoding: str, packed: bytes, absent: dict[str, Any]) -> None:
    ends = {f"/{end}": answer(packed[:end], headers=(f"Content-Encoding: {encoding}",)) for end in (1, 15, 999, -9, -1)}
    fine = answer(packed, headers=(f"Content-Encoding: {encoding}",))
    with tcp_server(by_path({**ends, "/whole": fine}, [])) as port:
        for path in ends:
            result = check(f"http://127.0.0.1:{port}{path}", absent)
            assert (result.verdict, result.code) == ("down", "transfer.truncated"), path
            assert "in the middle of its compressed data" in result.message
        result = check(f"http://127.0.0.1:{port}/whole", absent)
        assert result.code in ("expect.not_contains", "expect.regex"), result.message
        other = {name: text.replace("F", "G") for name, text in absent.items()}
        result = check(f"http://127.0.0.1:{port}/whole", other)
        assert (result.verdict, result.evidence["bytes"]) == ("up", len(LONG)), result.message


def test_packed_bodies_of_odd_forms() -> None:
    pages = {
        "/parts": answer(gzip.compress(b"one") + gzip.compress(b" two"), headers=("Content-Encoding: gzip",)),
        "/more": answer(gzip.compress(b"one two") + b"\0\0rest", headers=("Content-Encoding: gzip",)),
        "/empty": answer(b"", headers=("Content-Encoding: gzip",)),
        "/false": answer(b"not packed", headers=("Content-Encoding: gzip",)),
        "/bomb": answer(gzip.compress(bytes(12_000_000)), headers=("Content-Encoding: gzip",)),
    }
    with tcp_server(by_path(pages, [])) as port:
        found = {path: check(f"http://127.0.0.1:{port}{path}", {"not_contains": "three"}) for path in pages}
        two = check(f"http://127.0.0.1:{port}/parts", {"contains": "one two", "not_contains": "three"})
        head = check({"url": f"http://127.0.0.1:{port}/parts", "method": "HEAD"}, {"not_contains": "three"})
    assert two.verdict == head.verdict == "up"
    assert [(path, result.verdict, result.code) for path, result in found.items()] == [
        ("/parts", "up", ""),
        ("/more", "up", ""),
        ("/empty", "up", ""),
        ("/false", "down", "transfer.encoding"),
        ("/bomb", "unknown", "expect.not_contains"),
    ]
    assert found["/bomb"].evidence["cut"] is True


@pytest.mark.parametrize(
    ("compressed", "asked"), [(True, "gzip, deflate"), ("gzip", "gzip"), ("br", "br"), (None, None)]
)
def test_what_is_asked_for_can_be_unpacked(compressed: bool | str | None, asked: str | None) -> None:
    seen: list[tuple[str, dict[str, str], bytes]] = []
    with tcp_server(by_path({"/": answer()}, seen)) as port:
        target = {"url": f"http://127.0.0.1:{port}/", **({"compressed": compressed} if compressed else {})}
        assert check(target, {"not_contains": "absent"}).verdict == "up"
    assert seen[0][1].get("accept-encoding") == asked


def test_a_packing_that_was_written_into_a_header_is_undone_too() -> None:
    seen: list[tuple[str, dict[str, str], bytes]] = []
    with tcp_server(by_path({"/": answer(gzip.compress(WORDS), headers=("Content-Encoding: gzip",))}, seen)) as port:
        target = {"url": f"http://127.0.0.1:{port}/", "headers": {"Accept-Encoding": "gzip"}}
        assert check(target, {"contains": "fine"}).verdict == "up"
    assert seen[0][1]["accept-encoding"] == "gzip"


PAGE = "<p>Grüße</p>"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/html", b'<!doctype html><meta charset="iso-8859-1">' + PAGE.encode("latin-1")),
        ("text/html", b"<meta charset=latin1 >" + PAGE.encode("latin-1")),
        (
            "text/html",
            b"<!-- <meta charset=utf-8> --><META content='text/html; charset=windows-1252' HTTP-EQUIV=Content-Type>"
            + PAGE.encode("cp1252"),
        ),
        (
            "text/html",
            b"<title data-a=\"<meta charset=utf-8>\">x</title><meta charset='latin1'/>" + PAGE.encode("latin-1"),
        ),
        ("text/html", b"<meta charset=utf-16>" + PAGE.encode()),
        ("text/html; charset='iso-8859-1'", PAGE.encode("latin-1")),
        ('text/html; charset = "ISO-8859-1"; x=y', b"<meta charset=utf-8>" + PAGE.encode("latin-1")),
        ("text/html; charset=nonsense", b"<meta charset=latin1>" + PAGE.encode("latin-1")),
        ("text/html; charset=iso-8859-1", "\ufeff".encode() + PAGE.encode()),
        ("text/html", b"\xff\xfe" + PAGE.encode("utf-16-le")),
        ("text/html", b"\xfe\xff" + PAGE.encode("utf-16-be")),
        ("application/xml", b'<?xml version="1.0" encoding="ISO-8859-1"?>' + PAGE.encode("latin-1")),
        ("application/xml", ('<?xml version="1.0"?>' + PAGE).encode("utf-16-be")),
        ("text/plain; charset=base64", PAGE.encode()),
        ("text/plain", b"<meta charset=latin1>" + PAGE.encode()),
        ("text/html", b" " * 1100 + b"<meta charset=latin1>" + PAGE.encode()),
    ],
)
def test_the_charset_is_found_as_a_browser_finds_it(kind: str, body: bytes) -> None:
    with tcp_server(always(answer(body, headers=(f"Content-Type: {kind}",)))) as port:
        result = check(f"http://127.0.0.1:{port}/", {"contains": "<p>Grüße"})
    assert result.verdict == "up", result.message


@pytest.mark.parametrize("page", [b"<meta " + b"a='" * 340, b"<a " + b'"' * 1020, b"<!--" * 256, b"<" * 1024])
def test_a_page_made_to_hold_the_search_up_does_not(page: bytes) -> None:
    with tcp_server(always(answer(page, headers=("Content-Type: text/html",)))) as port:
        result = check(f"http://127.0.0.1:{port}/", {"contains": "nothing"})
    assert result.code == "expect.contains"


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_json_in_any_form_of_unicode(codec: str) -> None:
    body = json.dumps({"name": "Grüße"}, ensure_ascii=False).encode(codec)
    with tcp_server(always(answer(body, headers=("Content-Type: application/json",)))) as port:
        result = check(f"http://127.0.0.1:{port}/", {"json": {"$.name": "Grüße"}})
    assert result.verdict == "up", result.message


@pytest.mark.parametrize(
    ("expect", "verdict", "code"),
    [
        ({"contains": "early"}, "up", ""),
        ({"contains": "late"}, "down", "expect.contains"),
        ({"not_contains": "late"}, "unknown", "expect.not_contains"),
        ({"not_regex": "la.e"}, "unknown", "expect.regex"),
        ({"not_contains": "early"}, "down", "expect.not_contains"),
        ({"not_contains": "late", "status": 404}, "down", "expect.status"),
        ({"not_contains": "late", "degraded_after": 0}, "unknown", "expect.not_contains"),
    ],
)
def test_what_lies_past_the_first_mebibyte_is_not_taken_for_absent(
    expect: dict[str, Any], verdict: str, code: str
) -> None:
    with tcp_server(always(answer(b"early " + b"x" * 1_100_000 + b" late"))) as port:
        result = check(f"http://127.0.0.1:{port}/", expect)
    assert (result.verdict, result.code) == (verdict, code), result.message
    if code not in ("", "expect.status") and "early" not in str(expect):
        assert "first MiB" in result.message


def test_names_passwords_and_headers_are_sent_in_utf_8() -> None:
    seen: list[tuple[str, dict[str, str], bytes]] = []
    with tcp_server(by_path({"/": answer()}, seen)) as port:
        target = {
            "url": "http://127.0.0.1:{port}/",
            "headers": {"X-Who": "Jürgen ${env:P}"},
            "auth": {"basic": {"username": "jürgen", "password": "${env:P}"}},
        }
        result = check_filled(target, port, {"${env:P}": "pä:ßword€"})
    assert result.verdict == "up", result.message
    assert seen[0][1]["authorization"] == "Basic " + base64.b64encode("jürgen:pä:ßword€".encode()).decode()
    assert seen[0][1]["x-who"].encode("latin-1").decode() == "Jürgen pä:ßword€"
