"""Uptime Kuma's comparisons, and its conditions of dns, databases and MQTT, as expectations.

A condition is `{variable, operator, value, andOr}`; `andOr` joins it to the one before.
https://github.com/louislam/uptime-kuma/tree/master/server/monitor-conditions
"""

from __future__ import annotations

import re
from typing import Any

from mainstay.foreign.importing.kuma_source import text
from mainstay.foreign.importing.kuma_target import Monitor
from mainstay.foreign.importing.source import Node
from mainstay.foreign.importing.values import expected, json_path, negated

_NUMBERS = {"num_equals": "==", "num_not_equals": "!=", "lt": "<", "gt": ">", "lte": "<=", "gte": ">="}
_ONE = "Mainstay compares a value once; only a single condition is imported"
# What stands before the part of a record that Kuma compares, and after it, as zone files write the record.
_RECORDS = {
    "A": ("", ""),
    "AAAA": ("", ""),
    "CNAME": ("", r"\.?"),
    "NS": ("", r"\.?"),
    "PTR": ("", r"\.?"),
    "MX": (r"\d+ ", r"\.?"),
    "SRV": (r"\d+ \d+ \d+ ", r"\.?"),
    "TXT": ('"', '"'),
}


def comparison(operator: str, wanted: str) -> tuple[Any, str]:
    """(expected value, doubt); None if there is no such comparison."""
    if operator in ("==", "equals"):
        return expected(wanted)
    if operator in ("!=", "not_equals"):
        return negated(wanted)
    if (sign := _NUMBERS.get(operator, operator)) in ("==", "!=", ">", ">=", "<", "<="):
        return f"{sign} {wanted}", ""
    pattern = _pattern(operator, wanted)
    return (f"=~ {pattern}", "") if pattern else (None, "")


def _pattern(operator: str, wanted: str) -> str:
    quoted = re.escape(wanted)
    known = {"contains": quoted, "starts_with": f"^{quoted}", "ends_with": f"{quoted}$", "equals": f"^{quoted}$"}
    return known.get(operator, "")


def put_json(own: Monitor, expect: dict[str, Any], found: tuple[Any, str], *names: str) -> None:
    """What stands at the JSONata path of a monitor. found: (expected value, doubt); names: the fields that say so."""
    value, doubt = found
    written = text(own.node, "jsonPath") or "$"
    path = json_path(written if written.startswith(("$", "[")) else f".{written}")
    used = [one for name in names if (one := own.get(name)) is not None]
    if path is None or value is None:
        for one in used:
            one.left("only paths of names and indexes, compared with a value, are supported")
        return
    expect["json"] = {path: value}
    for one in used:
        if doubt:
            one.approximated(f"{own.to}.expect.json", doubt)
        else:
            one.carried(f"{own.to}.expect.json")


def put_value(own: Monitor, expect: dict[str, Any]) -> None:
    """The one value that a query gives."""
    found = _listed(own)
    if len(found) != 1:
        _leave(own, _ONE)
        return
    value, doubt = comparison(found[0].text("operator"), found[0].text("value"))
    if value is None:
        _leave(own, f"Mainstay has no comparison like `{found[0].text('operator')[:40]}`")
        return
    expect["value"] = value
    _tell(own, "expect.value", doubt)


def put_message(own: Monitor, expect: dict[str, Any]) -> None:
    """The message that a topic brings, or what stands in it at the JSON path."""
    found = _listed(own)
    if len(found) == 1 and found[0].text("variable") == "json_value" and own.get("jsonPath") is not None:
        wanted = comparison(found[0].text("operator"), found[0].text("value"))
        put_json(own, expect, wanted, "conditions", "jsonPath")
        return
    own.leave("only a single condition about `json_value` looks at a JSON path", "jsonPath")
    operator = found[0].text("operator") if len(found) == 1 and found[0].text("variable") == "message" else ""
    pattern = _pattern(operator, found[0].text("value")) if operator else ""
    if not pattern:
        _leave(own, "only what a message holds, begins or ends with can be expected, once")
        return
    expect["regex"] = pattern
    _tell(own, "expect.regex", "")


def put_records(own: Monitor, expect: dict[str, Any], kind: str) -> None:
    """Records of which one must fit: several conditions joined by `or`, as patterns."""
    found, around = _listed(own), _RECORDS.get(kind)
    joined = {one.text("andOr") for one in found[1:]}
    patterns = [_record(one, kind, *around) for one in found] if around is not None else []
    if not all(patterns) or not patterns or joined - {"or"}:
        _leave(own, "only what one of the records is, holds, begins or ends with can be expected, joined by `or`")
        return
    expect["answer"] = {"some": patterns}
    _tell(own, "expect.answer.some", "")


def _record(condition: Node, kind: str, before: str, after: str) -> str:
    quoted = re.escape(condition.text("value"))
    inside = {
        "equals": f"{before}{quoted}{after}$",
        "starts_with": f"{before}{quoted}",
        "ends_with": f".*{quoted}{after}$",
        "contains": f".*{quoted}",
    }.get(condition.text("operator"), "")
    return f"\\t{kind}\\t{inside}" if inside else ""


def _listed(own: Monitor) -> list[Node]:
    """The conditions; empty as well if there are groups among them."""
    found = own.get("conditions")
    if found is None or not isinstance(found.value, list):
        return []
    nodes = [Node(value, (*found.path, index), found.report) for index, value in enumerate(found.value)]
    plain = all(isinstance(node.value, dict) and node.text("type") != "group" for node in nodes)
    return nodes if plain else []


def has_conditions(own: Monitor) -> bool:
    found = own.get("conditions")
    return found is not None and bool(found.value)


def _leave(own: Monitor, why: str) -> None:
    own.leave(why, "conditions")


def _tell(own: Monitor, to: str, doubt: str) -> None:
    found = own.get("conditions")
    if found is not None and doubt:
        found.approximated(f"{own.to}.{to}", doubt)
    elif found is not None:
        found.carried(f"{own.to}.{to}")
