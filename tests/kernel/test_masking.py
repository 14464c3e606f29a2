"""Secrets in what comes back from outside: every form, every check kind, one place."""

from __future__ import annotations

import asyncio
import html
import importlib
import json
import re
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.kernel.masking import Masker
from mainstay.kernel.probing import CheckFault, CheckOrder, finding
from mainstay.runtime.kinds import check_kinds
from mainstay.watch.prober.context import Context
from mainstay.watch.prober.dispatch import PreparedCheck

FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in a path": quote,
    "in a query": lambda secret: quote(secret, safe=""),
    "in a form": quote_plus,
    "with small letters": lambda secret: re.sub("%..", lambda found: found[0].lower(), quote(secret, safe="")),
    "wholly in percents": lambda secret: "".join(f"%{sign:02X}" for sign in secret.encode()),
    "twice in percents": lambda secret: quote(quote(secret, safe=""), safe=""),
    "JSON": lambda secret: json.dumps(secret)[1:-1],
    "JSON in Unicode": lambda secret: json.dumps(secret, ensure_ascii=False)[1:-1],
    "JSON with slashes": lambda secret: json.dumps(secret)[1:-1].replace("/", "\\/"),
    "JSON in JSON": lambda secret: json.dumps(json.dumps(secret)),
    "HTML": html.escape,
    "HTML by number": lambda secret: "".join(f"&#{ord(sign)};" for sign in secret),
    "HTML by hexadecimal number": lambda secret: "".join(f"&#x{ord(sign):X};" for sign in secret),
    "JSON in HTML": lambda secret: html.escape(json.dumps(secret)),
    "percents in HTML": lambda secret: html.escape(quote(secret)),
    "base64": lambda secret: b64encode(secret.encode()).decode(),
    "base64 for URLs": lambda secret: urlsafe_b64encode(secret.encode()).decode(),
    "basic authentication": lambda secret: b64encode(f"user:{secret}".encode()).decode(),
    "base64, shifted by two": lambda secret: b64encode(f"me{secret}!".encode()).decode(),
    "base64 in a query": lambda secret: quote(b64encode(secret.encode()).decode(), safe=""),
    "base64 in JSON": lambda secret: json.dumps(b64encode(secret.encode()).decode()).replace("/", "\\/"),
}
SECRETS = ["hush-hush", 'p/w+d &"x<y>\\é#%41 ~zz', 'a%41"b\\n/', "日本語のパスワード", "k3y!"]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_masked_and_what_is_around_it_stays(form: str, secret: str) -> None:
    said = Masker([secret]).text(f"before [{FORMS[form](secret)}] after")
    assert said.startswith("before [")
    assert said.endswith("] after")
    assert "***" in said
    assert _telling(FORMS[form](secret)) not in said


@pytest.mark.parametrize("form", FORMS)
def test_what_a_message_quotes_of_a_secret_is_masked_though_it_goes_on(form: str) -> None:
    secret = "eyJhbGciOiJIUzI1NiJ9/" + "Zm9v+YmFy" * 20
    shown = FORMS[form](secret)[:80]
    said = Masker([secret]).text(f"$.token is `{shown}`, expected `yes`")
    assert said.startswith("$.token is `")
    assert said.endswith("`, expected `yes`")
    assert _telling(shown) not in said


def test_a_secret_that_begins_like_itself_is_masked_whole() -> None:
    assert Masker(["aaaaaaaaaaaab"]).text(f"({'a' * 16}b)") == "(***)"


def test_other_addresses_that_begin_like_a_secret_one_stay() -> None:
    masker = Masker(["https://hooks.example.com/services/T0K3N-of-the-channel"])
    assert masker.text("https://hooky.example.com/ is another") == "https://hooky.example.com/ is another"


def _telling(form: str) -> str:
    """The middle of what stands for a secret: the edges of base64 may be its neighbour's."""
    third = len(form) // 3
    return form[third : -third or None]


@given(st.text(min_size=4, max_size=40), st.sampled_from([*FORMS]))
def test_whatever_the_secret_is(secret: str, form: str) -> None:
    try:
        shown = FORMS[form](secret)
    except UnicodeEncodeError:  # half a letter is no text that could be sent
        return
    assert Masker([secret]).text(f"({shown})") != f"({shown})"


def test_lines_of_a_secret_and_telling_parts_of_a_url() -> None:
    masker = Masker(["-----BEGIN KEY-----\nAAAAB3Nza\n-----END KEY-----", "https://chat.test/T0/B1/9xKq27LmPz"])
    assert masker.text("read AAAAB3Nza and 9xKq27LmPz at chat.test") == "read *** and *** at chat.test"


def test_a_secret_that_was_cut_off_is_masked_too() -> None:
    masker = Masker(["correct-horse-battery-staple"])
    assert masker.text(f"{'x' * 380}: correct-horse-ba…") == f"{'x' * 380}: ***…"
    assert masker.text("it is correct") == "it is correct"


def test_short_values_and_ordinary_words_stay() -> None:
    masker = Masker(["", "abc", "correct-horse"])
    assert masker.text("abc: 100% correct &amp; \\n horse") == "abc: 100% correct &amp; \\n horse"
    assert Masker([]).text("abc") == "abc"


def test_a_text_made_to_be_slow_is_not() -> None:
    masker, began = Masker(["k" * 60_000, "hush-hush"]), time.process_time()
    for text in ("%41" * 20_000, "\\u0041" * 10_000, "&amp;" * 13_000, "k" * 64_000, "\\\\" * 32_000):
        masker.text(text)
    assert time.process_time() - began < 5


@pytest.mark.parametrize("kind", [name for name, kind in check_kinds().items() if kind.quorum is None])
@pytest.mark.parametrize("fails", [False, True])
def test_no_check_kind_brings_a_secret_back(kind: str, *, fails: bool) -> None:
    runner = importlib.import_module(f"mainstay.integrations.checks.{kind}.run")
    assert callable(runner.run), "a kind runs behind the same door as all others"
    secret = SECRETS[1]
    echoes = {form: encode(secret) for form, encode in FORMS.items()}
    echo = " | ".join(echoes.values())
    nested = {"excerpt": echo, "headers": echoes, "also": [echo, {echoes["JSON"]: 1}], "exit_code": 2}

    async def run(_plan: Any, _context: Any) -> Any:
        if fails:
            raise CheckFault("expect.text", f"it said {echo}", **nested)
        return finding("down", "expect.text", f"it said {echo}", evidence=nested)

    order = CheckOrder(uid="u", kind=kind, interval=60, timeout=5, options={}, secrets=(secret,))
    found = asyncio.run(PreparedCheck(order, run, None).run(Context()))
    assert found.evidence["exit_code"] == 2
    told = found.message + json.dumps(found.evidence, ensure_ascii=False)
    for form, shown in echoes.items():
        assert _telling(shown) not in told, form
