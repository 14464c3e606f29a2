"""What only a server can do to telemetry: be away, die in the middle, refuse, be shared, be reached over TLS."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.rigs.changeable import wait_for
from tests.rigs.clickhouse_rig import PASSWORD, ChdbServer, chdb_server

from mainstay.kernel.errors import StoreBusy, UserError
from mainstay.kernel.settings import Settings
from mainstay.store.columns.buffer import Batch
from mainstay.store.columns.clickhouse_engine import ClickHouseEngine
from mainstay.store.columns.clickhouse_link import Address, Link
from mainstay.watch.results.results import Results, opened
from mainstay.watch.results.rows import row_of
from mainstay.watch.results.tables import SAMPLE
from mainstay.watch.results.values import Sample

Open = Callable[..., Results]


@pytest.fixture(scope="module")
def server() -> Iterator[ChdbServer]:
    with chdb_server() as running:
        yield running


@pytest.fixture
def database() -> str:
    return f"t{uuid.uuid4().hex}"


@pytest.fixture
def store(server: ChdbServer, database: str, tmp_path: Path) -> Iterator[Open]:
    """Opens the store as the runtime does, from settings; each one is a node of its own."""
    made: list[Results] = []

    def opener(address: str = "") -> Results:
        made.append(opened(Settings(data=tmp_path, telemetry=address or server.address(database))))
        return made[-1]

    yield opener
    for one in made:
        one.close()


def _samples(uid: str, since: float, count: int, step: float = 1.0) -> list[Sample]:
    return [
        Sample(uid=uid, at=since + step * number, verdict="up", duration=0.1, charge="up", charged=step)
        for number in range(count)
    ]


def _link(one: Results) -> Link:
    engine = one.columns._engine
    assert isinstance(engine, ClickHouseEngine)
    return engine._link


def _counts(one: Results) -> tuple[int, int]:
    """Rows, and rows that differ."""
    rows, different = _link(one).query("SELECT count(), uniqExact(uid, at_us) FROM sample")[0]
    return int(rows), int(different)


def test_results_are_there_once_whatever_dies_meanwhile(server: ChdbServer, store: Open) -> None:
    one, now = store(), time.time()
    total = 0
    for turn in range(3):
        for _ in range(5):
            one.append(_samples("a", now + total, 400))
            total += 400
            time.sleep(0.02)  # results come all the time
        server.kill()
        one.append(_samples("a", now + total, 400))
        total += 400
        if turn == 0:
            wait_for(lambda: one.vitals().last_error, 20, "it is told")
            assert "written" in one.vitals().last_error
            with pytest.raises(StoreBusy):
                one.latest("a")
        server.start()
    wait_for(lambda: not one.vitals().buffered, 60, "all is written")
    vitals = one.vitals()
    assert (vitals.written, vitals.lost, vitals.last_error) == (total, 0, "")
    assert vitals.failures > 0
    assert _counts(one) == (total, total)


def test_an_answer_that_was_lost_makes_nothing_double(store: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    one = store()
    link, insert, lost = _link(one), _link(one).insert, [0]

    def losing(table: str, columns: Sequence[str], rows: Sequence[Any], token: str = "") -> None:
        insert(table, columns, rows, token)
        if table == "sample" and lost[0] < 2:
            lost[0] += 1
            raise StoreBusy("the connection broke")

    monkeypatch.setattr(link, "insert", losing)
    now = time.time()
    # Of three days, so that it is parts of three partitions.
    one.append([*_samples("a", now, 100), *_samples("a", now - 86_400, 100), *_samples("a", now - 172_800, 100)])
    wait_for(lambda: one.vitals().written == 300, 30, "written")
    assert lost == [2]
    assert _counts(one) == (300, 300)


def test_a_server_that_is_not_there_yet_is_found_when_it_comes(server: ChdbServer, store: Open) -> None:
    server.kill()
    one = store()
    one.append(_samples("a", time.time(), 10))
    with pytest.raises(StoreBusy, match="does not answer"):
        one.latest("a")
    with pytest.raises(StoreBusy):
        one.maintain(time.time())
    assert "does not answer" in one.vitals().last_error
    server.start()
    wait_for(lambda: one.vitals().written == 10, 30, "written")
    one.maintain(time.time())
    assert len(one.latest("a")) == 10
    assert one.vitals().last_error == ""


def test_the_password_is_never_told(server: ChdbServer, store: Open, database: str) -> None:
    secret = "not-the-right-one"
    one = store(server.address(database, password=secret))
    with pytest.raises(StoreBusy) as refused:
        one.latest("a")
    one.append(_samples("a", time.time(), 1))
    wait_for(lambda: one.vitals().last_error, 20, "it is told")
    for text in (str(refused.value), repr(refused.value.__context__), one.vitals().last_error):
        assert secret not in text
    assert "password is incorrect" in str(refused.value)
    assert PASSWORD not in repr(Address.of(server.address(database), lambda source, name: ""))


def test_tables_that_somebody_took_away_are_made_again(store: Open) -> None:
    one, now = store(), time.time()
    one.append(_samples("a", now, 5))
    one.flush()
    for table in ("sample", "by_minute", "progress"):
        _link(one).command(f"DROP TABLE {table} SYNC")
    with pytest.raises(StoreBusy):
        one.latest("a")
    assert one.latest("a") == []
    one.append(_samples("a", now, 5))
    one.flush()
    assert len(one.latest("a")) == 5


def test_over_tls_with_a_certificate_of_ones_own(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = tmp_path / "server.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with chdb_server(str(certificate)) as server:
        address = server.address("secure", scheme="clickhouses")
        trusting = opened(Settings(data=tmp_path, telemetry=f"{address}?ca={tmp_path / 'ca.pem'}"))
        trusting.append(_samples("a", time.time(), 3))
        trusting.flush()
        assert len(trusting.latest("a")) == 3
        trusting.close()
        doubting = opened(Settings(data=tmp_path, telemetry=address))
        with pytest.raises(StoreBusy, match=r"(?i)certificate"):
            doubting.latest("a")
        doubting.close()


# several nodes


def test_what_another_node_writes_late_is_rolled_up(store: Open) -> None:
    """The first node rolls up; the second was cut off, and brings what it measured ten minutes ago."""
    first, second = store(), store()
    now = time.time()
    hour = now // 3600 * 3600
    first.append(_samples("a", hour - 7200, 60, 120.0))
    first.flush()
    first.maintain(now)
    second.append(_samples("b", hour - 5400, 30, 60.0))
    second.flush()
    first.maintain(now + 60)
    for node in (first, second):
        assert node.hours("b", [hour - 7200, hour - 3600])[0].checks == 30
        assert node.uptimes(["a", "b"], hour - 7200, now)["b"].checks == 30
        assert node.uptimes(["a", "b"], hour - 7200, now)["a"].checks == 60
    assert first.columns._engine.late(SAMPLE) is None


def test_a_node_that_dies_between_its_results_and_telling_of_them_is_found_out(store: Open) -> None:
    one, now = store(), time.time()
    hour = now // 3600 * 3600
    one.append(_samples("a", hour - 7200, 60, 120.0))
    one.flush()
    one.maintain(now)
    batch = Batch([row_of(sample, "") for sample in _samples("b", hour - 5400, 30, 60.0)], int((hour - 5400) * 1e6))
    link, insert = _link(one), _link(one).insert

    def dying(table: str, columns: Sequence[str], rows: Sequence[Any], token: str = "") -> None:
        insert(table, columns, rows, token)
        if table == "sample":
            raise SystemExit

    link.insert = dying  # type: ignore[method-assign]
    with pytest.raises(SystemExit):
        one.columns._engine.write(SAMPLE, batch, 0)
    link.insert = insert  # type: ignore[method-assign]
    assert one.columns._engine.late(SAMPLE) is None  # it may be about to tell
    _link(one).command("ALTER TABLE late UPDATE noted = noted - 600 WHERE 1", settings={"mutations_sync": 2})
    one.maintain(now + 60)
    assert one.hours("b", [hour - 7200])[0].checks == 30
    assert one.columns._engine.late(SAMPLE) is None


def test_roll_ups_of_several_nodes_at_once_are_as_of_one(store: Open) -> None:
    nodes = [store() for _ in range(3)]
    now = time.time() // 3600 * 3600 - 1  # so that the hours before it are complete
    hour = now // 3600 * 3600
    for number, node in enumerate(nodes):
        node.append(_samples(f"u{number}", hour - 10_800, 360, 30.0))
        node.flush()
    stop = threading.Event()
    faults: list[Exception] = []

    def upkeep(node: Results) -> None:
        while not stop.is_set():
            try:
                node.maintain(now)
            except StoreBusy as error:
                faults.append(error)
                return

    threads = [threading.Thread(target=upkeep, args=(node,)) for node in nodes]
    for thread in threads:
        thread.start()
    for number, node in enumerate(nodes):
        node.append(_samples(f"v{number}", hour - 7200, 240, 30.0))
        node.flush()
    stop.set()
    for thread in threads:
        thread.join()
    assert faults == []
    nodes[0].maintain(now)
    uids = [f"{letter}{number}" for letter in "uv" for number in range(3)]
    starts = [hour - 10_800, hour - 7200, hour - 3600]
    for node in nodes:
        found = {uid: [point.checks for point in node.hours(uid, starts)] for uid in uids}
        assert found == {uid: [120, 120, 120] if uid[0] == "u" else [120, 120] for uid in uids}
        assert {uptime.checks for uptime in node.uptimes(uids[:3], hour - 10_800, hour).values()} == {360}


# addresses


def _lookup(source: str, name: str) -> str:
    return {"CH": "p@ss:w/rd", "/run/secrets/ch": "from the file"}[name]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("clickhouse://db.example", ("db.example", 8123, "default", "", "default", False)),
        ("clickhouse://me:p%40ss@db.example:9/x", ("db.example", 9, "me", "p@ss", "x", False)),
        ("clickhouses://me:${env:CH}@db.example/x", ("db.example", 8443, "me", "p@ss:w/rd", "x", True)),
        ("clickhouse://me:${file:/run/secrets/ch}@[::1]:8123/x", ("::1", 8123, "me", "from the file", "x", False)),
    ],
)
def test_addresses(text: str, expected: tuple[object, ...]) -> None:
    found = Address.of(text, _lookup)
    assert (found.host, found.port, found.user, found.password, found.database, found.tls) == expected


@pytest.mark.parametrize(
    "text",
    ["postgres://a/b", "clickhouse://", "clickhouse://me:secret@h:port/x", "clickhouse://h/x?verify=no", "nonsense"],
)
def test_what_is_no_address_is_told_without_its_password(text: str) -> None:
    with pytest.raises(UserError, match="MAINSTAY_TELEMETRY") as refused:
        Address.of(text, _lookup)
    assert "secret" not in str(refused.value)
