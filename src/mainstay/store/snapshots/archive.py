"""The file of a snapshot: a tar of manifest.json, the parts and SHA256SUMS, which ends it.

`sha256sum -c SHA256SUMS` verifies an unpacked one without Mainstay. A file without its SHA256SUMS is torn.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO, cast

from mainstay.kernel.errors import UserError
from mainstay.store.snapshots.manifest import Manifest, Part, decode, encode
from mainstay.store.snapshots.sealing import Damaged, Opener, Sealer, is_sealed

MANIFEST, SUMS = "manifest.json", "SHA256SUMS"
_MANIFEST_LIMIT = 16 * 1024 * 1024
_BLOCK = 1024 * 1024
Progress = Callable[[str, int, int], None]  # what is done, how much of it, of how much (0: unknown)


def silent(_step: str, _done: int, _total: int) -> None:
    """For callers who do not watch."""


def describe(folder: Path, name: str) -> Part:
    """A staged file as a part; its name is its path under `folder`."""
    digest, size = hashlib.sha256(), 0
    with (folder / name).open("rb") as handle:
        while block := handle.read(_BLOCK):
            digest.update(block)
            size += len(block)
    return Part(name=name, size=size, sha256=digest.hexdigest())


def write(target: IO[bytes], folder: Path, manifest: Manifest, key: str, progress: Progress = silent) -> None:
    """Write the archive of the parts that lie in `folder`; `key` empty: not encrypted."""
    sealer = Sealer(target, key) if key else None
    out = cast("IO[bytes]", sealer) if sealer else target
    text = encode(manifest)
    sums = [f"{hashlib.sha256(text).hexdigest()}  {MANIFEST}\n"]
    sums += [f"{part.sha256}  {part.name}\n" for part in manifest.parts]
    done, total = 0, sum(part.size for part in manifest.parts)
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        _add(tar, MANIFEST, len(text), manifest.taken_at, io.BytesIO(text))
        for part in manifest.parts:
            with (folder / part.name).open("rb") as handle:
                _add(tar, part.name, part.size, manifest.taken_at, handle)
            done += part.size
            progress("writing", done, total)
        end = "".join(sums).encode()
        _add(tar, SUMS, len(end), manifest.taken_at, io.BytesIO(end))
    if sealer:
        sealer.finish()


def _add(tar: tarfile.TarFile, name: str, size: int, at: float, content: IO[bytes]) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = size, 0o600, int(at)
    tar.addfile(entry, content)


def read(source: IO[bytes], key: str, into: Path | None, progress: Progress = silent) -> Manifest:
    """Verify every byte, and write the parts to `into` if given. Damaged says what is wrong with the file."""
    beginning = source.read(16)
    source.seek(0)
    if is_sealed(beginning):
        if not key:
            raise UserError("the snapshot is encrypted", hint="give its key: --key '${file:PATH}'")
        source = cast("IO[bytes]", io.BufferedReader(Opener(source, key), _BLOCK))
    try:
        with tarfile.open(fileobj=source, mode="r|") as tar:
            manifest = _read_parts(tar, into, progress)
        while source.read(_BLOCK):  # to the end, where a cut or an addition to a sealed file shows
            pass
    except (tarfile.TarError, EOFError) as error:
        raise Damaged(
            f"the snapshot is truncated: {error}", hint="it was not written completely; use another one of the series"
        ) from None
    return manifest


def _read_parts(tar: tarfile.TarFile, into: Path | None, progress: Progress) -> Manifest:
    first = tar.next()
    if first is None or first.name != MANIFEST or first.size > _MANIFEST_LIMIT:
        raise Damaged("this is not a snapshot of Mainstay: it does not begin with manifest.json")
    text = _content(tar, first)
    manifest = decode(text)
    sums = {MANIFEST: hashlib.sha256(text).hexdigest()}
    done, total = 0, sum(part.size for part in manifest.parts)
    for part in manifest.parts:
        entry = tar.next()
        if entry is None:
            raise Damaged(f"the snapshot is truncated: {part.name} and what follows is missing")
        if entry.name != part.name or entry.size != part.size or entry.type != tarfile.REGTYPE or entry.issparse():
            raise Damaged(f"the snapshot is damaged: {part.name} is not where the manifest says")
        if _copy(tar, entry, into) != part.sha256:
            raise Damaged(f"the snapshot is damaged: {part.name} does not match its SHA-256")
        sums[part.name] = part.sha256
        done += part.size
        progress("reading", done, total)
    end = tar.next()
    if end is None or end.name != SUMS:
        raise Damaged("the snapshot is truncated: its end is missing")
    lines = _content(tar, end).decode(errors="replace").splitlines()
    if lines != [f"{digest}  {name}" for name, digest in sums.items()]:
        raise Damaged("the snapshot is damaged: SHA256SUMS does not match its parts")
    return manifest


def _content(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    handle = tar.extractfile(entry)
    data = handle.read(_MANIFEST_LIMIT) if handle else b""
    if len(data) != entry.size:
        raise Damaged(f"the snapshot is truncated in {entry.name}")
    return data


def _copy(tar: tarfile.TarFile, entry: tarfile.TarInfo, into: Path | None) -> str:
    """The SHA-256 of an entry, which is written below `into` unless that is None."""
    path = PurePosixPath(entry.name)
    if path.is_absolute() or ".." in path.parts:
        raise Damaged(f"the snapshot is damaged: {entry.name} would be outside the folder")
    handle, digest = tar.extractfile(entry), hashlib.sha256()
    target = (into / path) if into else Path("/dev/null")
    if into:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with target.open("wb") as out:
        while handle and (block := handle.read(_BLOCK)):
            digest.update(block)
            out.write(block)
    return digest.hexdigest()
