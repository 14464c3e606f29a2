"""Labels and severities, as every kind writes them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

Label = Annotated[str, Field(max_length=200)]
LabelName = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$", max_length=60)]
Severity = Literal["P0", "P1", "P2", "P3"]
