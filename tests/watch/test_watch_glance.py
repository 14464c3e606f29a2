"""What the command line reads by plain SQL are columns of the table."""

from __future__ import annotations

from mainstay.watch import glance
from mainstay.watch.models import MonitorStateRow


def test_the_columns_are_those_of_the_model() -> None:
    asked = [name.strip().strip('"') for name in glance._COLUMNS.split(",")]
    assert tuple(asked) == glance.Seen.__slots__
    assert set(asked) <= {field.column for field in MonitorStateRow._meta.fields}
