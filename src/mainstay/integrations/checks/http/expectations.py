"""What an answer must be like, compiled once from `expect`, and the judgement on one answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from mainstay.integrations.checks.certificates import enough_days
from mainstay.integrations.checks.http import charsets
from mainstay.integrations.checks.http.statuses import describe, parse_statuses
from mainstay.integrations.checks.progress import describe_seconds
from mainstay.kernel import jsonpath
from mainstay.kernel.patterns import compile_pattern, search
from mainstay.kernel.probing import CheckFault
from mainstay.kernel.timespan import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainstay.kernel.probing import Verdict

KEPT = 1024 * 1024  # bytes of a body that are kept for looking into it
# The worst first: what cannot be told hides more than what is merely late.
_WORST = {"down": 0, "unknown": 1, "degraded": 2}


@dataclass(slots=True)
class Answer:
    """What came back in the end, after redirects."""

    status: int
    protocol: str  # "1.0", "1.1", "2"
    lines: list[bytes]  # header lines as they came, of every answer on the way
    kept: bytes  # the first KEPT bytes of the body
    size: int  # bytes of the whole body that were read
    cut: bool  # the rest was not read
    seconds: float
    path: list[dict[str, Any]] = field(default_factory=list)  # certificates that count, the server's own first
    secure: bool = False  # it came over TLS
    packed: str = ""  # Content-Encoding of a body that libcurl cannot unpack; nothing of it is kept then
    _headers: dict[str, str] | None = field(default=None, repr=False)
    _text: str | None = field(default=None, repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the last answer: names in lower case, several of one name joined with `, `."""
        if self._headers is None:
            self._headers = parse_headers(self.lines)
        return self._headers

    def values(self, name: str) -> list[str]:
        """Each value of one header of the last answer."""
        return parse_values(self.lines).get(name.lower(), [])

    @property
    def text(self) -> str:
        if self._text is None:
            self._text = charsets.decode(self.kept, self.headers.get("content-type", ""))
        return self._text

    @property
    def json_bytes(self) -> bytes:
        """The body in UTF-8 without a mark, as readers of JSON want it."""
        known = charsets.charset_of(self.kept, self.headers.get("content-type", ""))
        is_plain = known == "utf-8" and not self.kept.startswith(b"\xef")
        return self.kept if is_plain else self.text.encode()

    @property
    def part(self) -> str:
        """What of the body was looked into, where that is not all of it: `first MiB`."""
        if self.size <= len(self.kept) and not self.cut:
            return ""
        return "first MiB" if len(self.kept) == KEPT else f"first {len(self.kept)} bytes"


def parse_headers(lines: list[bytes]) -> dict[str, str]:
    return {name: ", ".join(values) for name, values in parse_values(lines).items()}


def parse_values(lines: list[bytes]) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = {}
    for line in lines:
        if line.startswith(b"HTTP/"):  # an answer before this one: 100 Continue, or the proxy's
            headers.clear()
            continue
        name, colon, value = line.decode("latin-1").partition(":")
        if colon:
            headers.setdefault(name.strip().lower(), []).append(value.strip())
    return headers


@dataclass(frozen=True, slots=True)
class Failure:
    code: str
    message: str
    verdict: Verdict = "down"


