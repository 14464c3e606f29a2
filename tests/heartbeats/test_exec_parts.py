"""The parts of `mainstay exec` that need no process: the tail, the spool, addresses."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.heartbeats import directory
from mainstay.heartbeats.exec import spool as exec_spool
from mainstay.heartbeats.exec.child import Tail
from mainstay.heartbeats.exec.job import Misnamed, Options, checked, find_address, slug_of
from mainstay.heartbeats.exec.spool import Spool, Waiting


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=60), st.integers(1, 100))
def test_the_tail_is_the_end_of_all_that_was_added(chunks: list[bytes], limit: int) -> None:
    tail, everything = Tail(limit), b"".join(chunks)
    for chunk in chunks:
        tail.add(chunk)
    kept = tail.kept()
    assert tail.seen == len(everything)
    assert everything.endswith(kept)
    assert len(kept) <= limit
    assert len(everything) > limit or kept == everything


def test_a_tail_begins_with_a_line_or_a_whole_character() -> None:
    tail = Tail(12)
    tail.add(b"first line\nsecond\n")
    assert tail.kept() == b"second\n"
    tail = Tail(5)
    tail.add("äöü".encode())
    assert tail.kept().decode() == "öü"
    many = Tail(10)
    for _ in range(5000):
        many.add(b"x")
    assert many.kept() == b"x" * 10


@given(st.text(max_size=40))
def test_names_become_the_slugs_that_the_server_knows(name: str) -> None:
    assert slug_of(name) == directory.slug_of(name)


def waiting(body: bytes = b"", ended: float = 1.5) -> Waiting:
    return Waiting("http://a.example/ping/x", "", 3, "rid", ended, body)


def test_the_spool_gives_back_what_it_was_given_in_order(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path / "deep" / "spool"))
    assert (spool.names(), spool.dropped()) == ([], 0)
    for number in range(3):
        spool.add(waiting(bytes([number, 255]), float(number)))
    found = [spool.read(name) for name in spool.names()]
    assert found == [waiting(bytes([number, 255]), float(number)) for number in range(3)]
    assert Path(spool.folder).stat().st_mode & 0o777 == 0o700


def test_the_oldest_reports_go_and_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exec_spool, "LIMIT_FILES", 3)
    spool = Spool(str(tmp_path))
    for number in range(5):
        spool.add(waiting(ended=float(number)))
    assert [kept.ended for name in spool.names() if (kept := spool.read(name))] == [2.0, 3.0, 4.0]
    assert spool.dropped() == 2
    monkeypatch.setattr(exec_spool, "LIMIT_BYTES", 2_850)
    spool.add(waiting(b"x" * 2_000))
    assert (spool.count(), spool.dropped()) == (1, 5)
    spool.forget_dropped()
    assert spool.dropped() == 0


def test_what_is_no_report_is_removed(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path))
    for number, text in enumerate(("{", "[]", "{}", '{"body": "x"}', '{"body": 1}')):
        (tmp_path / f"{number}.json").write_text(text)
    assert [spool.read(name) for name in spool.names()] == [None] * 5
    assert spool.names() == []


def test_only_one_process_sends(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path))
    with spool.only_one() as first, spool.only_one() as second, spool.only_one(patience=0.1) as third:
        assert (first, second, third) == (True, False, False)
    with spool.only_one() as again:
        assert again


def test_addresses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    uuid = "8F1F7F0E-9C3B-4E0E-A7F5-0D2B6A3A1C11"

    def address(heartbeat: str, server: str = "", *, create: bool = False) -> tuple[str, str]:
        return find_address(Options(("true",), heartbeat=heartbeat, server=server, create=create))

    assert address("https://a.example/ping/x/?rid=1") == ("https://a.example/ping/x", "")
    assert address(uuid) == (f"http://127.0.0.1:8800/ping/{uuid.lower()}", "")
    assert address(uuid, "a.example:80/at/") == (f"http://a.example:80/at/ping/{uuid.lower()}", "")
    with pytest.raises(Misnamed, match="MAINSTAY_PING_KEY"):
        address("nightly")
    monkeypatch.setenv("MAINSTAY_PING_KEY", " key ")
    assert address("Nightly Job", create=True) == ("http://127.0.0.1:8800/ping/key/nightly-job", "create=1")
    for wrong in ("", "…", "ftp://a.example/ping"):
        with pytest.raises(Misnamed):
            address(wrong)


def test_options_are_bounded() -> None:
    assert checked(("true",), {"tail": "90000", "wait": "2.5s"}) == Options(("true",), tail=90_000, wait=2.5)
    for wrong in ({"tail": "-1"}, {"tail": "90001"}, {"wait": "601"}, {"wait": "nan"}, {"wait": "x"}, {"flush": True}):
        assert checked(("true",), dict(wrong)) is None
    assert checked((), {}) is None
    assert checked(("",), {}) is None
