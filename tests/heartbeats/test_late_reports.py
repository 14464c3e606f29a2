"""Reports that could not be sent in time: what the door takes, what `mainstay exec` sends, what the journal says."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.rigs.exec_rig import EXEC, place
from tests.rigs.pinging import Served, heartbeat, serving

from mainstay.heartbeats import queries
from mainstay.heartbeats.exec.spool import Spool
from mainstay.store.models import JournalEntry

__all__ = ["place"]  # a fixture

NOWHERE = "http://127.0.0.1:1/ping/"


class _Clock:
    """The server's, ahead of the sender's by `ahead` seconds: clocks differ."""

    ahead = 0.0

    def now(self) -> float:
        return time.time() + self.ahead

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def served(store: None, clock: _Clock) -> Iterator[Served]:
    with serving(clock) as found:
        yield found


def events(name: str) -> list[tuple[str, dict[str, object]]]:
    found = JournalEntry.objects.filter(subject=f"heartbeat/{name}", kind__startswith="heartbeat.went").order_by("seq")
    return [(entry.kind, json.loads(entry.data)) for entry in found]


def test_a_ping_counts_when_it_happened(served: Served, clock: _Clock) -> None:
    view = heartbeat("job")
    served.turn()
    assert served.client.get(f"/ping/{view.uuid}?ago=1800.5&took=12.25").status_code == 200
    (ping,) = queries.pings(view.uid)
    assert ping.at == pytest.approx(clock.now() - 1800.5, abs=10)
    assert (ping.kind, ping.duration, ping.late) == ("success", 12.25, 1800.5)
    after = queries.heartbeat("job")
    assert after.state == "up"
    assert after.due_at == pytest.approx(clock.now() - 1800.5 + 3600, abs=10)
    ((kind, data),) = events("job")
    assert kind == "heartbeat.went_up"
    assert data["message"] == "the job reported success; the report came 30m late"
    assert data["evidence"]["reported_late_seconds"] == 1800.5  # type: ignore[index] # an object


@pytest.mark.parametrize(
    "query",
    ["ago=86401", "ago=-1", "ago=", "ago=1e3", "ago=nan", "ago=2026-01-01T00:00:00Z", "took=-1", "took=99999999",
     "ago=%D9%A1", "ago=1.1234567890"],
)  # fmt: skip
def test_what_is_no_lateness_is_refused_and_not_counted(served: Served, query: str) -> None:
    view = heartbeat("job")
    served.turn()
    answer = served.client.get(f"/ping/{view.uuid}?{query}")
    assert (answer.status_code, answer.text) == (400, "invalid seconds: ago at most 86400, took at most 31622400")
    assert queries.pings(view.uid) == []


def test_a_whole_day_is_taken(served: Served) -> None:
    view = heartbeat("job", every="2d")
    served.turn()
    assert served.client.get(f"/ping/{view.uuid}/1?ago=86400").status_code == 200
    assert queries.heartbeat("job").state == "down"


def test_it_needs_the_address_or_the_key_like_any_ping(served: Served) -> None:
    heartbeat("job")
    served.turn()
    assert served.client.get("/ping/no-such-key/job?ago=5").status_code == 404
    assert served.client.get(f"/ping/{served.key}/job?ago=5").status_code == 200


def spooled(place: dict[str, str], uuid: str, code: int, ended_ago: float, seconds: float = 60.0) -> Path:
    """A job that ended while the server was away, and when it did."""
    subprocess.run(
        [*EXEC, "--wait", "0", "--heartbeat", NOWHERE + uuid, "--", "sh", "-c", f"exit {code}"],
        env=place, check=False, capture_output=True, timeout=60,
    )  # fmt: skip
    spool = Spool(f"{place['XDG_STATE_HOME']}/mainstay/spool")
    path = Path(spool.folder, spool.names()[-1])
    document = json.loads(path.read_text())
    assert document["seconds"] < 30
    path.write_text(json.dumps(document | {"ended": document["ended"] - ended_ago, "seconds": seconds}))
    return path


def flush(place: dict[str, str], port: int) -> str:
    for path in Path(place["XDG_STATE_HOME"], "mainstay", "spool").glob("*.json"):
        path.write_text(path.read_text().replace("127.0.0.1:1/", f"127.0.0.1:{port}/"))
    done = subprocess.run(
        [*EXEC, "--flush"], env=place, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.stdout


def test_jobs_of_an_hour_without_the_server_are_told_in_order_and_at_their_times(
    served: Served, clock: _Clock, place: dict[str, str]
) -> None:
    clock.ahead = 7200.0  # of no importance
    view = heartbeat("job", every="30m", grace="10m")
    served.turn()
    spooled(place, view.uuid, 0, 3600)
    spooled(place, view.uuid, 3, 1800)
    spooled(place, view.uuid, 0, 60, seconds=42.5)
    assert flush(place, served.port) == "Reports: 3 sent.\n"
    first, second, third = reversed(queries.pings(view.uid))
    assert [(ping.kind, ping.exit_status) for ping in (first, second, third)] == [
        ("success", 0), ("fail", 3), ("success", 0),
    ]  # fmt: skip
    ages = [clock.now() - ping.at for ping in (first, second, third)]
    assert ages == pytest.approx([3600, 1800, 60], abs=30)
    assert third.duration == 42.5
    after = queries.heartbeat("job", clock.now())
    assert (after.state, after.late) == ("up", False)
    assert [kind for kind, _ in events("job")] == ["heartbeat.went_down", "heartbeat.went_up"]


def test_an_alert_that_was_told_stays_told_and_its_end_says_why(
    served: Served, clock: _Clock, place: dict[str, str]
) -> None:
    view = heartbeat("job", every="30m", grace="10m")
    served.turn()
    assert served.client.get(f"/ping/{view.uuid}").status_code == 200
    path = spooled(place, view.uuid, 0, -1800)  # it will have run when the next one was due
    for _ in range(750):  # in steps, or Mainstay would seem to have been away
        clock.ahead += 4.0
        served.turn()
    missed = queries.heartbeat("job", clock.now())
    assert (missed.state, missed.reason) == ("down", "missed")
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | {"ended": time.time() - 1200}))  # 1,800 s after the first, now 3,000
    assert flush(place, served.port) == "Reports: 1 sent.\n"
    _up, down, up = events("job")
    assert down[1]["reason"] == "missed"
    assert up[0] == "heartbeat.went_up"
    assert str(up[1]["message"]).startswith("the job had reported success in time; the report came 20m")
    assert up[1]["since"] == pytest.approx(clock.now(), abs=10)


def test_what_waited_for_more_than_a_day_is_kept_or_fails(served: Served, place: dict[str, str]) -> None:
    for name, code, state, kind in (("good", 0, "new", "log"), ("bad", 4, "down", "fail")):
        view = heartbeat(name)
        served.turn()
        spooled(place, view.uuid, code, 3 * 86_400)
        assert flush(place, served.port) == "Reports: 1 sent.\n"
        assert queries.heartbeat(name).state == state
        (ping,) = queries.pings(view.uid)
        assert ping.kind == kind
        body = queries.ping(view.uid, ping.n).text
        assert body.startswith("Reported 2592")
