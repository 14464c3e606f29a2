from __future__ import annotations

import pytest

from mainstay.kernel.errors import UserError
from mainstay.kernel.resource import KINDS, check_name
from mainstay.watch.targets import free_name, monitor_from_address


@pytest.mark.parametrize(
    ("text", "name", "document"),
    [
        ("https://a.example", "a.example", {"http": "https://a.example"}),
        ("http://127.0.0.1:9000", "127.0.0.1-9000", {"http": "http://127.0.0.1:9000"}),
        (" https://a.example/x/y?z=1 ", "a.example-x-y", {"http": "https://a.example/x/y?z=1"}),
        ("example.com/health", "example.com-health", {"http": "https://example.com/health"}),
        ("localhost:22", "localhost-22", {"tcp": "localhost:22"}),
    ],
)
def test_an_address_becomes_a_monitor(text: str, name: str, document: dict[str, str]) -> None:
    assert monitor_from_address(text) == (name, document)
    assert check_name(name) == name


@pytest.mark.parametrize("text", ["", "not an address", "ftp://a.example", "a:99999999", "https://", "../etc/passwd"])
def test_what_is_no_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UserError, match="not an address") as caught:
        monitor_from_address(text)
    assert "https://" in caught.value.hint


def test_a_taken_name_gets_a_number() -> None:
    assert free_name("a", {"b"}) == "a"
    assert free_name("a", {"a", "a-2"}) == "a-3"


def test_such_a_monitor_validates() -> None:
    assert KINDS["monitor"].validate(monitor_from_address("https://a.example")[1]).address == "https://a.example"
