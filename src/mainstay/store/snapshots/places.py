"""Where snapshots lie: a folder, or a bucket that speaks S3.

A file appears under its name only when it is whole: in a folder it is written beside and renamed, in a bucket
an object exists only once its upload is complete.
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import IO, Any, Protocol

from mainstay.kernel.errors import NotFound, Unavailable, UserError

_STALE = 86_400.0  # seconds after which what a killed snapshot left is removed
_PARTIAL = ".partial"
BUCKETS = ("s3://", "s3a://")
_BUCKET = re.compile(r"s3a?://[A-Za-z0-9][A-Za-z0-9.-]{1,62}(/.*)?")
_PART, _PARTS = 5 * 1024 * 1024, 9_000  # an upload has at most 10,000 parts, each of 5 MB or more
_UPLOADS = 4  # parts at a time


class Storage(Protocol):
    def put(self, name: str, write: Callable[[IO[bytes]], None]) -> int:
        """Store what `write` writes as `name`, whole or not at all; its size in bytes."""

    def names(self) -> list[str]: ...

    def sizes(self) -> dict[str, int]:
        """Bytes by name."""

    def fetch(self, name: str, target: IO[bytes]) -> None:
        """Write what lies under `name` to `target`; NotFound."""

    def delete(self, name: str) -> None: ...

    def address(self, name: str) -> str:
        """What `mainstay restore` takes."""


def check_place(text: str) -> None:
    """ValueError if a setting can name no place with it."""
    if text and not text.startswith((*BUCKETS, "/")):
        raise ValueError(f"`{text[:40]}` is neither the full path of a folder nor s3://bucket/prefix")


class Folder:
    def __init__(self, path: Path, what: str = "the snapshot") -> None:
        self._path, self._what = path, what
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"the folder {path} cannot be made: {error.strerror}", hint="give another --to") from None

    def put(self, name: str, write: Callable[[IO[bytes]], None]) -> int:
        self._sweep()
        target, partial = self._path / name, self._path / f".{name}{_PARTIAL}"
        try:
            with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
                write(out)
                out.flush()
                os.fsync(out.fileno())
                size = out.tell()
            partial.rename(target)
            sync_folder(self._path)
        except OSError as error:
            raise UserError(
                f"{self._what} cannot be written to {self._path}: {error.strerror}", hint="free some space there"
            ) from None
        finally:
            partial.unlink(missing_ok=True)
        return size

    def _sweep(self) -> None:
        """Remove what killed processes left; not that of a neighbour who writes here now."""
        for kind in ("mainstay", "journal"):
            for partial in self._path.glob(f".{kind}-*{_PARTIAL}"):
                with suppress(FileNotFoundError):
                    if time.time() - partial.stat().st_mtime > _STALE:
                        partial.unlink()

    def names(self) -> list[str]:
        return list(self.sizes())

    def sizes(self) -> dict[str, int]:
        return {path.name: path.stat().st_size for path in self._path.iterdir() if path.is_file()}

    def fetch(self, name: str, target: IO[bytes]) -> None:
        try:
            with (self._path / name).open("rb") as source:
                shutil.copyfileobj(source, target)
        except FileNotFoundError:
            raise NotFound(f"there is no {name} in {self._path}") from None

    def delete(self, name: str) -> None:
        (self._path / name).unlink(missing_ok=True)

    def address(self, name: str) -> str:
        return str(self._path / name)


class Bucket:
    """Credentials, region and endpoint come from AWS_* of the environment, or from the machine's role.

    `scratch` is the folder in which a file of the snapshot's size may lie for a while; it is removed with the process.
    """

    def __init__(self, url: str, scratch: Path | None = None) -> None:
        self._url, self._scratch = url.rstrip("/"), scratch
        if not _BUCKET.fullmatch(self._url):
            raise UserError(f"`{url[:60]}` names no bucket", hint="write s3://bucket/prefix")
        self._obstore = _obstore()
        with self._errors(self._url):
            self._store = importlib.import_module("obstore.store").S3Store.from_url(
                self._url, client_options=_client_options(), retry_config=_retries()
            )

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        exceptions: Any = importlib.import_module("obstore.exceptions")
        try:
            yield
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise UserError(f"there is no bucket for {self._url}", hint="make it, or give another --to") from None
            raise NotFound(f"there is nothing at {what}") from None
        except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
            raise UserError(
                f"{what} is not allowed with these credentials{_code(error)}",
                hint="check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and their permissions: list, get, put, delete",
            ) from None
        except (exceptions.BaseError, ValueError) as error:
            raise Unavailable(f"{what} did not answer as expected: {_reason(error)}") from None

    def put(self, name: str, write: Callable[[IO[bytes]], None]) -> int:
        # A file first: parts of an upload are repeated when the network fails, and that needs their bytes again.
        with tempfile.TemporaryFile(dir=self._scratch) as file:
            write(file)
            size = file.tell()
            file.seek(0)
            with self._errors(self.address(name)):
                part = max(_PART, -(-size // _PARTS))
                self._obstore.put(self._store, name, file, chunk_size=part, max_concurrency=_UPLOADS)
        return size

    def names(self) -> list[str]:
        return list(self.sizes())

    def sizes(self) -> dict[str, int]:
        with self._errors(self._url):
            found = self._obstore.list_with_delimiter(self._store)
            return {str(entry["path"]): int(entry["size"]) for entry in found["objects"]}

    def delete(self, name: str) -> None:
        with self._errors(self.address(name)):
            self._obstore.delete(self._store, name)

    def address(self, name: str) -> str:
        return f"{self._url}/{name}"

    def fetch(self, name: str, target: IO[bytes]) -> None:
        with self._errors(self.address(name)):
            for block in self._obstore.get(self._store, name).stream(min_chunk_size=1 << 20):
                target.write(block)


def _obstore() -> Any:
    try:
        return importlib.import_module("obstore")
    except ImportError:
        raise UserError("buckets need an additional package", hint="install mainstay[s3]") from None


def _client_options() -> dict[str, Any]:
    """One request may last 2 minutes, so a part of 5 MB needs 0.4 Mbit/s; plain HTTP only if the endpoint says so."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT") or ""
    options = {"connect_timeout": timedelta(seconds=5), "timeout": timedelta(seconds=120)}
    return {**options, "allow_http": True} if endpoint.startswith("http://") else {**options}


