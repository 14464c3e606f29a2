"""The web takes what it says that it takes, and survives the rest.

Schemathesis makes requests from the OpenAPI document: no answer may be an error of ours, and answers with a declared
shape have it. Pages get odd values in every parameter that any page reads. FUZZ_EXAMPLES says how many requests each
operation and page gets (`make fuzz`: many).
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import schemathesis
from django.conf import settings as django_settings
from django.contrib.auth import SESSION_KEY
from django.core.wsgi import get_wsgi_application
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance
from tests.fuzz.fuzzing import WORDS, mutate
from tests.rigs.accounts_browser import TEST, person
from tests.rigs.door_list import SOURCES, Way, pages

from mainstay.accounts.models import User
from mainstay.accounts.verbs import create_token
from mainstay.kernel.actor import all_scopes
from mainstay.runtime.api import api
from mainstay.store.resources.apply import declare, declare_all
from mainstay.watch.results import open_results, set_current

pytestmark = pytest.mark.usefixtures("store")

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "12"))
KNOWN = {"name": ["api", "backup", "mail"], "kind": ["monitor", "heartbeat", "channel"], "number": [1, 2]}
CHECKS = [not_a_server_error, response_schema_conformance, status_code_conformance]
QUIET = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=EXAMPLES < 100,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
)


def _schema() -> Any:
    document = api.get_openapi_schema()
    document["servers"] = []
    schema = schemathesis.openapi.from_dict(document)
    schema.app = _closing(get_wsgi_application())
    return schema


def _closing(application: Any) -> Any:
    """As servers do it: what an answer holds is free again once it is read."""

    def answering(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        pieces = application(environ, start_response)
        try:
            return [b"".join(pieces)]
        finally:
            pieces.close()

    return answering


SCHEMA = _schema()
OPERATIONS = {found.ok().label: found.ok() for found in SCHEMA.get_all_operations()}


@pytest.fixture(autouse=True, scope="module")
def _telemetry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    opened = open_results(replace(django_settings.MAINSTAY, data=tmp_path_factory.mktemp("telemetry")))
    yield
    set_current(None)
    opened.close()


@pytest.fixture(autouse=True)
def _declared() -> None:
    wanted = [
        ("monitor", "api", {"http": "https://example.com"}),
        ("heartbeat", "backup", {"every": "1h"}),
    ]
    declare_all(TEST, wanted, manager="api")
    declare(TEST, "channel", "mail", {"email": {"to": ["a@example.com"]}}, manager="api")  # a second revision


def test_the_whole_document_is_read() -> None:
    assert len(OPERATIONS) > 30


@pytest.mark.parametrize("label", OPERATIONS)
def test_an_operation_answers_as_the_document_says(label: str) -> None:
    if label == "POST /api/v1/channels/{name}/test":
        KNOWN["name"] = ["api", "backup"]  # nothing is sent from here
    operation = OPERATIONS[label]
    token = create_token(TEST, "fuzz", sorted(all_scopes()))
    headers = {"Authorization": f"Bearer {token}", "Host": "localhost"}

    @QUIET
    @given(case=operation.as_strategy(), known=st.integers(0, 3))
    def run(case: Any, known: int) -> None:
        for name in case.path_parameters or {}:
            if known and name in KNOWN:
                case.path_parameters[name] = KNOWN[name][known % len(KNOWN[name])]
        response = case.call(headers=headers)
        case.validate_response(response, checks=CHECKS)

    run()
    KNOWN["name"] = ["api", "backup", "mail"]


# Pages

PARAMETER = re.compile(r"\.(?:GET|POST)\.(?:get|getlist)\(\s*\"(\w+)\"")


@cache
def _parameters() -> list[str]:
    """Names that any page reads from a query or a form."""
    return sorted({name for path in SOURCES.rglob("*.py") for name in PARAMETER.findall(path.read_text())})


@pytest.mark.parametrize("way", [way for way in pages() if way.kind == "page"], ids=str)
def test_a_page_takes_anything_in_its_parameters(way: Way) -> None:
    names = [*_parameters(), "q", "page", "next", "login", "password", "code", "name"]
    dice = random.Random(f"{way} {EXAMPLES}")
    user = person("fuzz@example.com")
    wrong = []
    client = Client(headers={"host": "localhost"}, raise_request_exception=True)
    for _ in range(max(2, EXAMPLES // 4)):
        if SESSION_KEY not in client.session:  # yet, or no more
            client.force_login(user, backend=django_settings.AUTHENTICATION_BACKENDS[0])
        values = {name: _printable(dice) for name in dice.sample(names, min(len(names), 12))}
        response = client.get(way.path, values) if way.method == "GET" else client.post(way.path, values)
        if response.streaming:
            response.close()  # or its slot stays taken
        if response.status_code >= 500:
            wrong.append((response.status_code, values))
        User.objects.exclude(pk=user.pk).delete()
    assert wrong == []


def _printable(dice: random.Random) -> str:
    """What a browser could send: any text but halves of surrogate pairs."""
    seed = dice.choice(
        ("1", "monitor.went_down", "2h", "api", "2026-01-02T03:04", "monitors:\n  a: {http: https://a}\n")
    )
    text = str(mutate(seed, dice, WORDS)) if dice.random() < 0.7 else dice.choice(WORDS)
    return text.encode("utf-8", "replace").decode()
