"""How the wall clock was set, as those learn of it who keep, delete or wait by it."""

from __future__ import annotations

from typing import Any

from mainstay.kernel.clock import Steps


def test_it_tells_by_how_much_the_clock_was_set_since_the_last_question(clock: Any) -> None:
    steps = Steps(clock)
    assert steps.step() == float("-inf"), "it may have been set back before the start"
    told = []
    for seconds in (1.0, 3600.0, 0.0, -7200.0):
        clock.advance(10)
        clock.set(seconds)
        told.append(steps.step())
    assert told == [0.0, 3600.0, 0.0, -7200.0]


def test_it_is_steady_a_while_after_the_start_and_after_each_time_that_it_was_set(clock: Any) -> None:
    steps = Steps(clock)
    for seconds in (0.0, 400 * 86_400.0, -400 * 86_400.0):
        clock.set(seconds)
        assert not steps.steady()
        clock.advance(Steps.STEADY - 1)
        assert not steps.steady()
        clock.advance(1)
        assert steps.steady()
