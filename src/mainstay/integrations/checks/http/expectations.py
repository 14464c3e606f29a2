"""What an answer must be like, compiled once from `expect`, and the judgement on one answer."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from mainstay.integrations.checks.http import jsonpath
from mainstay.integrations.checks.http.patterns import TooSlow, compile_pattern, search
from mainstay.integrations.checks.http.statuses import describe, parse_statuses
from mainstay.integrations.checks.progress import describe_seconds
from mainstay.kernel.timespan import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from mainstay.kernel.probing import Verdict

KEPT = 1024 * 1024  # bytes of a body that are kept for looking into it
# Codecs of Python that are not for pages: they raise whatever is asked of them, or take quadratic time.
_NOT_OF_PAGES = frozenset({"idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape"})
_CHARSET = re.compile(r"charset\s*=\s*\"?([\w.:-]{1,40})", re.IGNORECASE)


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
    certificate: dict[str, Any] | None = None
    secure: bool = False  # it came over TLS
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
            found = _CHARSET.search(self.headers.get("content-type", ""))
            self._text = decode(self.kept, found[1] if found else "utf-8")
        return self._text


def decode(body: bytes, charset: str) -> str:
    """What cannot be read becomes U+FFFD; a charset that Python does not know, or no page has, counts as UTF-8."""
    try:
        known = codecs.lookup(charset).name
        return body.decode("utf-8" if known in _NOT_OF_PAGES else known, "replace")
    except LookupError:
        return body.decode("utf-8", "replace")


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
            failure = test(answer)
            if failure is not None:
                failures.append(failure)
        failures.sort(key=lambda failure: failure.verdict != "down")
        return failures

    def _add_plain(self, expect: dict[str, Any]) -> None:
        for name, value in (expect.get("headers") or {}).items():
            self._tests.append(_header_test(name, value))
        for pattern in expect.get("header_patterns") or ():
            self._tests.append(_header_pattern_test(**pattern))
        if (minimum := expect.get("min_bytes")) is not None:
            self._tests.append(lambda answer: _at_least(answer, minimum))
        if (maximum := expect.get("max_bytes")) is not None:
            self._tests.append(lambda answer: _at_most(answer, maximum))

    def _add_content(self, expect: dict[str, Any]) -> None:
        for text in _texts(expect.get("contains")):
            self._tests.append(_presence_test(text, wanted=True))
        for text in _texts(expect.get("not_contains")):
            self._tests.append(_presence_test(text, wanted=False))
        for regex in _texts(expect.get("regex")):
            self._tests.append(_pattern_test(regex, wanted=True))
        for regex in _texts(expect.get("not_regex")):
            self._tests.append(_pattern_test(regex, wanted=False))
        if paths := expect.get("json"):
            self._tests.append(_json_test(paths))

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
        if pattern is None:
            met = value == wanted
        else:
            try:
                met = search(pattern, value) is not None
            except TooSlow:
                return _too_slow(wanted)
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
        try:
            matching = [value for value in values if search(pattern, value)]
        except TooSlow:
            return _too_slow(regex)
        if bool(matching) == found:
            return None
        shown = (matching or values)[0][:100]
        return Failure("expect.header", f"the header {name} is `{shown}`, {_against(regex, wanted=found)}")

    return test


def _against(regex: str, *, wanted: bool) -> str:
    return f"{'which does not match' if wanted else 'which matches'} `{regex[:100]}`"


def _presence_test(text: str, *, wanted: bool) -> Callable[[Answer], Failure | None]:
    code = "expect.contains" if wanted else "expect.not_contains"

    def test(answer: Answer) -> Failure | None:
        if (text in answer.text) == wanted:
            return None
        where = " in its first MiB" if answer.size > len(answer.kept) else ""
        return Failure(code, f"the body {'lacks' if wanted else 'holds'} `{text[:100]}`{where}")

    return test


def _pattern_test(regex: str, *, wanted: bool) -> Callable[[Answer], Failure | None]:
    pattern = compile_pattern(regex)

    def test(answer: Answer) -> Failure | None:
        try:
            found = search(pattern, answer.text) is not None
        except TooSlow:
            return _too_slow(regex)
        if found == wanted:
            return None
        what = "something" if found else "nothing"
        return Failure("expect.regex", f"{what} in the body matches `{regex[:100]}`")

    return test


def _too_slow(regex: str) -> Failure:
    return Failure("expect.regex_slow", f"the pattern `{regex[:100]}` took too long and was given up", "unknown")


def _json_test(paths: dict[str, Any]) -> Callable[[Answer], Failure | None]:
    compiled = [(path, jsonpath.parse_path(path), jsonpath.parse_comparison(paths[path])) for path in paths]

    def test(answer: Answer) -> Failure | None:
        if answer.size > len(answer.kept):
            return Failure("expect.json", f"the body has over {len(answer.kept)} bytes, too many to read as JSON")
        try:
            value = msgspec.json.decode(answer.kept)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return Failure("expect.json", f"the body is not JSON: {str(error)[:100]}")
        problems = [problem for entry in compiled if (problem := _json_problem(value, *entry))]
        return Failure("expect.json", "; ".join(problems)[:400]) if problems else None

    return test


def _json_problem(document: Any, path: str, steps: jsonpath.Steps, comparison: jsonpath.Comparison) -> str:
    try:
        value = jsonpath.find(document, steps)
    except jsonpath.NoSuchValue as missing:
        return f"{path} is missing: {missing}" if str(missing) else f"{path} is missing"
    try:
        if comparison.holds(value):
            return ""
    except TooSlow:
        return f"{path}: the pattern took too long and was given up"
    shown = msgspec.json.encode(value).decode()
    return f"{path} is {shown[:80]}, expected {comparison}"


def _certificate_test(days: float) -> Callable[[Answer], Failure | None]:
    def test(answer: Answer) -> Failure | None:
        if answer.certificate is None:
            return Failure("expect.certificate", "there is no certificate to look at", "degraded")
        left = answer.certificate["days_left"]
        if left >= days:
            return None
        message = f"the certificate has {left:.0f} days left, fewer than {days:g}"
        return Failure("expect.certificate_days", message, "degraded")

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
