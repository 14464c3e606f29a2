"""The data folder of a restore: everything is built in a folder inside of it and moved up when it is whole.

Inside and not beside, because a data folder may be a mount, which nothing can be renamed over. As long as the
staging folder is there, `mainstay up` refuses. It is moved up only once it holds the mark `complete`; a restore
that died before begins anew, one that died after goes on moving.
"""

from __future__ import annotations

import filecmp
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mainstay.kernel.errors import Conflict, UserError
from mainstay.store.snapshots import control
from mainstay.store.snapshots.manifest import KEY_FILES, SECRETS_FOLDER, STATE_FILE
from mainstay.store.snapshots.places import sync_folder

STAGING = ".restore"
PARTS = "parts"
_COMPLETE = "complete"
# What may lie in a folder that counts as empty: secrets that people keep themselves, and snapshots.
_OF_SERVER = ("server.lock", "server.url")
_ALLOWED = {STAGING, *KEY_FILES, SECRETS_FOLDER, *_OF_SERVER, "snapshots", "lost+found", ".snapshot.lock"}


def check_finished(data: Path) -> None:
    """Conflict while a restore into `data` is not finished: whatever wrote to it now would be in its way."""
    if (data / STAGING).exists():
        raise Conflict(
            f"a restore into {data} was not finished",
            hint=f"run `mainstay restore` again, which starts over or continues, or remove {data / STAGING}",
        )


@contextmanager
def reserved(data: Path) -> Iterator[Path]:
    """The staging folder of `data`, held for this restore. Conflict if the folder is used or not empty."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"the data folder {data} cannot be made: {error.strerror}") from None
    with control.alone(data) as alone:
        if not alone:
            raise Conflict(f"a server uses the data folder {data}", hint="stop it, or restore into another folder")
        staging = data / STAGING
        if not is_complete(staging):
            if others := sorted({path.name for path in data.iterdir()} - _ALLOWED):
                raise Conflict(
                    f"the data folder {data} is not empty: it holds {', '.join(others[:5])}",
                    hint="restore into an empty one with --data, or move its contents away",
                )
            shutil.rmtree(staging, ignore_errors=True)
            staging.mkdir(mode=0o700)
        yield staging


def give_up(staging: Path) -> None:
    """After a refusal: leave the data folder as it was."""
    if not is_complete(staging):
        shutil.rmtree(staging, ignore_errors=True)


def is_complete(staging: Path) -> bool:
    return (staging / _COMPLETE).exists()


def take_secrets(staging: Path) -> None:
    """Bring the snapshot's secrets to their place, or use those that lie in the data folder. Conflict if both do."""
    data, parts = staging.parent, staging / PARTS
    for name in KEY_FILES:
        _take_key(data / name, parts / name, staging / name)
    if not (parts / SECRETS_FOLDER).is_dir():
        return
    if (data / SECRETS_FOLDER).is_dir() and any((data / SECRETS_FOLDER).iterdir()):
        raise Conflict(f"{data / SECRETS_FOLDER} is not empty, and the snapshot brings secrets", hint="move it away")
    shutil.copytree(parts / SECRETS_FOLDER, staging / SECRETS_FOLDER, dirs_exist_ok=True)
    for path in (staging / SECRETS_FOLDER).rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)


def _take_key(own: Path, brought: Path, place: Path) -> None:
    if own.exists() and brought.exists() and not filecmp.cmp(own, brought, shallow=False):
        raise Conflict(
            f"{own.parent} has a {own.name} of its own, and the snapshot brings another",
            hint="move that of the folder away",
        )
    for origin in (own, brought):
        if origin.exists():
            shutil.copyfile(origin, place)
            place.chmod(0o600)


def complete(staging: Path) -> None:
    """From here on the restore counts as done; what follows can be repeated."""
    shutil.rmtree(staging / PARTS, ignore_errors=True)
    (staging / _COMPLETE).touch()
    sync_folder(staging)


def move_up(staging: Path) -> None:
    """Bring everything to its place in the data folder, the state last, and remove the staging folder."""
    data = staging.parent
    secrets = data / SECRETS_FOLDER
    if secrets.is_dir() and not any(secrets.iterdir()):
        secrets.rmdir()
    for path in sorted(staging.iterdir(), key=lambda path: path.name == STATE_FILE):
        if path.name == SECRETS_FOLDER and secrets.exists():
            shutil.rmtree(path)  # empty: take_secrets allows secrets in one of the two only
        elif path.name not in (_COMPLETE, PARTS, *_OF_SERVER):
            path.rename(data / path.name)
    sync_folder(data)
    shutil.rmtree(staging)
    sync_folder(data)
