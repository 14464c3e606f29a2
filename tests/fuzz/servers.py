"""What servers answer: whole checks run against scripted conversations, so that everything that reads them is tried."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import Any
from unittest.mock import patch

from tests.fuzz.fuzzing import Target

_ACCEPT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_OUTCOMES = {"up", "degraded", "down", "unknown"}
PIECE = 61  # bytes that arrive at once: ends of messages fall anywhere


class Script:
    """A stream whose other side says the same whatever it is told, but for what only the asker could know."""

    tls = None
    local_address = peer_address = "127.0.0.1"

    def __init__(self, said: bytes) -> None:
        self._said = said

    async def send(self, data: bytes) -> None:
        if b"Sec-WebSocket-Key: " in data and b"@ACCEPT@" in self._said:
            key = data.partition(b"Sec-WebSocket-Key: ")[2][:24]
            accept = base64.b64encode(hashlib.sha1(key + _ACCEPT, usedforsecurity=False).digest())
            self._said = self._said.replace(b"@ACCEPT@", accept)
        if b"@NONCE@" in self._said and (found := re.search(rb"n,,n=[^,]*,r=([A-Za-z0-9+/=]+)", data)):
            self._said = self._said.replace(b"@NONCE@", found[1])

    async def receive(self) -> bytes:
        piece, self._said = self._said[:PIECE], self._said[PIECE:]
        return piece

    async def receive_exactly(self, size: int) -> bytes:
        piece, self._said = self._said[:size], self._said[size:]
        return piece

    def close(self) -> None:
        pass


class There:
    """An endpoint that is always reached."""

    host = server_name = "example.com"
    port, tls, verify, ca = 1, False, True, ""

    def __init__(self, said: bytes) -> None:
        self._said = said

    async def connect(self, *_: Any) -> Script:
        return Script(self._said)

    async def secure(self, *_: Any) -> None:
        return None

    def opened(self, *around: Any) -> Any:
        from mainstay.integrations.checks.sessions import Endpoint

        return Endpoint.opened(self, *around)


class Around:
    """What a check is given: one address, and nothing that is shared."""

    ca_file = ""

    async def addresses(self, *_: Any) -> list[str]:
        return ["127.0.0.1"]


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


def order(kind: str, target: dict[str, Any], expect: dict[str, Any] | None = None) -> Any:
    from mainstay.kernel.probing import CheckOrder

    options = {"target": target, "expect": expect or {}}
    return CheckOrder(uid="u", kind=kind, interval=30, timeout=20, options=options)


def check(result: Any) -> None:
    """A result that can be told: a verdict, a code where it is not up, and bounded evidence that fits a frame."""
    import msgspec

    assert result.verdict in _OUTCOMES
    assert (result.verdict == "up") == (not result.code) or result.verdict in ("degraded", "unknown")
    assert len(msgspec.msgpack.encode(result)) < 100_000


def _conversation(kind: str, target: dict[str, Any], expect: dict[str, Any] | None = None) -> Callable[[bytes], None]:
    module = import_module(f"mainstay.integrations.checks.{kind}.run")
    plan = module.prepare(order(kind, {"address": "example.com:1", **target}, expect))

    def talk(said: bytes) -> None:
        here = replace(plan, endpoint=There(said))
        check(_loop().run_until_complete(module.run(here, Around())))

    return talk


def _stream(kind: str, target: dict[str, Any], expect: dict[str, Any] | None = None) -> Callable[[bytes], None]:
    """For checks that connect by themselves."""
    module = import_module(f"mainstay.integrations.checks.{kind}.run")
    plan = module.prepare(order(kind, {"address": "example.com:1", **target}, expect))

    def talk(said: bytes) -> None:
        async def connect(*_: Any) -> Script:
            return Script(said)

        with patch.object(module, "connect", connect):
            check(_loop().run_until_complete(module.run(plan, Around())))

    return talk


def _whois(said: bytes) -> None:
    from mainstay.integrations.checks.domain import whois
    from mainstay.integrations.checks.progress import Steps
    from mainstay.kernel.probing import CheckFault

    async def connect(*_: Any) -> Script:
        return Script(said)

    async def ask() -> None:
        for server in ("", "whois.example.com"):
            try:
                await whois.ask(Steps(20), Around(), "example.com", server)  # type: ignore[arg-type] # what it needs of one
            except CheckFault:
                continue

    with patch.object(whois, "connect", connect):
        _loop().run_until_complete(ask())


def _rdap(said: bytes) -> None:
    from mainstay.integrations.checks.domain import rdap
    from mainstay.integrations.checks.domain.registration import Wishes, judge
    from mainstay.kernel.probing import CheckFault

    answer = _answer(said)
    wishes = Wishes(30, 7, "R", ("a.example",))
    with suppress(CheckFault):
        rdap._read_list(answer)
    with suppress(CheckFault):
        judge(rdap._read_domain(answer, "x"), wishes, 1.8e9)


def _answer(body: bytes, headers: Sequence[bytes] = ()) -> Any:
    from mainstay.integrations.checks.http.expectations import Answer

    return Answer(200, "2", list(headers), body, len(body), False, 0.1)


def _promql(said: bytes) -> None:
    from mainstay.integrations.checks.promql.limits import judge, parse_limit
    from mainstay.integrations.checks.promql.run import read_answer

    series, _ = read_answer(_answer(said))
    judge(series, parse_limit("> 1"), parse_limit("> 2"))


def _docker(said: bytes) -> None:
    from mainstay.integrations.checks.docker.container import Limits, Looks, describe, judge
    from mainstay.integrations.checks.docker.run import _read

    container = _read(200, said)
    restarts = Looks(600).restarts(container, 1.0)
    describe(container, restarts)
    judge(container, restarts, Limits("if_any", 2, 5, 600))


def _grpc(said: bytes) -> None:
    from mainstay.integrations.checks.grpc import run as grpc

    plan = grpc.prepare(order("grpc", {"address": "example.com:1"}))
    head, _, body = said.partition(b"\r\n\r\n")
    grpc._judge(plan, _answer(body, head.split(b"\r\n")), {})


def _ntp(said: bytes) -> None:
    from mainstay.integrations.checks.ntp import run as ntp
    from mainstay.integrations.checks.ntp.packets import read
    from mainstay.integrations.checks.progress import Steps

    plan = ntp.prepare(order("ntp", {"address": "example.com"}))
    questions = ntp._Questions()
    packet = questions.make()
    said = said.replace(b"@COOKIE@", packet[40:48])
    questions.judge(said)
    reply = questions.reply or read(said)
    if reply is not None:
        ntp._judge(plan, Steps(1), questions, reply)


def _gate(said: bytes) -> None:
    """What a browser asks of its only way out."""
    from mainstay.integrations.checks.browser.gate import _read_request

    class Deaf:
        def write(self, _data: bytes) -> None: ...

        async def drain(self) -> None: ...

    async def ask() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(said)
        reader.feed_eof()
        await _read_request(reader, Deaf())  # type: ignore[arg-type] # what it needs of one

    _loop().run_until_complete(ask())


def _plugin(text: str) -> None:
    from mainstay.integrations.checks.plugin.output import PERFORMANCE_LIMIT, parse

    assert len(parse(text).performance) <= PERFORMANCE_LIMIT


def _saved(said: bytes) -> None:
    """What a step takes from an answer, and what the next one makes of it."""
    from mainstay.integrations.checks.steps.variables import compile_source, fill, fill_url

    head, _, body = said.partition(b"\r\n\r\n")
    answer = _answer(body, head.split(b"\r\n"))
    for source in ({"json": "$.a[0].b"}, {"header": "location"}, {"regex": "a(.*)b"}):
        try:
            value = compile_source(source)(answer)
        except _faults():
            continue
        fill({"x": ["{{v}}", "a{{v}}b"]}, {"v": value})
        fill_url("https://example.com/{{v}}?a={{v}}", {"v": value})


# Good conversations to begin from


def _packet(number: int, body: bytes) -> bytes:
    """Of MySQL."""
    return len(body).to_bytes(3, "little") + bytes((number,)) + body


def _message(kind: bytes, body: bytes) -> bytes:
    """Of PostgreSQL."""
    return kind + (len(body) + 4).to_bytes(4, "big") + body


def _mysql() -> list[bytes]:
    capabilities = 0x000F_FFFF & ~0x0800
    low, high = (capabilities & 0xFFFF).to_bytes(2, "little"), (capabilities >> 16).to_bytes(2, "little")
    salt = b"abcdefgh" + low + b"\x2d\x02\x00" + high + b"\x15" + bytes(10) + b"ijklmnopqrst\0mysql_native_password\0"
    greeting = _packet(0, b"\x0a8.0.1\0" + bytes(4) + salt.replace(b"abcdefgh", b"abcdefgh\0", 1))
    rows = _packet(1, b"\1") + _packet(2, b"\3def") + _packet(3, b"\xfe\0\0\2\0") + _packet(4, b"\x0242")
    end = _packet(5, b"\xfe\0\0\2\0")
    okay = greeting + _packet(2, b"\0\0\0\2\0\0\0")
    switch = greeting + _packet(2, b"\xfecaching_sha2_password\0" + b"s" * 20 + b"\0") + _packet(4, b"\x01\x03")
    refused = greeting + _packet(2, b"\xff\x15\x04#28000Access denied")
    return [okay + rows + end, switch, refused, _packet(0, b"\xff\x10\x04Too many connections")]


def _postgres() -> list[bytes]:
    ready = _message(b"Z", b"I")
    opened = _message(b"R", bytes(4)) + _message(b"S", b"server_version\x0016.1\0") + _message(b"K", bytes(8)) + ready
    row = _message(b"T", b"\0\1a\0" + bytes(18)) + _message(b"D", b"\0\1\0\0\0\x0242") + _message(b"C", b"SELECT 1\0")
    scram = _message(b"R", b"\0\0\0\x0aSCRAM-SHA-256\0\0")
    scram += _message(b"R", b"\0\0\0\x0br=@NONCE@xyz,s=c2FsdHNhbHQ=,i=4096")
    scram += _message(b"R", b"\0\0\0\x0cv=" + base64.b64encode(b"x" * 32))
    failed = _message(b"E", b"SERROR\0C42601\0Msyntax error\0\0") + ready
    md5 = _message(b"R", b"\0\0\0\5salt")
    return [opened + row + ready, opened + failed, scram, md5 + opened + row + ready]


def _mongodb() -> list[bytes]:
    from mainstay.integrations.checks.mongodb.bson import encode

    def said(number: int, document: dict[str, Any]) -> bytes:
        body = bytes(4) + b"\0" + encode(document)
        head = (len(body) + 16, 7, number, 2013)
        return b"".join(part.to_bytes(4, "little") for part in head) + body

    hello = {"ok": 1, "setName": "rs", "isWritablePrimary": True, "saslSupportedMechs": ["SCRAM-SHA-256"], "me": "a:1"}
    first = {"ok": 1, "conversationId": 1, "done": False, "payload": b"r=@NONCE@xyz,s=c2FsdHNhbHQ=,i=4096"}
    return [
        said(1, hello) + said(2, {"ok": 1, "n": 42, "cursor": {"firstBatch": [{"a": 1.5}]}}) + said(3, {"ok": 1}),
        said(1, hello) + said(2, first) + said(3, {"ok": 1, "done": True, "payload": b"v=eHh4"}),
        said(1, {"ok": 0, "code": 18, "errmsg": "Authentication failed"}),
    ]


def _ssh() -> list[bytes]:
    from mainstay.integrations.checks.ssh.fields import string

    def packet(payload: bytes) -> bytes:
        padding = 8 - (len(payload) + 5) % 8 + 8
        return (len(payload) + padding + 1).to_bytes(4, "big") + bytes((padding,)) + payload + bytes(padding)

    lists = [b"curve25519-sha256", b"ssh-ed25519,rsa-sha2-512", b"aes128-ctr", b"aes128-ctr", b"hmac-sha2-256"]
    lists += [b"hmac-sha2-256", b"none", b"none", b"", b""]
    offer = packet(b"\x14" + bytes(16) + b"".join(map(string, lists)) + bytes(5))
    blob = string(b"ssh-ed25519") + string(b"k" * 32)
    proof = string(b"ssh-ed25519") + string(b"s" * 64)
    reply = packet(b"\x1f" + string(blob) + string(b"p" * 32) + string(proof))
    rsa = string(string(b"ssh-rsa") + string(b"\1\0\1") + string(b"\0" + b"n" * 256))
    other = packet(b"\x1f" + rsa + string(b"p" * 32) + string(string(b"rsa-sha2-512") + string(b"s" * 256)))
    away = packet(b"\1\0\0\0\2" + string(b"too many") + string(b""))
    hello = b"welcome\r\nSSH-2.0-OpenSSH_9.2 x\r\n"
    return [hello + offer + reply, hello + offer + other, hello + away, b"SSH-1.5-x\r\n"]


def _websocket() -> list[bytes]:
    upgraded = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    upgraded += b"Sec-WebSocket-Accept: @ACCEPT@\r\n\r\n"
    return [
        upgraded + b"\x81\x02ok" + b"\x8a\x00",
        upgraded + b"\x01\x01o\x80\x01k" + b"\x89\x01x" + b"\x88\x02\x03\xe8",
        upgraded + b"\x82\x7e\x01\x00" + b"k" * 256,
        b"HTTP/1.1 302 Found\r\nLocation: https://example.com/\r\n\r\n",
    ]


def conversations() -> list[Target]:
    login = {"username": "u", "password": "secret"}
    security = {"security": "none", **login}
    smtp = b"220 mail.example.com ESMTP\r\n250-mail.example.com\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN\r\n"
    mqtt = b"\x20\x02\x00\x00" + b"\x90\x03\x00\x01\x00" + b"\x30\x07\x00\x03a/bok" + b"\xd0\x00"
    okay = b"+OK\r\n+OK\r\n"
    time = b"\x24\x02\x06\xec" + bytes(8) + b"GPS\0" + bytes(8) + b"@COOKIE@" + b"\xe8" * 16
    gate = b"\5\1\0\5\1\0"
    talk = [{"expect": "^220"}, {"send": "EHLO x"}, {"expect": "250 (.*)"}]
    return [
        Target(
            "answers of redis",
            _conversation("redis", {"password": "p", "database": 1, "command": "LRANGE a 0 9"}, {"value": "== 1"}),
            [b"+OK\r\n+OK\r\n*2\r\n$1\r\n1\r\n:2\r\n", b"+OK\r\n-ERR x\r\n", b"-NOAUTH x\r\n", okay + b"$-1\r\n"],
        ),
        Target(
            "answers of mysql", _conversation("mysql", {**login, "query": "SELECT 1"}, {"value": "== 42"}), _mysql()
        ),
        Target(
            "answers of postgres",
            _conversation("postgres", {**login, "query": "SELECT 1"}, {"value": "== 42"}),
            _postgres(),
        ),
        Target("answers of mongodb", _conversation("mongodb", {**login, "database": "d"}), _mongodb()),
        Target(
            "answers of mqtt",
            _conversation("mqtt", {"topic": "a/b", **login}, {"contains": "ok"}),
            [mqtt, b"\x20\x02\x00\x05", mqtt[:9] + b"\x32\x09\x00\x03a/b\x00\x01ok"],
        ),
        Target(
            "answers of smtp",
            _conversation("smtp", security),
            [smtp + b"235 ok\r\n221 bye\r\n", smtp + b"535 5.7.8 no\r\n", b"554 go away\r\n"],
        ),
        Target(
            "answers of imap",
            _conversation("imap", security),
            [
                (
                    b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready\r\n"
                    b"* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR\r\n"
                    b"a1 OK done\r\na2 OK in\r\n"
                ),
                b"* OK ready\r\n* CAPABILITY IMAP4rev1\r\na1 OK\r\n+ \r\na2 NO [AUTHENTICATIONFAILED] x\r\n",
            ],
        ),
        Target(
            "answers of pop3",
            _conversation("pop3", security),
            [b"+OK ready\r\n+OK\r\nSASL PLAIN\r\nUSER\r\n.\r\n+ \r\n+OK in\r\n", b"+OK\r\n-ERR\r\n+OK\r\n-ERR no\r\n"],
        ),
        Target("answers of ssh", _conversation("ssh", {}, {"contains": "OpenSSH"}), _ssh()),
        Target(
            "answers of websockets",
            _websocket_target(),
            _websocket(),
        ),
        Target(
            "talks over tcp",
            _stream("tcp", {"talk": talk}, {}),
            [b"220 hello\r\n250-a\r\n250 b\r\n", b"554 no\r\n"],
        ),
        Target("answers of whois", _whois, _registries()),
        Target("answers of rdap", _rdap, _rdap_seeds()),
        Target("answers of ntp", _ntp, [time], _faults()),
        Target(
            "answers of prometheus",
            _promql,
            [
                (
                    b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up","a":"b"},'
                    b'"value":[1.8e9,"1"]}]},"warnings":["x"]}'
                ),
                b'{"status":"success","data":{"resultType":"scalar","result":[1.8e9,"+Inf"]}}',
                b'{"status":"error","errorType":"bad_data","error":"parse error"}',
            ],
            _faults(),
        ),
        Target(
            "answers of docker",
            _docker,
            [
                (
                    b'{"Id":"a","Name":"/x","RestartCount":2,"State":{"Status":"running","Running":true,"ExitCode":0,'
                    b'"StartedAt":"2026-01-01T00:00:00.1Z","Health":{"Status":"healthy","Log":[{"Output":"ok"}]}},'
                    b'"Config":{"Image":"y"}}'
                ),
            ],
            _faults(),
        ),
        Target(
            "answers of grpc",
            _grpc,
            [b"content-type: application/grpc\r\ngrpc-status: 0\r\n\r\n\0\0\0\0\2\x08\1", b"grpc-status: 5\r\n\r\n"],
            _faults(),
        ),
        Target(
            "asks of browsers",
            _gate,
            [gate + b"\3\x0bexample.com\x01\xbb", gate + b"\1\x7f\0\0\1\0\x50", gate + b"\4" + bytes(18)],
            (EOFError,),
        ),
        Target("prints of plugins", _plugin, ["OK - fine | 'a b'=1.5s;2;3;0;9 c=U\nmore | d=4%", "x | a=1,5;1:2;@3:4"]),
        Target(
            "values that steps take",
            _saved,
            [b'location: /x\r\n\r\n{"a": [{"b": "aXb"}]}', b'Location: a b\r\n\r\n{"a": [{"b": 1.5}], "x": "a b"}'],
            _faults(),
        ),
    ]


def _faults() -> tuple[type[BaseException], ...]:
    from mainstay.kernel.probing import CheckFault

    return (CheckFault,)


def _websocket_target() -> Callable[[bytes], None]:
    module = import_module("mainstay.integrations.checks.websocket.run")
    plan = module.prepare(order("websocket", {"url": "ws://example.com/x", "send": "hi"}, {"contains": "ok"}))

    def talk(said: bytes) -> None:
        here = replace(plan, endpoint=There(said))
        check(_loop().run_until_complete(module.run(here, Around())))

    return talk


def _registries() -> list[bytes]:
    return [
        b"refer: whois.example.com\n\ndomain: COM\n",
        (
            b"Domain Name: EXAMPLE.COM\r\nRegistry Expiry Date: 2030-01-01T00:00:00Z\r\nRegistrar: R\r\n"
            b"Domain Status: clientHold https://icann.org/x\r\nName Server: A.EXAMPLE.\r\n"
        ),
        b"domain: x\nexpires: 01.02.2030\nnserver: a.b\nstatus: ok\n",
        b"No match for domain\n",
    ]


def _rdap_seeds() -> list[bytes]:
    return [
        b'{"objectClassName": "\xbc"}',  # once raised what no caller handled
        b'{"services": [[["com", "net"], ["https://rdap.example.com/", "http://x/"]], [["de"], []]]}',
        (
            b'{"objectClassName":"domain","ldhName":"example.com","status":["active"],"events":[{"eventAction":"expiration",'
            b'"eventDate":"2030-01-01T00:00:00Z"}],"nameservers":[{"ldhName":"A.EXAMPLE"}],"entities":[{"roles":["registrar"],'
            b'"vcardArray":["vcard",[["fn",{},"text","R"]]]}]}'
        ),
    ]
