"""No line of the log holds a link that opens something by being known, whatever made the line."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from functools import reduce
from io import StringIO

import pytest
import structlog
from django.core.cache import cache
from django.test import Client
from tests.rigs.accounts_browser import browser
from tests.rigs.door_list import patterns
from tests.rigs.settings import having

from mainstay.frames.boot import current_settings
from mainstay.runtime.logs import set_up_logs
from mainstay.store.secrets import SecretSource

pytestmark = pytest.mark.usefixtures("store")

SECRET = "Zq3xV7mN0pLk9sTwY2bR5cJ8dF1gH4aE6uI-oPqWeRt"  # as secrets.token_urlsafe makes them
UUID = "7b6a1c1e-0d3f-4c7f-9a53-1c2d3e4f5a6b"
FILLED = {"<str:token>": SECRET, "<str:secret>": SECRET, "<str:key>": SECRET, "<uuid:code>": UUID}
PLAIN = {"<int:n>": "1", "<uuid:project>": UUID.replace("7", "8")}


@contextmanager
def logged(form: str) -> Iterator[StringIO]:
    """What the log says meanwhile, set up as in a server."""
    root, before, raising = logging.getLogger(), structlog.get_config(), logging.raiseExceptions
    handlers, level = root.handlers, root.level
    with redirect_stderr(StringIO()) as said:
        set_up_logs(having(current_settings(), log_format=form))
        structlog.configure(cache_logger_on_first_use=False)  # loggers of modules outlive this test
        try:
            yield said
        finally:
            root.handlers, logging.raiseExceptions = handlers, raising
            root.setLevel(level)
            structlog.configure(**before)


def _paths() -> list[str]:
    """Each address with a secret in it, from the addresses themselves."""
    found = []
    for route, _ in patterns():
        filled = reduce(lambda path, name: path.replace(name, FILLED[name]), FILLED, route)
        if filled != route:
            found.append("/" + reduce(lambda path, name: path.replace(name, PLAIN[name]), PLAIN, filled))
    return [*found, f"/accounts/password/reset/key/1-{SECRET}/", f"/accounts/confirm-email/MQ:1tX:{SECRET}/"]


def test_there_are_addresses_to_look_at() -> None:
    assert {f"/{name}/{SECRET}" for name in ("setup", "join", "recover", "a")} <= set(_paths())


@pytest.mark.parametrize("form", ["json", "console"])
def test_what_django_tells_of_requests_that_it_refuses(form: str) -> None:
    cache.clear()
    forged, known = browser(csrf=True), browser()
    with logged(form) as log:
        for path in _paths():
            for answer in (
                forged.post(path, {"password1": "x"}),
                forged.put(path),
                known.get(path),
                known.get(f"{path}/nothing/here"),
                Client(headers={"host": "evil.example"}).get(path),
            ):
                assert answer.status_code < 500, path
    said = log.getvalue()
    assert said.count("Forbidden") >= 4, "it tells of forms without their token"
    assert "/join/***" in said
    for secret in (SECRET, UUID):
        assert [line for line in said.splitlines() if secret in line] == []


@pytest.mark.parametrize("form", ["json", "console"])
def test_what_anything_else_tells_with_a_traceback_or_by_value(form: str) -> None:
    link = f"https://mainstay.example/join/{SECRET}"
    with logged(form) as log:
        try:
            raise ValueError(f"no such page: {link}?next=/")
        except ValueError as error:
            logging.getLogger("django.request").error("Internal Server Error: %s", f"/recover/{SECRET}", exc_info=error)
            structlog.get_logger("test").exception("it broke", url=link, path=f"/ping/{UUID}/fail")
        logging.getLogger("asyncio").warning("GET /api/push/%s?status=up", SECRET)
        broken = "one placeholder too many %s %s"
        logging.getLogger("test").warning(broken, link)
    said = log.getvalue()
    assert "it broke" in said
    assert "/ping/***" in said
    assert "/api/push/***?status=up" in said
    assert SECRET not in said
    assert UUID not in said


@pytest.mark.parametrize("form", ["json", "console"])
def test_tracebacks_are_whole_and_hold_neither_variables_nor_secrets(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_KEY", "sesame-4711-open")
    key = SecretSource(current_settings()).lookup("env", "SHOP_KEY")

    def breaks(local: str) -> None:
        raise ValueError(f"the shop said no to {key}")

    local = "a local variable".replace(" ", "-")
    with logged(form) as log:
        for logger in (logging.getLogger("django.request"), structlog.get_logger("test")):
            try:
                breaks(local)
            except ValueError:
                logger.exception("it broke with Bearer %s", key)
    said = log.getvalue()
    assert said.count("Traceback (most recent call last)") == 2
    assert said.count("in breaks") == 2
    assert said.count("the shop said no to ***") == 2
    assert "traceback object" not in said
    for word in (local, key):
        assert word not in said
