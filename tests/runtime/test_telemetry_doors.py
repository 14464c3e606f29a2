"""Where people see what telemetry is kept in: doctor, snapshots and settings, with ClickHouse and with an archive."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.rigs.clickhouse_rig import ChdbServer, chdb_server

from mainstay.kernel.settings import Settings
from mainstay.runtime.doctor import _telemetry
from mainstay.runtime.health_page import settings_shown
from mainstay.store.snapshots.taking import Wishes, _stage_telemetry


@pytest.fixture(scope="module")
def server() -> Iterator[ChdbServer]:
    with chdb_server() as running:
        yield running


def _found(settings: Settings) -> list[tuple[str, str, str]]:
    return [(one.name, one.state, f"{one.message} {one.hint}") for one in _telemetry(settings)]


def test_doctor_tries_what_is_set(server: ChdbServer, tmp_path: Path) -> None:
    assert [found[:2] for found in _found(Settings(data=tmp_path))] == [("telemetry", "ok")]
    good = Settings.of(
        {"data": tmp_path, "telemetry": server.address("doctor"), "archive_to": str(tmp_path / "archive")}
    )
    telemetry, archive = _found(good)
    assert (telemetry[1], "ClickHouse 2" in telemetry[2], "database doctor" in telemetry[2]) == ("ok", True, True)
    assert archive[1:] == ("ok", f"0 days, 0.0 MB in {tmp_path / 'archive'} ")
    (tmp_path / "file").write_text("")
    bad = Settings.of(
        {"data": tmp_path, "telemetry": server.address("x", password="wrong-one"), "archive_to": str(tmp_path / "file")}
    )
    telemetry, archive = _found(bad)
    assert (telemetry[1], archive[1]) == ("error", "error")
    assert "wrong-one" not in telemetry[2]
    nowhere = Settings.of({"data": tmp_path, "telemetry": "clickhouse://127.0.0.1:1/x", "archive_to": "gopher://x"})
    assert [found[1] for found in _found(nowhere)] == ["error", "error"]


def test_doctor_tells_of_files_that_were_set_aside(tmp_path: Path) -> None:
    (tmp_path / "telemetry.duckdb.broken-1").write_text("")
    assert [found[1] for found in _found(Settings(data=tmp_path))] == ["ok", "warning"]


def test_a_snapshot_leaves_out_what_clickhouse_keeps(server: ChdbServer, tmp_path: Path) -> None:
    """Also what an old file in the data folder still holds."""
    (tmp_path / "telemetry.duckdb").write_text("of before")
    settings = Settings(data=tmp_path, telemetry=server.address("snapshot"))
    assert _stage_telemetry(settings, Wishes(to=str(tmp_path)), tmp_path, 0.0, lambda *_step: None) == {}


def test_the_password_is_hidden_among_the_settings(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, telemetry="clickhouses://me:s3cr@t/x@db.example:8443/mainstay?ca=/etc/ca.pem")
    (shown,) = [one.value for one in settings_shown(settings) if one.name == "MAINSTAY_TELEMETRY"]
    assert shown == "clickhouses://me:***@db.example:8443/mainstay?ca=/etc/ca.pem"
