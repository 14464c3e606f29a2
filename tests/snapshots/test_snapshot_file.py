"""The file of a snapshot: sealing, the archive, rows, and which snapshots stay."""

from __future__ import annotations

import io
import math
import subprocess
import sys
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mainstay.kernel.errors import UserError
from mainstay.store.snapshots import archive, rows
from mainstay.store.snapshots.manifest import Manifest, decode, encode, file_name, moment_of
from mainstay.store.snapshots.places import Folder, fetched, place
from mainstay.store.snapshots.retention import kept, parse_keep
from mainstay.store.snapshots.sealing import CHUNK, Damaged, Opener, Sealer

KEY = "correct horse battery staple"


def seal(data: bytes, key: str = KEY) -> bytes:
    out = io.BytesIO()
    sealer = Sealer(out, key)
    for start in range(0, len(data), 70_001):
        sealer.write(data[start : start + 70_001])
    sealer.finish()
    return out.getvalue()


def unseal(data: bytes, key: str = KEY) -> bytes:
    return io.BufferedReader(Opener(io.BytesIO(data), key)).read()


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 200_000])
def test_what_was_sealed_comes_back(size: int) -> None:
    data = bytes(number % 251 for number in range(size))
    sealed = seal(data)
    assert unseal(sealed) == data
    assert data[:64] not in sealed or size < 64
    assert seal(data) != sealed, "each file has a key of its own"


def test_chunks_cannot_be_cut_off_exchanged_repeated_or_changed() -> None:
    sealed = seal(b"x" * (3 * CHUNK))
    header, body = sealed[:33], sealed[33:]
    size = CHUNK + 16
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    assert len(chunks) == 3
    for wrong in (
        chunks[:2],
        [chunks[1], chunks[0], chunks[2]],
        [chunks[0], chunks[0], chunks[1], chunks[2]],
        [*chunks[:2], chunks[2][:-1]],
        [*chunks, b"more"],
        [],
    ):
        with pytest.raises(Damaged):
            unseal(header + b"".join(wrong))
    for position in (1, 8, 9, 40, len(sealed) - 1):
        broken = bytearray(sealed)
        broken[position] ^= 1
        with pytest.raises(UserError):
            unseal(bytes(broken))


def test_a_wrong_key_is_told_from_a_damaged_file() -> None:
    with pytest.raises(UserError, match="the key does not match"):
        unseal(seal(b"data"), "another key of good length")
    with pytest.raises(UserError, match="shorter than 16"):
        seal(b"data", "short")


def test_a_header_cannot_ask_for_much_memory() -> None:
    sealed = bytearray(seal(b"data"))
    sealed[8] = 63
    with pytest.raises(Damaged, match="header"):
        unseal(bytes(sealed))


def _manifest(folder: Path) -> Manifest:
    (folder / "state").mkdir(exist_ok=True)
    (folder / "state" / "a.bin").write_bytes(b"a" * 3000)
    (folder / "b.bin").write_bytes(b"")
    return Manifest(
        format=1, program="1.0", taken_at=1.5, install="0" * 8, state="sqlite", migrations=[("store", "0001")],
        journal_seq=3, journal_hash="f" * 64, counts={"journal": 3},
        parts=[archive.describe(folder, name) for name in ("state/a.bin", "b.bin")],
    )  # fmt: skip


def written(folder: Path, key: str = "") -> bytes:
    out = io.BytesIO()
    archive.write(out, folder, _manifest(folder), key)
    return out.getvalue()


@pytest.mark.parametrize("key", ["", KEY])
def test_an_archive_comes_back_part_by_part(tmp_path: Path, key: str) -> None:
    data = written(tmp_path, key)
    found = archive.read(io.BytesIO(data), key, tmp_path / "into")
    assert found == _manifest(tmp_path)
    assert (tmp_path / "into" / "state" / "a.bin").read_bytes() == b"a" * 3000


def test_ordinary_tools_open_and_verify_it(tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    out.mkdir()
    (tmp_path / "s.tar").write_bytes(written(source))
    subprocess.run(["tar", "xf", str(tmp_path / "s.tar"), "-C", str(out)], check=True)
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=out, check=True, capture_output=True, text=True)
    assert done.stdout.count("OK") == 3


@pytest.mark.parametrize("key", ["", KEY])
def test_a_torn_archive_is_refused_wherever_it_is_torn(tmp_path: Path, key: str) -> None:
    data = written(tmp_path, key)
    # An unencrypted tar ends with blocks of zeros, which hold nothing.
    content = len(data) if key else data.rindex(b"b.bin\n") + len(b"b.bin\n")
    for end in {*range(0, content, 509), content - 1}:
        with pytest.raises(UserError):
            archive.read(io.BytesIO(data[:end]), key, None)


def test_a_changed_archive_is_refused_with_the_part(tmp_path: Path) -> None:
    data = written(tmp_path)
    with pytest.raises(Damaged, match=r"state/a\.bin does not match its SHA-256"):
        archive.read(io.BytesIO(data.replace(b"a" * 3000, b"b" + b"a" * 2999)), "", None)
    with pytest.raises(Damaged, match="SHA256SUMS"):
        archive.read(io.BytesIO(data.replace(b'"journal_seq": 3', b'"journal_seq": 4')), "", None)


