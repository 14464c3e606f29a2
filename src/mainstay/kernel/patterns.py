"""Regular expressions that people declare: one engine, RE2, which takes linear time whatever it is given.

Syntax: https://github.com/google/re2/wiki/Syntax, the same as Go's, so patterns of Prometheus, Alertmanager and the
blackbox exporter mean here what they mean there. Python's `re` is for the patterns of this code only: it backtracks
and holds the interpreter while it does.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

PATTERN_LIMIT = 1000  # characters of a pattern
_MEMORY = 1_048_576  # bytes that RE2 may use for one pattern, compiled and at work
_INSTRUCTIONS = 5000  # of the compiled pattern
_WORK = 500_000_000  # instructions times bytes of text: at the very worst two seconds
_REFERENCE = re.compile(r"escape sequence: \\[1-9]|perl operator")
_stored: ContextVar[bool] = ContextVar("reading what is stored", default=False)


class BadPattern(ValueError):
    """No regular expression, or one that cannot be matched here."""


class Match(Protocol):
    """As `re.Match` has it, for str."""

    def __getitem__(self, group: int | str) -> str | None: ...


class Pattern(Protocol):
    """A compiled pattern; text goes through `search` and `fits`, which bound the work."""

    @property
    def pattern(self) -> str: ...

    @property
    def groups(self) -> int: ...


def compile_pattern(text: str) -> Pattern:
    """BadPattern with the reason."""
    if len(text) > PATTERN_LIMIT:
        raise BadPattern(f"a pattern has at most {PATTERN_LIMIT} characters, this one has {len(text)}")
    if r"\C" in text.replace(r"\\", ""):
        raise BadPattern(f"`{text[:60]}` holds \\C, a single byte, which RE2 does not support")
    import re2  # 10 ms and 5 MB, for those who match something

    try:
        compiled: Any = re2.compile(text, _options())
    except re2.error as error:
        raise BadPattern(_explained(text, error.args[0])) from None
    except UnicodeEncodeError:
        raise BadPattern("a pattern is text; this one holds half a surrogate pair") from None
    if compiled.programsize > _INSTRUCTIONS:
        raise BadPattern(f"`{text[:60]}` repeats too often")
    return compiled  # type: ignore[no-any-return]


def check_pattern(text: str) -> str:
    """The text, for validators of what is declared; BadPattern as `compile_pattern` has it."""
    if not is_tolerant():
        compile_pattern(text)
    return text


def is_tolerant() -> bool:
    """Whether validators let a bad pattern pass: within `stored`."""
    return _stored.get()


@contextmanager
def stored() -> Iterator[None]:
    """While this lasts, a pattern that was declared once and is refused now does not stop who reads the rest.

    Whoever matches with it hears BadPattern then, and says so.
    """
    token = _stored.set(True)
    try:
        yield
    finally:
        _stored.reset(token)


def search(pattern: Pattern, text: str) -> Match | None:
    """The first match. CheckFault `expect.regex_slow` (unknown) where pattern and text are too large together."""
    engine: Any = pattern
    if engine.programsize * len(text) > _WORK:
        from mainstay.kernel.probing import CheckFault

        reason = f"the pattern `{pattern.pattern[:100]}` is too large for a text of {len(text)} characters"
        raise CheckFault("expect.regex_slow", reason, verdict="unknown")
    found: Match | None = engine.search(_whole(text))
    return found


def fits(pattern: Pattern, text: str) -> bool:
    """Whether the whole text matches; for short text such as the value of a label."""
    engine: Any = pattern
    return engine.fullmatch(_whole(text)) is not None


def _whole(text: str) -> str:
    """RE2 reads UTF-8, which halves of surrogate pairs cannot be written in."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


@cache
def _options() -> Any:
    import re2

    options = re2.Options()
    options.max_mem, options.log_errors = _MEMORY, False
    return options


def _explained(text: str, reason: bytes | str) -> str:
    why = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
    message = f"`{text[:60]}` is not a regular expression: {why[:100]}"
    if "\\Z" in why:
        return f"{message}; the end of the text is \\z"
    if _REFERENCE.search(why):
        return f"{message}; look-around and backreferences are not supported, as matching them can take forever"
    return message
