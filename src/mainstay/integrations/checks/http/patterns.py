"""Regular expressions on text that a stranger sends: bounded in length and in time.

Python's engine backtracks, and a pattern such as `(a+)+$` can take longer than the universe on 40 characters.
It looks for signals while it matches, so a timer of the process ends a match that takes too long.
"""

from __future__ import annotations

import re
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

PATTERN_LIMIT = 1000  # characters of a pattern
_SECONDS = 0.2  # of one match; longer would bend the times of the checks beside it


class TooSlow(Exception):
    """A match was given up."""


def compile_pattern(text: str) -> re.Pattern[str]:
    """ValueError with the position if the text is no regular expression."""
    if len(text) > PATTERN_LIMIT:
        raise ValueError(f"a pattern has at most {PATTERN_LIMIT} characters, this one has {len(text)}")
    try:
        return re.compile(text)
    except re.error as error:
        where = f" at character {error.pos + 1}" if error.pos is not None else ""
        raise ValueError(f"`{text[:60]}` is not a regular expression: {error.msg}{where}") from None
    except (OverflowError, RecursionError):
        raise ValueError(f"`{text[:60]}` is too deep or repeats too often") from None


def search(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    """The first match; TooSlow after 0.2 s (where the timer can be set: in the main thread)."""
    if not _may_set_timer():
        return pattern.search(text)
    with _limited():
        return pattern.search(text)


def _may_set_timer() -> bool:
    return threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer")


@contextmanager
def _limited() -> Iterator[None]:
    previous = signal.signal(signal.SIGALRM, _give_up)
    signal.setitimer(signal.ITIMER_REAL, _SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def _give_up(_number: int, _frame: FrameType | None) -> None:
    raise TooSlow
