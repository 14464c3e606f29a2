"""Notations that several tools share, in ours: Go durations, sets of status codes, JSON paths, expected values."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable

_UNITS = {"ns": 1e-9, "us": 1e-6, "\u00b5s": 1e-6, "\u03bcs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_LONG_UNITS = {"d": 86_400.0, "w": 604_800.0, "y": 31_536_000.0}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|[smhdwy])")
_OPERATOR = re.compile(r"\s*(?:>=|<=|>|<|!=|==|=~)")
_PLAIN_STEP = re.compile(r"[^\W\d][\w-]*")
_PATH_STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d{1,9})\]|\[(?:\"([^\"]*)\"|'([^']*)')\]")
EVERY_STATUS = frozenset(range(100, 600))


def is_address(text: str) -> bool:
    """Whether `192.0.2.1`, `192.0.2.1:53` or `[::1]:53` begins with an IP address and not with a name."""
    host = text.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def go_duration(text: object) -> float | None:
    """Seconds of `1h30m`, `250ms`, `2d` (Go's time.ParseDuration, and Prometheus' days, weeks and years)."""
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        return None
    written = str(text).strip()
    if written == "0":
        return 0.0
    parts = _PART.findall(written)
    if not parts or "".join(number + unit for number, unit in parts) != written:
        return None
    return sum(float(number) * (_UNITS.get(unit) or _LONG_UNITS[unit]) for number, unit in parts)


def written_statuses(codes: Iterable[int]) -> list[int | str]:
    """`200`, `200-299`: the shortest list of ranges."""
    ranges: list[list[int]] = []
    for code in sorted(codes):
        if ranges and code == ranges[-1][1] + 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return [low if low == high else f"{low}-{high}" for low, high in ranges]


def statuses_of(text: str) -> frozenset[int] | None:
    """The codes of `200`, `200-299` or `2xx`; None if it is none of these."""
    found = re.fullmatch(r"([1-5]\d\d)(?:\s*-\s*([1-5]\d\d))?|([1-5])[xX*]{2}", text.strip())
    if found is None:
        return None
    if found[3]:
        return frozenset(range(int(found[3]) * 100, int(found[3]) * 100 + 100))
    return frozenset(range(int(found[1]), int(found[2] or found[1]) + 1))


def json_path(written: str) -> str | None:
    """`.data[0].user-name` or `data[0]` as `$.data[0].user-name`; None for wildcards, filters and functions."""
    text = written.strip().removeprefix("$")
    if re.search(r"[*?@()]|\.\.|\s", text):
        return None
    steps, position = "$", 0
    while position < len(text):
        found = _PATH_STEP.match(text, position)
        if found is None:
            return None
        name = next((one for one in (found[1], found[3], found[4]) if one is not None), None)
        if name is None:
            steps += f"[{found[2]}]"
        else:
            steps += f".{name}" if _PLAIN_STEP.fullmatch(name) else f"[{json.dumps(name)}]"
        position = found.end()
    return steps


def expected(text: str) -> tuple[str | None, str]:
    """(value to compare with, doubt): what a text without quotes means in an answer of JSON, which may hold numbers,
    true and false as such or as text.
    """
    if text == "null":
        return None, "taken as null; put quotes around it if the answer holds text"
    return (f"== {text}" if text in ("true", "false") or is_number(text) else literal(text)), ""


def is_number(text: str) -> bool:
    return re.fullmatch(r"-?(?:0|[1-9]\d{0,15})(?:\.\d{1,15})?", text) is not None


def literal(text: str) -> str:
    """Text as an expected value; one that looks like an operator is compared by `==`."""
    return f"== {json.dumps(text, ensure_ascii=False)}" if _OPERATOR.match(text) else text


def negated(text: str) -> tuple[str, str]:
    value, doubt = expected(text)
    if value == f"== {text}" or value is None:
        return f"!= {text}", doubt
    return f"!= {json.dumps(text, ensure_ascii=False)}", ""


def from_glob(pattern: str) -> str:
    """A pattern of Go's path.Match (`*`, `?`, `[a-z]`, `[^a]`) as a regular expression, not anchored."""
    found, position = "", 0
    while position < len(pattern):
        sign, rest = pattern[position], pattern[position:]
        group = re.match(r"\[(\^?)((?:\\.|[^\\\]])+)\]", rest, re.DOTALL)
        if group is not None:
            found += f"[{group[1]}" + re.sub(r"([&~|\[^])", r"\\\1", group[2]) + "]"
            position += group.end()
            continue
        known = {"*": r"[\s\S]*", "?": r"[\s\S]"}
        escaped = sign == "\\" and len(rest) > 1
        found += re.escape(rest[1]) if escaped else known.get(sign) or re.escape(sign)
        position += 2 if escaped else 1
    return found
