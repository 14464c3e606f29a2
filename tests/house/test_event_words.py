"""Every kind of event has an icon that exists and a title, so that no list shows a blank or a code."""

from __future__ import annotations

import re
from pathlib import Path

from mainstay.kernel.capability import CAPABILITIES

ICONS = Path(__file__).resolve().parents[2] / "src" / "mainstay" / "frames" / "web" / "static" / "icons.svg"


def test_every_kind_of_event_has_a_title() -> None:
    for kind, event in CAPABILITIES.events.items():
        assert re.fullmatch(r"[A-Z][A-Za-z -]{2,50}", event.title), f"{kind}: `{event.title}` is no title"


def test_every_icon_of_an_event_and_of_the_menu_exists() -> None:
    drawn = set(re.findall(r'id="([a-z-]+)"', ICONS.read_text("utf-8")))
    assert {event.icon for event in CAPABILITIES.events.values()} - drawn == set()
    assert {entry.icon for one in CAPABILITIES for entry in one.menu} - drawn == set()
