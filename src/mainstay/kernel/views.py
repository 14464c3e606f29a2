"""What is shown of a thing, said once: a dataclass whose fields pages and tables read and programs are given as JSON.

A text in the annotation of a field tells programs what it is; the API's schemas are made from both
(`frames.schemas.of`), and `--json` prints `as_dict()`.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

from pydantic import Field, PlainSerializer, TypeAdapter

from mainstay.kernel.clock import to_iso

# Epoch seconds, which programs are given as RFC 3339 in UTC; 0 as null, where it stands for never.
At = Annotated[float, PlainSerializer(to_iso, return_type=str)]
AtOrNever = Annotated[float, PlainSerializer(lambda at: to_iso(at) if at else None, return_type=str | None)]
Measured = Annotated[float, PlainSerializer(lambda seconds: round(seconds, 6), return_type=float)]
INSIDE = Field(exclude=True)  # in the annotation of what programs are not given


class View:
    """Root of what is shown."""

    __slots__ = ()

    def as_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        document: dict[str, Any] = _adapter(type(self)).dump_python(self, mode="json")  # type: ignore[arg-type]  # hashable
        return document


@cache
def _adapter(view: type[View]) -> TypeAdapter[Any]:
    return TypeAdapter(view)
