"""What was made while the clock was ahead lasts no longer for it once the clock is put right."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db.models import F
from tests.rigs.accounts_browser import PASSWORD, TEST, browser, person, signed_in, switch_factor_on
from tests.rigs.receivers import in_thread

from mainstay.accounts import queries, verbs
from mainstay.accounts.lanes import lanes
from mainstay.accounts.models import Invitation, User
from mainstay.accounts.passwords import ResetTokens
from mainstay.kernel.actor import command
from mainstay.kernel.clock import Steps
from mainstay.kernel.errors import NotFound
from mainstay.store.running import Running
from mainstay.store.writer import Writer

pytestmark = pytest.mark.usefixtures("store")
AHEAD = 86_400.0


@pytest.fixture(autouse=True)
def _quick() -> None:
    cache.clear()


def upkeep(clock: Any, *between: Any) -> None:
    """A turn of the lane, and one after each of these steps."""

    async def play() -> None:
        writer = Writer()
        (lane,) = lanes(Running(settings.MAINSTAY, writer, cast("Any", None), clock))
        await lane.turn()
        for step in between:
            step()
            await lane.turn()
        await in_thread(writer.stop)

    asyncio.run(play())


def test_links_that_were_made_while_the_clock_was_ahead_are_over(clock: Any) -> None:
    setup = verbs.make_setup_link(TEST)
    assert setup
    assert queries.setup_is_open(setup)
    assert not queries.setup_is_open(setup, time.time() - AHEAD)
    person("first@example.com", "admin")
    join, recover = (
        verbs.make_link(TEST, "first@example.com"),
        verbs.make_recovery_link(command("tests"), "first@example.com"),
    )
    for secret, purpose, use in ((join, "join", verbs.accept_invitation), (recover.secret, "recover", verbs.recover)):
        assert queries.invited_email(secret, purpose=purpose)
        assert queries.invited_email(secret, time.time() - 1, purpose=purpose), "a small step ends nothing"
        assert queries.invited_email(secret, time.time() - AHEAD, purpose=purpose) is None
        Invitation.objects.filter(purpose=purpose).update(expires_us=F("expires_us") + int(AHEAD * 1e6))
        with pytest.raises(NotFound):
            use(secret, PASSWORD)
        assert browser().get(f"/{purpose}/{secret}").status_code == 404
    clock.at = time.time()
    upkeep(clock, lambda: clock.advance(Steps.STEADY))
    assert not Invitation.objects.exists(), "nor are they good once that time comes"


def test_a_visit_by_a_recovery_link_ends_in_time() -> None:
    now = time.time()
    assert queries.recovered(queries.Visit(recovered_until=now + 3_600), now)
    for until in (now + 3_600 + AHEAD, now, 0.0):
        assert not queries.recovered(queries.Visit(recovered_until=until), now)


def test_a_session_of_a_clock_that_was_ahead_lasts_as_long_as_was_meant(clock: Any) -> None:
    person("first@example.com", "admin")
    signed_in()
    clock.at = time.time()
    Session.objects.update(expire_date=F("expire_date") + timedelta(days=365))
    upkeep(clock, lambda: clock.advance(Steps.STEADY))
    lasting = Session.objects.get().expire_date - datetime.fromtimestamp(clock.at, UTC)
    assert lasting == timedelta(seconds=settings.SESSION_COOKIE_AGE)


def test_upkeep_ends_nothing_by_a_clock_that_starts_in_the_past(clock: Any) -> None:
    person("first@example.com", "admin")
    client = signed_in()
    secret = verbs.make_link(TEST, "first@example.com")
    clock.at = 1_000.0
    upkeep(clock, lambda: clock.advance(3_600), lambda: clock.set(time.time() - clock.at))
    assert client.get("/account/").status_code == 200
    assert queries.invited_email(secret)


@pytest.mark.parametrize("page", ["/users/new/", "/accounts/2fa/recovery-codes/generate/"])
def test_who_showed_themselves_in_the_future_must_do_so_again(page: str) -> None:
    person("first@example.com", "admin")
    client = signed_in()
    switch_factor_on(client)
    assert client.get(page).status_code == 200
    session = client.session
    for record in session["account_authentication_methods"]:
        record["at"] += AHEAD
    session.save()
    assert client.get(page).headers["location"].startswith("/accounts/reauthenticate/")


def test_a_reset_link_of_a_clock_that_was_ahead_is_over() -> None:
    class Ahead(ResetTokens):
        def _now(self) -> datetime:
            return datetime.now() + timedelta(seconds=AHEAD)  # noqa: DTZ005 # as Django's own

    person("first@example.com", "admin")
    user = User.objects.get()
    assert ResetTokens().check_token(user, ResetTokens().make_token(user))
    assert Ahead().check_token(user, Ahead().make_token(user))
    assert not ResetTokens().check_token(user, Ahead().make_token(user))
