from __future__ import annotations

import itertools
import json
import time
from pathlib import Path

import pytest
import yaml

from mainstay.kernel.diagnostics import Diagnostics
from mainstay.store.resources import documents
from mainstay.store.resources.documents import LIMIT_BYTES, LIMIT_DEPTH, decode, read_text
from mainstay.store.resources.files import read_body, read_paths
from mainstay.store.resources.json_text import read_json


def _read(text: str) -> tuple[list[object], list[str]]:
    diagnostics = Diagnostics()
    found = read_text(text, "f.yaml", diagnostics)
    return [document.data for document in found], [str(item) for item in diagnostics]


def test_every_key_and_value_has_its_place() -> None:
    text = "monitors:\n  api:\n    http: https://a.example\n    parents: [x,\n      y]\n"
    document = read_text(text, "f.yaml", Diagnostics())[0]
    assert str(document.place(("monitors", "api"), key=True)) == "f.yaml:2:3"
    assert str(document.place(("monitors", "api", "http"))) == "f.yaml:3:11"
    assert str(document.place(("monitors", "api", "parents", 1))) == "f.yaml:5:7"
    assert str(document.place(("monitors", "api", "gone", "deeper"))) == "f.yaml:3:5"  # as near as is known


def test_columns_count_characters_and_lines_count_as_the_parser_does() -> None:
    document = read_text("größe: ä\u2028b: 1\r\nc: 2\n", "f", Diagnostics())[0]
    assert str(document.place(("c",))) == "f:3:4"


def test_anchors_aliases_and_merges_work_and_keep_the_place_of_the_original() -> None:
    text = "x-d: &d {every: 30s, timeout: 5s}\na: {<<: *d, timeout: 9s}\nb: *d\nc: {<<: [{every: 1m}, *d]}\n"
    document = read_text(text, "f", Diagnostics())[0]
    assert document.data["a"] == {"every": "30s", "timeout": "9s"}
    assert document.data["b"] == {"every": "30s", "timeout": "5s"}
    assert document.data["c"] == {"every": "1m", "timeout": "5s"}
    assert str(document.place(("a", "every"))) == "f:1:17"
    assert str(document.place(("a", "timeout"))) == "f:2:22"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("12:30", "12:30"),
        ("01234", "01234"),
        ("2026-01-01", "2026-01-01"),
        ("1_000", "1_000"),
        ("12", 12),
        ("0x1f", 31),
        ("0o17", 15),
        ("1e3", 1000.0),
        ("-1.5", -1.5),
        ("~", None),
        ("", None),
        ("true", True),
        ("!!str 12", "12"),
        ("!!int 12", 12),
        ("! 12", "12"),
        ("'12'", "12"),
        ("'<<'", "<<"),
    ],
)
def test_values_are_read_as_yaml_1_2(text: str, value: object) -> None:
    assert _read(f"a: {text}") == ([{"a": value}], [])


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("on: 1", "1:1", "true or false"),
        ("No: 1", "1:1", "quotes"),
        ("a: {8080: x}", "1:5", 'put quotes around it: "8080"'),
        ("a: {2026-01-01: x}", "1:5", "a date"),
        ("a: {12:30: x}", "1:5", "a number"),
        ("~: 1", "1:1", "nothing"),
        ("1e3: 1", "1:1", "a number"),
        ("? [a]\n: 1", "1:3", "a name must be text"),
        ("a: 1\nb: 2\na: 3", "3:1", "first in line 1"),
        ("a: !!python/object/apply:os.system [id]", "1:4", "!!python/object/apply:os.system"),
        ("a: !secret x", "1:4", "`!secret` is not allowed"),
        ("a: !!binary aGk=", "1:4", "!!binary"),
        ("a: !!set {b}", "1:4", "!!set"),
        ("a: !!int x", "1:4", "not of the type"),
        ("a: .nan", "1:4", "finite"),
        ("a: -.inf", "1:4", "finite"),
        ("a: 1e999", "1:4", "too large"),
        ("a: " + "9" * 5000, "1:4", "too large"),
        ("a: 9223372036854775808", "1:4", "too large"),
        ("a: &a [*a]", "1:8", "inside what it refers to"),
        ("a: *b", "1:4", "no anchor"),
        ("a: {<<: 3}", "1:9", "one mapping"),
        ('a: "x\\0y"', "1:4", "U+0000"),
        ('"x\\u001by": 1', "1:1", "control"),
        ("a:\n\tb: 1", "2:1", "never with tabs"),
        ("a: b: c", "1:5", "quotes"),
        ("a: [1, 2", "2:1", "bracket"),
        ("a: 'x", "1:6", "quotation mark"),
        ("&a a: &a b: c", "1:11", "not YAML"),
        ("a: @x", "1:4", "not YAML"),
    ],
)
def test_mistakes_have_a_place_and_a_hint(text: str, place: str, words: str) -> None:
    found = _read(text)[1]
    assert len(found) == 1
    assert found[0].startswith(f"f.yaml:{place}: error:")
    assert words in found[0]


def test_all_mistakes_of_a_file_are_told_at_once_up_to_a_limit() -> None:
    assert len(_read("on: 1\nno: 2\na: !x y\na: 1\n")[1]) == 4
    assert len(_read("".join(f"{number}: x\n" for number in range(5000)))[1]) == documents.LIMIT_MISTAKES + 1


def test_what_was_read_before_is_judged_by_how_it_is_written_now() -> None:
    data, mistakes = _read("a: {'yes': 1, x: yes}\nb: {yes: '30', x: 30}\nc: {x: '30', y: 30, z: 30}\n")
    assert data == [{"a": {"yes": 1, "x": "yes"}, "b": {"x": 30}, "c": {"x": "30", "y": 30, "z": 30}}]
    assert len(mistakes) == 1
    assert "f.yaml:2:5" in mistakes[0]


