"""Every kind of event has an icon that exists and a title, so that no list shows a blank or a code."""

from __future__ import annotations

import re
from pathlib import Path

from mainstay.kernel.event import EVENTS
from mainstay.kernel.event_words import SHOWN

ICONS = Path(__file__).resolve().parents[2] / "src" / "mainstay" / "entry" / "web" / "static" / "icons.svg"


def test_every_kind_of_event_has_words() -> None:
    assert sorted(SHOWN) == sorted(EVENTS)
    for kind, (_, title) in SHOWN.items():
        assert re.fullmatch(r"[A-Z][A-Za-z -]{2,50}", title), f"{kind}: `{title}` is no title"


def test_every_icon_of_an_event_exists() -> None:
    drawn = set(re.findall(r'id="([a-z-]+)"', ICONS.read_text("utf-8")))
    assert {icon for icon, _ in SHOWN.values()} - drawn == set()
