"""Names of hosts outside ASCII mean the same domain in every kind of check."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mainstay.integrations.checks.certificates import covers
from mainstay.integrations.checks.dns.run import _question
from mainstay.integrations.checks.dns.run import prepare as prepare_dns
from mainstay.integrations.checks.domain.names import ascii_name
from mainstay.integrations.checks.endpoints import check_host
from mainstay.integrations.checks.http.request import clean_url
from mainstay.integrations.idn import ascii_host
from mainstay.integrations.lookup import Lookup
from mainstay.kernel.probing import CheckFault, CheckOrder


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("straße.example", "xn--strae-oqa.example"),
        ("FAẞ.example", "xn--fa-hia.example"),
        ("Bücher.Example", "xn--bcher-kva.example"),
        ("bücher。example", "xn--bcher-kva.example"),
        ("i❤.example", "xn--i-7iq.example"),
        ("_srv.bücher.example", "_srv.xn--bcher-kva.example"),
        ("Plain_Name.example", "Plain_Name.example"),
    ],
)
def test_one_domain_for_all_kinds(written: str, asked: str) -> None:
    looked_up: list[str] = []

    def resolve(host: str, _family: int) -> list[str]:
        looked_up.append(host)
        return ["127.0.0.1"]

    assert ascii_host(written) == asked
    assert asyncio.run(Lookup(resolve).addresses(written)) == ["127.0.0.1"]
    assert looked_up == [asked.lower()]
    assert clean_url(f"https://{written}/") == f"https://{asked.lower()}/"
    options: dict[str, Any] = {"target": {"name": written}}
    query = _question(prepare_dns(CheckOrder(uid="", kind="dns", interval=1, timeout=1, options=options)))
    assert query.question[0].name.to_text().lower() == f"{asked.lower()}."
    assert covers([asked], written)
    if asked.isascii() and "_" not in asked:
        assert ascii_name(written) == asked.lower()


@pytest.mark.parametrize(
    "written", ["a\uff0fb.example", "a\uff20ü.example", "ü" * 80 + ".example", "ü\u200e\ue000.example"]
)
def test_what_is_no_name_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        check_host(written)
    with pytest.raises(CheckFault):
        asyncio.run(Lookup().addresses(written))
