"""Codes and tests on their way to people, and the services that they are reached by."""

from __future__ import annotations

from typing import Any

import apprise
import pytest
from tests.rigs.receivers import declare, receiver

from mainstay.alerting import declared, delivery
from mainstay.alerting.followers import write_to_person
from mainstay.alerting.handover import hand_over
from mainstay.alerting.models import OutboxRow
from mainstay.frames.boot import current_settings
from mainstay.kernel.actor import system
from mainstay.kernel.secret import resolve
from mainstay.oncall import contact_verbs
from mainstay.oncall.queries import pending_code
from mainstay.store.journal import Filter, entries
from mainstay.store.work import unit_of_work

pytestmark = pytest.mark.usefixtures("store")
ACTOR = system("test")


def _follow(kind: str) -> None:
    entry = next(entries(Filter(kind=kind), limit=1))
    with unit_of_work(ACTOR) as work:
        write_to_person(work, entry)


def _deliver() -> list[str]:
    """Hand over what is due, for real; the receivers."""
    claims = delivery.claim_due(ACTOR, current_settings(), delivery.Room(lambda *_: 9), 60)
    for claim in claims:
        delivery.mark_delivered(ACTOR, claim, hand_over(claim.spec, claim.message, current_settings(), 0.0))
    return [claim.channel for claim in claims]


def test_a_code_goes_to_the_contact_itself_and_stands_in_no_row() -> None:
    with receiver() as hook:
        declare("person", "lead", {"contact": [{"ntfy": {"topic": "lead", "server": hook.url}}]})
        contact_verbs.ask_code(ACTOR, "lead", 0)
        _follow("contact.code_asked")
        found = pending_code("lead", 0, OutboxRow.objects.get().created_at)
        assert found is not None
        code = found[1]
        assert code not in str(OutboxRow.objects.values().get())
        assert _deliver() == ["person/lead/0"]
        (request,) = hook.requests
        assert code in request.body.decode()
        assert code not in str(OutboxRow.objects.values().get())
    contact_verbs.confirm_code(ACTOR, "lead", 0, code)
    row = OutboxRow.objects.get()
    assert "not valid any more" in delivery.message_of(row, current_settings()).alert["summary"]


def test_a_test_goes_to_every_way_that_may_be_used() -> None:
    with receiver() as hook:
        declare("channel", "hook", {"webhook": {"url": hook.url}})
        contact = [{"channel": "hook"}, {"ntfy": {"topic": "lead", "server": hook.url}}, {"push": {}}]
        declare("person", "lead", {"contact": contact})
        contact_verbs.ask_test(ACTOR, "lead")
        _follow("contact.test_asked")
        assert _deliver() == ["person/lead/0"]
        assert hook.requests[0].json["status"] == "test"


@pytest.mark.parametrize(
    ("contact", "address"),
    [
        ({"ntfy": "lead"}, "ntfys://ntfy.sh/lead?mode=private"),
        (
            {"ntfy": {"topic": "a", "server": "http://10.0.0.1:80/", "token": "${env:N}"}},
            "ntfy://${env:N}@10.0.0.1:80/a?mode=private",
        ),
        ({"slack": {"user": "U012AB3CD", "token": "${env:S}"}}, "slack://${env:S}/+U012AB3CD"),
        ({"telegram": {"chat": "-100123", "token": "${env:T}"}}, "tgram://${env:T}/-100123"),
        ({"msteams": {"url": "${env:W}"}}, "${env:W}"),
        ({"apprise": {"url": "${env:A}"}}, "${env:A}"),
    ],
)
def test_services_are_reached_through_apprise_with_their_secrets_as_references(
    contact: dict[str, Any], address: str
) -> None:
    declare("person", "lead", {"contact": [contact]})
    assert declared.Known().receivers["person/lead/0"].target.url == address


def test_apprise_reads_these_addresses() -> None:
    secrets = {
        "S": "xoxb-1234-1234-4ddbc191d40ee098cbaae6f3523ada2d",
        "T": "123456789:AAabcdefghijklmnopqrstuvwxyz0123456",
        "N": "tk_abc",
    }
    for address in (
        "slack://${env:S}/+U012AB3CD",
        "tgram://${env:T}/-100123",
        "ntfy://${env:N}@10.0.0.1:80/a?mode=private",
    ):
        assert apprise.Apprise().add(resolve(address, lambda _source, name: secrets[name])), address
