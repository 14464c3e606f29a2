"""History bars: what is drawn, what is said, and that percentages never flatter."""

from __future__ import annotations

import pytest

from mainstay.frames.days import DayMark, Line
from mainstay.frames.web.history import bars_svg, percent, summary
from mainstay.watch.results.history import CALM, NO_DATA

FIRST = 1_790_000_000 // 86_400 * 86_400


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (None, "\u2013"),
        (1.0, "100 %"),
        (0.999999, "99.99 %"),
        (0.9996, "99.96 %"),
        (0.95, "95.00 %"),
        (0.5, "50.0 %"),
        (0.0, "0.0 %"),
    ],
)
def test_a_share_is_never_rounded_up_to_all(share: float | None, shown: str) -> None:
    assert percent(share) == shown


def test_one_path_for_each_state_whatever_the_number_of_days() -> None:
    down = DayMark("down", 0.01, 85_000.0, 864.0, "14 min down")
    svg = bars_svg(Line(FIRST, (*([CALM] * 88), down, NO_DATA)))
    assert svg.count("<path") == 3
    assert 'class="b-up"' in svg
    assert 'class="b-down"' in svg
    assert 'class="b-none"' in svg
    assert "style=" not in svg


def test_days_with_trouble_are_told_in_words() -> None:
    down = DayMark("down", 0.01, 85_000.0, 864.0, "14 min down")
    text = summary(Line(FIRST, (CALM, down, CALM)))
    assert text.startswith("3 days, uptime 99.")
    assert "1 day with trouble: " in text
    assert "14 min down" in text


def test_words_cannot_break_out_of_the_picture() -> None:
    svg = bars_svg(Line(FIRST, (DayMark("down", 1.0, 0.0, 1.0, '"><script>'),)))
    assert "<script>" not in svg
