"""What the API's document says of text is what the server asks for."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import pytest
from django.test import Client
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from tests.rigs.accounts_browser import TEST

from mainstay.accounts.verbs import create_token
from mainstay.kernel.actor import all_scopes
from mainstay.kernel.duration import parse_duration
from mainstay.kernel.ids import new_id
from mainstay.kernel.matchers import parse_matcher
from mainstay.kernel.resource import check_name
from mainstay.runtime.api import api

DOCUMENT = api.get_openapi_schema()
FEW = settings(max_examples=200, deadline=None, database=None, derandomize=True)
LETTERS = {r"\p{L}": "L", r"\p{M}": "M", r"\p{N}": "N"}


def _parameter(label: str, name: str) -> dict[str, Any]:
    method, path = label.split()
    found = DOCUMENT["paths"][path][method.lower()]["parameters"]
    return next(one["schema"] for one in found if one["name"] == name)


def _leaves(schema: dict[str, Any]) -> list[dict[str, Any]]:
    inner = [*schema.get("anyOf", ()), *([schema["items"]] if "items" in schema else [])]
    return [schema, *(leaf for one in inner for leaf in _leaves(one))]


def _bare(types: tuple[str, ...], rules: set[str]) -> list[str]:
    """Parameters of these types that nothing is said about."""
    return [
        f"{method} {path} {one['name']}"
        for path, operations in DOCUMENT["paths"].items()
        for method, operation in operations.items()
        for one in operation.get("parameters", ())
        for shape in _leaves(one["schema"])
        if shape.get("type") in types and not shape.keys() & rules
    ]


def _pattern(schema: dict[str, Any]) -> re.Pattern[str]:
    return re.compile(schema["pattern"])


NAME = _parameter("GET /api/v1/resources/{kind}/{name}", "name")
MATCHER = DOCUMENT["components"]["schemas"]["TokenIn"]["properties"]["limit"]["items"]
DURATION = DOCUMENT["components"]["schemas"]["MaintenanceIn"]["properties"]["seconds"]["anyOf"][0]


def test_every_parameter_has_its_rule() -> None:
    assert _bare(("string",), {"pattern", "enum", "format"}) == []
    assert _bare(("integer", "number"), {"maximum", "exclusiveMaximum"}) == []


def test_a_name_that_fits_the_document_is_a_name() -> None:
    # Python's `re` knows no classes of Unicode: the pattern's parts are put together from the document by hand.
    assert NAME["pattern"] == r"^[\p{L}\p{M}\p{N}](?:[\p{L}\p{M}\p{N}._-]*[\p{L}\p{M}\p{N}])?$"
    end = st.characters(categories=list(LETTERS.values()))
    inner = st.text(st.one_of(end, st.sampled_from("._-")), max_size=NAME["maxLength"])

    @FEW
    @given(st.builds(lambda first, middle, last: first + middle + last, end, inner, st.one_of(st.just(""), end)))
    @example("a" * NAME["maxLength"])
    @example("ünïcödé-名前.1")
    def run(text: str) -> None:
        name = unicodedata.normalize("NFC", text)
        assume(NAME["minLength"] <= len(name) <= NAME["maxLength"] and name[-1] not in "._-")
        assert check_name(name) == name

    run()


@FEW
@given(st.from_regex(DURATION["pattern"], fullmatch=True))
def test_a_duration_that_fits_the_document_is_one(text: str) -> None:
    assume(len(text) <= DURATION["maxLength"])
    assert parse_duration(text) >= 0


@FEW
@given(st.from_regex(MATCHER["pattern"], fullmatch=True))
@example('team="core"')
@example('"a b"="c\\"d"')
def test_a_matcher_that_fits_the_document_is_one(text: str) -> None:
    assume(len(text) <= MATCHER["maxLength"] and "=~" not in text and "!~" not in text)
    assert parse_matcher(text).label


@pytest.mark.usefixtures("store")
def test_ids_as_they_are_made_fit_the_document() -> None:
    assert _pattern(_parameter("GET /api/v1/alerts/{alert_id}", "alert_id")).search(new_id())
    token = create_token(TEST, "texts", ["monitors:read"]).split("_")[1]
    assert _pattern(_parameter("DELETE /api/v1/tokens/{token_id}", "token_id")).search(token)


@pytest.mark.usefixtures("store")
def test_text_with_a_nul_is_refused_by_every_database() -> None:
    client = Client(headers={"Authorization": f"Bearer {create_token(TEST, 'texts', sorted(all_scopes()))}"})
    body = {"name": "a\0b", "scopes": ["monitors:read"]}
    answer = client.post("/api/v1/tokens", body, content_type="application/json", headers={"host": "localhost"})
    assert answer.status_code == 422
    assert "NUL" in answer.json()["error"]["message"]
