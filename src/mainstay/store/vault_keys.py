"""The keys of the vault: where they come from, and the cipher made of them.

A source gives one key a line; each is 32 random bytes in base64 (Fernet: AES-128-CBC and HMAC-SHA256,
https://github.com/fernet/spec). The first encrypts, all of them decrypt. Sources, by the setting `vault_key`:

    (empty)             vault.key in the data folder, made on first use, replaced by `vault rotate`
    file:/path          another file
    env:NAME            a variable of the environment
    command:prog args   what a program prints, such as a password manager's client; asked at most every 5 minutes
"""

from __future__ import annotations

import fcntl
import os
import shlex
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mainstay.kernel.errors import UserError
from mainstay.kernel.settings import Settings
from mainstay.store.settings import VAULT_KEY

if TYPE_CHECKING:
    from cryptography.fernet import Fernet, MultiFernet

KEY_FILE = "vault.key"
_LOCK_FILE = ".vault.lock"
_KEPT = 300.0  # seconds that a program's answer is kept, in memory
_PATIENCE = 10.0
_LIMIT = 8 * 1024  # bytes of a source
_lock = threading.Lock()
_printed: dict[str, tuple[float, str]] = {}


class VaultLocked(UserError):
    """The keys cannot be had; what needs the vault is unknown until they can."""

    code = "vault_locked"
    status = 503


def is_managed(settings: Settings) -> bool:
    """Whether the keys are ours to replace."""
    return not settings[VAULT_KEY]


def ciphers(settings: Settings) -> list[Fernet]:
    """One for each key, the one that encrypts first. VaultLocked says why there is none."""
    from cryptography.fernet import Fernet

    text = _text(settings)
    try:
        found = [Fernet(line.strip()) for line in text.splitlines() if line.strip()]
    except ValueError:
        raise _locked(settings, "what it returns is not a key: 32 bytes in base64 on each line") from None
    if not found:
        raise _locked(settings, "it returns no key")
    return found


def cipher(settings: Settings) -> MultiFernet:
    from cryptography.fernet import MultiFernet

    return MultiFernet(ciphers(settings))


@contextmanager
def held(settings: Settings) -> Iterator[None]:
    """One at a time on this machine: a key must not go while another process is about to encrypt with it."""
    with (settings.key_folder / _LOCK_FILE).open("a") as handle:
        os.chmod(handle.fileno(), 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def make_key(settings: Settings) -> None:
    """Make the file of the data folder if it is missing, readable by its owner only. Nothing for other sources."""
    if is_managed(settings) and not (settings.key_folder / KEY_FILE).exists():
        _write(settings.key_folder / KEY_FILE, [_new_key()], first=True)


def add_key(settings: Settings) -> None:
    """Put a new key before the others, which go on decrypting."""
    path = settings.key_folder / KEY_FILE
    _write(path, [_new_key(), *path.read_text().splitlines()])


def keep_first_key(settings: Settings) -> None:
    """Drop the keys that nothing needs any more."""
    path = settings.key_folder / KEY_FILE
    _write(path, path.read_text().splitlines()[:1])


def _new_key() -> str:
    from cryptography.fernet import Fernet

    return Fernet.generate_key().decode()


def _write(path: Path, lines: list[str], *, first: bool = False) -> None:
    """Whole or not at all. `first`: if another process was first, its key counts."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.touch(mode=0o600)
    with temporary.open("w") as handle:
        handle.write("".join(f"{line}\n" for line in lines))
        handle.flush()
        os.fsync(handle.fileno())
    if not first:
        temporary.replace(path)
    else:
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """The name of a new key must outlast a power cut, as what is encrypted with it does."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _text(settings: Settings) -> str:
    kind, _, what = settings[VAULT_KEY].partition(":")
    if not settings[VAULT_KEY]:
        return _read(settings, settings.key_folder / KEY_FILE)
    if kind == "file" and what:
        return _read(settings, Path(what))
    if kind == "env" and what:
        if what not in os.environ:
            raise _locked(settings, "the variable is not set")
        return os.environ[what]
    if kind == "command" and what:
        return _ask(settings, what)
    # What it holds is not told: it may be the key itself.
    raise UserError("MAINSTAY_VAULT_KEY must be file:/path, env:NAME or command:program", hint="see the settings' page")


def _read(settings: Settings, path: Path) -> str:
    try:
        with path.open("rb") as handle:
            return handle.read(_LIMIT).decode("ascii", "replace")
    except OSError as error:
        raise _locked(settings, str(error.strerror)) from None


def _ask(settings: Settings, command: str) -> str:
    """What the program prints; its answer and its complaints are never told."""
    with _lock:
        kept = _printed.get(command)
        if kept is not None and time.monotonic() - kept[0] < _KEPT:
            return kept[1]
        try:
            done = subprocess.run(
                shlex.split(command), stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE, check=False
            )
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            raise _locked(settings, f"the program failed ({type(error).__name__})") from None
        if done.returncode:
            raise _locked(settings, f"the program ended with exit code {done.returncode}")
        text = done.stdout[:_LIMIT].decode("ascii", "replace")
        _printed[command] = (time.monotonic(), text)
        return text


def _locked(settings: Settings, reason: str) -> VaultLocked:
    where = settings[VAULT_KEY].partition(" ")[0] or str(settings.key_folder / KEY_FILE)
    return VaultLocked(
        f"the vault is locked: no key from {where}, {reason}",
        hint="restore the key, or remove the secrets and set them again",
    )
