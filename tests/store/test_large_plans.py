"""Large plans: all or nothing, seen by nobody before, and not in the way of others. And who names what."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mainstay.kernel.actor import command, system
from mainstay.kernel.errors import InvalidInput, NotFound, StalePlan
from mainstay.store.journal import Filter, entries
from mainstay.store.models import ChangeRow, FactRow, ReferenceRow, ResourceRow, RevisionRow
from mainstay.store.resources import queries, writing
from mainstay.store.resources.apply import apply, declare, declare_all, remove_all, rollback
from mainstay.store.resources.planning import Terms, plan_removal, plan_resources
from mainstay.store.resources.reference_table import keep_current
from mainstay.store.timing import TIMINGS
from mainstay.store.work import SLICE, unit_of_work
from mainstay.watch import queries as watch
from mainstay.watch.verbs import ORDERED_AT_ONCE, pause_monitors, resume_monitors

pytestmark = pytest.mark.usefixtures("store")

ME = command("me")
MANY = SLICE * 2 + 10


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Plans of this size count as large."""
    monkeypatch.setattr(writing, "_LARGE", SLICE)
    return


def many(every: str = "30s") -> list[tuple[str, str, object]]:
    return [("monitor", f"m{number}", {"http": "https://a.example", "every": every}) for number in range(MANY)]


def keys() -> list[tuple[str, str]]:
    return [("monitor", f"m{number}") for number in range(MANY)]


def test_a_large_plan_is_one_revision_and_its_rows_follow() -> None:
    assert declare_all(ME, many(), manager="command") == 1
    assert declare_all(ME, many("60s"), manager="command") == 2
    assert [one.counts for one in queries.revisions()] == [
        {"create": 0, "update": MANY, "delete": 0},
        {"create": MANY, "update": 0, "delete": 0},
    ]
    assert {one.interval for one in watch.monitors()} == {60.0}
    assert remove_all(ME, keys(), manager="command") == 3
    assert (queries.resources(), watch.monitors()) == ([], [])
    rollback(ME, 2)
    assert len(watch.monitors()) == MANY
    assert RevisionRow.objects.count() == 4
    assert not ChangeRow.objects.filter(revision_id__lt=0).exists()


def test_a_draft_is_seen_by_nobody_and_void_if_others_apply_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    declare(ME, "monitor", "m0", {"http": "https://first.example"}, manager="command")
    plan = plan_resources(ME, many(), Terms("command"))
    drafted = writing._draft

    def overtaken(*arguments: object) -> int:
        number = drafted(*arguments)  # type: ignore[arg-type]
        assert ChangeRow.objects.filter(revision_id=number).count() == MANY
        assert queries.latest_revision() == 1
        assert [one.number for one in queries.revisions()] == [1]
        assert [one.number for one in queries.history("monitor", "m0")] == [1]
        assert [name for _uid, _kind, name, _state in queries.states_after(1)] == ["m0"]
        declare(ME, "monitor", "other", {"http": "https://other.example"}, manager="command")
        return number

    monkeypatch.setattr(writing, "_draft", overtaken)
    with pytest.raises(StalePlan):
        apply(ME, plan)
    assert [one.name for one in queries.resources()] == ["m0", "other"]
    assert RevisionRow.objects.count() == ChangeRow.objects.count() == 2


def test_what_a_crash_left_of_a_draft_is_removed_by_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_resources(ME, many(), Terms("command"))
    writing._draft(ME, plan, writing._prepare(plan, plan.differences))
    assert RevisionRow.objects.filter(number__lt=0).count() == 1
    assert declare_all(ME, many(), manager="command") == 1
    assert RevisionRow.objects.filter(number__lt=0).count() == 1, "it may be under way in another process"
    monkeypatch.setattr(writing, "_DRAFT_KEPT", -1.0)
    assert declare_all(ME, many("60s"), manager="command") == 2
    assert RevisionRow.objects.count() == 2


