"""Plan, apply, declare, remove, roll back: on a real database."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import Any

import pytest

from mainstay.kernel.actor import Actor, command, system
from mainstay.kernel.errors import Conflict, Forbidden, InvalidInput, NotFound, StalePlan
from mainstay.store.journal import Filter, entries
from mainstay.store.models import RevisionRow
from mainstay.store.resources import queries
from mainstay.store.resources.apply import apply, apply_files, declare, declare_all, remove, rollback
from mainstay.store.resources.export import export_yaml
from mainstay.store.resources.files import read_body
from mainstay.store.resources.plan import Plan
from mainstay.store.resources.planning import Terms, plan_reading
from mainstay.store.resources.text import plan_lines
from mainstay.store.secrets import SecretSource
from mainstay.store.work import unit_of_work

pytestmark = pytest.mark.usefixtures("store")

ME = command("me")
WRITER = Actor("token", "ci", frozenset({"resources:write"}))
ALL = """
monitors:
  api: {http: https://a.example, every: 30s, parents: [gateway], labels: {service: api}}
  gateway: {http: https://b.example}
heartbeats:
  nightly: {cron: "0 2 * * *", timezone: Europe/Berlin, grace: 30m}
channels:
  hook: {webhook: {url: https://x.example, secret: "${env:HOOK_SECRET}"}}
routes:
  - {match: ['severity="P0"'], to: [hook]}
  - {to: [hook]}
windows:
  monthly: {rule: "first tuesday 02:00-04:00"}
status_pages:
  public: {title: Example, components: [{name: API, monitors: [api], heartbeats: [nightly]}]}
"""


def plan_text(text: str, **terms: Any) -> Plan:
    return plan_reading(ME, read_body(text.encode()), Terms("file", "body", **terms))


def apply_text(text: str, **terms: Any) -> int:
    return apply(ME, plan_text(text, **terms))


def actions(plan: Plan) -> list[str]:
    return [f"{change.action} {change.kind}/{change.name}" for change in plan.differences]


def fields(plan: Plan) -> dict[str, tuple[object, object]]:
    return {field.path: (field.before, field.after) for change in plan.differences for field in change.fields}


def invalid(text: str, **terms: Any) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        plan_text(text, **terms)
    return [item.message for item in caught.value.diagnostics]


def test_a_first_apply_creates_and_a_second_finds_no_difference() -> None:
    assert apply_text(ALL) == 1
    assert plan_text(ALL).is_empty
    assert apply_text(ALL) == 1
    assert queries.latest_revision() == RevisionRow.objects.count() == 1
    found = queries.resources()
    assert [one.subject for one in found] == [
        "monitor/api",
        "monitor/gateway",
        "heartbeat/nightly",
        "channel/hook",
        "route/route-1",
        "route/route-2",
        "window/monthly",
        "status_page/public",
    ]
    assert {(one.manager, one.source, one.revision) for one in found} == {("file", "body", 1)}
    assert queries.by_uid(found[0].uid) == found[0]
    assert found[0].spec.every == 30.0


def test_an_update_keeps_the_uid_and_tells_fields_before_and_after() -> None:
    apply_text(ALL)
    uid = queries.resource("monitor", "api").uid
    changed = ALL.replace("every: 30s, parents: [gateway]", "every: 1m30s")
    plan = plan_text(changed)
    assert actions(plan) == ["update monitor/api"]
    told = plan.as_dict()["changes"][0]["fields"]
    assert told == [
        {"path": "every", "before": "30s", "after": "1m30s"},
        {"path": "parents", "before": ["gateway"]},
    ]
    apply(ME, plan)
    assert queries.resource("monitor", "api").uid == uid


def test_equal_documents_in_other_words_are_no_difference() -> None:
    apply_text(ALL)
    other = ALL.replace("every: 30s", "every: 30").replace("http: https://b.example", "http: {url: https://b.example}")
    assert plan_text(other).is_empty


def test_a_renamed_resource_is_a_new_one() -> None:
    apply_text("monitors: {a: {http: https://a.example}}")
    uid = queries.resource("monitor", "a").uid
    plan = plan_text("monitors: {b: {http: https://a.example}}", prune="all")
    assert actions(plan) == ["create monitor/b", "delete monitor/a"]
    apply(ME, plan)
    assert queries.resource("monitor", "b").uid != uid


def test_routes_keep_their_order_and_names_by_position() -> None:
    apply_text(ALL)
    swapped = ALL.replace(
        """  - {match: ['severity="P0"'], to: [hook]}\n  - {to: [hook]}""", "  - {to: [hook], name: z}"
    )
    apply_text(swapped)
    assert [(one.name, one.position) for one in queries.resources("route")] == [
        ("route-1", 1),
        ("z", 1),
        ("route-2", 2),
    ]
    apply_text(swapped, prune="all")
    assert [one.name for one in queries.resources("route")] == ["z"]
    assert "name" not in queries.resource("route", "z").document


def test_without_prune_nothing_is_deleted_and_with_it_only_what_files_keep() -> None:
    apply_text(ALL)
    declare(ME, "monitor", "page", {"http": "https://p.example"}, manager="page", source="me")
    smaller = "monitors: {gateway: {http: https://b.example}}"
    assert plan_text(smaller).is_empty
    plan = plan_text(smaller, prune="all")
    assert {change.action for change in plan.differences} == {"delete"}
    assert plan.counts == {"create": 0, "update": 0, "delete": 7, "unchanged": 1}
    apply(ME, plan)
    assert [one.name for one in queries.resources()] == ["gateway", "page"]


def test_a_watched_file_prunes_its_own_only(tmp_path: Path) -> None:
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text("monitors: {a: {http: https://a.example}, a2: {http: https://a.example}}")
    second.write_text("monitors: {b: {http: https://b.example}}")
    apply_files(ME, [str(first), str(second)])
    first.write_text("monitors: {a: {http: https://a.example}}")
    apply_files(ME, [str(first)], prune="sources")
    assert [one.name for one in queries.resources()] == ["a", "b"]
    assert queries.resource("monitor", "a").source == str(first)


def test_a_file_with_mistakes_prunes_nothing_and_applies_nothing() -> None:
    apply_text(ALL)
    told = invalid("monitors: {gateway: {http: https://b.example, evry: 1}}", prune="all")
    assert told == ["unknown key `evry`"]
    assert queries.latest_revision() == 1


def test_an_empty_file_is_not_taken_as_a_wish_to_delete_everything(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("monitors: {a: {http: https://a.example}}")
    apply_files(ME, [str(path)])
    path.write_text("# being written\n")
    assert apply_files(ME, [str(path)])[0] == 1
    with pytest.raises(InvalidInput, match="the file is empty"):
        apply_files(ME, [str(path)], prune="sources")
    path.write_text("{}")
    apply_files(ME, [str(path)], prune="sources")
    assert queries.resources() == []


def test_what_is_still_named_cannot_be_deleted() -> None:
    apply_text(ALL)
    with pytest.raises(InvalidInput) as caught:
        remove(ME, "channel", "hook", manager="page", takeover=True)
    assert [item.message for item in caught.value.diagnostics] == [
        "the channel `hook` cannot be deleted: the route `route-1` refers to it in `to.0`",
        "the channel `hook` cannot be deleted: the route `route-2` refers to it in `to.0`",
    ]
    # Deleting both together is fine, and so is changing who refers to it in the same plan.
    assert not invalid_or_empty(
        ALL.replace("parents: [gateway], ", "").replace("  gateway: {http: https://b.example}\n", "")
    )


def invalid_or_empty(text: str) -> list[str]:
    apply_text(text, prune="all")
    return [one.name for one in queries.resources("monitor") if one.name == "gateway"]


def test_references_and_cycles_are_checked_against_what_will_be() -> None:
    apply_text("monitors: {a: {http: https://a.example}, b: {http: https://b.example, parents: [a]}}")
    assert apply_text("monitors: {c: {http: https://c.example, parents: [b]}}") == 2
    told = invalid("monitors: {a: {http: https://a.example, parents: [c]}}")
    assert told == ["the monitors depend on each other in a cycle: a -> c -> b -> a"]


def test_a_missing_secret_warns_with_its_place_and_is_not_an_error(tmp_path: Path) -> None:
    from mainstay.kernel.settings import Settings

    plan = plan_text(ALL, secrets=SecretSource(Settings(data=tmp_path)))
    assert [str(warning) for warning in plan.warnings] == [
        (
            "body:8:52: warning: ${env:HOOK_SECRET} is not set in the environment of the server, "
            "it may be set elsewhere, and is looked up there when used"
        )
    ]


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from mainstay.kernel.resource import KINDS

    kind = replace(KINDS["heartbeat"], requires=lambda _spec: [("no_such_package", "exotic")])
    monkeypatch.setitem(KINDS.by_name, "heartbeat", kind)
    with pytest.raises(InvalidInput) as caught:
        plan_text(ALL)
    assert caught.value.diagnostics.items[0].hint == 'install it with: pip install "mainstay[exotic]"'


def test_what_a_file_keeps_is_changed_elsewhere_only_by_taking_it_over() -> None:
    apply_text(ALL)
    document = {"http": "https://c.example"}
    for manager in ("page", "api", "command", "ping"):
        with pytest.raises(Conflict, match="managed by the file body"):
            declare(ME, "monitor", "gateway", document, manager=manager)  # type: ignore[arg-type]
    with pytest.raises(Conflict):
        remove(ME, "window", "monthly", manager="page")
    assert declare(ME, "monitor", "gateway", {"http": "https://b.example"}, manager="page").manager == "file"
    taken = declare(ME, "monitor", "gateway", document, manager="page", source="oncall", takeover=True)
    assert (taken.manager, taken.source, taken.revision) == ("page", "oncall", 2)
    plan = plan_text(ALL)
    assert [change.takeover for change in plan.differences] == [True]
    assert "~ monitor gateway  (managed by a page until now)" in [text for _, text in plan_lines(plan)]
    apply(ME, plan)
    assert queries.resource("monitor", "gateway").manager == "file"


def test_an_unnamed_route_of_another_file_is_not_replaced_by_accident(tmp_path: Path) -> None:
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text("channels: {h: {webhook: https://x.example}}\nroutes: [{to: [h]}]")
    second.write_text("routes: [{to: [h], stop: true}]")
    apply_files(ME, [str(first)])
    with pytest.raises(InvalidInput, match=r"the route `route-1` is already managed by the file .*a\.yaml"):
        apply_files(ME, [str(second)])
    assert apply_files(ME, [str(second)], takeover=True)[0] == 2


def test_a_plan_is_stale_once_somebody_else_applied() -> None:
    plan = plan_text("monitors: {a: {http: https://a.example}}")
    declare(ME, "monitor", "b", {"http": "https://b.example"}, manager="page")
    with pytest.raises(StalePlan):
        apply(ME, plan)
    assert [one.name for one in queries.resources()] == ["b"]


def test_an_expected_revision_keeps_two_editors_apart() -> None:
    first = declare(ME, "monitor", "a", {"http": "https://a.example"}, manager="page", expected=0)
    changed = declare(ME, "monitor", "a", {"http": "https://b.example"}, manager="page", expected=first.revision)
    with pytest.raises(StalePlan, match="was changed in revision 2"):
        declare(ME, "monitor", "a", {"http": "https://c.example"}, manager="page", expected=first.revision)
    with pytest.raises(StalePlan, match="already exists"):
        declare(ME, "monitor", "a", {"http": "https://c.example"}, manager="page", expected=0)
    remove(ME, "monitor", "a", manager="page", expected=changed.revision)
    with pytest.raises(StalePlan, match="is gone"):
        remove(ME, "monitor", "a", manager="page", expected=changed.revision)


def test_many_writers_at_once_lose_nothing() -> None:
    failed: list[BaseException] = []

    def write(number: int) -> None:
        from django.db import connection

        try:
            for step in range(3):
                name = f"m{number}-{step}"
                declare(ME, "monitor", name, {"http": "https://a.example"}, manager="api")
        except StalePlan as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = list(RevisionRow.objects.order_by("number").values_list("number", flat=True))
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(queries.resources()) == len(numbers) >= 9 - 3 * len(failed)


def test_one_event_tells_of_an_apply_in_its_transaction() -> None:
    apply_text(ALL)
    apply_text(ALL.replace("every: 30s", "every: 20s").replace("windows:\n  monthly", "windows:\n  other"), prune="all")
    told = list(entries(Filter(kind="resources.applied")))
    assert [entry.subject for entry in told] == ["revision/2", "revision/1"]
    assert told[0].actor == "command:me"
    assert told[0].data == {
        "revision": 2,
        "manager": "file",
        "source": "body",
        "counts": {"created": 1, "changed": 1, "deleted": 1},
        "created": {"window": ["other"]},
        "changed": {"monitor": ["api"]},
        "deleted": {"window": ["monthly"]},
    }


def test_names_in_an_event_are_bounded_and_its_counts_exact() -> None:
    declare_all(ME, [("monitor", f"m{n}", {"http": "https://a.example"}) for n in range(300)], manager="command")
    (told,) = entries(Filter(kind="resources.applied"))
    assert told.data["counts"]["created"] == 300
    assert len(told.data["created"]["monitor"]) == 100


def test_verbs_compose_into_one_unit_of_work() -> None:
    with contextlib.suppress(RuntimeError), unit_of_work(system("test")):
        declare(ME, "monitor", "a", {"http": "https://a.example"}, manager="ping")
        raise RuntimeError
    assert queries.resources() == []
    assert queries.latest_revision() == 0


def test_every_change_needs_its_scope() -> None:
    reader = Actor("token", "reader", frozenset({"resources:read"}))
    plan = plan_text(ALL)
    for attempt in (
        lambda: apply(reader, plan),
        lambda: apply_files(reader, []),
        lambda: plan_reading(reader, read_body(b"{}"), Terms("api")),
        lambda: declare(reader, "monitor", "a", {"http": "https://a.example"}, manager="api"),
        lambda: declare_all(reader, [], manager="api"),
        lambda: remove(reader, "monitor", "a", manager="api"),
        lambda: rollback(reader, 1),
    ):
        with pytest.raises(Forbidden):
            attempt()
    assert apply(WRITER, plan) == 1


def test_rollback_restores_everything_with_uids_managers_and_positions() -> None:
    apply_text(ALL)
    before = queries.resources()
    apply_text("monitors: {other: {http: https://o.example}}", prune="all")
    declare(ME, "monitor", "api", {"http": "https://new.example"}, manager="page")
    number, plan = rollback(ME, 1)
    assert number == 4
    after = queries.resources()
    assert [(one.uid, one.subject, one.document, one.manager, one.source, one.position) for one in after] == [
        (one.uid, one.subject, one.document, one.manager, one.source, one.position) for one in before
    ]
    assert "delete monitor/api" in actions(plan)  # the one of the page, which has another uid
    (told,) = entries(Filter(kind="resources.rolled_back"))
    assert told.data == {"to": 1, "revision": 4}
    assert rollback(ME, 1)[0] == 4
    with pytest.raises(NotFound, match="no revision 9"):
        rollback(ME, 9)
    assert queries.revision(4).message == "roll back to revision 1"


def test_revisions_and_histories_can_be_read() -> None:
    apply_text(ALL)
    declare(ME, "monitor", "new", {"http": "https://n.example"}, manager="page", source="oncall")
    declare(ME, "monitor", "new", {"http": "https://m.example"}, manager="page", source="oncall")
    remove(ME, "monitor", "new", manager="page", source="oncall")
    assert [one.number for one in queries.revisions(limit=2)] == [4, 3]
    assert [one.number for one in queries.revisions(before=3)] == [2, 1]
    assert queries.revisions()[-1].counts == {"create": 8, "update": 0, "delete": 0}
    history = queries.history("monitor", "new")
    assert [one.changes[0].action for one in history] == ["delete", "update", "create"]
    assert [field.path for field in history[1].changes[0].fields] == ["http.url"]
    assert history[0].source == "oncall"
    assert len(queries.revision(1).changes) == 8


def test_what_is_not_there_is_named_with_a_guess() -> None:
    apply_text(ALL)
    with pytest.raises(NotFound, match="did you mean `gateway`"):
        queries.resource("monitor", "gatewy")
    with pytest.raises(NotFound, match="did you mean `monitor`"):
        queries.resource("monitr", "api")


def test_secrets_are_stored_shown_and_exported_as_references_only(monkeypatch: pytest.MonkeyPatch) -> None:
    from mainstay.store.models import ChangeRow, JournalEntry, ResourceRow

    monkeypatch.setenv("HOOK_SECRET", "hunter2-value")
    apply_text(ALL)
    stored = [*ResourceRow.objects.values_list("document"), *ChangeRow.objects.values_list("after")]
    stored += JournalEntry.objects.values_list("data")
    stored.append((export_yaml(queries.resources()),))
    assert "${env:HOOK_SECRET}" in str(stored)
    assert "hunter2" not in str(stored)


@pytest.mark.parametrize(
    "document",
    [
        {"http": "https://a.example", "description": "x\0y"},
        {"http": "https://a.example", "description": "\ud800"},
        {"http": "https://a.example", "every": float("nan")},
        {"http": "https://a.example", "every": 10**400},
        {"http": "https://a.example", 1: "x"},
        {"http": {"a": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}},
        object(),
        None,
        [],
    ],
)
def test_a_document_that_no_file_can_hold_is_refused(document: object) -> None:
    with pytest.raises(InvalidInput):
        declare(ME, "monitor", "a", document, manager="api")
    assert queries.resources() == []


def test_a_route_declared_alone_comes_last_and_stays_in_its_place() -> None:
    apply_text(ALL)
    assert declare(ME, "route", "mine", {"to": ["hook"]}, manager="page").position == 3
    assert declare(ME, "route", "mine", {"to": ["hook"], "stop": True}, manager="page").position == 3
    assert declare(ME, "route", "mine", {"to": ["hook"]}, manager="page", position=1).position == 1
    with pytest.raises(InvalidInput, match="the name in the document differs"):
        declare(ME, "route", "mine", {"to": ["hook"], "name": "other"}, manager="page")


def test_routes_declared_together_keep_their_order() -> None:
    channel = ("channel", "hook", {"webhook": "https://hooks.example.com/x"})
    routes = [("route", name, {"to": ["hook"]}) for name in ("zebra", "ape", "lion")]
    declare_all(ME, [channel, *routes], manager="api")
    assert [route.name for route in queries.resources("route")] == ["zebra", "ape", "lion"]
