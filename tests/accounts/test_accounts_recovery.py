"""Getting back in: only from the machine itself, once, told to everybody who must know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client, override_settings
from tests.rigs.accounts_browser import PASSWORD, TEST, browser, person, sign_in, signed_in, switch_factor_on

from mainstay.accounts import announcements, queries, verbs
from mainstay.accounts.models import Invitation, User
from mainstay.kernel.actor import Actor, command
from mainstay.kernel.errors import Conflict, Forbidden, NotFound
from mainstay.store.journal import Filter, entries
from mainstay.store.resources.apply import declare

pytestmark = pytest.mark.usefixtures("store")
ROOT = command("root")
NEW = "another fine password"
FORM = {"password1": NEW, "password2": NEW}


@pytest.fixture(autouse=True)
def _quick_and_calm() -> Iterator[None]:
    cache.clear()
    mail.outbox = []
    memory = "django.core.mail.backends.locmem.EmailBackend"
    with override_settings(EMAIL_BACKEND=memory):
        yield


def _told() -> list[tuple[str, list[str]]]:
    announcements._later.submit(lambda: None).result(10)
    return [(message.subject, message.to) for message in mail.outbox if "recovery link" in message.subject]


def _lock_everybody_out(**more: Any) -> None:
    document = {"server": "https://login.example.com", "client_id": "m", "default_role": "admin", "only": True}
    declare(TEST, "sign_in", "company", {**document, **more}, manager="page")
    declare(TEST, "role", "admin", {"like": "admin", "from": ["10.0.0.0/8"]}, manager="page")


def test_a_recovery_link_lifts_all_that_locks_out() -> None:
    person()
    person("second@example.com")
    person("sup@example.com", "support")
    earlier = signed_in()
    switch_factor_on(earlier)
    _lock_everybody_out()
    cache.clear()
    assert sign_in(browser()) == 200
    made = verbs.make_recovery_link(ROOT, "First@example.com")
    assert made.untold == ""
    assert [to for _, to in _told()] == [["first@example.com"], ["second@example.com"]], "each administrator, by itself"
    assert made.secret not in str([message.body for message in mail.outbox])
    mail.outbox = []

    client = browser()
    page = client.get(f"/recover/{made.secret}")
    assert page.headers["cache-control"] == "no-store"
    assert "first@example.com" in page.content.decode()
    assert User.objects.get(email="first@example.com").check_password(PASSWORD), "a look changes nothing"
    assert client.post(f"/recover/{made.secret}", FORM).headers["location"] == "/accounts/2fa/totp/activate/"
    assert client.get("/account/").status_code == 200
    assert [to for _, to in _told()] == [["first@example.com"], ["second@example.com"]]
    switch_factor_on(client)
    assert client.get("/users/").status_code == 200, "and can mend it"
    assert earlier.get("/account/").status_code in (302, 403)
    kinds = [(entry.kind, entry.actor) for entry in entries(Filter(kind="user.recover*"))]
    assert kinds == [("user.recovered", "link:recover"), ("user.recovery_made", "command:root")]

    session = client.session
    session[queries.RECOVERED_UNTIL] = 1.0
    session.save()
    assert client.get("/users/").status_code == 403, "an hour later the policies hold again"


def test_a_recovery_link_works_once_and_for_an_hour() -> None:
    person()
    first, second = (verbs.make_recovery_link(ROOT, "first@example.com").secret for _ in range(2))
    assert browser().get(f"/recover/{first}").status_code == 404
    assert browser().get(f"/join/{second}").status_code == 404, "it is no invitation"
    verbs.recover(second, NEW)
    with pytest.raises(NotFound):
        verbs.recover(second, NEW)
    third = verbs.make_recovery_link(ROOT, "first@example.com").secret
    Invitation.objects.update(expires_us=1)
    assert browser().post(f"/recover/{third}", FORM).status_code == 404
    joining = verbs.make_link(TEST, "first@example.com")
    assert browser().get(f"/recover/{joining}").status_code == 404


def test_it_is_done_on_the_machine_only() -> None:
    person()
    for actor in (Actor("user", "first@example.com", TEST.scopes), Actor("token", "ci", TEST.scopes), TEST):
        with pytest.raises(Forbidden, match="on the server's own machine"):
            verbs.make_recovery_link(actor, "first@example.com")
    with pytest.raises(NotFound):
        verbs.make_recovery_link(ROOT, "intruder@example.com")
    person("second@example.com")
    verbs.deactivate(TEST, "second@example.com")
    with pytest.raises(Conflict, match="switched off"):
        verbs.make_recovery_link(ROOT, "second@example.com")
    assert not list(entries(Filter(kind="user.recovery_made")))


def test_a_mail_server_that_is_away_is_told_of_and_stops_nothing() -> None:
    person()
    backend = "django.core.mail.backends.smtp.EmailBackend"
    with override_settings(EMAIL_BACKEND=backend, EMAIL_HOST="127.0.0.1", EMAIL_PORT=9):
        made = verbs.make_recovery_link(ROOT, "first@example.com")
    assert "refused" in made.untold
    assert verbs.recover(made.secret, NEW).email == "first@example.com"


def test_who_is_signed_in_as_somebody_else_comes_back_as_themselves() -> None:
    person()
    person("second@example.com", "support")
    _lock_everybody_out()
    client: Client = browser()
    secret = verbs.make_recovery_link(ROOT, "first@example.com").secret
    other = verbs.make_recovery_link(ROOT, "second@example.com").secret
    client.post(f"/recover/{other}", FORM)
    assert "second@example.com" in client.get("/account/").content.decode()
    client.post(f"/recover/{secret}", FORM)
    assert "first@example.com" in client.get("/account/").content.decode()


def test_the_command_prints_the_link() -> None:
    import os
    import subprocess
    import sys
    from pathlib import Path

    from django.conf import settings
    from django.db import connections

    person()
    connections.close_all()
    here = settings.MAINSTAY
    environment = {**os.environ, "MAINSTAY_DATA": str(here.data), "MAINSTAY_DATABASE": here.database}
    environment["MAINSTAY_SMTP"] = "smtp://127.0.0.1:9"
    program = str(Path(sys.executable).with_name("mainstay"))
    done = subprocess.run(
        [program, "access", "recover", "first@example.com"],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "could not be notified by mail" in done.stderr
    assert browser().get(done.stdout.strip().removeprefix(here.base_url)).status_code == 200
