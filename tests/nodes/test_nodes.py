"""Nodes on a real PostgreSQL: joining, leases, the fence, what is claimed, and one journal for all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections
from tests.rigs.told import Told

from mainstay.alerting.delivery import reclaim
from mainstay.alerting.models import AlertRow, OutboxRow
from mainstay.kernel.actor import system
from mainstay.kernel.errors import Conflict, NotFound
from mainstay.nodes import queries, verbs
from mainstay.nodes.models import LeaseRow, NodeRow
from mainstay.nodes.rules import Lease, shard_name
from mainstay.nodes.share import Share
from mainstay.nodes.verbs import Identity, Vitals
from mainstay.store.hub import HUB, Hub
from mainstay.store.journal import entries
from mainstay.store.seals.proving import verify
from mainstay.store.work import quietly, unit_of_work

ACTOR = system("test")
pytestmark = [
    pytest.mark.usefixtures("store"),
    pytest.mark.skipif(
        "connection.vendor != 'postgresql'", reason="several servers need PostgreSQL: MAINSTAY_TEST_DATABASE=postgres"
    ),
]


def who(name: str, keys: str = "same") -> Identity:
    return Identity(f"id-{name}", f"session-{name}", name, "0.1.0", "127.0.0.1:1", keys)


A, B = who("a"), who("b")


def join(*nodes: Identity) -> None:
    for node in nodes:
        verbs.join(ACTOR, node, ["task/upkeep"])


def elsewhere(job: Callable[[], object]) -> object:
    """On another thread, hence on another connection."""

    def run() -> object:
        try:
            return job()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run).result(30)


@pytest.fixture
def other() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool
        pool.submit(connections.close_all).result(10)


def test_a_node_joins_beats_and_leaves() -> None:
    join(A)
    assert verbs.beat(ACTOR, A, Vitals(monitors=7, lag=0.5))
    (view,) = queries.nodes()
    assert (view.name, view.state, view.monitors, view.starts) == ("a", "working", 7, 1)
    assert queries.free_shards() == 64
    verbs.leave(ACTOR, A)
    assert [view.state for view in queries.nodes()] == ["stopped"]
    assert [entry.kind for entry in entries(newest_first=False)] == ["node.joined", "node.left"]


def test_another_start_replaces_the_one_before() -> None:
    join(A)
    again = Identity(A.id, "session-new", "a", "0.1.0", "", "same")
    join(again)
    assert not verbs.beat(ACTOR, A, Vitals())
    assert verbs.beat(ACTOR, again, Vitals())
    assert NodeRow.objects.get().starts == 2
    assert queries.is_known(A.id)


def test_other_keys_are_refused_until_the_old_node_is_forgotten() -> None:
    join(A)
    with pytest.raises(Conflict, match="keys differ") as refused:
        join(who("b", keys="different"))
    assert "mainstay nodes forget a" in refused.value.hint
    with pytest.raises(Conflict, match="is running"):
        verbs.forget_node(ACTOR, "a")
    verbs.leave(ACTOR, A)
    verbs.forget_node(ACTOR, "a")
    join(who("b", keys="different"))
    with pytest.raises(NotFound):
        verbs.forget_node(ACTOR, "a")


def test_a_lease_is_taken_once_and_each_time_with_a_new_token() -> None:
    join(A, B)
    free = Lease(shard_name(3))
    assert verbs.take(ACTOR, A.session, [free]) == {"shard/03": 1}
    assert verbs.take(ACTOR, B.session, [free]) == {}
    verbs.give(ACTOR, A.session, ["shard/03"])
    assert verbs.take(ACTOR, B.session, [Lease("shard/03", "", 1)]) == {"shard/03": 2}
    assert queries.nodes()[1].shards == (3,)


def test_a_silent_node_is_told_of_once_and_its_return_heals() -> None:
    join(A, B)
    NodeRow.objects.filter(id=A.id).update(expires_at=1.0)
    seen = queries.standing()
    assert seen.vanished == (A.session,)
    assert B.session in seen.living
    assert A.session not in seen.living
    assert verbs.note_lost(ACTOR, seen.vanished) == [A.session]
    assert verbs.note_lost(ACTOR, seen.vanished) == []
    assert [view.state for view in queries.nodes()] == ["silent", "working"]
    assert verbs.beat(ACTOR, A, Vitals())
    assert queries.standing().vanished == ()
    assert queries.standing().lost == {A.session}
    (alert,) = AlertRow.objects.all()
    assert (alert.title, alert.status) == ("the server a has stopped reporting", "firing")
    assert verbs.note_returned(ACTOR, A)
    assert not verbs.note_returned(ACTOR, A)
    assert AlertRow.objects.get().status == "resolved"


def test_pings_may_be_on_their_way_while_a_node_is_missing_or_reads_them_back() -> None:
    join(A, B)
    assert not queries.standing().unsettled
    NodeRow.objects.filter(id=A.id).update(expires_at=time.time() - 5)
    assert queries.standing().unsettled
    NodeRow.objects.filter(id=A.id).update(expires_at=time.time() - 100)
    assert not queries.standing().unsettled
    assert queries.standing(in_touch_for=5).unsettled, "the database was away, for the other one too"
    assert not queries.standing(in_touch_for=60).unsettled
    verbs.beat(ACTOR, B, Vitals(spooled=3))
    assert queries.standing().unsettled


def test_draining_needs_somebody_else() -> None:
    join(A)
    with pytest.raises(Conflict, match="no other node"):
        verbs.drain_node(ACTOR, "a")
    join(B)
    assert verbs.drain_node(ACTOR, "a")
    assert not verbs.drain_node(ACTOR, "a")
    assert [view.state for view in queries.nodes()] == ["draining", "working"]
    assert verbs.drain_node(ACTOR, "id-a", draining=False)


def test_the_fence_lets_through_only_what_was_decided_under_a_lease_that_stands() -> None:
    join(A, B)
    taken = verbs.take(ACTOR, A.session, [Lease(shard_name(1)), Lease(shard_name(2))])
    share = Share(A.session, "a")
    share.want({1: taken["shard/01"], 2: taken["shard/02"]})
    share.adopt({"u1": 1, "u2": 2, "u3": 3}, dict(share.wanted))
    with unit_of_work(ACTOR):
        assert share.fence({"u1", "u2", "u3", "unknown"}) == {"u3", "unknown"}
    LeaseRow.objects.filter(name="shard/01").update(holder=B.session, token=2)
    with unit_of_work(ACTOR):
        assert share.fence({"u1", "u2"}) == {"u1"}
    # Back with a new token: what was decided under the old one does not count.
    LeaseRow.objects.filter(name="shard/01").update(holder=A.session, token=3)
    with unit_of_work(ACTOR):
        assert share.fence({"u1"}) == {"u1"}
    assert share.adopt({"u1": 1, "u2": 2}, {1: 3, 2: 1}) == {"u1"}
    with unit_of_work(ACTOR):
        assert share.fence({"u1"}) == set()


def test_a_lease_under_which_somebody_writes_is_left_alone_until_that_is_done(other: ThreadPoolExecutor) -> None:
    join(A, B)
    verbs.take(ACTOR, A.session, [Lease(shard_name(1))])
    held = Lease(shard_name(1), A.session, 1)
    with unit_of_work(ACTOR):
        assert queries.standing_leases(A.session, {"shard/01": 1}) == {"shard/01"}
        assert other.submit(verbs.take, ACTOR, B.session, [held]).result(10) == {}
    assert verbs.take(ACTOR, B.session, [held]) == {"shard/01": 2}


def test_only_claims_of_servers_that_are_gone_are_given_back() -> None:
    now = time.time()
    for key, claimant in (("1", "session-a"), ("2", "session-b"), ("3", "")):
        OutboxRow.objects.create(
            id=key, channel="hook", kind="test", payload={}, state="delivering", claimed_by=claimant,
            next_at=now + 40, created_at=now, expires_at=now + 1000,
        )  # fmt: skip
    assert reclaim(ACTOR, living=["session-b"]) == 2
    assert OutboxRow.objects.get(id="2").next_at > now + 30


def test_the_journal_stays_one_chain_however_many_write() -> None:
    ready = threading.Barrier(4)

    def write(name: str) -> None:
        ready.wait(10)
        for number in range(25):
            with unit_of_work(ACTOR) as work:
                work.record(Told("mainstay.started", f"{name}/{number}", {"number": number}))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: elsewhere(lambda: write(name)), "abcd"))
    found = verify()
    assert found.broken_at is None
    assert found.checked == 100


def test_works_that_meet_do_not_wait_for_each_other_in_a_circle() -> None:
    """One locks a row and then has something to tell; the other tells first and then wants the row."""
    join(A)
    ready = threading.Barrier(2)

    def row_first(_work: object = None) -> None:
        row = NodeRow.objects.select_for_update().get(id=A.id)
        time.sleep(0.002)  # widens the gap in which the other takes its first lock
        _work.record(Told("mainstay.started", "row/first", {}))  # type: ignore[union-attr] # a Work
        row.save(update_fields=["lag"])

    def quiet_side() -> None:
        ready.wait(10)
        for _ in range(30):
            quietly(ACTOR, None, row_first)

    def loud_side() -> None:
        ready.wait(10)
        for _ in range(30):
            with unit_of_work(ACTOR) as work:
                work.record(Told("mainstay.started", "turn/first", {}))
                NodeRow.objects.select_for_update().get(id=A.id)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(elsewhere, quiet_side), pool.submit(elsewhere, loud_side)]:
            done.result(60)
    assert verify().checked == 61


def test_a_transaction_that_says_nothing_is_ended_and_its_locks_with_it() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        assert cursor.fetchone() == ("5s",)
        with unit_of_work(ACTOR, long=True):
            cursor.execute("SHOW idle_in_transaction_session_timeout")
            assert cursor.fetchone() == ("2min",)


def test_news_of_others_are_relayed_and_our_own_are_not_told_twice() -> None:
    hub, everything, own = Hub(), list[str](), list[str]()
    hub.subscribe(lambda event: everything.append(event.subject))
    hub.subscribe(lambda event: own.append(event.subject), own=True)
    hub.publish(Told("mainstay.started", "ours"), 1)
    hub.relay(Told("mainstay.started", "ours"), 1)
    hub.relay(Told("mainstay.started", "theirs"), 2)
    assert everything == ["ours", "theirs"]
    assert own == ["ours"]
    assert HUB is not hub
