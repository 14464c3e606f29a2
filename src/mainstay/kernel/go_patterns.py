"""Regular expressions of Go (RE2) as Python's. Pure.

Syntax: https://github.com/google/re2/wiki/Syntax. What Python cannot say raises ValueError; what both say
differently is rewritten: `$` is the very end of the text, `\\z`, POSIX classes, flags in the middle.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7f",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": r"0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_OUTSIDE = {"^digit": r"\D", "^space": r"\S", "^word": r"\W"}  # of POSIX classes turned around
_FLAGS = re.compile(r"\(\?([imsU]*)(-[imsU]+)?([:)])")
_NAMED = re.compile(r"\(\?P?<([A-Za-z_]\w*)>")
_COUNT = re.compile(r"\{\d+(?:,\d*)?\}")
_HEX = re.compile(r"\\x\{([0-9A-Fa-f]{1,6})\}")
_CLASS = re.compile(r"\[:(\^?\w+):\]")
_SAME = frozenset(r"adDsSwWbBAfnrtvx")  # escapes that mean the same in both


def python_pattern(pattern: str) -> str:
    """The same expression for `re`; ValueError says what Python, or Go itself, does not know."""
    written = _Rewriter(pattern).all()
    try:
        re.compile(written)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"`{pattern[:60]}` is not a regular expression: {error}") from None
    return written


@dataclass(slots=True)
class _Group:
    multiline: bool
    flags: str = ""  # prefixes of the groups opened for flags in the middle, open until the end of this group
    opened: int = 0


class _Rewriter:
    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._out: list[str] = ["(?a)"]  # \d, \w and \s are ASCII in Go
        self._groups = [_Group(multiline=False)]

    def all(self) -> str:
        while self._at < len(self._pattern):
            self._next()
        if len(self._groups) > 1:
            raise ValueError(f"`{self._pattern[:60]}` lacks a closing parenthesis")
        self._out.append(")" * self._groups[0].opened)
        return "".join(self._out)

    def _next(self) -> None:
        letter = self._pattern[self._at]
        if letter == "\\":
            self._escape(in_class=False)
        elif letter == "[":
            self._class()
        elif letter == "(":
            self._open()
        elif letter == ")":
            self._close()
        elif letter == "|":
            group = self._groups[-1]
            self._put(")" * group.opened + "|" + group.flags)
        elif letter == "$":
            self._put_assertion("$" if self._groups[-1].multiline else r"\Z")
        elif letter == "^":
            self._put_assertion("^")
        elif letter == "{" and not _COUNT.match(self._pattern, self._at):
            self._put(r"\{")
        elif letter in "*+?}" and self._pattern[self._at + 1 : self._at + 2] == "+" and self._repeats(letter):
            raise ValueError(f"`{self._pattern[:60]}` repeats a repetition")
        else:
            self._put(letter)

    def _repeats(self, letter: str) -> bool:
        return letter != "}" or re.search(r"\{\d+(?:,\d*)?\}$", self._pattern[: self._at + 1]) is not None

    def _put_assertion(self, text: str, taken: int = 1) -> None:
        """Go lets a place be repeated, as in `^+OK`, Python only within a group."""
        repeated = self._pattern[self._at + taken : self._at + taken + 1] in ("*", "+", "?")
        self._put(f"(?:{text})" if repeated else text, taken)

    def _put(self, text: str, taken: int = 1) -> None:
        self._out.append(text)
        self._at += taken

    def _escape(self, *, in_class: bool) -> None:
        pattern, at = self._pattern, self._at
        letter = pattern[at + 1 : at + 2]
        if letter == "Q" and not in_class:
            end = pattern.find("\\E", at)
            literal = pattern[at + 2 : end if end >= 0 else len(pattern)]
            self._put(re.escape(literal), len(literal) + (4 if end >= 0 else 2))
        elif letter == "z" and not in_class:
            self._put(r"\Z", 2)
        elif found := _HEX.match(pattern, at):
            self._put(f"\\U{int(found[1], 16):08x}", len(found[0]))
        elif letter in _SAME or (letter and not letter.isalnum()):
            self._put(pattern[at : at + 2], 2)
        else:
            raise ValueError(f"`{pattern[:60]}` holds \\{letter}, which cannot be matched here")

    def _class(self) -> None:
        pattern = self._pattern
        self._put("[")
        if pattern[self._at : self._at + 1] == "^":
            self._put("^")
        if pattern[self._at : self._at + 1] == "]":
            self._put(r"\]")
        while (letter := pattern[self._at : self._at + 1]) != "]":
            if not letter:
                raise ValueError(f"`{pattern[:60]}` lacks a closing bracket")
            if letter == "\\":
                self._escape(in_class=True)
            elif found := _CLASS.match(pattern, self._at):
                members = _POSIX.get(found[1]) or _OUTSIDE.get(found[1])
                if members is None:
                    raise ValueError(f"`{pattern[:60]}` holds {found[0]}, which cannot be matched here")
                self._put(members, len(found[0]))
            else:
                self._put(f"\\{letter}" if letter in "[&~|" else letter)
        self._put("]")

    def _open(self) -> None:
        pattern, at, group = self._pattern, self._at, self._groups[-1]
        if not pattern.startswith("(?", at):
            self._groups.append(_Group(group.multiline))
            self._put("(")
        elif named := _NAMED.match(pattern, at):
            self._groups.append(_Group(group.multiline))
            self._put(f"(?P<{named[1]}>", len(named[0]))
        elif found := _FLAGS.match(pattern, at):
            self._flags(found)
        else:
            raise ValueError(f"`{pattern[:60]}` holds {pattern[at : at + 3]}, which Go does not know")

    def _flags(self, found: re.Match[str]) -> None:
        on, off = found[1], found[2] or ""
        if "U" in on + off:
            raise ValueError(f"`{self._pattern[:60]}` holds (?U), which cannot be matched here")
        group = self._groups[-1]
        multiline = (group.multiline or "m" in on) and "m" not in off
        prefix = f"(?{on}{off}:"
        if found[3] == ":":
            self._groups.append(_Group(multiline))
        else:  # to the end of the group that it stands in
            group.multiline = multiline
            group.flags += prefix
            group.opened += 1
        self._put(prefix, len(found[0]))

    def _close(self) -> None:
        if len(self._groups) == 1:
            raise ValueError(f"`{self._pattern[:60]}` has a closing parenthesis too many")
        self._put(")" * self._groups.pop().opened + ")")