class Expectations:
    """`judge` tests what was declared only; `follows` decides what a redirect means where nothing is said."""

    def __init__(self, expect: dict[str, Any], *, follows: bool) -> None:
        written = expect.get("status")
        self._statuses = parse_statuses(written if written is not None else "200-299" if follows else "200-399")
        self._tests: list[Callable[[Answer], Failure | None]] = []
        self.certificate_days: float | None = expect.get("certificate_days")
        self._add_plain(expect)
        self._add_content(expect)
        self._add_transport(expect)
        self._add_limits(expect)

    def judge(self, answer: Answer) -> list[Failure]:
        """Every expectation that is not met, the worst kind first."""
        failures = []
        status = answer.status
        if not any(low <= status <= high for low, high in self._statuses):
            wanted = describe(self._statuses)
            failures.append(Failure("expect.status", f"the status is {status}, not {wanted}"))
        for test in self._tests:
            try:
                failure = test(answer)
            except CheckFault as fault:  # of a pattern
                failure = Failure(fault.code, fault.message, fault.verdict)
            if failure is not None:
                failures.append(failure)
        return sorted(dict.fromkeys(failures), key=lambda failure: _WORST[failure.verdict])

    def _add_plain(self, expect: dict[str, Any]) -> None:
        for name, value in (expect.get("headers") or {}).items():
            self._tests.append(_header_test(name, value))
        for pattern in expect.get("header_patterns") or ():
            self._tests.append(_header_pattern_test(**pattern))

    def _add_content(self, expect: dict[str, Any]) -> None:
        tests: list[Callable[[Answer], Failure | None]] = []
        if (minimum := expect.get("min_bytes")) is not None:
            tests.append(lambda answer: _at_least(answer, minimum))
        if (maximum := expect.get("max_bytes")) is not None:
            tests.append(lambda answer: _at_most(answer, maximum))
        for name, wanted in (("contains", True), ("not_contains", False)):
            tests += [_presence_test(text, wanted=wanted) for text in _texts(expect.get(name))]
        for name, wanted in (("regex", True), ("not_regex", False)):
            tests += [_pattern_test(regex, wanted=wanted) for regex in _texts(expect.get(name))]
        if paths := expect.get("json"):
            tests.append(_json_test(paths))
        self._tests += [_unpacked(test) for test in tests]

    def _add_transport(self, expect: dict[str, Any]) -> None:
        if protocols := _texts(expect.get("protocol")):
            self._tests.append(lambda answer: _protocol(answer, protocols))
        if (secure := expect.get("tls")) is not None:
            self._tests.append(lambda answer: _transport(answer, secure=secure))

    def _add_limits(self, expect: dict[str, Any]) -> None:
        if self.certificate_days is not None:
            self._tests.append(_certificate_test(self.certificate_days))
        latency = _latency_test(expect)
        if latency is not None:
            self._tests.append(latency)


def _texts(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])


def _protocol(answer: Answer, wanted: list[str]) -> Failure | None:
    if answer.protocol in wanted:
        return None
    versions = " or ".join(f"HTTP/{version}" for version in wanted)
    return Failure("expect.protocol", f"the answer came over HTTP/{answer.protocol}, not {versions}")


def _transport(answer: Answer, *, secure: bool) -> Failure | None:
    if answer.secure == secure:
        return None
    return Failure("expect.tls", f"the answer came {'over' if answer.secure else 'without'} TLS")


def _at_least(answer: Answer, minimum: int) -> Failure | None:
    if answer.size >= minimum:
        return None
    return Failure("expect.min_bytes", f"the body has {answer.size} bytes, fewer than {minimum}")


def _at_most(answer: Answer, maximum: int) -> Failure | None:
    if answer.size <= maximum and not answer.cut:
        return None
    more = "more than " if answer.cut else ""
    return Failure("expect.max_bytes", f"the body has {more}{answer.size} bytes; at most {maximum} are expected")


def _header_test(name: str, wanted: str) -> Callable[[Answer], Failure | None]:
    is_pattern = len(wanted) > 2 and wanted.startswith("/") and wanted.endswith("/")
    pattern = compile_pattern(wanted[1:-1]) if is_pattern else None

    def test(answer: Answer) -> Failure | None:
        value = answer.headers.get(name.lower())
        if value is None:
            return Failure("expect.header", f"the header {name} is missing")
        met = value == wanted if pattern is None else search(pattern, value) is not None
        return None if met else Failure("expect.header", f"the header {name} is `{value[:100]}`, not {wanted}")

    return test


