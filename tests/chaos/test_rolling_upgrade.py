"""A rolling upgrade: two versions side by side on one database, then the old one is refused where it cannot work.

The next version is this program with another number and one more change of the tables, in a folder of its own.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from node_rig import Node, SharedRecords, postgres
from tests.rigs.changeable import Target, wait_for
from tests.rigs.snapshot_rig import newest_migration

import mainstay

NAMES = [f"m{number}" for number in range(12)]
_MIGRATION = f"""
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("store", "{newest_migration()}")]
    operations = [migrations.RunSQL("ALTER TABLE fact ADD COLUMN remark text")]
"""


def next_version(folder: Path, *, oldest: str) -> Path:
    """A copy of the program that is version 0.2.0, can work beside `oldest` and adds a column."""
    own = Path(mainstay.__file__).parent
    copy = folder / "mainstay"
    shutil.copytree(own, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "__init__.py").write_text(f'"""The next one."""\n\n__version__ = "{_later(mainstay.__version__)}"\n')
    versions = copy / "store" / "snapshots" / "versions.py"
    text = versions.read_text()
    assert f'OLDEST = "{mainstay.__version__}"' in text
    versions.write_text(text.replace(f'OLDEST = "{mainstay.__version__}"', f'OLDEST = "{oldest}"'))
    (copy / "store" / "migrations" / "0003_next.py").write_text(_MIGRATION)
    return folder


def _later(version: str) -> str:
    major, minor, _ = version.split(".")
    return f"{major}.{int(minor) + 1}.0"


@pytest.fixture
def target() -> Iterator[Target]:
    served = Target([f"/{name}" for name in NAMES])
    yield served
    served.close()


@pytest.fixture
def config(target: Target) -> str:
    monitors = "".join(f"  {name}: {{http: {target.url}/{name}, every: 1s, timeout: 2s}}\n" for name in NAMES)
    return f"monitors:\n{monitors}"


def versions_of(node: Node) -> dict[str, str]:
    found = json.loads(node.command("nodes", "--json"))
    return {one["name"]: one["version"] for one in found if one["state"] == "working" and one["shards"]}


def test_two_versions_share_the_work_until_the_old_one_leaves(tmp_path: Path, config: str) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    later = next_version(tmp_path / "next", oldest=mainstay.__version__)
    with postgres() as folder:
        records = SharedRecords(folder)
        old = Node("a", folder, keys, config)
        new = Node("b", folder, keys, PYTHONPATH=str(later))
        try:
            with old, new:
                both = {"a": mainstay.__version__, "b": _later(mainstay.__version__)}
                wait_for(lambda: versions_of(old) == both, 40, "they share the work")
                wait_for(lambda: records.shown(NAMES) == dict.fromkeys(NAMES, "up"), 20, "all are checked")
                seen = records.newest()
                old.stop()
                old.start()  # the old program bears the new tables, so it can even be started again
                wait_for(lambda: versions_of(new) == both, 40, "it is back")
                old.stop()
                wait_for(lambda: list(versions_of(new)) == ["b"], 20, "the new one does everything")
                told = [subject for _, subject, _ in records.events(seen, "monitor.")]
                assert not {f"monitor/{name}" for name in NAMES} & set(told), (
                    "no slot was missed, nothing false was told"
                )
                assert "snapshot.taken" in records.kinds(0), "a snapshot was taken before the tables were changed"
        finally:
            old.close()
            new.close()
