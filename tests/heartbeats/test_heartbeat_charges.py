"""Time charged to heartbeats: whole turns, changes in the middle, and those that come and go."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mainstay.heartbeats.charges import Standing, charges
from mainstay.watch.results.values import Charge


def told(before: dict[str, Charge], now: list[Standing], began: float = 100.0, at: float = 160.0) -> list[object]:
    return [(one.uid, one.charge, one.charged, one.at) for one in charges(before, now, began, at)]


def test_one_that_did_not_change_is_charged_the_whole_turn() -> None:
    assert told({"a": "up"}, [Standing("a", "up", 5.0)]) == [("a", "up", 60.0, 160.0)]


def test_a_change_is_charged_to_both_sides_from_its_own_moment() -> None:
    assert told({"a": "up"}, [Standing("a", "down", 140.0)]) == [("a", "up", 40.0, 140.0), ("a", "down", 20.0, 160.0)]


def test_down_and_up_again_within_a_turn_counts_as_up() -> None:
    assert told({"a": "up"}, [Standing("a", "up", 150.0)]) == [("a", "up", 60.0, 160.0)]


def test_a_new_one_is_charged_since_it_came() -> None:
    assert told({}, [Standing("a", "up", 130.0)]) == [("a", "up", 30.0, 160.0)]
    assert told({"gone": "up"}, []) == []


@given(
    before=st.dictionaries(st.sampled_from("abc"), st.sampled_from(["up", "down", "paused", "unknown"])),
    now=st.dictionaries(
        st.sampled_from("abc"), st.tuples(st.sampled_from(["up", "down", "unknown"]), st.floats(0, 1000))
    ),
)
def test_nobody_is_charged_more_or_less_than_the_turn(
    before: dict[str, Charge], now: dict[str, tuple[Charge, float]]
) -> None:
    samples = charges(before, [Standing(uid, charge, since) for uid, (charge, since) in now.items()], 100.0, 160.0)
    for uid in now:
        total = sum(one.charged for one in samples if one.uid == uid)
        assert abs(total - 60.0) < 1e-9 if uid in before else 0 <= total <= 60.0
        assert all(one.charged > 0 for one in samples)
