"""A data folder on a file system that cannot be written: one sentence, whatever is asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.server import free_port


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "none", str(folder)], check=False, capture_output=True)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def _run(data: Path, *arguments: str) -> tuple[int, str]:
    environment = {**os.environ, "MAINSTAY_DATA": str(data)}
    program = [sys.executable, "-m", "mainstay", *arguments]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stderr


def test_a_read_only_data_folder_is_told_in_one_sentence(disk: Path) -> None:
    known = disk / "known"
    apply = ("apply", "--yes", str(disk / "a.yaml"))
    (disk / "a.yaml").write_text("monitors: {a: {http: http://a.example}}")
    assert _run(known, *apply)[0] == 0
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    up = ("up", "--listen", f"127.0.0.1:{free_port()}")
    asked = [(known, up), (disk / "new", up), (known, ("status",)), (known, apply)]
    for data, arguments in asked:
        code, said = _run(data, *arguments)
        first, _, rest = said.partition("\n")
        assert code == 1, said
        assert first.startswith(f"mainstay: the data folder {data} cannot be "), said
        assert "read-only" in first.lower(), said
        assert rest.count("\n") == 1, said  # what to do next
