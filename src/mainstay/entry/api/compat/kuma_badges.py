"""Badges as Uptime Kuma draws them, with its options in the query: labels, prefixes, suffixes, colours. Pure.

Options and defaults: https://github.com/louislam/uptime-kuma/wiki/Badge. Only the flat style is drawn. Ping and
certificate badges are N/A: a component of a public page tells no response times.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mainstay.heartbeats.badges import badge_svg
from mainstay.kernel.wording import percent

_NA = "#999"
_COLOR = re.compile(r"#?(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})")
_NAMED = {
    "brightgreen": "#4c1",
    "green": "#97ca00",
    "yellow": "#dfb317",
    "yellowgreen": "#a4a61d",
    "orange": "#fe7d37",
    "red": "#e05d44",
    "blue": "#007ec6",
    "grey": "#555",
    "lightgrey": "#9f9f9f",
}
_LONGEST = 100  # signs of a text in the query
_STATES = {
    0: ("down", "Down", "#c2290a"),
    1: ("up", "Up", "#66c20a"),
    2: ("pending", "Pending", "#f8a306"),
    3: ("maintenance", "Maintenance", "#1747f5"),
}
_WITHOUT_DATA = ("ping", "avg-response", "response", "cert-exp")


@dataclass(frozen=True, slots=True)
class Shown:
    """What a public component tells: Kuma's number for its status, its uptime (0..1) over so many hours."""

    status: int
    uptime: float | None
    hours: int


def badge(what: str, shown: Shown | None, options: Mapping[str, str]) -> str | None:
    """The SVG; None for a badge that there is not. Whatever is not public is N/A."""
    if what not in ("status", "uptime", *_WITHOUT_DATA):
        return None
    if shown is None or what in _WITHOUT_DATA:
        return badge_svg("", "N/A", _NA)
    return _status(shown, options) if what == "status" else _uptime(shown, options)


def _status(shown: Shown, options: Mapping[str, str]) -> str:
    word, text, color = _STATES[shown.status]
    message = _option(options, f"{word}Label", text)
    return badge_svg(_option(options, "label", "Status"), message, _color(options.get(f"{word}Color"), color))


def _uptime(shown: Shown, options: Mapping[str, str]) -> str:
    if shown.uptime is None:
        return badge_svg("", "N/A", _NA)
    default = f"Uptime ({shown.hours}{_option(options, 'labelSuffix', 'h')})"
    label = _joined(_option(options, "labelPrefix", ""), _option(options, "label", default))
    message = _joined(_option(options, "prefix", ""), f"{percent(shown.uptime):g}", _option(options, "suffix", "%"))
    color = _color(options.get("color"), f"hsl({int(shown.uptime * 80 + 10)}, 90%, 40%)")
    return badge_svg(label, message, color, _color(options.get("labelColor"), "#555"))


def _joined(*parts: str) -> str:
    return "".join(part for part in parts if part)


def _option(options: Mapping[str, str], name: str, default: str) -> str:
    """A text of the query, cut, without signs that no badge can show."""
    return "".join(sign for sign in options.get(name, default)[:_LONGEST] if sign.isprintable())


def _color(text: str | None, default: str) -> str:
    """Only what is a colour gets into the drawing."""
    if text is None:
        return default
    if _COLOR.fullmatch(text):
        return f"#{text.removeprefix('#')}"
    return _NAMED.get(text, default)
