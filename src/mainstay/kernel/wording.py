"""A notification in words, the same in every channel: heading, facts, and times as people say them."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mainstay.kernel.ports import Notification

_PAGE = re.compile(r"https?://[!-~]{1,190}")
_LINKS = {"acknowledge": "Acknowledge", "monitor": "Open", "alert": "Alert"}
_LONG = frozenset({"Description", "Output", "Changed lately"})  # of several lines
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def lasting(seconds: float) -> str:
    """Two units at most: `45 s`, `3 min`, `2 h 5 min`, `3 d 4 h`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    parts = []
    for size, unit in _UNITS:
        count, whole = divmod(whole, size)
        if count:
            parts.append(f"{count} {unit}")
        elif parts:
            break
        if len(parts) == 2:
            break
    return " ".join(parts)


def counted(count: int, one: str, many: str = "") -> str:
    """`1 entry`, `2,000 entries`; many: the plural, if it is not `one` with an s."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def percent(share: float, digits: int = 2) -> float:
    """A share (0..1) in percent, cut off after `digits` digits: only what lost nothing has 100.

    Every uptime that is shown, on a page, in a badge or to a program, is written by way of this.
    """
    if share >= 1:
        return 100.0
    factor = 10**digits
    # What is a hair below a round figure by the arithmetic of floats is that figure.
    return float(min(math.floor(round(share * 100 * factor, 6)), 100 * factor - 1) / factor)


_WHO = {
    "user": "{}",
    "token": "the token {}",
    "command": "{} at the command line",
    "file": "the file {}",
    "link": "a link ({})",
    "public": "a visitor ({})",
    "system": "Mainstay ({})",
}


def who(actor: str) -> str:
    """Who did something, for people to read. actor: as the journal has it, such as `user:ops@example.com`."""
    kind, _, name = actor.partition(":")
    return _WHO[kind].format(name) if kind in _WHO and name else actor


def schedule_words(text: str) -> str:
    """A schedule as it is written: `every 3600s` as `every 1 h`; expressions as they are."""
    found = re.fullmatch(r"every (\d+(?:\.\d+)?)s", text)
    return f"every {lasting(float(found[1]))}" if found else text


def schedule_of(evidence: Mapping[str, Any]) -> str:
    """When a subject has to report in, in words; empty if it has no schedule."""
    return schedule_words(str(evidence.get("schedule", "")))


def ago(at: float, now: float) -> str:
    return f"{lasting(now - at)} ago" if now - at >= 1 else "just now"


def instant(text: object) -> float | None:
    """Epoch seconds of an RFC 3339 text; None if there is none."""
    return datetime.fromisoformat(text).timestamp() if isinstance(text, str) and text else None


def utc(text: object) -> str:
    """`2026-01-02T03:04:05.678Z` as `2026-01-02 03:04:05 UTC`."""
    return f"{text[:19].replace('T', ' ')} UTC" if isinstance(text, str) and text else ""


def one_line(text: object, limit: int = 200) -> str:
    """Printable text on one line, cut with an ellipsis: for subjects, headings and headers."""
    flat = " ".join("".join(char if char.isprintable() else " " for char in str(text)).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "\u2026"


def several_lines(text: object, limit: int = 4000) -> str:
    """Printable text on as many lines as it had, without blanks and empty lines at its ends."""
    kept = str(text).strip()[:limit].splitlines()
    return "\n".join("".join(char if char.isprintable() else " " for char in line).rstrip() for line in kept)


def label_links(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels that are addresses of pages, such as `runbook`, by their names."""
    return {name: text for name, text in labels.items() if name not in _LINKS and _PAGE.fullmatch(str(text))}


def link_name(name: str) -> str:
    """What a link is called: `runbook_url` is Runbook."""
    return _LINKS.get(name) or re.sub(r"_(url|link)$", "", name).replace("_", " ").strip().capitalize() or "Link"


def plain_labels(labels: Mapping[str, str], kind: str) -> dict[str, str]:
    """The labels of a subject of this kind but for those that are said otherwise: its name, severity and links."""
    apart = {kind, "severity", *label_links(labels)}
    return {name: value for name, value in labels.items() if name not in apart}


def heading(message: Notification) -> str:
    """`[P1] api is down`, `Resolved: api is down`, `Test: ...`."""
    title = one_line(message.alert.get("title") or message.alert.get("monitor") or "Mainstay")
    if message.status == "firing":
        return f"[{message.alert.get('severity', '')}] {title}"
    return f"{ {'resolved': 'Resolved', 'test': 'Test'}.get(message.status, 'Report') }: {title}"


def facts(message: Notification, now: float) -> list[tuple[str, str]]:
    """What a woken person asks first, as (question, answer); only what is known."""
    alert, evidence = message.alert, message.evidence
    since, until = instant(alert.get("since")), instant(alert.get("until"))
    started = "" if since is None else f"{utc(alert['since'])} ({ago(since, now)})"
    ended = "" if until is None else f"{utc(alert['until'])} ({ago(until, now)})"
    lasted = "" if since is None or until is None else lasting(until - since)
    schedule = schedule_of(evidence.get("details", {}))
    error = "" if evidence.get("error") == alert.get("summary") else evidence.get("error", "")
    answers = [
        ("What", alert.get("summary", "")),
        ("Exit status", str(evidence.get("exit_status", ""))),
        ("Description", evidence.get("description", "")),
        ("Since", started),
        ("Until", ended),
        ("Lasted", lasted),
        ("Ended because", evidence.get("ended", "")),
        ("Schedule", schedule),
        ("Target", "" if schedule else evidence.get("address", "")),
        ("Phase", "" if schedule else evidence.get("phase", "")),
        ("Code", "" if schedule else evidence.get("code", "")),
        ("Error", error),
        ("Output", evidence.get("output", "")),
        ("Severity", alert.get("severity", "")),
        ("Labels", _labels(plain_labels(alert.get("labels", {}), alert.get("kind", "")))),
        ("Changed lately", "\n".join(message.changes)),
    ]
    return [(name, several_lines(text) if name in _LONG else one_line(text, 1000)) for name, text in answers if text]


def _labels(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(labels.items()))


def plain_text(message: Notification, now: float) -> str:
    """The whole message for channels that know text only."""
    answers = [
        (question, f"\n{answer}" if "\n" in answer else f" {answer}") for question, answer in facts(message, now)
    ]
    lines = [f"{question}:{answer}" for question, answer in answers]
    lines += [f"{link_name(name)}: {url}" for name, url in message.links.items()]
    return "\n".join(lines)


def votes_in_words(votes: Mapping[str, Any]) -> str:
    """`fra: up, nyc: down (no connection within 5 s)`, of what each place said."""
    said = [(name, vote) for name, vote in votes.items() if isinstance(vote, dict)]
    words = [f"{name}: {vote.get('verdict', 'unknown')}" for name, vote in said]
    notes = [f" ({vote['message']})" if vote.get("message") else "" for _, vote in said]
    return ", ".join(word + note for word, note in zip(words, notes, strict=True))[:2000]


def cause_words(subject: str) -> str:
    """What is wrong with a subject that explains the trouble of others, such as `uplink/network`."""
    kind, _, name = subject.partition("/")
    if kind != "uplink":
        return f"{subject} is failing"
    part, _, node = name.partition("/")
    whose = f"the server {node}" if node else "this machine"
    return f"{whose} cannot resolve names" if part == "resolver" else f"{whose} has no network"