def test_others_write_between_the_slices_of_a_large_plan() -> None:
    over, turns = threading.Event(), []

    def write() -> None:
        from django.db import connections

        while not over.is_set():
            with unit_of_work(system("neighbour")):
                turns.append(queries.latest_revision())
        connections.close_all()

    before = TIMINGS.read().get("watch.verbs.describe_monitors")
    neighbour = threading.Thread(target=write)
    neighbour.start()
    declare_all(ME, many(), manager="command")
    over.set()
    neighbour.join()
    after = TIMINGS.read()["watch.verbs.describe_monitors"]
    assert after.count - (before.count if before else 0) == -(-MANY // SLICE)
    assert {0, 1} <= set(turns)


def test_many_are_paused_and_resumed_some_at_a_time() -> None:
    declare_all(ME, many(), manager="command")
    names = [name for _kind, name in keys()]
    before = TIMINGS.read().get("watch.verbs._order_all")
    with pytest.raises(NotFound, match="m0x"):
        pause_monitors(system("test"), [*names, "m0x"])
    assert {one.state for one in watch.monitors()} == {"unknown"}
    assert pause_monitors(system("test"), names) == MANY
    assert {one.state for one in watch.monitors()} == {"paused"}
    assert (pause_monitors(system("test"), names), resume_monitors(system("test"), names)) == (0, MANY)
    count = TIMINGS.read()["watch.verbs._order_all"].count - (before.count if before else 0)
    assert count == 3 * -(-MANY // ORDERED_AT_ONCE)


def test_the_entries_of_those_that_are_paused_together_are_written_together() -> None:
    declare_all(ME, many()[:ORDERED_AT_ONCE], manager="command")
    names = [name for _kind, name in keys()][:ORDERED_AT_ONCE]
    with CaptureQueriesContext(connection) as asked:
        pause_monitors(ME, names)
    inserted = [one["sql"] for one in asked if "INSERT INTO journal " in one["sql"]]
    assert len(inserted) == 1
    paused = [(one.subject, one.actor) for one in entries(Filter(kind="monitor.went_paused"))]
    assert sorted(paused) == sorted((f"monitor/{name}", str(ME)) for name in names)


def test_a_deletion_of_many_names_all_that_stands_in_its_way_and_deletes_nothing() -> None:
    declare_all(ME, many(), manager="command")
    declare(ME, "monitor", "child", {"http": "https://c.example", "parents": ["m7"]}, manager="command")
    with pytest.raises(InvalidInput) as caught:
        remove_all(ME, keys(), manager="command")
    (mistake,) = caught.value.diagnostics
    assert "`m7` cannot be deleted: the monitor `child` refers to it in `parents.0`" in mistake.message
    assert len(queries.resources()) == MANY + 1
    assert remove_all(ME, [*keys(), ("monitor", "child")], manager="command") == 3
    with pytest.raises(NotFound):
        remove_all(ME, [("monitor", "m1")], manager="command")


def named() -> set[tuple[str, str]]:
    return {(row.kind, row.name) for row in ReferenceRow.objects.all()}


def test_the_table_of_references_follows_what_is_declared() -> None:
    declare_all(ME, [("monitor", name, {"http": "https://a.example"}) for name in "ab"], manager="command")
    declare(ME, "monitor", "c", {"http": "https://c.example", "parents": ["a", "b"]}, manager="command")
    assert named() == {("monitor", "a"), ("monitor", "b")}
    assert [one.name for one in queries.named_by([("monitor", "a")])] == ["c"]
    declare(ME, "monitor", "c", {"http": "https://c.example", "parents": ["b"]}, manager="command")
    assert named() == {("monitor", "b")}
    with pytest.raises(InvalidInput, match="cycle"):
        declare(ME, "monitor", "b", {"http": "https://b.example", "parents": ["c"]}, manager="command")
    remove_all(ME, [("monitor", "c")], manager="command")
    assert named() == set()


def test_what_other_programs_declared_is_filled_in() -> None:
    declare(ME, "monitor", "a", {"http": "https://a.example"}, manager="command")
    declare(ME, "monitor", "b", {"http": "https://b.example", "parents": ["a"]}, manager="command")
    ReferenceRow.objects.all().delete()
    FactRow.objects.filter(key__startswith="references.").delete()  # as the version before leaves it
    keep_current()
    assert named() == {("monitor", "a")}
    ReferenceRow.objects.all().delete()
    FactRow.objects.filter(key__startswith="references.").update(value="1")  # an older server wrote revision 2
    with pytest.raises(InvalidInput, match="refers to it"):
        remove_all(ME, [("monitor", "a")], manager="command")
    assert named() == {("monitor", "a")}


def test_a_plan_of_one_resource_reads_no_others() -> None:
    declare_all(ME, many(), manager="command")
    ResourceRow.objects.filter(name="m9").update(document="no JSON: whoever reads it fails")
    declare(ME, "monitor", "m1", {"http": "https://new.example", "parents": ["m2"]}, manager="command")
    plan_removal(ME, [("monitor", "m3")], Terms("command"))