def _header_pattern_test(
    name: str, regex: str, found: bool = True, optional: bool = False
) -> Callable[[Answer], Failure | None]:
    pattern = compile_pattern(regex)

    def test(answer: Answer) -> Failure | None:
        values = answer.values(name)
        if not values:
            return None if optional else Failure("expect.header", f"the header {name} is missing")
        matching = [value for value in values if search(pattern, value)]
        if bool(matching) == found:
            return None
        shown = (matching or values)[0][:100]
        return Failure("expect.header", f"the header {name} is `{shown}`, {_against(regex, wanted=found)}")

    return test


def _against(regex: str, *, wanted: bool) -> str:
    return f"{'which does not match' if wanted else 'which matches'} `{regex[:100]}`"


def _unpacked(test: Callable[[Answer], Failure | None]) -> Callable[[Answer], Failure | None]:
    """A test of the body, which says nothing about a body that cannot be read."""

    def judged(answer: Answer) -> Failure | None:
        if not answer.packed:
            return test(answer)
        reason = f"the body is compressed as `{answer.packed[:40]}`, which is not supported, so it was not examined"
        return Failure("expect.encoding", reason, "unknown")

    return judged


def _presence_test(text: str, *, wanted: bool) -> Callable[[Answer], Failure | None]:
    code = "expect.contains" if wanted else "expect.not_contains"

    def test(answer: Answer) -> Failure | None:
        found = text in answer.text
        where = f" in its {answer.part}" if answer.part else ""
        if found != wanted:
            return Failure(code, f"the body {'lacks' if wanted else 'holds'} `{text[:100]}`{where}")
        return _unsearched(code, f"`{text[:100]}`", answer) if where and not wanted else None

    return test


def _unsearched(code: str, what: str, answer: Answer) -> Failure:
    reason = f"{what} is not in the {answer.part} of the body, but it may be in the rest, which is not examined"
    return Failure(code, reason, "unknown")


def _pattern_test(regex: str, *, wanted: bool) -> Callable[[Answer], Failure | None]:
    pattern = compile_pattern(regex)

    def test(answer: Answer) -> Failure | None:
        found = search(pattern, answer.text) is not None
        where = answer.part
        if found != wanted:
            place = f"the body's {where}" if where else "the body"
            return Failure("expect.regex", f"{'something' if found else 'nothing'} in {place} matches `{regex[:100]}`")
        return _unsearched("expect.regex", f"what matches `{regex[:100]}`", answer) if where and not wanted else None

    return test


def _json_test(paths: dict[str, Any]) -> Callable[[Answer], Failure | None]:
    places = jsonpath.Places(paths)

    def test(answer: Answer) -> Failure | None:
        if answer.part:
            return Failure(
                "expect.json", f"only the {answer.part} of the body was kept, which is not enough to read it as JSON"
            )
        try:
            value = msgspec.json.decode(answer.json_bytes)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return Failure("expect.json", f"the body is not JSON: {str(error)[:100]}")
        problems = places.problems(value)
        return Failure("expect.json", problems) if problems else None

    return test


def _certificate_test(days: float) -> Callable[[Answer], Failure | None]:
    def test(answer: Answer) -> Failure | None:
        if not answer.path:
            return Failure("expect.certificate", "there is no certificate to look at", "degraded")
        try:
            enough_days(answer.path, days)
        except CheckFault as fault:
            return Failure("expect.certificate_days", fault.message, fault.verdict)
        return None

    return test


def _latency_test(expect: dict[str, Any]) -> Callable[[Answer], Failure | None] | None:
    down = parse_duration(expect["down_after"]) if expect.get("down_after") is not None else None
    degraded = parse_duration(expect["degraded_after"]) if expect.get("degraded_after") is not None else None
    if down is None and degraded is None:
        return None

    def test(answer: Answer) -> Failure | None:
        took = f"it took {describe_seconds(answer.seconds)}"
        if down is not None and answer.seconds > down:
            return Failure("expect.latency", f"{took}, more than {describe_seconds(down)}")
        if degraded is not None and answer.seconds > degraded:
            return Failure("expect.latency", f"{took}, more than {describe_seconds(degraded)}", "degraded")
        return None

    return test