def test_several_documents_are_read_as_several_files() -> None:
    assert _read("---\na: 1\n---\n---\nb: 2\n...\n") == ([{"a": 1}, {"b": 2}], [])


def test_json_is_read_also_where_it_is_not_yaml() -> None:
    value = {"a": "\U0001f600 \u00e9", "b": [1, None, True, 1.5], "c": {"d": "x/y"}}
    assert _read(json.dumps(value, indent="\t").replace("/", "\\/")) == ([value], [])
    assert _read('{"a": "\\ud83d\\ude00",\n\t"a": 1}')[1]  # twice the same key
    assert _read('{"a": "\\ud83d"}')[1]  # half a pair is no text


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_depth_is_bounded(opening: str) -> None:
    started = time.monotonic()
    found = _read(opening * 200_000)[1]
    assert len(found) <= LIMIT_DEPTH + 1
    assert f"more than {LIMIT_DEPTH} levels" in found[-1]
    assert time.monotonic() - started < 60


def _bomb(width: int, levels: int, merge: bool) -> str:
    names = [f"n{level}" for level in range(levels)]
    lines = [f"{names[0]}: &{names[0]} {{{', '.join(f'k{i}: x' for i in range(width))}}}"]
    for before, name in itertools.pairwise(names):
        inner = ", ".join((f"k{i}: *{before}" if not merge else f"k{i}: {{<<: *{before}}}") for i in range(width))
        lines.append(f"{name}: &{name} {{{inner}}}")
    return "\n".join(lines)


@pytest.mark.parametrize("merge", [False, True])
def test_what_aliases_expand_to_is_bounded(merge: bool) -> None:
    found = _read(_bomb(9, 12, merge))[1]
    assert len(found) == 1
    assert "more than 1,000,000 values" in found[0]


@pytest.mark.parametrize(
    "text",
    [
        "a: &a {b: " + "x" * 10_000 + "}\nc: [" + "*a, " * 2_000 + "]",
        "a: &a " + "x" * 10_000 + "\nc: [" + "{k: *a}, " * 2_000 + "]",
        "a: &a {" + "k" * 1_000 + ": 1}\nc: [" + "{<<: *a}, " * 20_000 + "]",
        "&a " + "x" * 1_000 + ": 1\nc: [" + "{*a : 1}, " * 20_000 + "]",
    ],
)
def test_text_counts_as_often_as_it_is_used(text: str) -> None:
    found = _read(text)[1]
    assert len(found) == 1
    assert "more than 16,777,216 characters" in found[0]


def test_what_the_files_of_one_plan_hold_counts_together(tmp_path: Path) -> None:
    for number in range(3):
        path = tmp_path / f"{number}.yaml"
        path.write_text("a: &a " + "x" * 10_000 + "\nc: [" + "*a, " * 700 + "]")
    found = read_paths([str(tmp_path)]).diagnostics.errors
    assert [str(item.place).partition(".yaml")[0][-1] for item in found] == ["2"]


def test_json_with_too_many_values_is_not_built() -> None:
    assert read_json("[" + "[]," * 600_000 + "[]]") is None


def test_what_is_too_large_or_no_text_is_refused() -> None:
    for raw, words in [
        (b"a: " + b"x" * LIMIT_BYTES, "at most 8 MiB"),
        (b"a: 1\nb: \xff\xfe", "not UTF-8"),
        ("a: x".encode("utf-16"), "not UTF-8"),
        (b"a: 1\nb: x\x00y", "U+0000"),
        (b"a: \x1b[2J", "U+001B"),
        ("a: \ud800".encode("utf-8", "surrogatepass"), "not UTF-8"),
    ]:
        diagnostics = Diagnostics()
        assert decode(raw, "f", diagnostics) is None
        assert words in str(diagnostics.items[0])
    diagnostics = Diagnostics()
    decode(b"a: 1\nb: x\x00y", "f", diagnostics)
    assert str(diagnostics.items[0].place) == "f:2:5"


def test_a_byte_order_mark_is_no_mistake() -> None:
    assert read_body(b"\xef\xbb\xbfa: 1").documents[0].data == {"a": 1}


def test_folders_are_read_in_order_and_what_cannot_be_read_is_told(tmp_path) -> None:  # type: ignore[no-untyped-def]
    for name in ("b.yaml", "a.yml", "c.json", "ignored.txt", ".hidden.yaml"):
        (tmp_path / name).write_text("{}" if name == "c.json" else f"x-{name[0]}: 1")
    (tmp_path / "empty").mkdir()
    reading = read_paths([str(tmp_path), str(tmp_path / "gone.yaml"), str(tmp_path / "empty"), "nul\0"])
    assert [document.file.rsplit("/")[-1] for document in reading.documents] == ["a.yml", "b.yaml", "c.json"]
    told = [item.message for item in reading.diagnostics]
    assert told == [
        "the file cannot be read: No such file or directory",
        "the folder holds no *.yaml file",
        "the file cannot be read: not a file name",
    ]


def test_files_share_one_bound_of_size(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    for name in "abc":
        (tmp_path / f"{name}.yaml").write_text("x-a: " + "y" * (LIMIT_BYTES // 2 - 100))
    reading = read_paths([str(tmp_path)])
    assert len(reading.documents) == 2
    assert "all files together" in reading.diagnostics.items[0].message


def test_the_pure_python_parser_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a: &x {b: 1, c: no}\nd: {<<: *x, b: [1, 2]}\n"
    fast = _read(text)
    monkeypatch.setattr(documents, "_LOADER", yaml.SafeLoader)
    assert _read(text) == fast
