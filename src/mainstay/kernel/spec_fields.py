"""Fields that several kinds declare alike, checked: label matchers, time zones, and rules of days and times."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from mainstay.kernel.asking import sort
from mainstay.kernel.matchers import check_matcher
from mainstay.kernel.windows import parse_rule
from mainstay.kernel.zones import check_zone


def _check_matcher(text: str) -> str:
    """As it was written: what is stored stays comparable with the file that it came from."""
    check_matcher(text)
    return text


def _check_own_zone(text: str) -> str:
    return check_zone(text) if text else text


def _check_rule(text: str) -> str:
    parse_rule(text)
    return text


_ZONE = Field(max_length=60, json_schema_extra=sort("zone"))

Matcher = Annotated[str, Field(max_length=1000, json_schema_extra=sort("matcher")), AfterValidator(_check_matcher)]
Zone = Annotated[str, _ZONE, AfterValidator(check_zone)]
OwnZone = Annotated[str, _ZONE, AfterValidator(_check_own_zone)]  # empty: that of something else
RuleText = Annotated[str, Field(max_length=200), AfterValidator(_check_rule)]  # see `kernel.windows`
