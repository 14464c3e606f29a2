"""Template tags of all pages: icons, states, times, figures, history bars, addresses of static files."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from mainstay.frames.days import Line
from mainstay.frames.web.assets import asset_url
from mainstay.frames.web.history import bars_svg, percent
from mainstay.kernel.capability import CAPABILITIES, load
from mainstay.kernel.clock import to_iso
from mainstay.kernel.duration import format_duration
from mainstay.kernel.wording import lasting, schedule_words, who

if TYPE_CHECKING:
    from mainstay.kernel.actor import Actor
    from mainstay.kernel.capability import MenuEntry

register = template.Library()
register.filter(schedule_words)
register.filter(who)

_PHASES = ("lookup", "connect", "tls", "wait", "transfer")
PHASE_NAMES = {
    "lookup": "Name lookup",
    "connect": "Connect",
    "tls": "TLS",
    "wait": "First byte",
    "transfer": "Transfer",
}
_FIRST_BYTE = frozenset({"http", "steps", "browser", "promql", "docker", "build"})

# States that borrow another one's icon and colour, and states with words of their own.
LOOKS = {
    "late": "degraded",
    "working": "up",
    "draining": "degraded",
    "silent": "down",
    "stopped": "paused",
    "new": "none",
    "firing": "down",
    "resolved": "up",
    "pending": "clock",
    "delivering": "clock",
    "delivered": "up",
    "refused": "down",
    "expired": "down",
    "suppressed": "mute",
    "cancelled": "cross",
    "success": "up",
    "warning": "degraded",
    "error": "down",
    "info": "check",
}
WORDS = {
    "new": "Waiting for its first ping",
    "firing": "Open",
    "working": "Works",
    "draining": "Hands over",
}


@register.filter
def look(value: str) -> str:
    return LOOKS.get(value, value)


@register.simple_tag
def asset(path: str) -> str:
    return asset_url(path)


@register.simple_tag
def icon(name: str) -> SafeString:
    return format_html('<svg class="i" aria-hidden="true"><use href="{}#{}"/></svg>', asset_url("icons.svg"), name)


@register.simple_tag
def state(value: str, text: str = "") -> SafeString:
    """Icon and word of a state, in its colour."""
    shown = look(value)
    words = text or WORDS.get(value, value.capitalize())
    return format_html('<span class="state st st-{}">{}{}</span>', shown, icon(shown), words)


@register.simple_tag
def badge(value: str, text: str = "") -> SafeString:
    shown = look(value)
    words = text or WORDS.get(value, value.capitalize())
    return format_html('<span class="badge st st-{}">{}{}</span>', shown, icon(shown), words)


@register.inclusion_tag("web/menu.html", takes_context=True)
def menu(context: Mapping[str, Any]) -> dict[str, Any]:
    """The pages of all capabilities by group; whoever is known not to hold what a page asks for is not led there."""
    request = context.get("request")
    actor, path = getattr(request, "actor", None), getattr(request, "path", "")
    shown = {
        group: [_menu_line(entry, path) for entry in entries if actor is None or may_see(actor, entry)]
        for group, entries in CAPABILITIES.menu().items()
    }
    return {"groups": [_menu_group(group, lines) for group, lines in shown.items() if lines]}


def _menu_group(name: str, lines: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": name,
        "lines": lines,
        "count": sum(line["count"] for line in lines),
        "here": any(line["here"] for line in lines),
    }


def may_see(actor: Actor, entry: MenuEntry) -> bool:
    """Whether the menu leads this actor there."""
    return actor.may_some(entry.scope) if entry.limited else actor.may(entry.scope)


def _menu_line(entry: MenuEntry, path: str) -> dict[str, Any]:
    here = path == entry.url or (entry.url != "/" and path.startswith(entry.url))
    return {"entry": entry, "here": here, "count": load(entry.count)() if entry.count else 0}


@register.filter
def ago(at: float | None) -> SafeString:
    """`3 min ago`, kept current by the page's script. Of what is past: another clock may be a little ahead."""
    if at is None:
        return SafeString('<span class="muted">never</span>')
    return _time(at, "ago", f"{lasting(max(0.0, time.time() - at))} ago")


