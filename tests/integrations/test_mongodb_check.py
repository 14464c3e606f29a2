"""The check `mongodb` against a responder that the published driver agrees with, and servers that misbehave."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from typing import Any

import bson
import pymongo
import pytest
from bson.code import Code
from bson.dbref import DBRef
from bson.decimal128 import Decimal128
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.timestamp import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.rigs import misbehaving
from tests.rigs.check_servers import free_port, tcp_server, until_closed
from tests.rigs.mongodb_responder import Document, Responder
from tests.rigs.order_rig import run_filled
from tests.rigs.real_servers import Certificates

from mainstay.integrations.checks.mongodb.bson import BsonError, decode, encode
from mainstay.integrations.checks.mongodb.spec import KIND

SECRETS = {"PASSWORD": "correct horse ü", "OTHER": "guessed wrongly"}


def count(document: Document) -> Document:
    if document["count"] == "slow":
        return {"ok": 0.0, "errmsg": "operation exceeded time limit", "code": 50}
    return {"n": 3 if document.get("query") == {"state": "waiting"} else 42, "ok": 1.0}


def found(document: Document) -> Document:
    row = {"_id": bson.ObjectId(), "state": "done", "at": dt.datetime.now(dt.UTC), "pay": Decimal128("1.5")}
    size = 2_000_000 if document["find"] == "large" else 1
    return {"cursor": {"firstBatch": [row, {"x": "x" * size}], "id": 0, "ns": "shop.jobs"}, "ok": 1.0}


@pytest.fixture
def responder() -> Responder:
    answers = {"ping": lambda _: {"ok": 1.0}, "count": count, "find": found}
    return Responder({"oncall": SECRETS["PASSWORD"]}, answers)


@pytest.fixture
def port(responder: Responder) -> Iterator[int]:
    with responder.serving() as port:
        yield port


def target(port: int, **more: Any) -> dict[str, Any]:
    return {"address": f"127.0.0.1:{port}", "username": "oncall", "password": "${env:PASSWORD}", **more}


def test_the_published_driver_agrees_with_the_responder(responder: Responder, port: int) -> None:
    for mechanism in ("SCRAM-SHA-1", "SCRAM-SHA-256"):
        with pymongo.MongoClient[Document](
            "127.0.0.1", port, username="oncall", password=SECRETS["PASSWORD"], authMechanism=mechanism,
            directConnection=True, serverSelectionTimeoutMS=5000,
        ) as client:  # fmt: skip
            assert client.admin.command("ping") == {"ok": 1.0}
            assert client.shop.command("count", "jobs")["n"] == 42


@pytest.mark.parametrize("mechanisms", [["SCRAM-SHA-256"], ["SCRAM-SHA-1"], ["SCRAM-SHA-1", "SCRAM-SHA-256"]])
def test_signing_in(responder: Responder, port: int, mechanisms: list[str]) -> None:
    responder.mechanisms = mechanisms
    result = run_filled("mongodb", target(port), secrets=SECRETS)
    assert (result.verdict, result.code, result.message) == ("up", "", "")
    assert result.evidence["role"] == "standalone"
    assert result.evidence["answer"] == '{"ok":1.0}'
    assert set(result.phases) == {"lookup", "connect", "wait", "transfer"}
    wrong = run_filled("mongodb", target(port, password="${env:OTHER}"), secrets=SECRETS)
    assert (wrong.verdict, wrong.code) == ("down", "expect.login")
    assert "Authentication failed. (18)" in wrong.message


def test_without_a_login(responder: Responder, port: int) -> None:
    result = run_filled("mongodb", f"127.0.0.1:{port}")
    assert (result.verdict, result.code) == ("down", "expect.login")
    assert "does not permit ping" in result.message
    responder.users = {}
    assert run_filled("mongodb", f"127.0.0.1:{port}").verdict == "up"


@pytest.mark.parametrize(
    ("command", "expect", "verdict", "code", "says"),
    [
        ({"count": "jobs"}, {"json": {"$.n": 42}}, "up", "", ""),
        ({"count": "jobs", "query": {"state": "waiting"}}, {"json": {"$.n": "< 5"}}, "up", "", ""),
        ({"find": "jobs", "limit": 1}, {"json": {"$.cursor.firstBatch[0].state": "done"}}, "up", "", ""),
        ({"count": "jobs"}, {"json": {"$.n": "< 5"}}, "down", "expect.json", "$.n is 42, expected < 5"),
        ({"count": "jobs"}, {"json": {"$.m": 1}}, "down", "expect.json", "$.m is missing"),
        ({"count": "slow"}, {}, "down", "transfer.timeout", "count was cancelled"),
        ({"find": "large"}, {}, "down", "transfer.too_large", "more than 1048576"),
        ({"top": 1}, {}, "down", "expect.command", "no such command: 'top' (59)"),
        ({"ping": 1}, {"role": "primary"}, "down", "expect.role", "the server is standalone, not primary"),
        ({"ping": 1}, {"degraded_after": "0ms"}, "degraded", "expect.latency", "more than the 0 ms allowed"),
    ],
)
def test_commands_and_their_answers(
    responder: Responder, port: int, command: Document, expect: Document, verdict: str, code: str, says: str
) -> None:
    result = run_filled("mongodb", target(port, command=command, database="shop"), expect, secrets=SECRETS)
    assert (result.verdict, result.code) == (verdict, code), result.message
    assert says in result.message
    last = responder.seen[-1]
    assert last["$db"] == "shop"
    assert ("maxTimeMS" in last) == (next(iter(command)) in ("count", "find"))


@pytest.mark.parametrize(
    ("hello", "role"),
    [
        ({"setName": "rs0"}, "primary"),
        ({"setName": "rs0", "isWritablePrimary": False, "secondary": True}, "secondary"),
        ({"msg": "isdbgrid"}, "mongos"),
    ],
)
def test_roles(responder: Responder, port: int, hello: Document, role: str) -> None:
    responder.hello = hello
    result = run_filled("mongodb", target(port), {"role": role}, secrets=SECRETS)
    assert (result.verdict, result.evidence["role"]) == ("up", role)


def test_tls(responder: Responder, tmp_path: Any) -> None:
    certificates = Certificates(tmp_path)
    responder.context = certificates.server
    with responder.serving() as port:
        secured = target(port, tls=True, server_name="localhost")
        good = run_filled("mongodb", secured | {"ca": certificates.ca}, secrets=SECRETS)
        soon = run_filled("mongodb", secured | {"ca": certificates.ca}, {"certificate_days": 100}, secrets=SECRETS)
        stranger = run_filled("mongodb", secured, secrets=SECRETS)
        plain = run_filled("mongodb", target(port), secrets=SECRETS, limit=1)
    assert good.verdict == "up", good.message
    assert "tls" in good.phases
    assert (soon.verdict, soon.code) == ("degraded", "expect.days")
    assert (stranger.verdict, stranger.code) == ("down", "tls.untrusted")
    assert plain.verdict == "down"


def answer(document: bytes, *, answered: int = 1, kind: int = 2013, flags: int = 0) -> bytes:
    body = flags.to_bytes(4, "little") + b"\0" + document
    head = (len(body) + 16, 9, answered, kind)
    return b"".join(number.to_bytes(4, "little") for number in head) + body


YES = bson.encode({"ok": 1, "isWritablePrimary": True})


@pytest.mark.parametrize(
    ("serve", "code", "says"),
    [
        (until_closed, "wait.timeout", "the answer to hello did not arrive within 300 ms"),
        (misbehaving.closes_at_once, "wait.closed", "without sending anything"),
        (misbehaving.then_closes(b"\x40\0"), "wait.closed", "in the middle of its answer"),
        (misbehaving.garbage, "wait.malformed", "not a MongoDB server"),
        (misbehaving.endless, "wait.malformed", "not a MongoDB server"),
        (misbehaving.zeros, "wait.malformed", "not a MongoDB server"),
        (misbehaving.web_server, "wait.malformed", "not a MongoDB server"),
        (misbehaving.says(answer(YES, answered=5)), "wait.malformed", "another request"),
        (misbehaving.says(answer(b"\x05\0\0\0")), "wait.malformed", "cannot be read"),
        (misbehaving.says(answer(YES) + b"more"), "transfer.timeout", "the answer to ping"),
        (misbehaving.says(answer(YES + b"\0\0\0\0", flags=1)), "transfer.timeout", "the answer to ping"),
        (misbehaving.says(b"\xff\xff\xff\x7f" + bytes(8) + b"\xdd\x07\0\0"), "transfer.too_large", "at once"),
        (misbehaving.says(answer(bson.encode({"ok": 0, "errmsg": "no", "code": 1}))), "expect.command", "no (1)"),
    ],
)
def test_servers_that_misbehave(serve: Any, code: str, says: str) -> None:
    with tcp_server(serve) as port:
        result = run_filled("mongodb", f"127.0.0.1:{port}", limit=0.3)
    assert (result.verdict, result.code) == ("down", code), result.message
    assert says in result.message


_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text().filter(lambda text: "\0" not in text)
    | st.binary()
)
_KEYS = st.text(max_size=8).filter(lambda text: "\0" not in text)
_VALUES = st.recursive(_SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4))


@given(st.dictionaries(_KEYS, _VALUES, max_size=5))
def test_bson_is_that_of_the_driver(document: Document) -> None:
    assert encode(document) == bson.encode(document)
    assert decode(bson.encode(document)) == document


@given(st.binary(max_size=60))
def test_garbage_is_no_bson(data: bytes) -> None:
    try:
        decode(data)
    except BsonError:
        return
    assert bson.is_valid(data) or data


def test_values_that_json_has_not() -> None:
    moment = dt.datetime(2030, 1, 2, tzinfo=dt.UTC)
    document = {
        "id": bson.ObjectId("0" * 24), "at": moment, "re": re.compile("a+", re.IGNORECASE), "ts": Timestamp(1, 2),
        "code": Code("f()"), "scoped": Code("f()", {"x": 1}), "dec": Decimal128("1.5"), "min": MinKey(),
        "max": MaxKey(), "ref": DBRef("c", 1), "last": "here",
    }  # fmt: skip
    read = decode(bson.encode(document))
    assert (read["id"], read["at"], read["re"]) == ("0" * 24, moment.timestamp(), "/a+/iu")
    assert (read["code"], read["scoped"], read["min"], read["last"]) == ("f()", "f()", None, "here")
    nested: Any = {}
    for _ in range(100):
        nested = {"a": nested}
    with pytest.raises(BsonError, match="too deep"):
        decode(bson.encode(nested))


def test_refused_and_mistakes() -> None:
    assert run_filled("mongodb", f"127.0.0.1:{free_port()}").code == "connect.refused"
    for command, says in (
        ({"drop": "jobs"}, "not one of the commands that only read"),
        ({"aggregate": "jobs", "pipeline": [{"$out": "x"}], "cursor": {}}, "writes"),
    ):
        with pytest.raises(ValidationError, match=says):
            KIND.target.model_validate({"address": "a.test", "command": command})
    with pytest.raises(ValidationError, match="not a JSON path"):
        KIND.expect.model_validate({"json": {"n": 1}})
