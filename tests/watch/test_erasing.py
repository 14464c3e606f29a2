"""The history of one monitor is deleted on wish: once, in every store, and nothing that came after."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from tests.rigs.accounts_browser import TEST, person, signed_in

from mainstay.accounts.token_verbs import create_token
from mainstay.kernel.actor import Actor
from mainstay.kernel.clock import SystemClock
from mainstay.kernel.errors import Forbidden, NotFound
from mainstay.store.journal import Filter, entries
from mainstay.store.resources.apply import declare
from mainstay.store.resources.queries import resource
from mainstay.store.snapshots.telemetry_copy import export
from mainstay.store.writer import Writer
from mainstay.watch import queries
from mainstay.watch.erasing import erase_history, wished_erasures
from mainstay.watch.lanes.erasing import erase_wished
from mainstay.watch.results import set_current
from mainstay.watch.results.results import Results
from mainstay.watch.results.values import Sample

pytestmark = pytest.mark.usefixtures("store")
NOW = 1_800_000_000.0


class Later(SystemClock):
    def now(self) -> float:
        return super().now() + 20


def results(uid: str, count: int, at: float = NOW) -> list[Sample]:
    return [
        Sample(uid=uid, at=at + number, verdict="up", duration=0.1, charge="up", charged=1.0) for number in range(count)
    ]


def monitor(name: str) -> str:
    declare(TEST, "monitor", name, {"http": f"https://{name}.example"}, manager="api")
    return resource("monitor", name).uid


def test_each_store_carries_a_wish_out_once(tmp_path: Path, clock: Any) -> None:
    api, shop = monitor("api"), monitor("shop")
    writer = Writer()
    stores = [Results.embedded(tmp_path / name) for name in ("one.duckdb", "other.duckdb")]

    def turn(store: Results) -> None:
        asyncio.run(erase_wished(store, writer, clock))

    for store in stores:
        store.append([*results(api, 5), *results(shop, 3)])
        store.flush()
    turn(stores[0])
    assert len(stores[0].latest(api)) == 5
    erase_history(TEST, "api", clock)
    turn(stores[0])
    assert len(stores[0].latest(api)) == 5, "another server may still write an earlier wish"
    clock.advance(10)
    turn(stores[0])
    assert (stores[0].latest(api), len(stores[0].latest(shop))) == ([], 3)
    stores[0].append(results(api, 2, NOW + 60))
    turn(stores[0])
    stores[0].flush()
    assert len(stores[0].latest(api)) == 2, "what came after the wish stays"
    stores[0].close()
    again = Results.embedded(tmp_path / "one.duckdb")
    turn(again)
    assert len(again.latest(api)) == 2, "a restart does not carry it out again"
    assert len(stores[1].latest(api)) == 5
    turn(stores[1])
    assert stores[1].latest(api) == []
    assert stores[1].forgotten() == again.forgotten() > 0
    for store in (again, stores[1]):
        store.close()
    writer.stop()


def test_a_snapshot_remembers_no_wish_that_its_state_does_not_know(tmp_path: Path) -> None:
    store = Results.embedded(tmp_path / "telemetry.duckdb")
    store.forget(["gone"], NOW + 60)
    kept = {}
    for name, until in (("before", NOW), ("after", NOW + 120)):
        folder = tmp_path / name
        folder.mkdir()
        export(store.columns.reading(), folder, until, lambda *_: None)
        query = f"SELECT until_us FROM read_parquet('{folder}/progress.parquet') WHERE grain = 'forgotten'"
        kept[name] = store.columns.reading().execute(query).fetchall()
    store.close()
    assert kept == {"before": [(int(NOW * 1e6),)], "after": [(int((NOW + 60) * 1e6),)]}


def test_who_may_and_what_is_told() -> None:
    uid = monitor("api")
    with pytest.raises(Forbidden, match="resources:write"):
        erase_history(Actor("token", "reader", frozenset({"monitors:read", "monitors:check"})), "api")
    with pytest.raises(NotFound, match="there is no"):
        erase_history(TEST, "apo")
    assert wished_erasures(TEST, 0, Later()) == []
    erase_history(TEST, "api")
    ((at, erased),) = wished_erasures(TEST, 0, Later())
    assert erased == [uid]
    assert wished_erasures(TEST, at, Later()) == []
    (told,) = entries(Filter(kind="monitor.history_erased"))
    assert (told.subject, told.data) == ("monitor/api", {"uid": uid})
    assert [one.kind for one in queries.transitions("api", limit=5)] == ["history_erased"]


@pytest.fixture
def telemetry(tmp_path: Path) -> Results:
    return Results.embedded(tmp_path / "telemetry.duckdb")


def asked_to_erase(name: str, token: str) -> int:
    """The status with which the API answers."""
    client = Client(headers={"host": "localhost", "authorization": f"Bearer {token}"})
    return client.delete(f"/api/v1/monitors/{name}/history").status_code


def test_the_doors(telemetry: Results) -> None:
    set_current(telemetry)
    monitor("api")
    reader = create_token(TEST, "reader", ["monitors:read", "monitors:check"])
    assert asked_to_erase("api", reader) == 403
    writer = create_token(TEST, "writer", ["resources:read", "resources:write"])
    assert asked_to_erase("none", writer) == 404
    assert asked_to_erase("api", writer) == 202
    person()
    client = signed_in()
    assert "Erase its history" in client.get("/monitors/api/").content.decode()
    answer = client.post("/monitors/api/erase", follow=True)
    assert "are being deleted" in answer.content.decode()
    assert "History erased" in answer.content.decode()
    assert len(wished_erasures(TEST, 0, Later())) == 2
    set_current(None)
    telemetry.close()
