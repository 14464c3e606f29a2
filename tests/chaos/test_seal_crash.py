"""Killed at every step of sealing, erasing and thinning the journal: nothing is half done after the next turn."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

_BEGIN = """
import os, signal, sys
from mainstay.frames.boot import load_settings, migrate, start_django
settings = load_settings()
start_django(settings, light=True)
migrate()
from mainstay.kernel.actor import Actor, system
from mainstay.alerting.events import ChannelTested
from mainstay.store.columns.archive_files import ArchiveFiles
from mainstay.store.erasure import erase
from mainstay.store.models import JournalEntry, SealRow
from mainstay.store.seals import sealing
from mainstay.store.seals.files import Segments
from mainstay.store.seals.proving import verify
from mainstay.store.seals.reading import history
from mainstay.store.work import unit_of_work
ANA, TEST = "ana@example.com", system("test")
def write(count):
    with unit_of_work(Actor("user", ANA, frozenset())) as work:
        for number in range(count):
            work.record(ChannelTested(f"channel/m{number}", "m", "delivered"))
def forget():
    with unit_of_work(TEST) as work:
        return erase(work, ANA).entries
def die(*args, **more):
    os.kill(os.getpid(), signal.SIGKILL)
"""
_PREPARE = "write(30); sealing.seal_all(TEST, settings); write(30)\n"
_CRASHES = {
    "in the middle of a file": "ArchiveFiles.put = lambda self, name, source: (open(os.path.join(self.address, '.' + "
    "name + '.partial'), 'wb').write(b'x'), die())\nsealing.seal_all(TEST, settings)",
    "between a file and its row": "sealing.commit = die\nsealing.seal_all(TEST, settings)",
    "between a rewritten file and its row": "SealRow.save = die\nforget()",
    "before the file of before is deleted": "Segments.delete = die\nforget()",
    "before rows are removed": "sealing.move_out(TEST, settings, 4e9); die()",
    "while rows are removed": "sealing._REMOVED = 7\nsealing.move_out(TEST, settings, 4e9)\n"
    "sealing.remove_rows(TEST); die()",
    "before a file that is past its time is deleted": "Segments.delete = die\nsealing.move_out(TEST, settings, 4e9)\n"
    "while sealing.remove_rows(TEST): pass\nsealing.delete_segments(TEST, settings, 4e9)",
}
_GO_ON = """
found = verify(everything=True)
assert found.broken_at is None, found
sealing.seal_all(TEST, settings)
write(1)
forget()
while sealing.remove_rows(TEST): pass
sealing.seal_all(TEST, settings)
sealing.sweep(TEST, settings)
found = verify(everything=True)
assert found.broken_at is None, found
numbers = [entry.seq for entry in history(limit=0, newest_first=False)]
assert numbers == list(range(found.deleted_to + 1, found.checked + found.deleted_to + 1))
assert not [entry for entry in history(limit=0) if ANA in entry.actor]
from mainstay.store.seals.rows import seal_of
named = {seal_of(row).name for row in SealRow.objects.exclude(place="deleted")}
there = {name for name in Segments(settings).sizes() if not name.endswith(".partial")}
assert there == named, there ^ named
"""


@pytest.mark.parametrize("when", _CRASHES)
def test_killed(tmp_path: Path, when: str) -> None:
    environment = {**os.environ, "MAINSTAY_DATA": str(tmp_path)}

    def run(script: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", _BEGIN + script]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)

    died = run(_PREPARE + _CRASHES[when])
    assert died.returncode == -signal.SIGKILL, died.stderr
    done = run(_GO_ON)
    assert done.returncode == 0, done.stderr
