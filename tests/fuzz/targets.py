"""Every parser of outside input, with good examples to begin from and the errors that its callers handle."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from tests.fuzz.fuzzing import Target

NOW = 1_800_000_000.0
UUID = "7b6a1c1e-0d3f-4c7f-9a53-1c2d3e4f5a6b"
EXAMPLES = Path(__file__).parents[2] / "examples"


@cache
def targets() -> tuple[Target, ...]:
    """Needs a booted Django: `tests.conftest` boots, and so does the first call."""
    _boot()
    from tests.fuzz.declarations import declarations
    from tests.fuzz.files import imports, kept_files
    from tests.fuzz.servers import conversations

    own = (*_documents(), *_times(), *_languages(), *_requests(), *_accounts(), *_answers(), *_protocols())
    return (*own, declarations(EXAMPLES), *conversations(), *imports(), *kept_files())


def _boot() -> None:
    from mainstay.frames.boot import is_booted

    if is_booted():
        return
    import tempfile

    from mainstay.frames.boot import load_settings, migrate, start_django

    start_django(load_settings(data=Path(tempfile.mkdtemp(prefix="mainstay-fuzz-")) / "data", database=""))
    migrate()


# Documents that people and programs send


def _documents() -> list[Target]:
    from mainstay.kernel.diagnostics import Diagnostics
    from mainstay.kernel.errors import MainstayError
    from mainstay.store.resources.declarations import declared
    from mainstay.store.resources.files import read_body
    from mainstay.store.resources.json_text import read_json

    def document(raw: bytes) -> None:
        reading = read_body(raw)
        found = declared(reading.documents, "file", reading.diagnostics)
        [str(diagnostic) for diagnostic in reading.diagnostics]
        if not reading.diagnostics.errors:
            json.dumps([one.document for one in found])

    def fields(text: str) -> None:
        """Values of every type where a document of ours is expected."""
        value = read_json(text)
        diagnostics = Diagnostics()
        from mainstay.store.resources.documents import Document

        declared([Document("fuzz", value)], "api", diagnostics)

    files = [path.read_bytes() for path in sorted(EXAMPLES.rglob("*.y*ml"))]
    small = [
        b"monitors:\n  api: {http: https://a.example, every: 30s, expect: {status: 200-299, json: {$.a: '> 3'}}}\n",
        b"heartbeats:\n  b: {cron: '0 2 * * *', timezone: Europe/Berlin, grace: 1h}\n",
        b"channels:\n  c: {webhook: {url: '${env:X}'}}\n",
        b"routes:\n  - {match: ['severity=~\"P0|P1\"'], to: [c]}\nwindows:\n  w: {rule: sunday 01:00-02:00}\n",
        b"a: &a {b: 1}\nc:\n  <<: *a\n  d: [*a, *a]\n",
        b'{"monitors": {"a": {"tcp": "example.com:443", "labels": {"a": "b"}}}}',
    ]
    as_json = [
        '{"monitors": {"api": {"http": {"url": "https://example.com", "headers": {"a": "b"}}, "every": 30}}}',
        '{"monitors": {"d": {"dns": {"name": "example.com", "type": "A"}, "expect": {"values": ["1.2.3.4"]}}}}',
        '{"channels": {"m": {"email": {"to": ["a@example.com"]}}}}',
        '{"routes": [{"to": ["m"], "match": ["a=\\"b\\""]}], "windows": {"w": {"rule": "daily 01:00-02:00"}}}',
        '{"heartbeats": {"h": {"every": "1h", "keywords": {"success": "ok"}}}}',
        '{"status_pages": {"s": {"groups": [{"name": "g", "components": [{"name": "c", "monitors": ["a"]}]}]}}}',
    ]
    return [
        Target("yaml documents", document, [*small, *files[:10]], (MainstayError,)),
        Target("json documents", fields, as_json),
        Target("json text", read_json, [*as_json, "[1, 2.5, null, true]"]),
    ]


# Small languages


def _times() -> list[Target]:
    from mainstay.kernel.schedule import Schedule, check_calendar, check_cron
    from mainstay.kernel.timespan import format_duration, parse_duration
    from mainstay.kernel.windows import next_period, parse_rule, period_at
    from mainstay.kernel.zones import check_zone

    def duration(text: str) -> None:
        seconds = parse_duration(text)
        if 0 <= seconds < 1e12:
            format_duration(seconds)

    def window(text: str) -> None:
        rule, zone = parse_rule(text), ZoneInfo("Europe/Berlin")
        period_at(rule, zone, NOW)
        next_period(rule, zone, NOW, days=40)

    def cron(text: str) -> None:
        Schedule(cron=check_cron(text), timezone="Europe/Berlin").next_after(NOW)

    def calendar(text: str) -> None:
        Schedule(calendar=check_calendar(text), timezone="Europe/Berlin").next_after(NOW)

    windows = ["daily 02:00-04:00", "first tuesday 22:00-02:00", "day 31 00:00-24:00", "last day 1:00-2:00"]
    calendars = ["Mon..Fri 02:00", "*-*~01/1 0/4:15:00 UTC", "daily", "Sat,Sun 2026..2030-02-29\n*:0/15 Asia/Tokyo"]
    crons = ["0 2 * * *", "*/5 9-17 * * mon-fri", "0 0 1,15 * *", "0 0 29 2 *", "0 0 * * sun#2"]
    return [
        Target("durations", duration, ["30s", "1h30m", "250ms", "2w", "1.5", "90"], (ValueError,)),
        Target("windows", window, windows, (ValueError,)),
        Target("cron", cron, crons, (ValueError,)),
        Target("calendar expressions", calendar, calendars, (ValueError,)),
        Target("time zones", check_zone, ["Europe/Berlin", "UTC", "America/New_York"], (ValueError,)),
    ]


def _languages() -> list[Target]:
    from mainstay.foreign.compat.healthchecks.keys import Refusal
    from mainstay.integrations.addresses import parse_allow
    from mainstay.integrations.checks.endpoints import split_endpoint
    from mainstay.integrations.checks.http.statuses import parse_statuses
    from mainstay.kernel.errors import UserError
    from mainstay.kernel.patterns import compile_pattern

    refused = (ValueError,)
    wishes = [
        '{"name": "a", "timeout": 3600, "schedule": "* * * * *", "tz": "UTC", "unique": ["name"]}',
        '{"channels": "*", "slug": "a-b", "tags": "a b", "grace": 60}',
    ]
    comparisons = [">= 3", "!= text", '== {"a": [1]}', "=~ ^a.*b$", "plain"]
    return [
        Target("matchers", _matcher, ['severity=~"P0|P1"', 'a="b\\"c"', "team!=core", 'x!~".*"'], refused),
        Target("secret references", _secret, ["${env:NAME}", "Bearer ${file:hook} x", "$HOME"], refused),
        Target("json paths", _path, ["$.a[0].b", "$[\"a\"]['b']", "$.items[-1].id"], refused),
        Target("comparisons", _comparison, comparisons, refused),
        Target("patterns", compile_pattern, ["^a.*b$", r"(?m)^SSH-2\.0-", "a{1,3}(b|c)[^d]"], refused),
        Target("status sets", parse_statuses, ["200", "200-299,404", "2xx, 301"], refused),
        Target("endpoints", lambda text: split_endpoint(text, 443), ["a.example:443", "[::1]:80", "10.0.0.1"], refused),
        Target("guard networks", parse_allow, ["self, link-local", "10.0.0.0/8,metadata"], (UserError,)),
        Target("checks of Healthchecks", _wish, wishes, (Refusal,)),
    ]


def _matcher(text: str) -> None:
    from mainstay.kernel.matchers import parse_matcher

    found = parse_matcher(text)
    assert parse_matcher(str(found)) == found or len(str(found)) > 1000
    found.matches({"severity": "P1", "a": ""})


def _secret(text: str) -> None:
    from mainstay.kernel.secret import check_references, references, resolve

    check_references(text)
    list(references({"a": [text]}))
    resolve({"a": [text]}, lambda source, name: f"{source}{name}")


def _path(text: str) -> None:
    from mainstay.kernel import jsonpath

    steps = jsonpath.parse_path(text)
    try:
        jsonpath.find({"a": [{"b": 1}], "0": None}, steps)
    except jsonpath.NoSuchValue as missing:
        str(missing)


def _comparison(text: str) -> None:
    from mainstay.kernel.jsonpath import parse_comparison

    found = parse_comparison(text)
    str(found)
    for value in (3, 2.5, "text", None, True, [1], {"a": 1}):
        found.holds(value)


def _wish(text: str) -> None:
    from mainstay.foreign.compat.healthchecks.wishes import read_wish

    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return
    if isinstance(document, dict):
        read_wish(document)


# Requests of strangers


def _requests() -> list[Target]:
    from mainstay.foreign.compat import gatus, kuma
    from mainstay.foreign.compat.badges import _wanted
    from mainstay.foreign.compat.kuma_badges import Shown, badge, duration_of
    from mainstay.foreign.compat.probe import MODULES, scrape_limit
    from mainstay.frames.addresses import Proxies, parse_networks
    from mainstay.frames.exposition import Family, accepts_openmetrics, render
    from mainstay.frames.web.hosts import host_allowed
    from mainstay.heartbeats.directory import Directory, KnownHeartbeat, classify, key_hash
    from mainstay.heartbeats.doors.mail import recipient
    from mainstay.heartbeats.doors.mail_words import words
    from mainstay.heartbeats.doors.ping_request import read_signal
    from mainstay.heartbeats.doors.pings import printable
    from mainstay.heartbeats.rules import Rhythm
    from mainstay.heartbeats.spec import Keywords
    from mainstay.kernel.schedule import Schedule
    from mainstay.kernel.settings import Settings

    entry = KnownHeartbeat(uid="u", name="b", uuid=UUID, slug="backup", rhythm=Rhythm(Schedule(every=60), 60))
    directory = Directory([entry], key_hash("k" * 22))
    proxies = Proxies("10.0.0.0/8, ::1")
    keywords = Keywords(success="ok", failure="failed", subject=True, body=True)
    unreadable = (LookupError, ValueError, TypeError, AttributeError, RecursionError)
    settings = Settings(data=Path("/nonexistent"), url="https://ops.example.com")

    def ping(raw: bytes) -> None:
        path, _, query = raw.partition(b"?")
        read_signal(directory, path, query)
        printable(raw)
        directory.by_token(raw.decode("latin-1"))

    def forwarded(raw: bytes) -> None:
        proxies.origin("10.0.0.1", "http", {b"x-forwarded-for": raw, b"x-forwarded-proto": raw})
        proxies.origin(raw.decode("latin-1"), "http", {b"x-forwarded-for": raw})

    def mail(raw: bytes) -> None:
        list(words(raw, subject=True, body=True))

    def address(text: str) -> None:
        recipient(directory, text)

    def query(text: str) -> None:
        request: Any = SimpleNamespace(query_params={"page": text, "pageSize": text}, path_params={"duration": text})
        gatus._paging(request)
        kuma._milliseconds(text)
        with suppress(ValueError):
            assert duration_of(text).seconds > 0
        _wanted(text)
        badge(
            "uptime",
            Shown(1, 0.5, "24"),
            {"label": text, "color": text, "upColor": text, "prefix": text, "style": text},
        )

    def scrape(text: str) -> None:
        limit = scrape_limit(text)
        assert limit is None or 0 < limit < 1000
        accepts_openmetrics(text)
        render([Family("a", "b").add(1.0, {"label": text})])
        for module in MODULES.values():
            module.options(text, text)

    def go_duration(text: str) -> None:
        gatus._go_duration(text)

    plain = b"Subject: =?utf-8?b?b2s=?=\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nbackup ok\r\n"
    parts = (
        b'Subject: failed\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary="x"\r\n\r\n'
        b"--x\r\nContent-Type: text/html; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        b"<p>o=6B</p>\r\n--x--\r\n"
    )
    return [
        Target(
            "pings",
            ping,
            [
                f"/ping/{UUID}/start?rid={UUID}".encode(),
                b"/ping/" + b"k" * 22 + b"/backup/3?create=1",
                f"/ping/{UUID}".encode(),
            ],
        ),
        Target("forwarding headers", forwarded, [b"1.2.3.4, 10.0.0.2", b"[::1]:80", b"https", b"::ffff:1.2.3.4"]),
        Target("trusted proxies", parse_networks, ["10.0.0.0/8, ::1", "127.0.0.1"], (ValueError,)),
        Target(
            "host headers",
            lambda text: host_allowed(text, settings),
            ["localhost:80", "[::1]:8800", "ops.example.com."],
        ),
        Target("mails", mail, [plain, parts], unreadable),
        Target("mail recipients", address, [f"{UUID}@example.com", "k" * 22 + "+backup@example.com"]),
        Target("keywords", lambda text: classify(keywords, text), ["backup ok", "it failed"]),
        Target(
            "queries of badges",
            query,
            ["24", "30d", "12.5e3", "#4c1", "brightgreen", "/badge/a/b-2/c.svg", f"/b/3/{UUID}.json"],
        ),
        Target(
            "scrapes",
            scrape,
            ["10", "0.5", "application/openmetrics-text; version=1.0.0;q=0.5,*/*;q=0.1", "http://example.com"],
        ),
        Target("durations of Go", go_duration, ["1m30s", "250ms", "1.5h", "0"], (gatus.Refused,)),
    ]


# Tokens and links


def _accounts() -> list[Target]:
    from starlette.requests import cookie_parser

    from mainstay.accounts import rules
    from mainstay.accounts.doors import _basic, session_actor, token_actor
    from mainstay.alerting.links import sign, verify
    from mainstay.kernel.errors import NotFound

    good = str(rules.new_token())

    def token(text: str) -> None:
        found = rules.parse_token(text)
        assert found is None or str(found) == text

    def authorization(text: str) -> None:
        _basic(text)
        assert token_actor(text) is None or text.endswith(good)

    def link(text: str) -> None:
        assert verify(text, NOW, "key") == "a1b2"

    def cookie(raw: bytes) -> None:
        assert session_actor(cookie_parser(raw.decode("latin-1"))) is None

    return [
        Target("tokens", token, [good, str(rules.new_token())]),
        Target("authorization headers", authorization, ["Basic bXN0XzphYg==", "Bearer mst_x", "Basic " + "x" * 40]),
        Target("acknowledge links", link, [sign("a1b2", NOW, "key"), sign("a1b2", NOW + 1, "key")], (NotFound,)),
        Target("cookies", cookie, [b"mainstay_session=abc; a=b", b'mainstay_session="x y"; mainstay_csrf=1']),
    ]


# Answers of what is checked


def _answers() -> list[Target]:
    import dns.exception
    import dns.message

    from mainstay.integrations.checks.certificates import covers, describe_chain, load_reader
    from mainstay.integrations.checks.dns import answers
    from mainstay.integrations.checks.dns.run import prepare
    from mainstay.integrations.checks.http.expectations import Answer, Expectations
    from mainstay.integrations.checks.words import Values, Words
    from mainstay.integrations.http_client import Answer as Delivered
    from mainstay.kernel.probing import CheckFault, CheckOrder

    load_reader()
    expectations = Expectations(
        {"json": {"$.a[0].b": "> 3", "$.c": "text"}, "contains": "ok", "headers": {"x-a": "b"}, "min_bytes": 3},
        follows=True,
    )
    words, values = Words({"contains": "ok", "regex": "^a"}), Values({"value": "> 3", "rows": "== 1"})
    document = {"target": {"name": "example.com", "type": "A"}, "expect": {"values": ["1.2.3.4"], "match": "any"}}
    plan = prepare(CheckOrder(uid="u", kind="dns", interval=30, timeout=5, options=document))

    def answer(raw: bytes) -> None:
        head, _, body = raw.partition(b"\r\n\r\n")
        expectations.judge(Answer(200, "1.1", head.split(b"\r\n"), body, len(body), False, 0.1))

    def received(raw: bytes) -> None:
        words.missing(raw)
        values.judge(raw, 1)

    def message(raw: bytes) -> None:
        try:
            response = dns.message.from_wire(raw, ignore_trailing=True, raise_on_truncation=False)
        except (dns.exception.DNSException, ValueError):
            return
        for record_type in ("A", "TXT", "MX", "CNAME", "SOA", "CAA"):
            found = answers.records(response, record_type)
            [answers.comparable(text, record_type) for text in found]
        answers.judge(plan, response, [])

    def certificate(raw: bytes) -> None:
        for facts in describe_chain([raw], NOW):
            covers([str(name) for name in facts.get("names", [])], "example.com")

    def retry(text: str) -> None:
        found = Delivered(429, {"retry-after": text})
        assert (found.retry_after(NOW) or 0) >= 0
        assert found.excerpt == ""

    query = dns.message.make_query("example.com", "A")
    response = dns.message.make_response(query)
    response.answer.append(dns.rrset.from_text("example.com.", 60, "IN", "A", "1.2.3.4"))
    texts = dns.message.make_response(query)
    texts.answer.append(dns.rrset.from_text("example.com.", 60, "IN", "TXT", '"v=spf1 -all" "x"'))
    pages = [
        b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-A: b\r\n\r\n{"a": [{"b": 4}], "c": "text", "ok": 1}',
        b'HTTP/1.1 200 OK\r\nContent-Type: text/html; charset="iso-8859-1"\r\n\r\n<p>ok</p>',
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=idna\r\n\r\n<p>ok</p>",
    ]
    return [
        Target("http answers", answer, pages),
        Target("words in answers", received, [b"all ok", b"3.5", b"nothing"], (CheckFault,)),
        Target("dns answers", message, [response.to_wire(), texts.to_wire(), query.to_wire()], (CheckFault,)),
        Target("certificates", certificate, [_certificate()], (UserWarning,)),
        Target(
            "icmp replies",
            _reply,
            [b"\x45" + b"\0" * 19 + b"\0\0\0\0\0\1\0\x0212345678", b"\x81\0\0\0\0\1\0\x0212345678"],
        ),
        Target("retry-after", retry, ["120", "Wed, 21 Oct 2026 07:28:00 GMT", "Fri, 31 Dec 9999 23:59:59 -0000"]),
    ]


def _reply(raw: bytes) -> None:
    from mainstay.integrations.checks.icmp.packets import parse_reply

    for version in (4, 6):
        parse_reply(version, raw, b"12345678")


def _certificate() -> bytes:
    import trustme
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    pem = trustme.CA().issue_cert("example.com", "1.2.3.4").cert_chain_pems[0].bytes()
    return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


# Our own wires


def _protocols() -> list[Target]:
    from mainstay.kernel.errors import Broken
    from mainstay.kernel.probing import Assign, CheckOrder, CheckResult, FromProber, Ready, Results, ToProber
    from mainstay.watch.prober.wire import Frames, pack

    def frames(raw: bytes) -> None:
        for union in (ToProber, FromProber):
            reader: Frames[Any] = Frames(union)
            reader.feed(raw[:7])
            reader.feed(raw[7:])

    order = CheckOrder(uid="u", kind="http", interval=30, timeout=10, options={"target": {"url": "http://a"}})
    result = CheckResult(uid="u", at=NOW, verdict="down", code="connect.refused", evidence={"a": [1, "b", None]})
    seeds = [pack(Assign([order])), pack(Results([result])), pack(Ready(7)) * 3]
    assert msgspec.msgpack.decode(seeds[0][4:])
    return [Target("frames of probers", frames, seeds, (Broken,)), _remote(order, result)]


def _remote(order: Any, result: Any) -> Target:
    """What probers at other places send, and what they are sent, without a length before it."""
    from mainstay.kernel.probing import Assign, Batch, FromRemote, Hello, ToRemote

    def either(raw: bytes) -> None:
        for union in (FromRemote, ToRemote):
            with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                msgspec.msgpack.decode(raw, type=union)

    frames = (Batch(1, [result]), Assign([order]), Hello("1.0", "berlin", "x", 7))
    return Target("frames of other places", either, [msgspec.msgpack.encode(frame) for frame in frames])
