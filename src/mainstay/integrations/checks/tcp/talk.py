"""Turns of a talk over one connection: wait for a line, answer with another, begin TLS."""

from __future__ import annotations

import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mainstay.integrations.checks.progress import excerpt
from mainstay.integrations.checks.streams import connection_failure
from mainstay.kernel.patterns import Match, Pattern, compile_pattern, search
from mainstay.kernel.probing import CheckFault

if TYPE_CHECKING:
    from mainstay.integrations.checks.progress import Steps
    from mainstay.integrations.checks.streams import Stream

_LINE = 65_536  # bytes of one line
_TALK = 1_048_576  # bytes of a whole talk
_GROUP = re.compile(r"\$(?:\{(\w+)\}|(\w+)|(\$))")  # of Go's regexp.Expand: $$ is a dollar sign
StartTls = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Turn:
    expect: Pattern | None
    send: str
    starttls: bool


def read_turns(written: list[dict[str, Any]]) -> tuple[Turn, ...]:
    """BadPattern if a pattern is none."""
    return tuple(
        Turn(
            expect=compile_pattern(turn["expect"]) if turn.get("expect") else None,
            send=turn.get("send") or "",
            starttls=turn.get("starttls", False),
        )
        for turn in written
    )


def expand(template: str, match: Match) -> str:
    """`${1}`, `$name` and `$$` in what is sent; a group that there is not is empty, as in Go."""

    def value(found: re.Match[str]) -> str:
        if found[3]:
            return "$"
        name = found[1] or found[2]
        try:
            return match[int(name) if name.isdigit() else name] or ""
        except IndexError:
            return ""

    return _GROUP.sub(value, template)


class Talk:
    """Takes the turns; CheckFault `expect.regex` where the other side ends without the line, `wait.*`, `send.*`."""

    def __init__(self, steps: Steps, stream: Stream, start_tls: StartTls) -> None:
        self._steps = steps
        self._stream = stream
        self._start_tls = start_tls
        self._rest = b""
        self._read = 0
        self._ended = False

    async def hold(self, turns: tuple[Turn, ...]) -> None:
        for turn in turns:
            said = turn.send
            if turn.expect is not None:
                said = expand(said, await self._hear(turn.expect))
            if said:
                await self._say(f"{said}\n".encode())
            if turn.starttls:
                self._rest = b""  # what came before the handshake nobody vouches for
                await self._start_tls()

    async def _say(self, data: bytes) -> None:
        with self._steps.phase("send"):
            try:
                await self._stream.send(data)
            except (OSError, ssl.SSLError) as error:
                raise connection_failure(error, "the target", "send") from None

    async def _hear(self, pattern: Pattern) -> Match:
        """The match in the first line that has one."""
        last = ""
        while (line := await self._line()) is not None:
            last = line
            if match := search(pattern, line):
                return match
        what = f"the last line was `{excerpt(last)[:100]}`" if last else "no line arrived"
        raise CheckFault("expect.regex", f"no line matched `{pattern.pattern[:100]}`: {what}")

    async def _line(self) -> str | None:
        """The next line without its end; None after the last one."""
        with self._steps.phase("wait"):
            while b"\n" not in self._rest and not self._ended:
                await self._receive()
        line, ending, rest = self._rest.partition(b"\n")
        if not ending and not line:
            return None
        self._rest = rest
        text = line.removesuffix(b"\r").decode("utf-8", "replace")
        self._steps.evidence |= {"received": self._read, "excerpt": excerpt(text)}
        return text

    async def _receive(self) -> None:
        try:
            piece = await self._stream.receive()
        except (OSError, ssl.SSLError) as error:
            raise connection_failure(error, "the target", "wait") from None
        self._ended = not piece
        self._rest += piece
        self._read += len(piece)
        if len(self._rest) > _LINE or self._read > _TALK:
            raise CheckFault(
                "wait.too_long", f"a line over {_LINE} bytes or a conversation over {_TALK} bytes is not read"
            )
