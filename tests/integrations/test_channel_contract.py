"""What every channel kind owes, against a real server of its sort on loopback."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from tests.rigs.channel_rigs import SECRET, Rig, notification, rig_of
from tests.rigs.settings import having

from mainstay.alerting import handover
from mainstay.alerting.handover import hand_over
from mainstay.frames.boot import current_settings
from mainstay.kernel.errors import MainstayError, Refused, Unavailable
from mainstay.kernel.ports import Notification, Receipt
from mainstay.kernel.resource import KINDS
from mainstay.runtime.kinds import channel_kinds

NOW = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC
KNOWN = ("apprise", "email", "pagerduty", "push", "slack", "webhook")


def test_every_channel_kind_is_in_this_suite() -> None:
    assert tuple(channel_kinds()) == KNOWN


@pytest.fixture(params=KNOWN)
def rig(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    with rig_of(request.param) as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running


def _deliver(rig: Rig, message: Notification, **settings: Any) -> Receipt:
    spec = KINDS["channel"].validate(rig.document)
    return hand_over(spec, message, having(current_settings(), **settings), NOW, rig.devices)  # type: ignore[arg-type]


def _fails(rig: Rig, mood: Any) -> MainstayError:
    if mood not in rig.moods:
        pytest.skip(f"{rig.kind} cannot tell this")
    rig.mood = mood
    with pytest.raises((Refused, Unavailable)) as caught:
        _deliver(rig, notification())
    return caught.value


@pytest.mark.parametrize("status", ["firing", "resolved", "test"])
def test_it_delivers(rig: Rig, status: str) -> None:
    receipt = _deliver(rig, notification(status))
    assert receipt.detail
    assert rig.seen()
    assert SECRET not in str(receipt)


def test_it_says_what_since_when_and_why(rig: Rig) -> None:
    _deliver(rig, notification())
    said = rig.seen()[0]
    for expected in ("api is down", "2027-01-15", "connect.refused", "connection refused", "revision 3", "/a/token"):
        assert expected in said, expected


def test_a_repeat_carries_the_same_key(rig: Rig) -> None:
    for _ in range(2):
        _deliver(rig, notification())
    assert len(set(rig.keys())) <= 1
    assert len(rig.seen()) == 2


def test_a_refusal_is_final(rig: Rig) -> None:
    assert isinstance(_fails(rig, "refuse"), Refused)


def test_a_busy_service_is_asked_again_when_it_says(rig: Rig) -> None:
    error = _fails(rig, "busy")
    assert isinstance(error, Unavailable)
    assert error.retry_after in (17, None)


def test_a_service_that_does_not_answer_is_given_up_in_time(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "TIMEOUT", 0.5)
    started = time.monotonic()
    assert isinstance(_fails(rig, "hang"), Unavailable)
    assert time.monotonic() - started < 20  # far below what an unbounded wait would take


def test_an_answer_without_end_is_cut(rig: Rig) -> None:
    if "endless" not in rig.moods:
        pytest.skip(f"{rig.kind} cannot tell this")
    rig.mood = "endless"
    assert len(_deliver(rig, notification()).detail) < 1000


def test_a_service_that_is_away_is_tried_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    with rig_of(rig.kind) as gone:
        pass
    for name, value in gone.environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Unavailable) as caught:
        _deliver(gone, notification())
    assert SECRET not in str(caught.value)


def test_a_guarded_address_is_refused(rig: Rig) -> None:
    with pytest.raises((Refused, Unavailable), match="not allowed"):
        _deliver(rig, notification(), probe_allow="")
    assert rig.seen() == []


_FORMS = [SECRET, b64encode(f"user:{SECRET}".encode()).decode(), "".join(f"%{sign:02x}" for sign in SECRET.encode())]


@pytest.mark.parametrize("said", _FORMS)
def test_the_secret_never_comes_back_not_even_echoed(rig: Rig, said: str, capfd: pytest.CaptureFixture[str]) -> None:
    rig.said = said
    error = _fails(rig, "echo")
    captured = capfd.readouterr()
    for text in (str(error), repr(error), captured.out, captured.err):
        assert SECRET not in text
        assert said not in text
    assert "***" in str(error)


def test_a_missing_secret_waits_and_names_the_reference_only(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    if not rig.environment:
        pytest.skip(f"{rig.kind} has no secret")
    monkeypatch.delenv("RIG")
    with pytest.raises(Unavailable, match=r"\$\{env:RIG\} is not set"):
        _deliver(rig, notification())
