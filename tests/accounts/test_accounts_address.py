"""Changing one's own address, and forgotten passwords, with a real mail server: who is told what, and who is not."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from django.conf import settings
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.core.cache import cache
from django.test import Client, override_settings
from tests.rigs.accounts_browser import PASSWORD, TEST, browser, person, sign_in, signed_in
from tests.rigs.channel_rigs import Mailbox, mail_server
from tests.rigs.settings import having

from mainstay.accounts import adapters
from mainstay.accounts.erasure import erase_person
from mainstay.accounts.models import User
from mainstay.store.journal import Filter, entries
from mainstay.store.models import JournalEntry
from mainstay.store.seals.proving import verify

pytestmark = pytest.mark.usefixtures("store")
OLD, NEW = "first@example.com", "second@example.com"


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    cache.clear()
    found = Mailbox()
    with (
        mail_server(found) as port,
        override_settings(
            MAINSTAY=having(settings.MAINSTAY, require_second_factor=""),
            EMAIL_BACKEND="django.core.mail.backends.smtp.EmailBackend",
            EMAIL_HOST="127.0.0.1",
            EMAIL_PORT=port,
        ),
    ):
        yield found
        delivered()


def delivered() -> None:
    """Everything that was handed over has been sent."""
    adapters._mail.submit(lambda: None).result(20)


def letters(mailbox: Mailbox) -> list[tuple[str, str]]:
    """(recipient, text) of every mail."""
    delivered()
    return [(to[0], str(mail.get_content())) for _, to, mail in mailbox.mails]


def link_in(text: str) -> str:
    found = re.search(r"(http://\S+)", text)
    assert found
    assert found[1].startswith(settings.MAINSTAY.base_url), "the configured address, whatever Host says"
    return found[1].removeprefix(settings.MAINSTAY.base_url)


def ask(client: Client, address: str = NEW) -> str:
    answer = client.post("/account/address/", {"email": address, "action_add": ""}, follow=True)
    return answer.content.decode()


def plain(page: str) -> str:
    """Without what differs each time."""
    return re.sub(r'(value="|Token": ")[^"]*"', "", page)


# Changing the address


def test_the_new_address_confirms_and_the_old_one_is_told(mailbox: Mailbox) -> None:
    person()
    client = signed_in()
    assert NEW in ask(client)
    ((to, text),) = letters(mailbox)
    assert to == NEW
    assert User.objects.get().email == OLD, "nothing changes before"
    link = link_in(text)
    assert OLD in client.get(link).content.decode()
    assert User.objects.get().email == OLD, "looking changes nothing"
    assert client.post(link).headers["location"] == "/account/"
    assert User.objects.get().email == NEW
    to, text = letters(mailbox)[1]
    assert to == OLD
    assert NEW in text
    (entry,) = entries(Filter(kind="user.address_changed"))
    assert (entry.actor, entry.data) == (f"user:{OLD}", {"from": OLD, "to": NEW})
    assert client.get("/account/").status_code == 200, "the session goes on"
    assert sign_in(browser(), OLD) == 200
    assert sign_in(browser(), NEW) == 302
    assert client.get(link).status_code == 404, "it works once"


def test_who_one_is_is_asked_first(mailbox: Mailbox) -> None:
    person()
    client = signed_in()
    session = client.session
    session["account_authentication_methods"] = [{"method": "password", "at": time.time() - 86_400}]
    session.save()
    assert "/reauthenticate/" in client.get("/account/address/").headers["location"]
    assert "/reauthenticate/" in client.post("/account/address/", {"email": NEW, "action_add": ""}).headers["location"]
    assert letters(mailbox) == []


def test_a_mistyped_address_hands_the_account_to_nobody(mailbox: Mailbox) -> None:
    """Whoever reads mail there can neither confirm, nor set a password, nor sign in."""
    person()
    person("stranger@example.com", "developer")
    ask(signed_in())
    link = link_in(letters(mailbox)[0][1])
    assert browser().post(link).headers["location"].startswith("/accounts/login/")
    assert signed_in("stranger@example.com").post(link).status_code == 404
    mailbox.mails.clear()
    assert browser().post("/accounts/password/reset/", {"email": NEW}).status_code == 302
    assert letters(mailbox) == []
    assert User.objects.get(role="admin").email == OLD


def test_a_taken_address_is_answered_like_any_other(mailbox: Mailbox) -> None:
    person()
    person("taken@example.com", "developer")
    client = signed_in("taken@example.com")
    pages = [plain(ask(client, address)) for address in (OLD, NEW)]
    assert pages[0].replace(OLD, "X") == pages[1].replace(NEW, "X")
    assert [to for to, _ in letters(mailbox)] == [NEW], "and nobody is sent a link to what is not free"
    cache.clear()
    assert "already" in ask(client, "taken@example.com")


def test_two_who_want_one_address_do_not_both_get_it(mailbox: Mailbox) -> None:
    person()
    person("other@example.com", "developer")
    one, other = signed_in(), signed_in("other@example.com")
    ask(one)
    cache.clear()
    ask(other)
    first, second = (link_in(text) for _, text in letters(mailbox))
    assert one.post(first).status_code == 302
    assert other.post(second).status_code == 409
    assert sorted(User.objects.values_list("email", flat=True)) == ["other@example.com", NEW]


@pytest.mark.parametrize("address", ["", "no address", "a" * 190 + "@example.com", OLD, "a@b\nBcc: x@y.z"])
def test_what_is_no_new_address_is_refused(mailbox: Mailbox, address: str) -> None:
    person()
    assert "errorlist" in ask(signed_in(), address)
    assert letters(mailbox) == []


def test_other_doors_of_the_borrowed_page_are_closed(mailbox: Mailbox) -> None:
    """It could remove the only address, or send to any."""
    person()
    client = signed_in()
    for action in ("action_send", "action_remove", "action_primary"):
        assert client.post("/account/address/", {"email": OLD, action: ""}).status_code == 404
        assert client.post("/accounts/email/", {"email": OLD, action: ""}).headers["location"] == "/account/"
    assert User.objects.get().email == OLD


def test_whom_a_provider_brings_changes_it_there(mailbox: Mailbox) -> None:
    person()
    user = User.objects.get()
    user.set_unusable_password()
    user.save()
    client = browser()
    client.force_login(user, backend=settings.AUTHENTICATION_BACKENDS[0])
    session = client.session
    session["account_authentication_methods"] = [{"method": "socialaccount", "at": time.time()}]
    session["account_authentication_methods_user"] = str(user.pk)
    session.save()
    assert client.get("/account/address/").status_code == 409


def test_links_are_sent_slowly(mailbox: Mailbox) -> None:
    person()
    client = signed_in()
    for _ in range(3):
        ask(client)
    assert len(letters(mailbox)) == 1


def test_an_erased_person_is_erased_under_former_addresses_too(mailbox: Mailbox) -> None:
    person("boss@example.com")
    person(OLD, "operations")
    client = signed_in(OLD)
    ask(client)
    client.post(link_in(letters(mailbox)[0][1]))
    erase_person(TEST, NEW)
    stored = [str(value) for row in JournalEntry.objects.values_list() for value in row]
    assert not [text for text in stored if OLD in text or NEW in text]
    assert verify().broken_at is None


# Forgotten passwords


def test_a_forgotten_password_goes_to_its_owner_only(mailbox: Mailbox) -> None:
    person()
    answers = []
    for email in (OLD, "nobody@example.com"):
        answer = browser().post("/accounts/password/reset/", {"email": email}, follow=True)
        answers.append((answer.status_code, plain(answer.content.decode())))
    assert answers[0] == answers[1]
    ((to, text),) = letters(mailbox)
    assert to == OLD
    client = browser()
    step = client.get(link_in(text)).headers["location"]
    assert "key" in step
    assert link_in(text) not in step, "the secret does not stand in the address of the page"
    form = {"password1": "quite another phrase", "password2": "quite another phrase"}
    assert client.post(step, form).status_code == 302
    assert sign_in(browser(), OLD, "quite another phrase") == 302
    assert sign_in(browser(), OLD, PASSWORD) == 200
    assert "password" in letters(mailbox)[-1][1].lower(), "the owner is told"


def test_a_link_to_reset_ends_with_a_change_of_the_address(mailbox: Mailbox) -> None:
    person()
    client = signed_in()
    browser().post("/accounts/password/reset/", {"email": OLD})
    reset = link_in(letters(mailbox)[0][1])
    ask(client)
    client.post(link_in(letters(mailbox)[1][1]))
    assert "invalid" in browser().get(reset, follow=True).content.decode()


def test_a_link_to_reset_works_once_and_not_for_ever(mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    person()
    form = {"password1": "quite another phrase", "password2": "quite another phrase"}
    browser().post("/accounts/password/reset/", {"email": OLD})
    used = link_in(letters(mailbox)[0][1])
    client = browser()
    assert client.post(client.get(used).headers["location"], form).status_code == 302
    assert "invalid" in browser().get(used, follow=True).content.decode()
    browser().post("/accounts/password/reset/", {"email": OLD})
    late = link_in(letters(mailbox)[-1][1])
    assert browser().get(late).status_code == 302
    in_four_days = datetime.now() + timedelta(days=4)  # noqa: DTZ005  as Django has it
    monkeypatch.setattr(PasswordResetTokenGenerator, "_now", lambda _self: in_four_days)
    assert "invalid" in browser().get(late, follow=True).content.decode()


@pytest.mark.parametrize("headers", [{"host": "evil.example"}, {"x-forwarded-host": "evil.example"}])
def test_no_header_leads_a_link_elsewhere(mailbox: Mailbox, headers: dict[str, str]) -> None:
    person()
    Client(headers={"host": "localhost", **headers}).post("/accounts/password/reset/", {"email": OLD})
    assert "evil" not in str(letters(mailbox))
    assert len(letters(mailbox)) == (0 if "host" in headers else 1)


def test_an_unknown_address_costs_the_same_work_as_a_wrong_password(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    person()
    work: list[str] = []
    encode = MD5PasswordHasher.encode

    def counted(self: MD5PasswordHasher, password: str, salt: str) -> str:
        work.append(password)
        return encode(self, password, salt)

    monkeypatch.setattr(MD5PasswordHasher, "encode", counted)
    done = []
    for email in (OLD, "nobody@example.com"):
        work.clear()
        assert sign_in(browser(), email, "a wrong one") == 200
        done.append(list(work))
    assert done[0] == done[1] == ["a wrong one"]
