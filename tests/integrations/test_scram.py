"""SCRAM against the worked examples of RFC 5802 (section 5) and RFC 7677 (section 3)."""

from __future__ import annotations

import asyncio

import pytest

from mainstay.integrations.checks.scram import Scram, ScramError, prepared


def _with_nonce(hash_name: str, nonce: str) -> Scram:
    scram = Scram("user", "pencil", hash_name)
    scram._nonce, scram._bare = nonce, f"n=user,r={nonce}"
    return scram


@pytest.mark.parametrize(
    ("hash_name", "nonce", "challenge", "answer", "final"),
    [
        (
            "sha1",
            "fyko+d2lbbFgONRv9qkxdawL",
            "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        ),
        (
            "sha256",
            "rOprNGfwEbeRWgbNEkqO",
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            (
                "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
            ),
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        ),
    ],
)
def test_the_examples_of_the_standards(hash_name: str, nonce: str, challenge: str, answer: str, final: str) -> None:
    scram = _with_nonce(hash_name, nonce)
    assert scram.first() == f"n,,n=user,r={nonce}".encode()
    assert asyncio.run(scram.final(challenge.encode())).decode() == answer
    scram.confirm(final.encode())
    with pytest.raises(ScramError, match="impostor"):
        scram.confirm(b"v=AAAA")
    with pytest.raises(ScramError, match="unknown-user"):
        scram.confirm(b"e=unknown-user")


@pytest.mark.parametrize(
    ("challenge", "says"),
    [
        (b"", "cannot be read"),
        (b"r=abcd,s=%%%,i=1", "cannot be read"),
        (b"r=abcd,s=eA==,i=x", "cannot be read"),
        (b"r=abc,s=eA==,i=1", "not for this session"),
        (b"r=xyz,s=eA==,i=1", "not for this session"),
        (b"r=abcd,s=eA==,i=0", "rounds"),
        (b"r=abcd,s=eA==,i=999999999", "rounds"),
    ],
)
def test_challenges_that_are_refused(challenge: bytes, says: str) -> None:
    scram = _with_nonce("sha256", "abc")
    with pytest.raises(ScramError, match=says):
        asyncio.run(scram.final(challenge))


def test_names_and_passwords_are_prepared() -> None:
    assert Scram("a=b,c", "x").first().startswith(b"n,,n=a=3Db=2Cc,r=")
    assert prepared("I\u00adX") == "IX"
    assert prepared("\u2168") == "IX"
    assert prepared("a\u00a0b") == "a b"
