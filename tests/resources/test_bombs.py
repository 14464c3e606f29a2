"""Small files that would become large: snapshots to be restored, files of other tools to be imported."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mainstay.foreign.importing.source import read_json, read_yaml
from mainstay.kernel.errors import UserError
from mainstay.store.snapshots import archive, restoring, rows
from mainstay.store.snapshots.manifest import Manifest, Part, decode, encode
from mainstay.store.snapshots.sealing import Damaged

MEBI = 1024 * 1024


@pytest.fixture(autouse=True)
def _little_memory() -> Iterator[None]:
    tracemalloc.start()
    yield
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 100 * MEBI, f"{most / MEBI:.0f} MiB were taken"


def _manifest(*parts: Part) -> Manifest:
    return Manifest(
        format=1, program="1", taken_at=1.0, install="a1b2c3d4", state="sqlite", migrations=[], journal_seq=0,
        journal_hash="", counts={}, parts=list(parts),
    )  # fmt: skip


def _snapshot(manifest: Manifest, entry: Callable[[tarfile.TarFile], None]) -> io.BytesIO:
    text, out = encode(manifest), io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        first = tarfile.TarInfo("manifest.json")
        first.size = len(text)
        tar.addfile(first, io.BytesIO(text))
        entry(tar)
    return io.BytesIO(out.getvalue())


@pytest.mark.parametrize(
    "headers",
    [
        {"GNU.sparse.map": "0,0"},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "state.sqlite3.gz"},
    ],
)
def test_an_entry_with_holes_is_none_of_a_snapshot(tmp_path: Path, headers: dict[str, str]) -> None:
    size = 256 * MEBI

    def holes(tar: tarfile.TarFile) -> None:
        entry = tarfile.TarInfo("state.sqlite3.gz")
        entry.pax_headers = {**headers, "GNU.sparse.size": str(size), "GNU.sparse.realsize": str(size)}
        body = b"1\n0\n0\n".ljust(512, b"\0")
        entry.size = len(body)
        tar.format = tarfile.PAX_FORMAT
        tar.addfile(entry, io.BytesIO(body))

    part = Part(name="state.sqlite3.gz", size=size, sha256="0" * 64)
    with pytest.raises(Damaged):
        archive.read(_snapshot(_manifest(part), holes), "", tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < MEBI


def test_a_part_that_unpacks_to_far_more_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restoring, "_UNPACKED", 8 * MEBI)
    packed, out = tmp_path / "state.sqlite3.gz", tmp_path / "state.sqlite3"
    with gzip.open(packed, "wb") as file:
        for _ in range(64):
            file.write(bytes(MEBI))
    with pytest.raises(Damaged, match="unpacks to more than"):
        restoring.unpack(packed, out)
    assert out.stat().st_size <= 16 * MEBI


@pytest.mark.parametrize("lines", [["long"], ['["id"]', "long"]])
def test_a_row_without_end_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str]
) -> None:
    monkeypatch.setattr(rows, "_LONGEST", 4 * MEBI)
    path = tmp_path / "user.rows.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for line in lines:
            for _ in range(200 if line == "long" else 0):
                file.write(b"1" * MEBI)
            file.write(line.encode() + b"\n")
    with pytest.raises(Damaged, match="a row of it is longer than"):
        list(rows.read_rows(path)[1])


@pytest.mark.parametrize("deep", ["[" * 5_000_000, '{"a":' * 200_000, '{"format":' + "[" * 100_000])
def test_a_manifest_nested_without_end_is_refused(deep: str) -> None:
    with pytest.raises(Damaged):
        decode(deep.encode())


# Files of other tools


@pytest.mark.parametrize(
    "text",
    [
        "[" * 1_000_000,
        "[" * 990 + "]" * 990,
        '{"a":' * 500_000,
        json.dumps({"monitors": [{"name": "x" * 100}]})[:-2] + "," + "[" * 5000,
    ],
)
def test_json_nested_without_end_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "backup.json").write_text(text)
    _refused(lambda: read_json("kuma", str(tmp_path / "backup.json")))


_LAUGHS = "\n".join(
    ["a0: &a0 [ha]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)), "endpoints: *a8"]
)
_MERGES = "\n".join(
    ["m0: &m0 {a: 1}", *(f"m{n}: &m{n} {{<<: [*m{n - 1}, *m{n - 1}], x: *m{n - 1}}}" for n in range(1, 40))]
)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "a: " + "{b: " * 50_000, _LAUGHS, _MERGES, "- " * 100_000 + "x", "a: &a [*a]"]
)
def test_yaml_that_grows_or_nests_without_end_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    _refused(lambda: read_yaml("gatus", str(tmp_path / "config.yaml")))


def _refused(read: Callable[[], Any]) -> None:
    with pytest.raises(UserError) as caught:
        read()
    assert len(str(caught.value)) < 2000


def test_a_file_that_is_too_large_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "backup.json"
    with path.open("wb") as file:
        file.truncate(8 * 1024 * MEBI)
    _refused(lambda: read_json("kuma", str(path)))
