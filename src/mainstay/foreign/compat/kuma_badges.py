"""Badges as Uptime Kuma draws them, with its options in the query: labels, prefixes, suffixes, colours. Pure.

Options and defaults: https://github.com/louislam/uptime-kuma/wiki/Badge. Only the flat style is drawn. Ping and
certificate badges are N/A: a component of a public page tells no response times.
"""

from __future__ import annotations

import colorsys
import math
import re
from collections.abc import Collection, Mapping
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
# unit -> (seconds, the most of what they are counted in, what that is)
_UNITS = {
    "m": (60, 1440, "minutes"),
    "h": (3600, 720, "hours"),
    "d": (86_400, 365, "days"),
    "w": (7 * 86_400, 365, "days"),
    "M": (30 * 86_400, 365, "days"),
    "y": (365 * 86_400, 365, "days"),
}
_WITHOUT_DATA = ("ping", "avg-response", "response", "cert-exp")


@dataclass(frozen=True, slots=True)
class Shown:
    """What a public component tells: Kuma's number for its status, its uptime (0..1) over a time in words."""

    status: int
    uptime: float | None
    words: str


@dataclass(frozen=True, slots=True)
class Duration:
    """`words` is its number, which Kuma's label shows without the unit."""

    words: str
    seconds: int


def duration_of(text: str) -> Duration:
    """`24`, `24h`, `90m`, `30d`, `4w`, `6M`, `1y`; ValueError in Kuma's words."""
    written = f"{text}h" if text.isascii() and text.isdigit() else text
    number, unit = written[:-1], written[-1:]
    if not re.fullmatch(r"[0-9]{1,6}", number):
        raise ValueError(f"Invalid duration: {written[:40]}")
    if unit not in _UNITS:
        raise ValueError(f"Unsupported unit ({unit}) for badge duration {written[:40]}")
    seconds, most, word = _UNITS[unit]
    grain = seconds // {"minutes": 60, "hours": 3600, "days": 86_400}[word]
    if int(number) * grain > most:
        raise ValueError(f"The maximum number of {word} is {most}")
    return Duration(number, max(1, int(number)) * seconds)


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
    default = f"Uptime ({shown.words}{_option(options, 'labelSuffix', 'h')})"
    label = _joined(_option(options, "labelPrefix", ""), _option(options, "label", default))
    message = _joined(_option(options, "prefix", ""), _four_digits(shown.uptime), _option(options, "suffix", "%"))
    color = _color(options.get("color"), _shade(shown.uptime))
    return badge_svg(label, message, color, _color(options.get("labelColor"), "#555"))


def page_badge(states: Collection[int], options: Mapping[str, str]) -> str:
    """A whole page by Kuma's numbers for its components; what is pending does not count."""
    seen = set(states) - {2}
    if not seen:
        return badge_svg("", "N/A", _NA)
    if 3 in seen:
        name, message, default = "maintenanceColor", "Maintenance", "#808080"
    elif seen == {1}:
        name, message, default = "upColor", "Up", "#66c20a"
    elif 1 in seen:
        name, message, default = "partialColor", "Degraded", "#F6BE00"
    else:
        name, message, default = "downColor", "Down", "#c2290a"
    return badge_svg(_option(options, "label", ""), message, _color(options.get(name), default))


def _four_digits(share: float) -> str:
    """As JavaScript's toPrecision(4), but never rounded up: 100.0, 99.99, 7.500."""
    digits = 3 - math.floor(math.log10(share * 100)) if share > 0 else 3
    return f"{percent(share, digits):.{digits}f}"


def _shade(share: float) -> str:
    """From red to green, as hexadecimal."""
    parts = colorsys.hls_to_rgb((share * 80 + 10) / 360, 0.4, 0.9)
    return "#" + "".join(f"{round(part * 255):02x}" for part in parts)


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
