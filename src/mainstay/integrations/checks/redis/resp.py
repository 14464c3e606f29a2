"""RESP, the protocol of Redis (https://redis.io/docs/latest/develop/reference/protocol-spec/), version 2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainstay.integrations.checks.progress import excerpt
from mainstay.kernel.probing import CheckFault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mainstay.integrations.checks.sessions import Talk

SIZE_LIMIT = 1024 * 1024  # bytes of one string
_ELEMENTS_LIMIT = 10_000  # of one list
_DEPTH_LIMIT = 8


class Refusal(Exception):
    """The server answers with an error; `name` is its first word, such as WRONGPASS."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.name = text.partition(" ")[0]


def command(words: Sequence[str]) -> bytes:
    parts = [word.encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


async def read(talk: Talk, depth: int = 0) -> Any:
    """bytes, int, None, or a list of these. Raises Refusal; CheckFault `*.malformed` if it is not RESP."""
    line = await talk.line()
    kind, rest = line[:1], line[1:]
    if kind == b"+":
        return rest
    if kind == b"-":
        raise Refusal(excerpt(rest)[:300])
    if kind not in (b":", b"$", b"*") or not rest.removeprefix(b"-").isdigit() or len(rest) > 20:
        raise CheckFault("wait.malformed", f"this is not a Redis server: it says `{excerpt(line[:80])}`")
    number = int(rest)
    if kind == b":":
        return number
    if number < 0:
        return None
    return await _string(talk, number) if kind == b"$" else await _list(talk, number, depth)


async def _string(talk: Talk, size: int) -> bytes:
    if size > SIZE_LIMIT:
        raise CheckFault("transfer.too_large", f"the server sends {size} bytes, more than {SIZE_LIMIT}")
    data = await talk.exactly(size + 2)
    return data[:-2]


async def _list(talk: Talk, count: int, depth: int) -> list[Any]:
    if count > _ELEMENTS_LIMIT or depth >= _DEPTH_LIMIT:
        raise CheckFault("transfer.too_large", f"the server sends a list of {count} elements, or lists in lists")
    return [await read(talk, depth + 1) for _ in range(count)]
