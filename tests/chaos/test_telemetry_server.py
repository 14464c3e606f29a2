"""A server whose results are in ClickHouse, which dies and comes back: checks go on, results are written once."""

from __future__ import annotations

from pathlib import Path

from tests.rigs.changeable import Target, wait_for
from tests.rigs.clickhouse_rig import PASSWORD, chdb_server
from trouble import Group


def test_clickhouse_may_be_away(tmp_path: Path) -> None:
    target = Target(["/api"])
    config = f"monitors:\n  api: {{http: {target.url}/api, every: 1s, timeout: 900ms}}\n"
    try:
        with chdb_server() as clickhouse:
            environment = {"MAINSTAY_DATA": str(tmp_path / "data"), "MAINSTAY_TELEMETRY": clickhouse.address("results")}
            with Group(config, **environment) as server:
                token = server.token()
                wait_for(lambda: server.metric("mainstay_results_written_total", token) > 2, 40, "results are written")
                clickhouse.kill()
                wait_for(lambda: server.health()[1]["services"]["telemetry"] != "ok", 30, "health tells of it")
                asked = target.asked
                wait_for(lambda: target.asked > asked + 3, 20, "checks go on")
                clickhouse.start()
                wait_for(lambda: server.metric("mainstay_results_buffered", token) < 3, 60, "what waited is written")
                wait_for(lambda: server.health()[1]["services"]["telemetry"] == "ok", 60, "health is well")
                assert server.metric("mainstay_results_lost_total", token) == 0
                assert not (tmp_path / "data" / "telemetry.duckdb").exists()
                assert server.stop() == 0
                assert PASSWORD not in server.log
                assert "Traceback" not in server.log, server.log[-3000:]
    finally:
        target.close()
