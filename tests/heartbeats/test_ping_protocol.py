"""The Healthchecks ping protocol over a real socket: addresses, signals, answers, what is kept."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from tests.rigs.pinging import Served, heartbeat, serving

from mainstay.heartbeats import queries

RID = "123e4567-e89b-12d3-a456-426614174000"


@pytest.fixture
def served(store: None, clock: object) -> Iterator[Served]:
    with serving(clock) as found:
        yield found


def declared(served: Served, name: str = "job", **document: object) -> queries.HeartbeatView:
    view = heartbeat(name, **document)
    served.turn()
    return view


def newest(view: queries.HeartbeatView) -> queries.PingView:
    return queries.ping(view.uid, queries.heartbeat(view.name).pings)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_a_success_by_uuid(served: Served, method: str) -> None:
    view = declared(served)
    answer = served.client.request(method, f"/ping/{view.uuid}", headers={"user-agent": "cron/1"})
    assert answer.status_code == 200
    assert answer.text == ("" if method == "HEAD" else "OK")
    assert answer.headers["ping-body-limit"] == "100000"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "no-cache" in answer.headers["cache-control"]
    ping = newest(view)
    assert (ping.n, ping.kind, ping.method, ping.scheme) == (1, "success", method, "http")
    assert (ping.remote, ping.user_agent) == ("127.0.0.1", "cron/1")
    assert queries.heartbeat("job").state == "up"


@pytest.mark.parametrize("by", ["uuid", "slug"])
@pytest.mark.parametrize(
    ("signal", "kind", "status", "state"),
    [
        ("", "success", None, "up"),
        ("/start", "start", None, "new"),
        ("/fail", "fail", None, "down"),
        ("/log", "log", None, "new"),
        ("/0", "success", 0, "up"),
        ("/1", "fail", 1, "down"),
        ("/255", "fail", 255, "down"),
    ],
)
def test_signals(served: Served, by: str, signal: str, kind: str, status: int | None, state: str) -> None:
    view = declared(served, "nightly-report")
    address = view.uuid if by == "uuid" else f"{served.key}/nightly-report"
    answer = served.client.get(f"/ping/{address}{signal}")
    assert (answer.status_code, answer.text) == (200, "OK")
    ping = newest(view)
    assert (ping.kind, ping.exit_status) == (kind, status)
    assert queries.heartbeat("nightly-report").state == state


ADDRESSES = [
    ("/ping/{uuid}/", 200, "OK"),
    ("/ping/{UUID}", 200, "OK"),
    ("/ping/{uuid}/256", 400, "invalid url format"),
    ("/ping/{uuid}/99999999999999999999999", 400, "invalid url format"),
    ("/ping/{uuid}?rid=" + RID, 200, "OK"),
    ("/ping/{uuid}?rid=" + RID.upper(), 200, "OK"),
    ("/ping/{uuid}?rid=nope", 400, "invalid uuid format"),
    ("/ping/{uuid}?rid=", 400, "invalid uuid format"),
    ("/ping/{uuid}?rid=" + RID.replace("-", ""), 400, "invalid uuid format"),
    ("/ping/{uuid}?create=1", 200, "OK"),
    ("/ping/{uuid}/fail/", 404, "not found"),
    ("/ping/{uuid}/other", 404, "not found"),
    ("/ping/{uuid}/start/start", 404, "not found"),
    ("/ping/{hex}", 404, "not found"),
    ("/ping/07c2f548-9850-4b27-af5d-6c9dc157ec02", 404, "not found"),
    ("/ping/not-uuid/", 404, "not found"),
    ("/ping/", 404, "not found"),
    ("/ping/{key}", 404, "not found"),
    ("/ping/{key}/job", 200, "OK"),
    ("/ping/{key}/JOB", 200, "OK"),
    ("/ping/{key}/job/", 404, "not found"),
    ("/ping/{key}/unknown", 404, "not found"),
    ("/ping/{key}/unknown?create=0", 404, "not found"),
    ("/ping/{key}/UNKNOWN?create=1", 400, "invalid url format"),
    ("/ping/rrrrrrrrrrrrrrrrrrrrrr/job", 404, "not found"),
    ("/ping/rrrrrrrrrrrrrrrrrrrrrr/job?create=1", 404, "not found"),
    ("/ping/{key}%2Fjob", 404, "not found"),
    ("/ping/x/..%2f{uuid}", 404, "not found"),
    ("/ping/{uuid}%00", 404, "not found"),
    ("/ping/{key}/j%C3%B6b?create=1", 404, "not found"),
    ("/ping/{key}/-job?create=1", 400, "invalid url format"),
    ("/ping/{uuid}/" + "9" * 2000, 400, "invalid url format"),
    ("/ping/{uuid}?" + "a=1&" * 90, 400, "invalid url format"),
]


def test_addresses(served: Served) -> None:
    view = declared(served)
    words = {"uuid": view.uuid, "UUID": view.uuid.upper(), "hex": view.uuid.replace("-", ""), "key": served.key}
    taken = 0
    for path, status, text in ADDRESSES:
        request = f"GET {path.format(**words)} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        raw = _raw(served.port, request.encode())
        head, _, body = raw.partition(b"\r\n\r\n")
        assert (path, head.split(b" ")[1], body) == (path, str(status).encode(), text.encode())
        taken += status == 200
        assert (path, queries.heartbeat("job").pings) == (path, taken)


def _raw(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
        return received


@pytest.mark.parametrize(("method", "status"), [("PUT", 405), ("DELETE", 405), ("PATCH", 405), ("OPTIONS", 204)])
def test_other_methods_record_nothing(served: Served, method: str, status: int) -> None:
    view = declared(served)
    answer = served.client.request(method, f"/ping/{view.uuid}")
    assert answer.status_code == status
    assert answer.headers["allow"] == "GET, HEAD, POST, OPTIONS"
    assert queries.heartbeat("job").pings == 0


def test_durations_pair_by_run_id(served: Served, clock: object) -> None:
    view = declared(served)
    base = f"/ping/{view.uuid}"
    served.client.get(f"{base}/start?rid={RID}")
    clock.advance(12.5)  # type: ignore[attr-defined]
    assert queries.heartbeat("job").started
    served.client.get(f"{base}?rid={uuid.uuid4()}")
    assert newest(view).duration is None
    served.client.get(f"{base}/0?rid={RID}")
    assert newest(view).duration == 12.5
    assert newest(view).rid == RID
    assert not queries.heartbeat("job").started


def test_a_slug_of_two_heartbeats_is_ambiguous(served: Served) -> None:
    declared(served, "nightly.report")
    declared(served, "nightly-report")
    answer = served.client.get(f"/ping/{served.key}/nightly-report")
    assert (answer.status_code, answer.text) == (409, "ambiguous slug")


def test_create_makes_the_heartbeat_once(served: Served) -> None:
    url = f"/ping/{served.key}/backup-db/start?create=1"
    first, second = served.client.post(url, content=b"hello"), served.client.get(url)
    assert (first.status_code, first.text) == (201, "Created")
    assert (second.status_code, second.text) == (200, "OK")
    view = queries.heartbeat("backup-db")
    assert (view.schedule, view.grace, view.manager, view.pings) == ("every 86400s", 3600.0, "ping", 2)
    assert queries.ping(view.uid, 1).text == "hello"


def test_create_is_bounded(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainstay.heartbeats.verbs.CREATIONS_PER_HOUR", 2)
    answers = [served.client.get(f"/ping/{served.key}/job-{n}?create=1") for n in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert answers[2].headers["retry-after"] == "600"


def test_a_changed_key_works_at_once_and_the_old_one_no_more(served: Served) -> None:
    from tests.rigs.pinging import ACTOR

    from mainstay.heartbeats.verbs import rotate_ping_key

    declared(served)
    key = rotate_ping_key(ACTOR)
    served.turn()
    assert served.client.get(f"/ping/{key}/job").status_code == 200
    assert served.client.get(f"/ping/{served.key}/job").status_code == 404


def test_a_declared_uuid_is_its_address_and_survives_changes(served: Served) -> None:
    wanted = "5bf66975-d4c7-4bf5-bcc8-b8d8a82ea278"
    view = declared(served, uuid=wanted)
    assert view.uuid == wanted
    assert declared(served, "second", uuid=wanted).uuid != wanted
    assert declared(served, every="2h").uuid == wanted
    assert served.client.get(f"/ping/{wanted}").status_code == 200


def test_a_deleted_heartbeat_is_not_found(served: Served) -> None:
    from tests.rigs.pinging import ACTOR

    from mainstay.store.resources.apply import remove

    view = declared(served)
    served.client.get(f"/ping/{view.uuid}")
    remove(ACTOR, "heartbeat", "job", manager="api")
    assert served.client.get(f"/ping/{view.uuid}").status_code == 404
    assert queries.pings(view.uid) == []


def test_the_newest_pings_are_kept(store: None, clock: object) -> None:
    with serving(clock, pings_kept=5) as served:
        view = declared(served)
        for _ in range(61):
            served.client.get(f"/ping/{view.uuid}")
        kept = [ping.n for ping in queries.pings(view.uid)]
        assert kept[:5] == [61, 60, 59, 58, 57]
        assert len(kept) <= 25
        assert queries.heartbeat("job").pings == 61


def test_forwarded_addresses_are_believed_of_trusted_proxies_only(store: None, clock: object) -> None:
    said = {"x-forwarded-for": "6.6.6.6, 203.0.113.7, 10.1.2.3", "x-forwarded-proto": "https"}
    for trusted, expected in (("127.0.0.1, 10.0.0.0/8", ("203.0.113.7", "https")), ("", ("127.0.0.1", "http"))):
        with serving(clock, trusted_proxies=trusted) as served:
            view = declared(served, f"job{len(trusted)}")
            served.client.get(f"/ping/{view.uuid}", headers=said)
            ping = newest(view)
            assert (ping.remote, ping.scheme) == expected


@pytest.mark.usefixtures("store")
def test_runs_that_overlap_are_each_timed_by_their_own_start(clock: Any) -> None:
    view = heartbeat("job", grace="1h")
    first, second, third = (str(uuid.uuid4()) for _ in range(3))
    with serving(clock) as served:
        served.turn()
        for wait, signal, rid in (
            (0, "/start", first),
            (10, "/start", second),
            (5, "", first),  # 15 s after its start
            (5, "", second),  # 10 s
            (1, "", second),  # a run ends once
            (1, "", third),  # and one without a start has no length
            (0, "/start", third),
            (2, "/start", first),
            (3, "/fail", third),  # 5 s
        ):
            clock.advance(wait)
            assert served.client.get(f"/ping/{view.uuid}{signal}?rid={rid}").status_code == 200
    ends = [ping for ping in reversed(queries.pings(view.uid)) if ping.kind in ("success", "fail")]
    assert [ping.duration for ping in ends] == [15.0, 10.0, None, None, 5.0]


@pytest.mark.usefixtures("store")
def test_one_that_begins_paused_resumes_with_its_next_ping_unless_a_person_must(clock: Any) -> None:
    moved, waits = heartbeat("moved", begins_paused=True), heartbeat("waits", begins_paused=True, manual_resume=True)
    assert (moved.state, waits.state) == ("paused", "paused")
    heartbeat("moved", begins_paused=True, every="2h")
    assert queries.heartbeat("moved").state == "paused"
    with serving(clock) as served:
        served.turn()
        for view in (moved, waits):
            served.client.get(f"/ping/{view.uuid}")
    assert (queries.heartbeat("moved").state, queries.heartbeat("waits").state) == ("up", "paused")
    heartbeat("moved", begins_paused=True, every="3h")
    assert queries.heartbeat("moved").state == "up"
