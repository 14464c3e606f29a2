"""The data folder of a restore: whenever it dies, it can be repeated, and nothing half done looks whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mainstay.kernel.errors import Conflict
from mainstay.store.snapshots import restore_folder
from mainstay.store.snapshots.versions import check_folder

STAGED = {"state.sqlite3": "s", "telemetry.duckdb": "t", "secret.key": "k", "version.json": "{}"}


def stage(staging: Path) -> None:
    for name, text in STAGED.items():
        (staging / name).write_text(text)
    (staging / "secrets").mkdir()
    (staging / "secrets" / "hook").write_text("h")
    (staging / "parts").mkdir()


@pytest.mark.parametrize("dies_after", range(7))
def test_moving_up_goes_on_wherever_it_died(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies_after: int) -> None:
    data, renamed, real = tmp_path / "data", [], Path.rename
    (data / "secrets").mkdir(parents=True)

    def rename(self: Path, target: Path) -> Path:
        if len(renamed) == dies_after:
            raise KeyboardInterrupt
        renamed.append(target)
        return real(self, target)

    with restore_folder.reserved(data) as staging:
        stage(staging)
        restore_folder.complete(staging)
        monkeypatch.setattr(Path, "rename", rename)
        if dies_after < 5:
            with pytest.raises(KeyboardInterrupt):
                restore_folder.move_up(staging)
            with pytest.raises(Conflict, match="not finished"):
                check_folder(data)
            assert not (data / "state.sqlite3").exists() or dies_after == 5
        else:
            restore_folder.move_up(staging)
    monkeypatch.undo()
    if dies_after < 5:
        with restore_folder.reserved(data) as staging:
            assert restore_folder.is_complete(staging)
            restore_folder.move_up(staging)
    check_folder(data)
    assert {name: (data / name).read_text() for name in STAGED} == STAGED
    assert (data / "secrets" / "hook").read_text() == "h"
    assert {path.name for path in data.iterdir()} == {*STAGED, "secrets", "server.lock"}


def test_one_that_died_before_its_end_begins_anew(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with restore_folder.reserved(data) as staging:
        stage(staging)
    with restore_folder.reserved(data) as staging:
        assert list(staging.iterdir()) == []
    restore_folder.give_up(staging)
    assert [path.name for path in data.iterdir()] == ["server.lock"]


def test_secrets_are_taken_from_one_place_only(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "secrets").mkdir(parents=True)
    (data / "secret.key").write_text("mine")
    with restore_folder.reserved(data) as staging:
        parts = staging / restore_folder.PARTS
        (parts / "secrets").mkdir(parents=True)
        (parts / "secret.key").write_text("theirs")
        with pytest.raises(Conflict, match=r"secret\.key of its own"):
            restore_folder.take_secrets(staging)
        (parts / "secret.key").write_text("mine")
        (data / "secrets" / "hook").write_text("h")
        with pytest.raises(Conflict, match="is not empty, and the snapshot brings"):
            restore_folder.take_secrets(staging)
        (data / "secrets" / "hook").unlink()
        restore_folder.take_secrets(staging)
        assert (staging / "secret.key").read_text() == "mine"


def test_two_restores_into_one_folder_do_not_meet(tmp_path: Path) -> None:
    held = restore_folder.reserved(tmp_path / "data")
    with held, pytest.raises(Conflict, match="a server uses"), restore_folder.reserved(tmp_path / "data"):
        pass


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    from mainstay.kernel.errors import UserError

    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be made"), restore_folder.reserved(tmp_path / "file" / "data"):
        pass
    assert os.listdir(tmp_path) == ["file"]
