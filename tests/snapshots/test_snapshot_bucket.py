"""Snapshots in a bucket, on a real S3 server: taken, listed, thinned out, encrypted, restored, and what goes wrong."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.rigs.s3_server import Keys, Link, S3Server, s3_server
from tests.rigs.snapshot_rig import Install, untold

from mainstay.kernel.errors import MainstayError, NotFound, Unavailable, UserError
from mainstay.store.snapshots.places import Bucket, fetched, place

_ALL = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'
_KEY = "a key of more than sixteen characters"


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with s3_server() as server:
        server.make_bucket("backups")
        yield server


@pytest.fixture(scope="module")
def source(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Install:
    install = Install(tmp_path_factory.mktemp("source") / "data", **s3.environment())
    install.fill(rows=3, entries=20, samples=500)
    return install


@pytest.fixture
def reached(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The server from within this process."""
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    return s3


def elsewhere(install: Install, **environment: str) -> Install:
    return Install(install.data, **{**install.environment, **environment})


def taken(install: Install, to: str, *more: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(install.ok("snapshot", "--to", to, "--json", *more))
    return found


def test_everything_comes_back_from_a_bucket(source: Install, s3: S3Server, tmp_path: Path) -> None:
    told = taken(source, "s3://backups/daily/")
    address = str(told["address"])
    assert address.startswith("s3://backups/daily/mainstay-")
    assert s3.names("backups") == [address.removeprefix("s3://backups/")]
    ((recorded,),) = source.rows("SELECT data FROM journal WHERE kind = 'snapshot.taken' ORDER BY seq DESC LIMIT 1")
    assert json.loads(recorded)["address"] == address
    assert "is whole" in source.ok("restore", "--check", address)
    back = Install(tmp_path / "back", **s3.environment())
    back.ok("restore", address)
    assert back.results() == 500
    assert "all intact" in back.ok("journal", "verify")
    expected, found = untold(source.content()), untold(back.content())
    assert found == expected
    assert [path.name for path in back.data.iterdir() if path.name.startswith(".restore")] == []


def test_an_encrypted_one_needs_its_key(source: Install, s3: S3Server, tmp_path: Path) -> None:
    install = elsewhere(source, MAINSTAY_SNAPSHOT_KEY="${env:SNAPSHOT_KEY}", SNAPSHOT_KEY=_KEY)
    address = str(taken(install, "s3://backups/sealed")["address"])
    assert address.endswith(".tar.enc")
    stored = s3.client().get_object(Bucket="backups", Key=address.removeprefix("s3://backups/"))["Body"].read()
    assert stored.startswith(b"MSTSNAP1")
    assert b"SQLite" not in stored
    assert "manifest" not in stored.decode("latin-1")
    back = Install(tmp_path / "back", **s3.environment(), SNAPSHOT_KEY=_KEY, WRONG="another key of enough signs")
    assert "is encrypted" in back.refused("restore", address)
    assert "does not match" in back.refused("restore", address, "--key", "${env:WRONG}")
    back.ok("restore", address, "--key", "${env:SNAPSHOT_KEY}")
    assert (back.data / "secret.key").read_bytes() == (source.data / "secret.key").read_bytes()


def test_old_ones_go_and_others_files_stay(source: Install, s3: S3Server) -> None:
    ((install,),) = source.rows("SELECT substr(hash, 1, 8) FROM journal WHERE seq = 1")
    own = [f"mainstay-{install}-2020-01-{day:02}T000000.000Z.tar" for day in range(1, 32)]
    foreign = ["mainstay-ffffffff-2020-01-01T000000.000Z.tar", "notes.txt", f"older/{own[0]}"]
    for name in [*own, *foreign]:
        s3.client().put_object(Bucket="backups", Key=f"kept/{name}", Body=b"x")
    told = taken(source, "s3://backups/kept", "--keep", "7d,4w", "--without-telemetry")
    newest = str(told["address"]).rpartition("/")[2]
    left = {name.removeprefix("kept/") for name in s3.names("backups") if name.startswith("kept/")}
    # The new one is one of the seven days and of the four weeks: six days and three weeks of January 2020 stay.
    stay = {own[day - 1] for day in (19, 26, 27, 28, 29, 30, 31)}
    assert left == {*foreign, newest, *stay}
    assert set(told["deleted"]) == set(own) - left  # type: ignore[call-overload] # a list of names


def test_more_than_one_page_is_listed(reached: S3Server) -> None:
    client = reached.client()
    client.create_bucket(Bucket="many", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    for number in range(1005):
        client.put_object(Bucket="many", Key=f"deep/{number:04}", Body=b"")
    assert sorted(place("s3://many/deep").names()) == [f"{number:04}" for number in range(1005)]
    assert place("s3://many").names() == []


def test_large_ones_go_up_in_parts_and_come_back_whole(reached: S3Server) -> None:
    content = os.urandom(1 << 20) * 13 + b"end"
    bucket = place("s3://backups/large")
    assert bucket.put("whole.tar", lambda out: _write(out, content)) == len(content)
    head = reached.client().head_object(Bucket="backups", Key="large/whole.tar")
    assert head["ETag"].strip('"').endswith("-3"), "three parts"
    with fetched("s3://backups/large/whole.tar") as file:
        assert file.read() == content
    bucket.delete("whole.tar")
    assert bucket.names() == []


def _write(out: object, content: bytes) -> None:
    out.write(content)  # type: ignore[attr-defined] # a file


def test_an_upload_that_is_cut_leaves_nothing_to_be_seen(reached: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    link = Link(reached.port, 9_000_000)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{link.port}")
    try:
        bucket = place("s3://backups/cut")
        with pytest.raises(Unavailable, match="did not answer as expected"):
            bucket.put("half.tar", lambda out: _write(out, os.urandom(1 << 20) * 13))
        assert link.is_cut
    finally:
        link.close()
    assert [name for name in reached.names("backups") if name.startswith("cut/")] == []
    monkeypatch.setenv("AWS_ENDPOINT_URL", reached.url)
    again = place("s3://backups/cut")
    assert again.put("half.tar", lambda out: _write(out, b"whole")) == 5
    assert again.names() == ["half.tar"]


def test_a_download_that_is_cut_is_told(reached: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    place("s3://backups/down").put("a.tar", lambda out: _write(out, os.urandom(1 << 20) * 8))
    link = Link(reached.port, 3_000_000)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{link.port}")
    try:
        with pytest.raises(Unavailable), fetched("s3://backups/down/a.tar"):
            pytest.fail("it must not look whole")
    finally:
        link.close()


def test_a_torn_object_is_not_restored(source: Install, s3: S3Server, tmp_path: Path) -> None:
    address = str(taken(source, "s3://backups/torn", "--without-telemetry")["address"])
    key = address.removeprefix("s3://backups/")
    whole = s3.client().get_object(Bucket="backups", Key=key)["Body"].read()
    s3.client().put_object(Bucket="backups", Key=key, Body=whole[: len(whole) // 2])
    back = Install(tmp_path / "back", **s3.environment())
    assert "truncated" in back.refused("restore", address)
    assert not (back.data / "state.sqlite3").exists()


def test_wrong_credentials_and_missing_rights_are_told_without_the_secret(source: Install, s3: S3Server) -> None:
    owner, guest = s3.make_user("owner", _ALL), s3.make_user("guest")
    stranger = Keys("AKIAIOSFODNN7EXAMPLE", "not-the-secret-of-anybody")
    s3.check_keys(on=True)
    try:
        for keys, code in ((stranger, "InvalidAccessKeyId"), (guest, "AccessDenied")):
            install = elsewhere(source, **s3.environment(keys=keys))
            told = install.refused("snapshot", "--to", "s3://backups/guarded", "--without-telemetry")
            assert "is not allowed with these credentials" in told
            assert code in told
            assert "AWS_SECRET_ACCESS_KEY" in told
            assert keys.secret not in told
        failed = "SELECT data FROM journal WHERE kind = 'snapshot.failed' ORDER BY seq DESC LIMIT 1"
        assert "not allowed" in source.rows(failed)[0][0]
        assert taken(elsewhere(source, **s3.environment(keys=owner)), "s3://backups/guarded", "--without-telemetry")
    finally:
        s3.check_keys(on=False)


def test_what_is_not_there_is_named(source: Install, s3: S3Server, reached: S3Server) -> None:
    told = source.refused("snapshot", "--to", "s3://nobodys/x", "--without-telemetry")
    assert "there is no bucket for s3://nobodys/x" in told
    assert "there is nothing at s3://backups/none.tar" in source.refused("restore", "--check", "s3://backups/none.tar")
    with pytest.raises(NotFound), fetched("s3://backups/none.tar"):
        pytest.fail("it is not there")
    for address in ("s3://", "s3:///x", "s3://b", "s3://user:secret@bucket/x"):
        with pytest.raises(UserError, match="names no bucket"):
            Bucket(address)


def test_an_endpoint_that_is_away_or_no_bucket_server(source: Install) -> None:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        away = elsewhere(source, AWS_ENDPOINT_URL=f"http://127.0.0.1:{chosen.getsockname()[1]}")
        told = away.refused("snapshot", "--to", "s3://backups/x", "--without-telemetry")
    assert "s3://backups/x" in told
    assert "did not answer as expected" in told
    assert "Debug source" not in told


def test_a_scratch_folder_holds_what_is_on_its_way(reached: S3Server, tmp_path: Path) -> None:
    bucket = place("s3://backups/scratch", tmp_path / "not-there")
    with pytest.raises((OSError, MainstayError)):
        bucket.put("a.tar", lambda out: _write(out, b"x"))
    assert place("s3://backups/scratch", tmp_path).put("a.tar", lambda out: _write(out, b"x")) == 1
    assert list(tmp_path.iterdir()) == []
