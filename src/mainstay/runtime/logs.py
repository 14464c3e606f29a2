"""Logs: structured, one line each, to standard error; for people on a terminal, JSON elsewhere."""

from __future__ import annotations

import logging
import re
import sys
from contextlib import suppress
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urlsplit

import structlog

from mainstay.alerting.settings import CHANNEL_PROXY
from mainstay.kernel.masking import Masker
from mainstay.kernel.settings import Settings
from mainstay.runtime.settings import LOG_FORMAT, LOG_LEVEL
from mainstay.store.secrets import known_values

# Addresses that are permissions: one-time links, links of messages, pings, pushes, keys of API clients. Whatever names
# one (Django tells the path of each request that it refuses) does so without them.
_LINK = re.compile(
    r"(/(?:setup|join|recover|confirm-email|reset/key|oncall/feed|api/push|ping|projects/[^/\s]+/metrics)/|/a/(?=[\w.:~=-]{16})"
    r"|/checks/(?=[0-9a-fA-F-]{32}))[^\s\"'<>?#\\]+"
)
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def set_up_logs(settings: Settings) -> None:
    """Send structlog's and the standard library's messages through one set of processors."""
    level = _LEVELS.get(settings[LOG_LEVEL].lower(), 20)
    console = settings[LOG_FORMAT] == "console" or (settings[LOG_FORMAT] == "auto" and sys.stderr.isatty())
    # Tracebacks as Python prints them: whole, and without the variables, which hold whatever was being handled.
    plain = structlog.dev.plain_traceback
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)
        if console
        else structlog.processors.JSONRenderer()
    )
    own = _passwords(settings)

    def rendered(logger: Any, name: str, event: structlog.typing.EventDict) -> str:
        event = structlog.processors.format_exc_info(logger, name, event)
        masked = _masker(own | known_values()).value(dict(event))  # before it is escaped for JSON
        return without_links(str(renderer(logger, name, masked)))

    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, rendered],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, rendered],
        )
    )
    logging.raiseExceptions = False  # it would print what could not be written, as it is
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(level, logging.WARNING))  # libraries speak up from warnings on


def _passwords(settings: Settings) -> frozenset[str]:
    """Of the addresses in the settings, which libraries quote when they cannot connect."""
    found = []
    for address in (settings.database, settings.telemetry, settings.smtp, settings[CHANNEL_PROXY]):
        with suppress(ValueError):  # whoever opens it says what is wrong with it
            found.append(urlsplit(address).password)
    return frozenset(form for password in found if password for form in (password, unquote(password)))


@lru_cache(maxsize=1)
def _masker(values: frozenset[str]) -> Masker:
    return Masker(values)


def without_links(line: str) -> str:
    """The line with `***` in the place of whatever opens something by being known."""
    return _LINK.sub(r"\1***", line)
