"""What people read when a file is wrong: one file with everything, and each message once."""

from __future__ import annotations

import pytest

from mainstay.kernel.diagnostics import Diagnostics
from mainstay.kernel.resource import KINDS, check_name
from mainstay.store.resources.declarations import declared
from mainstay.store.resources.documents import read_text
from mainstay.store.resources.references import check_references
from mainstay.store.resources.text import mistake_lines


def mistakes(text: str) -> list[str]:
    diagnostics = Diagnostics()
    found = declared(read_text(text, "f", diagnostics), "file", diagnostics)
    check_references({own.key: own for own in found}, set(), diagnostics)
    return [str(item).replace(" error:", "") for item in diagnostics]


MONITOR = "monitors:\n  api: {http: https://a.example, %s}\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (MONITOR % "expct: {status: 200}", "f:2:34: unknown key `expct`, did you mean `expect`"),
        (MONITOR % "every: 0.1s", "f:2:41: `every` must be at least 1s"),
        (MONITOR % "every: 2d", "f:2:41: `every` must be at most 1d"),
        (MONITOR % "severity: p1", "f:2:44: `severity` must be one of P0, P1, P2, P3, not `p1`, did you mean `P1`"),
        (
            MONITOR % "parents: gateway",
            "f:2:43: `parents` must be a list, not text, write `- value` lines below it, or [value, value]",
        ),
        (MONITOR % "parents: [gatewy]", "f:2:44: no monitor `gatewy`, declare it under `monitors`"),
        (MONITOR % "parents: [apy]", "f:2:44: no monitor `apy`, did you mean `api`"),
        (MONITOR % "parents: [api]", "f:2:3: the monitors depend on each other in a cycle: api -> api"),
        (MONITOR % "confirm: {failures: x}", "f:2:54: `failures` must be a whole number, not `x`"),
        (MONITOR % "confirm: {failures: 99}", "f:2:54: `failures` must be at most 20"),
        (MONITOR % "confirm: {rechek: 1s}", "f:2:44: unknown key `rechek`, did you mean `recheck`"),
        (MONITOR % "labels: {n: 12}", "f:2:46: `n` must be text, not the number 12, put quotes around it"),
        (
            MONITOR % "labels: {1st: x}",
            "f:2:43: the name `1st` must be letters, digits and `_`, and not begin with a digit",
        ),
        (MONITOR % "enabled: maybe", "f:2:43: `enabled` must be true or false, not `maybe`"),
        (
            MONITOR % "alert_on: [down, dwn]",
            "f:2:51: entry 2 of `alert_on` must be one of down, degraded, unknown, not `dwn`, did you mean `down`",
        ),
        (MONITOR % "flapping: {falls: 1}", "f:2:52: `falls` must be at least 2"),
        ("monitors:\n  api: {htp: https://a.example}\n", "f:2:9: unknown key `htp`, did you mean `http`"),
        (
            "monitors:\n  api: 12\n",
            (
                "f:2:3: the monitor `api` must be a mapping, not the number 12, "
                "write `key: value` lines below it, or {key: value}"
            ),
        ),
        ("monitors:\n  api: {http: {}}\n", "f:2:15: `url` is missing"),
        (
            "status_pages:\n  p: {title: T, link: ftp://x}\n",
            "f:2:23: `link` must begin with http:// or https:// and hold no spaces",
        ),
        (
            "monitors:\n  api gw: {http: https://a.example}\n",
            "f:2:3: `api gw` cannot name a monitor: a name holds letters and digits, and `. _ -` between them",
        ),
        ("monitors: [1]\n", "f:1:11: must be a mapping of names to monitors, not a list"),
        ("routes: {}\n", "f:1:9: must be a list of routes, not a mapping"),
        ("monitor: {}\n", "f:1:1: unknown key `monitor`, did you mean `monitors`"),
        ("- a\n", "f:1:1: a file is a mapping of " + ", ".join(kind.plural for kind in KINDS) + ", not a list"),
        ("heartbeats:\n  a: {}\n", "f:2:3: a heartbeat needs exactly one of `every`, `cron` and `on_calendar`"),
        (
            "heartbeats:\n  a: {cron: '0 2 * * *', timezone: Europe/Berlinn}\n",
            "f:2:36: there is no time zone `Europe/Berlinn`, did you mean `Europe/Berlin`",
        ),
        (
            "heartbeats:\n  a: {every: 1h, uuid: x}\n",
            "f:2:24: `uuid` must be a UUID, such as 6f1e2b7c-0d2a-4c55-9a3e-1f0b5c8d7e21",
        ),
        (
            "windows:\n  w: {from: 2026-01-01 12:00:00, until: 2026-01-02T00:00:00Z}\n",
            (
                "f:2:13: `from` must be a date and time with its offset, "
                "such as 2026-01-31T22:00:00Z or 2026-01-31T23:00:00+01:00"
            ),
        ),
        (
            "channels:\n  h: {webhook: {url: https://x.example, secret: hunter2}}\n",
            (
                "f:2:49: a secret must be a reference: write ${env:NAME}, ${file:/path} or ${vault:NAME}, and keep "
                "the value there"
            ),
        ),
        ("channels:\n  h: {webook: {}}\n", "f:2:7: unknown key `webook`, did you mean `webhook`"),
        ("routes:\n  - {to: []}\n", "f:2:10: `to` must have at least 1 entry"),
        ("routes:\n  - {}\n", "f:2:5: `to` is missing"),
        ("routes:\n  - {to: [hook]}\n", "f:2:11: no channel `hook`, declare it under `channels`"),
        (
            "status_pages:\n  p: {title: T, components: [{name: A, monitors: [x]}]}\n",
            "f:2:51: no monitor `x`, declare it under `monitors`",
        ),
    ],
)
def test_a_mistake_is_told_once_with_its_place_and_what_was_meant(text: str, told: str) -> None:
    assert mistakes(text) == [told]


