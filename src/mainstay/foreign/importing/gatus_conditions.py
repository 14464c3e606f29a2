"""Gatus' conditions (`[STATUS] == 200`, `[BODY].x == y`, `len()`, `has()`, `pat()`, `any()`) as expectations.

Notation: https://github.com/TwiN/gatus#conditions. A condition is `value operator value`; values are compared as
text where the operator is == or !=, else as whole numbers, durations as milliseconds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from mainstay.foreign.importing.source import Node
from mainstay.foreign.importing.values import (
    EVERY_STATUS,
    expected,
    from_glob,
    go_duration,
    is_number,
    json_path,
    negated,
    written_statuses,
)
from mainstay.kernel.timespan import format_duration

_SPLIT = re.compile(r"^(.*?) (==|!=|<=|>=|<|>) (.*)$", re.DOTALL)
_FLIPPED = {"==": "==", "!=": "!=", "<": ">", ">": "<", "<=": ">=", ">=": "<="}
_FUNCTION = re.compile(r"(pat|any|len|has)\((.*)\)", re.DOTALL)
_RCODES = ("NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED")
_LENGTHS = 'Mainstay compares values and not lengths; for a list expect `$.path[0]: "!= null"`, for text `=~ .{8}`'
_ONE_TEXT = "one text and one pattern can be expected of such a service's answer, and nothing that must be absent"
_DAY = 86_400.0
_BODY_KINDS = ("tcp", "udp", "websocket", "ssh")


@dataclass(slots=True)
class Conditions:
    """Everything that the conditions of one endpoint ask for. `to` is the path of its `expect` in the file; `plain`:
    it is asked without TLS."""

    kind: str
    to: str
    plain: bool = False
    statuses: frozenset[int] | None = None
    json: dict[str, Any] = field(default_factory=dict)
    contains: list[str] = field(default_factory=list)
    not_contains: list[str] = field(default_factory=list)
    patterns: list[str] = field(default_factory=list)
    not_patterns: list[str] = field(default_factory=list)
    slowest: float | None = None
    certificate: float | None = None
    domain: tuple[float, Node] | None = None
    rcode: list[str] = field(default_factory=list)
    records: dict[str, list[str]] = field(default_factory=dict)  # some, none -> patterns
    values: list[str] = field(default_factory=list)
    any_value: bool = False

    def read(self, node: Node) -> None:
        text = node.as_text().strip()
        found = _SPLIT.match(text)
        if found is None:
            node.mistake(f"`{text[:60]}` is not a condition such as `[STATUS] == 200`")
            return
        left, operator, right = (part.strip() for part in found.groups())
        if "[" not in left and "[" in right:
            left, operator, right = right, _FLIPPED[operator], left
        if re.search(r"\[(STATUS|BODY|IP|RESPONSE_TIME|CONNECTED|CERTIFICATE_EXPIRATION|CONTEXT)\]", right):
            node.left("Mainstay compares an answer with what is written, and not two parts of the answer")
            return
        self._dispatch(node, left, operator, right)

    def _dispatch(self, node: Node, left: str, operator: str, right: str) -> None:
        function = _FUNCTION.fullmatch(left)
        if function is not None:
            self._function(node, function[1], function[2].strip(), operator, right)
        elif left == "[STATUS]":
            self._status(node, operator, right)
        elif left == "[RESPONSE_TIME]":
            self._response_time(node, operator, right)
        elif left == "[CONNECTED]":
            self._connected(node, operator, right)
        elif left == "[CERTIFICATE_EXPIRATION]":
            self._certificate(node, operator, right)
        elif left == "[DOMAIN_EXPIRATION]":
            self._domain(node, operator, right)
        elif left == "[DNS_RCODE]":
            self._rcode(node, operator, right)
        elif left == "[BODY]":
            self._body(node, operator, right)
        elif left.startswith(("[BODY].", "[BODY][")):
            self._json(node, left.removeprefix("[BODY]"), operator, right)
        else:
            node.left(f"Mainstay has no expectation about {left[:40]}")

    def _status(self, node: Node, operator: str, right: str) -> None:
        if self.kind != "http":
            node.left("only HTTP has a status")
            return
        function = _FUNCTION.fullmatch(right)
        codes = _codes(operator, function[1] if function else "", function[2] if function else right)
        if codes is None:
            node.left("the codes cannot be derived from it")
            return
        self.statuses = codes if self.statuses is None else self.statuses & codes
        node.carried(f"{self.to}.status")

    def _response_time(self, node: Node, operator: str, right: str) -> None:
        seconds = _milliseconds(right)
        if operator not in ("<", "<=") or seconds is None or seconds <= 0:
            node.left("Mainstay reports what is too slow, not what is too fast")
            return
        self.slowest = seconds if self.slowest is None else min(self.slowest, seconds)
        node.carried(f"{self.to}.down_after")

    def _connected(self, node: Node, operator: str, right: str) -> None:
        if (operator, right) in (("==", "true"), ("!=", "false")):
            node.idle("every check needs the connection")
        else:
            node.left("a check that wants no connection cannot be declared")

    def _certificate(self, node: Node, operator: str, right: str) -> None:
        seconds = _milliseconds(right)
        if operator not in (">", ">=") or seconds is None or self.kind not in ("http", "tls", "smtp"):
            node.left("only the shortest time that is left can be expected, of TLS and HTTPS")
            return
        if self.plain:
            node.left("a plain address has no certificate; it would be degraded at once")
            return
        self.certificate = seconds if self.certificate is None else max(self.certificate, seconds)
        name = "days" if self.kind == "tls" else "certificate_days"
        how = "with fewer days left it is degraded, not down; `alert_on` makes that open an alert"
        node.approximated(f"{self.to}.{name}", how)

    def _domain(self, node: Node, operator: str, right: str) -> None:
        seconds = _milliseconds(right)
        if operator not in (">", ">=") or seconds is None:
            node.left("only the shortest time that is left can be expected")
        else:
            self.domain = (seconds, node)

    def _rcode(self, node: Node, operator: str, right: str) -> None:
        function = _FUNCTION.fullmatch(right)
        codes = [part.strip().upper() for part in function[2].split(",")] if function else [right.upper()]
        if self.kind != "dns" or self.rcode or operator not in ("==", "!=") or (function and function[1] != "any"):
            node.left("only DNS has a response code, and it must be compared with fixed values")
        elif not all(code in _RCODES for code in codes):
            node.left(f"response codes that can be expected are {', '.join(_RCODES)}")
        elif operator == "==":
            self.rcode = codes
            node.carried(f"{self.to}.rcode")
        else:
            self.rcode = [code for code in _RCODES if code not in codes]
            node.approximated(f"{self.to}.rcode", "every other response code")

    def _body(self, node: Node, operator: str, right: str) -> None:
        if self.kind == "dns":
            self._record(node, operator, right)
            return
        if self.kind != "http" and self.kind not in _BODY_KINDS:
            node.left(f"a {self.kind} check has no body")
            return
        function = _FUNCTION.fullmatch(right)
        if operator not in ("==", "!=") or (function is not None and function[1] not in ("pat", "any")):
            node.left(_LENGTHS)
            return
        if function is None:
            self._pattern(node, operator, re.escape(right))
        elif function[1] == "any":
            options = "|".join(re.escape(option.strip()) for option in function[2].split(","))
            self._pattern(node, operator, f"(?:{options})")
        else:
            self._glob(node, operator, function[2])

    def _glob(self, node: Node, operator: str, pattern: str) -> None:
        inner = re.fullmatch(r"\*([^*?\[\]\\]+)\*", pattern, re.DOTALL)
        if inner is not None and self.kind != "http" and (operator != "==" or self.contains):
            node.left(_ONE_TEXT)
        elif inner is not None:
            name = "contains" if operator == "==" else "not_contains"
            (self.contains if operator == "==" else self.not_contains).append(inner[1])
            node.carried(f"{self.to}.{name}")
        else:
            self._pattern(node, operator, from_glob(pattern))

    def _pattern(self, node: Node, operator: str, whole: str) -> None:
        """The whole body without the blanks around it, as Gatus compares it."""
        written = rf"\A\s*{whole}\s*\z"
        if self.kind != "http" and (operator != "==" or self.patterns):
            node.left(_ONE_TEXT)
        elif operator == "==":
            self.patterns.append(written)
            node.carried(f"{self.to}.regex")
        else:
            self.not_patterns.append(written)
            node.carried(f"{self.to}.not_regex")

    def _record(self, node: Node, operator: str, right: str) -> None:
        function = _FUNCTION.fullmatch(right)
        options = [part.strip() for part in function[2].split(",")] if function and function[1] == "any" else [right]
        is_pattern = function is not None and function[1] == "pat"
        if operator == "==" and (self.values or "some" in self.records):
            node.left("one expectation says what must be in the answer")
            return
        if is_pattern or operator == "!=":
            wanted = [from_glob(function[2])] if function and is_pattern else [re.escape(option) for option in options]
            where = "some" if operator == "==" else "none"
            self.records.setdefault(where, []).append(rf"\t(?:{'|'.join(wanted)})\.?\z")
            node.approximated(f"{self.to}.answer.{where}", "any record of the answer is compared, not the last")
            return
        if operator != "==" or (function is not None and function[1] != "any"):
            node.left("a DNS check compares records with text and patterns only")
            return
        self.values, self.any_value = options, len(options) > 1
        node.carried(f"{self.to}.values")

    def _json(self, node: Node, written: str, operator: str, right: str) -> None:
        path = json_path(written)
        if self.kind != "http":
            node.left(f"a {self.kind} check does not read JSON")
        elif path is None:
            node.left("a path names one value in Mainstay: wildcards and filters cannot be written")
        elif path in self.json:
            node.left(f"{path} already has an expectation, and may have only one")
        else:
            self._expect(node, path, operator, right)

    def _expect(self, node: Node, path: str, operator: str, right: str) -> None:
        function = _FUNCTION.fullmatch(right)
        value, doubt = _comparison(operator, right) if function is None else _by_function(operator, function)
        if value is _NONE:
            node.left(doubt)
            return
        self.json[path] = value
        to = f"{self.to}.json.{path}"
        if doubt:
            node.approximated(to, doubt)
        else:
            node.carried(to)

    def _function(self, node: Node, name: str, inner: str, operator: str, right: str) -> None:
        path = json_path(inner.removeprefix("[BODY]")) if inner.startswith("[BODY]") else None
        if name != "has" or path is None or self.kind != "http":
            node.left(_LENGTHS if name == "len" else "Mainstay cannot express it")
        elif (operator, right) not in (("==", "true"), ("!=", "false")):
            node.left("Mainstay cannot expect that a value is absent; `not_contains` may serve")
        elif path in self.json:
            node.carried(f"{self.to}.json.{path}", "the value that is compared must exist")
        else:
            self.json[path] = "!= null"
            node.approximated(f"{self.to}.json.{path}", "it must exist and not be null")

    def expect(self) -> dict[str, Any]:
        """The monitor's `expect`."""
        found = self._texts()
        if self.kind == "http":
            codes = EVERY_STATUS if self.statuses is None else self.statuses
            found["status"] = _short(written_statuses(codes))
        if self.json:
            found["json"] = self.json
        if self.rcode and self.rcode != ["NOERROR"]:
            found["rcode"] = _short(self.rcode)
        if self.records:
            found["answer"] = self.records
        if self.values:
            found["values"] = self.values
            found |= {"match": "any"} if self.any_value else {}
        if self.certificate is not None:
            found["days" if self.kind == "tls" else "certificate_days"] = round(self.certificate / _DAY, 3)
        if self.slowest is not None:
            found["down_after"] = format_duration(self.slowest)
        return found

    def _texts(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        listed = {"contains": self.contains, "not_contains": self.not_contains}
        listed |= {"regex": self.patterns, "not_regex": self.not_patterns}
        found |= {name: _short(texts) for name, texts in listed.items() if texts}
        if self.kind == "udp" and not found:
            found["answer"] = False  # Gatus sends without waiting, unless a condition looks at what comes
        return found


_NONE = object()


def _comparison(operator: str, right: str) -> tuple[Any, str]:
    if operator == "==":
        return expected(right)
    if operator == "!=":
        value, doubt = negated(right)
        return value, doubt or "a missing value fails here, and does not there"
    if not is_number(right):
        return _NONE, f"`{operator}` needs a number"
    return f"{operator} {right}", ""


def _by_function(operator: str, function: re.Match[str]) -> tuple[Any, str]:
    if operator != "==" or function[1] not in ("pat", "any"):
        return _NONE, "Mainstay cannot express it"
    if function[1] == "pat":
        return f"=~ ^{from_glob(function[2])}$", ""
    options = [option.strip() for option in function[2].split(",")]
    if len(options) == 1:
        return expected(options[0])
    return f"=~ ^(?:{'|'.join(re.escape(option) for option in options)})$", ""


def _codes(operator: str, function: str, right: str) -> frozenset[int] | None:
    if function == "pat":
        pattern = re.compile(from_glob(right))
        chosen = frozenset(code for code in EVERY_STATUS if pattern.fullmatch(str(code)))
        return chosen if operator == "==" else EVERY_STATUS - chosen if operator == "!=" else None
    options = right.split(",") if function == "any" else [right]
    if function not in ("", "any") or not all(option.strip().isdigit() for option in options):
        return None
    numbers = frozenset(int(option) for option in options)
    if operator in ("==", "!="):
        return (numbers & EVERY_STATUS) if operator == "==" else EVERY_STATUS - numbers
    (limit,) = numbers if len(numbers) == 1 else (0,)
    tests = {"<": lambda code: code < limit, "<=": lambda code: code <= limit}
    tests |= {">": lambda code: code > limit, ">=": lambda code: code >= limit}
    return frozenset(code for code in EVERY_STATUS if tests[operator](code))


def _milliseconds(right: str) -> float | None:
    """Seconds; a bare number is milliseconds."""
    if right.isdigit():
        return int(right) / 1000
    return go_duration(right)


def _short(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values
