"""Identity, severity, and what a report makes of what is known: Alertmanager's rules of merging, as a table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mainstay.sources.rules import Report, Standing, fingerprint, identity, severity_of, take

LABELS = {"alertname": "A"}
NOW = 1000.0


def report(starts: float, ends: float | None, *, guessed: bool = False, severity: str = "P2") -> Report:
    return Report(LABELS, severity, starts, ends, guessed)


def known(starts: float, ends: float | None, *, guessed: bool = False, firing: bool = True) -> Standing:
    return Standing(LABELS, {}, "P2", "", starts, ends, guessed, firing)


def test_a_fingerprint_is_that_of_prometheus() -> None:
    assert fingerprint({"alertname": "A"}) == "d2c6efc389df0927"
    assert fingerprint({}) == "cbf29ce484222325"
    assert fingerprint({"b": "2", "a": "1"}) == fingerprint({"a": "1", "b": "2"})
    assert fingerprint({"a": "b"}) != fingerprint({"ab": ""})


def test_a_key_of_the_sender_stands_for_the_labels() -> None:
    one, other = replace(report(1, None), key="k"), replace(report(1, None), key="k", labels={"x": "y"})
    assert identity("pd", one) == identity("pd", other) != identity("og", one)
    assert identity("pd", report(1, None)) == fingerprint(LABELS)


@pytest.mark.parametrize(
    ("word", "level"),
    [
        ("P0", "P0"),
        ("p3", "P3"),
        ("P5", "P3"),
        ("critical", "P1"),
        ("Page", "P1"),
        ("fatal", "P1"),
        ("emergency", "P1"),
        ("error", "P2"),
        ("high", "P2"),
        ("major", "P2"),
        ("warning", "P2"),
        ("medium", "P2"),
        ("info", "P3"),
        ("low", "P3"),
        ("none", "P3"),
        ("purple", "P1"),
        ("", "P1"),
    ],
)
def test_words_for_severities(word: str, level: str) -> None:
    assert severity_of(word, {}, "P1") == level


def test_a_source_has_words_of_its_own() -> None:
    assert severity_of("critical", {"critical": "P0"}, "P2") == "P0"
    assert severity_of("FATAL", {"fatal": "P0"}, "P2") == "P0"


@pytest.mark.parametrize(
    ("before", "came", "span", "told"),
    [
        # nothing is known
        (None, report(900, 1300), (900, 1300), "began"),
        (None, report(900, None), (900, None), "began"),
        (None, report(900, 950), (900, 950), "same"),
        # the earliest start counts
        (known(800, 1200), report(900, 1300), (800, 1300), "same"),
        (known(950, 1200), report(900, 1300), (900, 1300), "same"),
        # a named end beats an earlier one, and one that was guessed
        (known(800, 1400), report(900, 1300), (800, 1400), "same"),
        (known(800, 1400, guessed=True), report(900, 1300), (800, 1300), "same"),
        # its end, and an even later one
        (known(800, 1400), report(800, 990), (800, 990), "ended"),
        (known(800, 980, firing=False), report(800, 970), (800, 980), "same"),
        (known(800, 980, firing=False), report(800, 990), (800, 990), "same"),
        # what does not overlap stands in its place
        (known(100, 200, firing=False), report(900, 1300), (900, 1300), "began"),
        # it fires again before its time was over
        (known(800, 980, firing=False), report(970, 1300), (800, 1300), "began"),
    ],
)
def test_merging(before: Standing | None, came: Report, span: tuple[float, float | None], told: str) -> None:
    found, what = take(before, came, NOW)
    assert ((found.starts_at, found.ends_at), what) == (span, told)


def test_another_severity_is_told_and_other_annotations_are_not() -> None:
    worse = report(900, 1300, severity="P1")
    assert take(known(900, 1200), worse, NOW)[1] == "changed"
    noted = replace(report(900, 1300), annotations={"summary": "93 %"})
    found, told = take(known(900, 1200), noted, NOW)
    assert (found.annotations, told) == ({"summary": "93 %"}, "same")
