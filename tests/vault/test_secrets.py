from __future__ import annotations

from pathlib import Path

import pytest

from mainstay.kernel.secret import SecretMissing
from mainstay.kernel.settings import Settings
from mainstay.store.secrets import SecretSource


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SecretSource:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "hook").write_text("from a file\n")
    (tmp_path / "outside").write_text("not yours")
    monkeypatch.setenv("A_TOKEN", "from the environment")
    return SecretSource(Settings.of({"data": tmp_path, "secret_dirs": ""}))


def test_references_are_filled_where_they_stand(source: SecretSource) -> None:
    document = {"headers": {"X": "Bearer ${env:A_TOKEN}"}, "list": ["${file:hook}", 3], "plain": "$HOME"}
    filled = source.fill(document)
    assert filled == {"headers": {"X": "Bearer from the environment"}, "list": ["from a file", 3], "plain": "$HOME"}
    assert source.values(document) == ("from the environment", "from a file")


@pytest.mark.parametrize(
    "reference",
    [
        "${env:NOT_SET}",
        "${env:MAINSTAY_DATABASE}",
        "${file:missing}",
        "${file:../outside}",
        "${file:/etc/passwd}",
        "${file:../secrets/../outside}",
    ],
)
def test_what_has_no_value_or_lies_outside_is_named_and_never_read(source: SecretSource, reference: str) -> None:
    with pytest.raises(SecretMissing) as caught:
        source.fill({"a": reference})
    assert reference in str(caught.value)
    assert "not yours" not in str(caught.value)
    assert source.missing({"a": reference, "b": "${env:A_TOKEN}"}) == [str(caught.value)]


def test_a_link_out_of_the_folder_leads_nowhere(source: SecretSource, tmp_path: Path) -> None:
    (tmp_path / "secrets" / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(SecretMissing, match="outside the folders"):
        source.fill("${file:link}")


def test_a_secret_is_bounded_and_text(source: SecretSource, tmp_path: Path) -> None:
    (tmp_path / "secrets" / "large").write_bytes(b"x" * 70_000)
    (tmp_path / "secrets" / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SecretMissing, match="larger than"):
        source.fill("${file:large}")
    with pytest.raises(SecretMissing, match="not UTF-8"):
        source.fill("${file:binary}")