def test_a_part_cannot_leave_the_folder(tmp_path: Path) -> None:
    manifest = _manifest(tmp_path)
    out = io.BytesIO()
    bad = archive.Part(name="../evil", size=0, sha256="0" * 64)
    text = encode(Manifest(**{name: getattr(manifest, name) for name in manifest.__struct_fields__} | {"parts": [bad]}))
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in (("manifest.json", text), ("../evil", b"")):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    with pytest.raises(Damaged, match="outside"):
        archive.read(io.BytesIO(out.getvalue()), "", tmp_path / "deep" / "into")
    assert not (tmp_path / "deep" / "evil").exists()


def test_a_newer_format_is_named() -> None:
    with pytest.raises(Damaged, match="format 99"):
        decode(b'{"format": 99, "surprise": []}')
    for nonsense in (b"", b"[]", b"{}", b"\xff"):
        with pytest.raises(Damaged):
            decode(nonsense)


def test_encrypted_and_no_key_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="encrypted"):
        archive.read(io.BytesIO(written(tmp_path, KEY)), "", None)


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    given = [[1, 2**62, 0.1, -0.0, math.inf, "é\n\0", b"\x00\xff", None, True, at, memoryview(b"m")], [0] * 11]
    assert rows.write_rows(tmp_path / "t.rows.gz", list("abcdefghijk"), given) == 2
    columns, found = rows.read_rows(tmp_path / "t.rows.gz")
    assert columns == list("abcdefghijk")
    assert next(found) == [
        1, 2**62, 0.1, -0.0, math.inf, "é\n\0", b"\x00\xff", None, True, "2026-01-02 03:04:05.000006", b"m",
    ]  # fmt: skip


def test_sums_know_the_meaning_and_not_the_spelling() -> None:
    kinds = ["boolean", "jsonb", "timestamp with time zone", "bytea"]
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    sqlite, postgres = rows.Sum(kinds), rows.Sum(kinds)
    one = [1, '{"b": 1.10, "a": 1e2}', "2026-01-02 03:04:05", b"x"]
    other = [0, None, None, None]
    for row in (one, other):
        sqlite.add(row)
    for row in ([False, None, None, None], [True, '{"a": 100, "b": 1.1}', at, memoryview(b"x")]):
        postgres.add(row)
    assert (sqlite.hash, sqlite.count) == (postgres.hash, postgres.count)
    sqlite.add(other)
    postgres.add(one)
    assert sqlite.hash != postgres.hash


def test_names_tell_install_and_moment() -> None:
    name = file_name("0a1b2c3d", 1_800_000_000.123, sealed=True)
    assert name == "mainstay-0a1b2c3d-2027-01-15T080000.123Z.tar.enc"
    assert moment_of(name, "0a1b2c3d") == pytest.approx(1_800_000_000.123)
    assert moment_of(name, "ffffffff") is None
    assert moment_of("mainstay-0a1b2c3d-2027-13-15T080000.123Z.tar", "0a1b2c3d") is None
    assert moment_of("notes.txt", "0a1b2c3d") is None


def test_seven_days_and_four_weeks_stay() -> None:
    newest = datetime(2026, 6, 24, 15, 0, tzinfo=UTC)  # a Wednesday
    moments = [(newest - timedelta(hours=12 * number)).timestamp() for number in range(200)]
    stay = sorted((datetime.fromtimestamp(at, UTC) for at in kept(moments, parse_keep("7d,4w"))), reverse=True)
    assert [f"{at:%m-%d %H}" for at in stay] == [
        "06-24 15", "06-23 15", "06-22 15", "06-21 15", "06-20 15", "06-19 15", "06-18 15", "06-14 15", "06-07 15",
    ]  # fmt: skip
    assert kept(moments, {}) == set(moments)
    assert kept([5.0], parse_keep("1h")) == {5.0}


@pytest.mark.parametrize("text", ["7", "d", "0d", "7x", "7d,3d", "-1d", "7d;4w"])
def test_what_cannot_be_kept_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="does not say what to keep"):
        parse_keep(text)


def test_a_folder_shows_a_file_only_when_it_is_whole(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "snaps")

    def broken(out: object) -> None:
        assert folder.names() == [] or all(name.startswith(".") for name in folder.names())
        raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match="No space left"):
        folder.put("mainstay-x.tar", broken)
    assert folder.names() == []
    assert folder.put("mainstay-x.tar", lambda out: out.write(b"abc") and None) == 3
    with fetched(folder.address("mainstay-x.tar")) as file:
        assert file.read() == b"abc"


def test_places_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="neither a folder nor"):
        place("ftp://somewhere")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be made"):
        place(str(tmp_path / "file" / "below"))
    with pytest.raises(UserError, match="cannot be read"), fetched(str(tmp_path / "nothing")):
        pass


def test_the_program_of_the_documentation_opens_an_encrypted_one(tmp_path: Path) -> None:
    guide = Path(__file__).parents[2] / "docs" / "how-to" / "back-up-and-move.md"
    program = guide.read_text().partition("```python\n")[2].partition("```")[0]
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "big.bin").write_bytes(bytes(range(256)) * 1000)
    manifest = _manifest(tmp_path / "source")
    for name, data in (("open.py", program), ("key", KEY + "\n")):
        (tmp_path / name).write_text(data)
    with (tmp_path / "s.tar.enc").open("wb") as out:
        archive.write(out, tmp_path / "source", manifest, KEY)
    files = [str(tmp_path / name) for name in ("s.tar.enc", "s.tar", "key")]
    subprocess.run([sys.executable, str(tmp_path / "open.py"), *files], check=True)
    with (tmp_path / "s.tar").open("rb") as opened:
        assert archive.read(opened, "", None) == manifest
