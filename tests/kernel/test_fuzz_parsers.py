"""Every parser of outside input takes anything: it understands it or refuses it in the way that its callers handle.

The table is tests/fuzz/targets.py. Here each parser meets some hundred inputs; `make fuzz` gives it minutes.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fuzz.fuzzing import Target, attempt, hunt
from tests.fuzz.targets import targets

INPUTS = 600  # by mutation of good examples, of each parser
SECONDS = 0.4  # at most, of each parser
EXAMPLES = 40  # that Hypothesis makes of nothing

TARGETS = {target.name: target for target in targets()}


@pytest.mark.parametrize("name", TARGETS)
def test_good_examples_are_taken(name: str) -> None:
    target = TARGETS[name]
    assert target.seeds
    for seed in target.seeds:
        attempt(target, seed)


@pytest.mark.parametrize("name", TARGETS)
def test_spoilt_examples_are_understood_or_refused(name: str) -> None:
    tried, _ = hunt(TARGETS[name], seed=1, inputs=INPUTS, seconds=SECONDS)
    assert tried > 0


def _anything(target: Target) -> st.SearchStrategy[Any]:
    return st.binary(max_size=400) if isinstance(target.seeds[0], bytes) else st.text(max_size=400)


@pytest.mark.parametrize("name", TARGETS)
def test_anything_is_understood_or_refused(name: str) -> None:
    target = TARGETS[name]

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(_anything(target))
    def run(given_input: Any) -> None:
        attempt(target, given_input)

    run()