def _retries() -> dict[str, Any]:
    return {"max_retries": 5, "retry_timeout": timedelta(seconds=180)}


def _code(error: Exception) -> str:
    """What the server calls it, such as `: InvalidAccessKeyId`."""
    found = re.search(r"<Code>(\w{1,60})</Code>", str(error))
    return f": {found[1]}" if found else ""


def _reason(error: Exception) -> str:
    """The first lines of what happened, without what is only for programmers."""
    text = str(error).split("\n\nDebug source:")[0]
    return " ".join(text.split())[:300]


def place(text: str, scratch: Path | None = None, what: str = "the snapshot") -> Storage:
    """A folder's path or s3://bucket/prefix; UserError for another address. `scratch` is for what goes to a bucket."""
    if text.startswith(BUCKETS):
        return Bucket(text, scratch)
    if "://" in text:
        raise UserError(f"`{text[:40]}` is neither a folder nor s3://bucket/prefix")
    return Folder(Path(text).expanduser().absolute(), what)


@contextmanager
def fetched(address: str, scratch: Path | None = None) -> Iterator[IO[bytes]]:
    """The bytes of a snapshot, as a file that can be read from its beginning again; one from a bucket in `scratch`."""
    if address.startswith(BUCKETS):
        prefix, _, name = address.rpartition("/")
        with tempfile.TemporaryFile(dir=scratch) as file:
            Bucket(prefix).fetch(name, file)
            file.seek(0)
            yield file
        return
    try:
        opened = Path(address).expanduser().open("rb")
    except OSError as error:
        raise NotFound(f"the snapshot {address} cannot be read: {error.strerror}") from None
    with opened:
        yield opened


def sync_folder(path: Path) -> None:
    """Make a rename in `path` outlive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
