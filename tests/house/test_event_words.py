"""Every kind of event is a class with its words: an icon that exists, a title, and what each field of it tells."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_type_hints

from mainstay.accounts.events import UserCreated, UserRoleChanged
from mainstay.kernel.capability import CAPABILITIES
from mainstay.kernel.event import Event

ICONS = Path(__file__).resolve().parents[2] / "src" / "mainstay" / "frames" / "web" / "static" / "icons.svg"


def test_every_kind_of_event_has_a_title() -> None:
    for kind, event in CAPABILITIES.events.items():
        assert re.fullmatch(r"[A-Z][A-Za-z -]{2,50}", event.title), f"{kind}: `{event.title}` is no title"


def test_every_icon_of_an_event_and_of_the_menu_exists() -> None:
    drawn = set(re.findall(r'id="([a-z-]+)"', ICONS.read_text("utf-8")))
    assert {event.icon for event in CAPABILITIES.events.values()} - drawn == set()
    assert {entry.icon for one in CAPABILITIES for entry in one.menu} - drawn == set()


def test_every_kind_and_every_field_of_it_says_what_it_tells() -> None:
    for kind, event in CAPABILITIES.events.items():
        assert issubclass(event, Event)
        assert (event.__doc__ or "").endswith("."), f"{kind} does not say what happened"
        hints = get_type_hints(event, include_extras=True)
        for name in event.__struct_fields__[1:]:
            tells = getattr(hints[name], "__metadata__", ("",))[0]
            assert len(tells) > 2, f"{kind} does not say what `{name}` tells"


def test_a_field_without_a_value_is_left_out() -> None:
    made = UserCreated("user/a@example.com", "a@example.com", role="admin")
    assert made.data == {"user": "a@example.com", "role": "admin"}
    renamed = UserRoleChanged("user/a@example.com", "a@example.com", from_="admin", to="support")
    assert renamed.data == {"user": "a@example.com", "from": "admin", "to": "support"}