def test_without_one_check_the_rest_is_told_too() -> None:
    text = "monitors:\n  api: {http: https://a.example, tls: a.example, locations: [main, main], quorum: 1}\n"
    first, second = mistakes(text)
    assert "needs exactly one of" in first
    assert first.endswith("this one has `http`, `tls`")
    assert second == "f:2:3: a location is named twice"


def test_mistakes_of_all_resources_and_references_beside_them_are_told_at_once() -> None:
    text = """\
monitors:
  api: {http: https://a.example, expct: 1, parents: [gatewy]}
  gateway: {http: https://b.example, parents: [x]}
  x: {http: https://b.example, parents: [gateway], every: soon}
routes: [{to: [hok]}, {match: ['a'], to: [hook]}]
channels: {hook: {webhook: https://x.example}}
"""
    told = mistakes(text)
    assert len(told) == 6
    assert "f:2:54: no monitor `gatewy`, did you mean `gateway`" in told
    assert "f:3:3: the monitors depend on each other in a cycle: gateway -> x -> gateway" in told
    assert "f:5:16: no channel `hok`, did you mean `hook`" in told


def test_a_reader_mistake_is_not_told_again_as_a_missing_value() -> None:
    assert len(mistakes(MONITOR % "description: .nan")) == 1


def test_the_same_name_twice_is_told_with_both_places() -> None:
    told = mistakes("monitors: {a: {http: https://x.example}}\n---\nmonitors:\n  a: {http: https://y.example}\n")
    assert told == ["f:4:3: the monitor `a` is declared twice, first at f:1:12"]


def test_a_secret_that_was_written_out_is_not_shown_again() -> None:
    text = "channels:\n  h: {webhook: {url: https://x.example, secret: hunter2, heders: {}}}\n"
    diagnostics = Diagnostics()
    declared(read_text(text, "f", diagnostics), "file", diagnostics)
    shown = "\n".join(line for _, line in mistake_lines(diagnostics, {"f": text}))
    assert "unknown key `heders`" in shown
    assert "hunter2" not in shown


def test_a_monitor_that_is_only_an_address_gets_a_hint() -> None:
    (told,) = mistakes("monitors: {a: https://a.example}")
    assert told.startswith("f:1:12: a monitor must be a mapping, such as {")


def test_a_flood_of_mistakes_is_answered_soon_and_briefly() -> None:
    keys = ", ".join(f"htt{number}: 1" for number in range(30_000))
    told = mistakes(f"monitors: {{a: {{{keys}}}, b: {{http: https://a.example, {keys}}}}}")
    assert 1 < len(told) <= 600
    told = mistakes(f"monitors: {{a: {{http: https://a.example, labels: {{{keys}}}, {'x' * 100_000}: 1}}}}")
    assert all(len(text) < 1000 for text in told)


def test_a_caret_stands_below_the_column_also_after_wide_characters() -> None:
    diagnostics = Diagnostics()
    text = 'x-a: 1\n"日本": {}\n'
    declared(read_text(text, "f", diagnostics), "file", diagnostics)
    text = 'monitors: {"日本": {http: https://x.example, evry: 1}}\n'
    diagnostics = Diagnostics()
    declared(read_text(text, "f", diagnostics), "file", diagnostics)
    lines = [line for _, line in mistake_lines(diagnostics, {"f": text})]
    assert lines[1] == f"     1 | {text.rstrip()}"
    assert lines[2].index("^") == lines[1].index("evry") + 2


@pytest.mark.parametrize("name", ["api", "nightly-report", "größe", "日本語", "हिन्दी", "ไทยน้ำ", "a.b_c-d", "7"])
def test_names_of_any_script_are_allowed(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "a b", "-a", "a-", "../x", "a/b", "a\n", "x" * 101, "gro\u0308sse", "a\u202eb", 7]
)
def test_names_that_break_addresses_or_look_like_others_are_refused(name: object) -> None:
    with pytest.raises(ValueError, match="name"):
        check_name(name)
