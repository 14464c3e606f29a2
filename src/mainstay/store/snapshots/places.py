"""Where snapshots lie: a folder, or a bucket that speaks S3.

A file appears under its name only when it is whole: in a folder it is written beside and renamed, in a bucket
an object exists only once its upload is complete.
"""

from __future__ import annotations

import importlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Protocol

from mainstay.kernel.errors import NotFound, Unavailable, UserError

_STALE = 86_400.0  # seconds after which what a killed snapshot left is removed
_PARTIAL = ".partial"
_SCHEMES = ("s3://", "s3a://")


class Place(Protocol):
    def put(self, name: str, write: Callable[[IO[bytes]], None]) -> int:
        """Store what `write` writes as `name`, whole or not at all; its size in bytes."""

    def names(self) -> list[str]: ...

    def delete(self, name: str) -> None: ...

    def address(self, name: str) -> str:
        """What `mainstay restore` takes."""


class Folder:
    def __init__(self, path: Path) -> None:
        self._path = path
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
                f"the snapshot cannot be written to {self._path}: {error.strerror}", hint="make room there"
            ) from None
        finally:
            partial.unlink(missing_ok=True)
        return size

    def _sweep(self) -> None:
        """Remove what killed snapshots left; not that of a neighbour who writes here now."""
        for partial in self._path.glob(f".mainstay-*{_PARTIAL}"):
            with suppress(FileNotFoundError):
                if time.time() - partial.stat().st_mtime > _STALE:
                    partial.unlink()

    def names(self) -> list[str]:
        return [path.name for path in self._path.iterdir() if path.is_file()]

    def delete(self, name: str) -> None:
        (self._path / name).unlink(missing_ok=True)

    def address(self, name: str) -> str:
        return str(self._path / name)


class Bucket:
    """Credentials, region and endpoint come from AWS_* of the environment, or from the machine's role."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._obstore = _obstore()
        options = {"client_options": {"allow_http": True}} if _plain_endpoint() else {}
        with self._errors():
            self._store = importlib.import_module("obstore.store").S3Store.from_url(self._url, **options)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        exceptions: Any = importlib.import_module("obstore.exceptions")
        try:
            yield
        except (FileNotFoundError, exceptions.NotFoundError):
            raise NotFound(f"there is nothing at {self._url}") from None
        except exceptions.BaseError as error:
            raise Unavailable(f"{self._url} did not answer as it should: {str(error)[:300]}") from None

    def put(self, name: str, write: Callable[[IO[bytes]], None]) -> int:
        # A file first: parts of an upload are repeated when the network fails, and that needs their bytes again.
        with tempfile.TemporaryFile() as file:
            write(file)
            size = file.tell()
            file.seek(0)
            with self._errors():
                self._obstore.put(self._store, name, file)
        return size

    def names(self) -> list[str]:
        with self._errors():
            return [str(entry["path"]) for batch in self._obstore.list(self._store) for entry in batch]

    def delete(self, name: str) -> None:
        with self._errors():
            self._obstore.delete(self._store, name)

    def address(self, name: str) -> str:
        return f"{self._url}/{name}"

    def fetch(self, name: str, target: IO[bytes]) -> None:
        with self._errors():
            for block in self._obstore.get(self._store, name).stream(min_chunk_size=1 << 20):
                target.write(bytes(block))


def _obstore() -> Any:
    try:
        return importlib.import_module("obstore")
    except ImportError:
        raise UserError("buckets need one more package", hint="install mainstay[s3]") from None


def _plain_endpoint() -> bool:
    endpoint = os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT") or ""
    return endpoint.startswith("http://")


def place(text: str) -> Place:
    """A folder's path or s3://bucket/prefix; UserError for another address."""
    if text.startswith(_SCHEMES):
        return Bucket(text)
    if "://" in text:
        raise UserError(f"`{text[:40]}` is neither a folder nor s3://bucket/prefix")
    return Folder(Path(text).expanduser().absolute())


@contextmanager
def fetched(address: str) -> Iterator[IO[bytes]]:
    """The bytes of a snapshot, as a file that can be read from its beginning again."""
    if address.startswith(_SCHEMES):
        prefix, _, name = address.rpartition("/")
        with tempfile.TemporaryFile() as file:
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
