"""Types of text that the REST API takes, one for each rule.

Most say in the API's document what the verbs behind it ask for, so that a client can check before it sends; the
refusal, and its words, stay with the verb. Patterns are written as ECMA-262 reads them with its flag `u`.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from mainstay.kernel.resource import NAME_LIMIT

WITHOUT_NUL = r"^[^\x00]*$"
NO_NUL = "Text may hold every character but NUL (U+0000)."
_LETTER = r"\p{L}\p{M}\p{N}"
_QUOTED = r'"(?:[^"\\]|\\[\s\S])'


def _without_nul(text: str) -> str:
    if "\0" in text:  # PostgreSQL keeps none
        raise ValueError(NO_NUL)
    return text


def told(**rule: Any) -> Any:
    """Keywords for the document alone.

    Not for a parameter with a default: ninja loses it beside a type of such a kind. There: `pattern=WITHOUT_NUL`.
    """
    return Field(json_schema_extra=rule)


def _told(pattern: str, longest: int, **more: Any) -> Any:
    return told(pattern=pattern, maxLength=longest, **more)


# Whatever people write; its length is the field's to say.
Text = Annotated[str, AfterValidator(_without_nul), told(pattern=WITHOUT_NUL)]
# A name as `check_name` takes it, which also wants it in composed Unicode (NFC): no pattern can say that.
ResourceName = Annotated[str, _told(rf"^[{_LETTER}](?:[{_LETTER}._-]*[{_LETTER}])?$", NAME_LIMIT, minLength=1)]
KindName = Annotated[str, _told(r"^[a-z_]+$", 40)]
SecretName = Annotated[str, _told(r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", 100)]
NodeName = Annotated[str, _told(r"^[^\x00/]+$", 100)]  # or the beginning of its id
# Of `ids.new_id`.
Identifier = Annotated[str, _told(r"^[0-9a-hjkmnp-tv-z]{26}$", 26)]
TokenId = Annotated[str, _told(r"^[0-9a-z]{10}$", 10)]
# As `parse_matcher` reads it; what follows =~ or !~ must be a pattern besides.
_MATCHED = rf"""(?:{_QUOTED}+"|[^\s{{}}!=~,\\"'`]+)\s*(?:=~|!~|!=|=)\s*(?:{_QUOTED}*"|[^\s",{{}}]*)"""
MatcherText = Annotated[str, _told(rf"^\s*{_MATCHED}\s*$", 1000)]
# Where a page of a list ends: numbers that every database keeps.
MOST = 2**62
