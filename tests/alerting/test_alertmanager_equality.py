"""Routes, groups, matchers and inhibitions answer as Alertmanager did: cases that it answered once, kept with its
answers. `make bench` (equality) asks it for ten thousand more, where it is installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bench.equality import own_answers

RECORDED = json.loads(Path(__file__).with_name("alertmanager_cases.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("recorded", RECORDED, ids=range(len(RECORDED)))
def test_as_alertmanager_answered(recorded: dict[str, Any]) -> None:
    alerts = [case["labels"] for case in recorded["cases"]]
    ours = json.loads(json.dumps(own_answers(recorded["config"], alerts)))
    assert ours == {case["labels"]["id"]: case["answer"] for case in recorded["cases"]}


def test_the_recorded_cases_ask_for_everything() -> None:
    answers = [case["answer"] for recorded in RECORDED for case in recorded["cases"]]
    assert len(answers) == 200
    assert any(inhibited for _, inhibited in answers)
    assert any(len(groups) > 1 for groups, _ in answers)
