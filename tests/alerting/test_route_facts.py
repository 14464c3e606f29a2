"""What the page of a route says of what is declared beside it."""

from __future__ import annotations

import pytest
from tests.rigs.receivers import declare

from mainstay.alerting.facts import route_facts
from mainstay.store.resources.queries import resource, resources

pytestmark = pytest.mark.usefixtures("store")


def _told() -> dict[str, str]:
    """The question, without what follows a comma -> the names beside the answer."""
    found = route_facts(resource("route", "urgent"), resources())
    return {fact.question.partition(",")[0]: " ".join(text for text, _ in fact.links) for fact in found}


def test_a_route_names_what_none_of_them_takes() -> None:
    declare("monitor", "shop", {"http": "https://shop.example", "severity": "P0"})
    declare("monitor", "blog", {"http": "https://blog.example"})
    declare("channel", "hook", {"webhook": {"url": "https://hook.example/x"}})
    declare("route", "urgent", {"match": ["severity=P0"], "to": ["hook"]})
    assert _told() == {"Matches now": "shop", "Match no route": "blog"}
    declare("route", "rest", {"to": ["hook"]})
    assert _told() == {"Matches now": "shop"}
