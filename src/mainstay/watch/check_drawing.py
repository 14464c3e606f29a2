"""One result for a person at a terminal: verdict, phases as a waterfall, evidence."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mainstay.kernel.wording import counted
from mainstay.watch.check_command import address_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mainstay.kernel.probing import CheckOrder, CheckResult

_STYLES = {"up": "bold green", "degraded": "bold yellow", "down": "bold red", "unknown": "bold magenta"}
_COLOURS = {
    "lookup": "cyan",
    "connect": "blue",
    "tls": "magenta",
    "send": "blue",
    "wait": "green",
    "transfer": "yellow",
}
_WIDEST = 60  # columns of the bars
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_HIDDEN = {"certificates", "certificate", "tls", "excerpt", "headers", "round_trip"}


def draw(order: CheckOrder, result: CheckResult, console: Console | None = None) -> None:
    console = console or Console(highlight=False)
    headline = Text.assemble(
        (result.verdict, _STYLES[result.verdict]),
        f"  {order.kind} {address_of(order)}  ",
        (seconds(result.duration), "bold"),
    )
    console.print(headline, soft_wrap=True)
    if result.message:
        console.print(Text(f"{result.code}: {result.message}"))
    if result.phases:
        console.print()
        console.print(_phases(result, console))
    rows = list(evidence_rows(result.evidence))
    if rows:
        console.print()
        grid = Table.grid(padding=(0, 2))
        for name, value in rows:
            grid.add_row(Text(name, style="dim"), Text(value, overflow="fold"))
        console.print(grid)


def _phases(result: CheckResult, console: Console) -> Table:
    grid = Table.grid(padding=(0, 2))
    width = max(10, min(_WIDEST, console.width - 30))
    total = sum(result.phases.values()) or 1.0
    blocks = (console.encoding or "").lower().startswith("utf")
    start = 0.0
    for name, length in result.phases.items():
        drawn = bar(start / total, length / total, width, blocks=blocks)
        grid.add_row(Text(name), Text(drawn, style=_COLOURS.get(name, "")), Text(seconds(length), justify="right"))
        start += length
    return grid


def bar(start: float, length: float, width: int, *, blocks: bool = True) -> str:
    """A bar from `start`, `length` long, both as shares of `width` columns; never empty, never too wide."""
    first = min(width - 1, round(start * width))
    eighths = max(1, round(min(length, 1.0) * width * 8))
    eighths = min(eighths, (width - first) * 8)
    if not blocks:
        return " " * first + "#" * max(1, eighths // 8)
    return " " * first + "█" * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")


def seconds(length: float) -> str:
    """`0.4 ms`, `12.3 ms`, `1.25 s`."""
    if length >= 1:
        return f"{length:.2f} s"
    return f"{length * 1000:.1f} ms"


def evidence_rows(evidence: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Label and text, in the order in which a person would ask."""
    for name, value in evidence.items():
        if name not in _HIDDEN:
            yield name.replace("_", " "), _plain(value)
    if trip := evidence.get("round_trip"):
        yield "round trip", ", ".join(f"{name} {seconds(value)}" for name, value in trip.items())
    if tls := evidence.get("tls"):
        known = [tls.get("version", ""), tls.get("cipher", ""), "verified" if tls.get("verified") else "NOT verified"]
        yield "tls", ", ".join(part for part in known if part)
    one = evidence.get("certificate") or {}
    short = [fact for fact in (one, one.get("first_to_end")) if fact]
    for number, fact in enumerate(evidence.get("certificates") or short):
        yield _role(number, fact), certificate_line(fact)
    for name, value in (evidence.get("headers") or {}).items():
        yield name, _plain(value)
    if excerpt := evidence.get("excerpt"):
        yield "excerpt", _plain(excerpt)


def _role(number: int, fact: dict[str, Any]) -> str:
    if fact.get("surplus"):
        return "not needed"
    return "certificate" if number == 0 else "signed by"


def certificate_line(fact: dict[str, Any]) -> str:
    if "not_after" not in fact:
        return str(fact.get("error", ""))
    ends = datetime.fromtimestamp(fact["not_after"], UTC).date().isoformat()
    parts = [fact.get("subject", ""), f"{counted(round(fact['days_left']), 'day')} left (until {ends})"]
    parts += [str(fact[key]) for key in ("key", "signature") if fact.get(key)]
    if names := fact.get("names"):
        parts.append("for " + ", ".join(names[:5]) + (" …" if len(names) > 5 else ""))
    if print_ := fact.get("fingerprint_sha256"):
        parts.append(f"SHA-256 {print_}")
    return "\n".join(parts)


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "\n".join(_plain(one) for one in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    return "".join(letter if letter.isprintable() or letter == "\n" else "\ufffd" for letter in text)