@register.filter
def due(at: float | None) -> SafeString:
    """`in 5 min`, and `3 min ago` once it is past. Of what is to come; a dash if nothing is."""
    if at is None:
        return SafeString("\u2013")
    seconds = time.time() - at
    return _time(at, "due", f"{lasting(seconds)} ago" if seconds >= 0 else f"in {lasting(-seconds)}")


@register.filter
def since(at: float | None) -> SafeString:
    """How long ago, without "ago": `2 h 5 min`."""
    return SafeString("\u2013") if at is None else _time(at, "for", lasting(abs(time.time() - at)))


@register.filter
def clock(at: float | None) -> SafeString:
    """The moment itself: UTC on paper, the reader's zone on the screen."""
    if at is None:
        return SafeString("\u2013")
    return _time(at, "clock", to_iso(at)[:19].replace("T", " ") + " UTC")


def _time(at: float, form: str, words: str) -> SafeString:
    iso = to_iso(at)
    return format_html('<time datetime="{}" data-form="{}">{}</time>', iso, form, words)


@register.filter
def latency(seconds: float | None) -> str:
    """`87 ms`, `1.24 s`; a dash if there is none."""
    if seconds is None:
        return "\u2013"
    if seconds >= 1:
        return f"{seconds:.2f} s"
    milliseconds = seconds * 1000
    return f"{milliseconds:.1f} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"


@register.filter
def offset(seconds: float) -> str:
    """How a clock goes against this one's, by what must be added to it: `12.0 ms behind`, `61.00 s ahead`."""
    if abs(seconds) < 0.0005:
        return "exact"
    return f"{latency(abs(seconds))} {'behind' if seconds > 0 else 'ahead'}"


@register.filter
def duration(seconds: float | None) -> str:
    """As it is declared: `1m30s`."""
    return "\u2013" if seconds is None else format_duration(seconds)


@register.filter
def spell(seconds: float | None) -> str:
    """As people say it: `2 h 5 min`."""
    return "\u2013" if seconds is None else lasting(seconds)


@register.filter(name="percent")
def percent_filter(share: float | None) -> str:
    return percent(share)


@register.filter
def uptime(line: Line | None) -> str:
    return percent(line.share if line else None)


@register.simple_tag
def history(line: Line | None, size: str = "") -> SafeString:
    return bars_svg(line, tall=size == "tall") if line else SafeString("")


@register.filter
def phase_name(name: str, kind: str = "http") -> str:
    """Only what speaks HTTP has a first byte to wait for; others wait for their answer."""
    return "Answer" if name == "wait" and kind not in _FIRST_BYTE else PHASE_NAMES.get(name, name)


@register.simple_tag
def phase_strip(phases: Mapping[str, float]) -> SafeString:
    """A thin picture of where a check's time went."""
    total = sum(phases.get(name, 0.0) for name in _PHASES)
    if total <= 0:
        return SafeString("")
    shapes, left = [], 0.0
    for name in _PHASES:
        width = phases.get(name, 0.0) / total * 1000
        if width > 0:
            shapes.append(f'<rect class="p-{name}" x="{left:.1f}" y="0" width="{width:.1f}" height="10"/>')
            left += width
    label = ", ".join(f"{PHASE_NAMES[name]} {latency(phases[name])}" for name in _PHASES if phases.get(name))
    return format_html(
        '<svg class="phases" viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>',
        label,
        SafeString("".join(shapes)),
    )


@register.filter
def bytesize(count: float | None) -> str:
    """`4.2 MB`, decimal."""
    if count is None:
        return "\u2013"
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return ""


@register.filter
def words(text: str) -> str:
    """`status_pages` as `status pages`."""
    return text.replace("_", " ")


@register.filter
def ticks(text: str | list[str]) -> SafeString:
    """What stands between backticks as code; semicolons between several texts."""
    pieces = enumerate(("; ".join(text) if isinstance(text, list) else str(text)).split("`"))
    return format_html_join("", "{}", ((format_html("<code>{}</code>", one) if at % 2 else one,) for at, one in pieces))


@register.filter
def get(mapping: Mapping[str, Any], key: str) -> Any:
    return mapping.get(key)
