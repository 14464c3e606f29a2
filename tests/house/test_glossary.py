"""The glossary has every kind, state and verdict, and the words of the map that are easily confused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from mainstay.alerting.queries import AlertState
from mainstay.heartbeats.rules import State as HeartbeatState
from mainstay.kernel.probing import Verdict
from mainstay.kernel.resource import KINDS
from mainstay.watch.state import State as MonitorState

ROOT = Path(__file__).parents[2]
_TERM = re.compile(r"^- \*\*([^*]+)\*\*: \S.*\.$", re.MULTILINE)
TEXT = (ROOT / "docs" / "reference" / "glossary.md").read_text()
TERMS = _TERM.findall(TEXT)


def test_each_term_stands_once_with_one_line_in_order() -> None:
    assert sorted(set(TERMS), key=str.lower) == TERMS
    assert len(TERMS) == TEXT.count("\n- ")


def test_every_kind_state_and_verdict_has_its_term() -> None:
    kinds = [kind.name.replace("_", " ") for kind in KINDS]
    states = [state for one in (MonitorState, HeartbeatState, AlertState, Verdict) for state in get_args(one)]
    assert len(kinds) > 5
    assert {word.lower() for word in (*kinds, *states)} - {term.lower() for term in TERMS} == set()


def test_what_is_easily_confused_is_told_apart() -> None:
    confused = (ROOT / "ARCHITECTURE.md").read_text().partition("## Common confusions")[2]
    words = re.findall(r"\*([A-Za-z ]+)\*", confused)
    assert len(words) > 5
    assert {word.lower() for word in words} - {term.lower() for term in TERMS} == set()
