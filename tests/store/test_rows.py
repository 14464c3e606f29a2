"""Many rows at once: what is written is what is read, on both databases."""

from __future__ import annotations

import pytest

from mainstay.store.models import ChangeRow, FactRow, RevisionRow
from mainstay.store.rows import insert_rows
from mainstay.watch.models import MonitorRequestRow, MonitorStateRow

pytestmark = pytest.mark.usefixtures("store")

ODD = ["", "'", '"', "\\", "%s %", "\u2028 é 🛟", '{"a":"\\u0000"}', "line\nnext\ttab\x1f", "NULL", "null"]


def test_texts_come_back_as_they_are() -> None:
    insert_rows("fact", ("key", "value"), [(f"odd.{index}", text) for index, text in enumerate(ODD)])
    assert [FactRow.objects.get(key=f"odd.{index}").value for index in range(len(ODD))] == ODD


def test_numbers_truths_and_nothing_come_back_and_ids_are_given_in_order() -> None:
    RevisionRow.objects.create(number=1, at_us=2**53 + 1, actor="", manager="page")
    columns = ("uid", "kind", "name", "before", "after", "revision_id")
    insert_rows("resource_change", columns, [(f"u{n}", "monitor", "m", None, str(n), 1) for n in range(50)])
    rows = ChangeRow.objects.order_by("id")
    assert [(row.uid, row.before, row.after) for row in rows] == [(f"u{n}", None, str(n)) for n in range(50)]
    at = 1_800_000_000.1234567
    insert_rows("monitor_request", ("uid", "wish", "at"), [("u", "check", at)])
    assert MonitorRequestRow.objects.get().at == at
    columns = tuple(str(field.column) for field in MonitorStateRow._meta.concrete_fields)
    row = MonitorStateRow(uid="u", since=at, reason="", state="up", counters="{}", flapping=True, version=2**60 + 1)
    insert_rows("monitor_state", columns, [tuple(getattr(row, name) for name in columns)])
    stored = MonitorStateRow.objects.get()
    assert (stored.flapping, stored.version, stored.since) == (True, 2**60 + 1, at)


def test_what_is_there_can_be_replaced() -> None:
    insert_rows("fact", ("key", "value"), [("a", "1"), ("b", "1")])
    insert_rows(
        "fact", ("key", "value"), [("b", "2"), ("c", "2")], "ON CONFLICT (key) DO UPDATE SET value = excluded.value"
    )
    assert dict(FactRow.objects.values_list("key", "value")) == {"a": "1", "b": "2", "c": "2"}
