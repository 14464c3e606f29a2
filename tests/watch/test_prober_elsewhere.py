"""The parts of a prober elsewhere: its clock, its buffer, and when a location counts as lost."""

from __future__ import annotations

import asyncio
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.kernel.probing import RESULTS_PER_FRAME, Batch, CheckResult
from mainstay.watch.links import bounded
from mainstay.watch.presence import STEADY, Presence, change
from mainstay.watch.prober.buffer import WINDOW, Buffer
from mainstay.watch.prober.clock_offset import ClockOffset

_DECODER = msgspec.msgpack.Decoder(Batch)


def found(number: int, **more: object) -> CheckResult:
    return CheckResult(uid=f"u{number}", at=float(number), verdict="up", **more)  # type: ignore[arg-type]


# The clock


@given(st.floats(-3_000, 3_000), st.lists(st.tuples(st.floats(0.0005, 2.0), st.floats(0.0005, 2.0)), min_size=1))
def test_the_offset_is_right_within_half_of_the_shortest_round_trip(
    offset: float, ways: list[tuple[float, float]]
) -> None:
    clock, now = ClockOffset(), 1_000_000.0
    for there, back in ways[:32]:
        heard = now + there + back
        clock.measured(now, now + there + offset, heard, heard)
        now = heard + 0.1
    assert clock.round_trip == pytest.approx(min(there + back for there, back in ways[:32]), abs=1e-6)
    assert abs(clock.offset - offset) <= clock.round_trip / 2 + 1e-6


def test_a_clock_that_is_set_is_noticed_and_measured_anew() -> None:
    clock = ClockOffset()
    clock.measured(100.0, 100.0, 100.0, 5.0)
    assert clock.stepped(100.0, 5.0) == 0.0
    assert clock.stepped(101.001, 6.0) == 0.0
    assert clock.stepped(3_702.0, 7.0) == pytest.approx(3_600.0, abs=0.01)
    assert clock.offset == pytest.approx(-3_600.0, abs=0.01)
    clock.measured(3_702.0, 101.5, 3_703.0, 8.0)
    assert clock.offset == pytest.approx(-3_601.0, abs=0.01)
    clock.measured(3_703.0, 101.5, 3_702.0, 8.0)  # set back while the answer was on its way: no exchange
    assert clock.offset == pytest.approx(-3_601.0, abs=0.01)


def test_old_exchanges_give_way_to_those_of_a_drifting_clock() -> None:
    clock = ClockOffset()
    clock.measured(0.0, 0.001, 0.002, 0.0)
    clock.measured(1_000.0, 1_005.005, 1_000.01, 1_000.0)
    assert clock.offset == pytest.approx(5.0, abs=0.01)


# The buffer


def test_results_are_sent_in_order_and_forgotten_once_confirmed() -> None:
    buffer = Buffer(lambda: None)
    for number in range(RESULTS_PER_FRAME + 50):
        buffer.add(found(number))
    batches = []
    while (data := buffer.next_batch(0.5)) is not None:
        batches.append(_DECODER.decode(data))
    assert [batch.number for batch in batches] == [1, 2]
    assert [result.uid for batch in batches for result in batch.results] == [
        f"u{n}" for n in range(RESULTS_PER_FRAME + 50)
    ]
    assert batches[0].offset == 0.5
    assert buffer.waiting == RESULTS_PER_FRAME + 50
    buffer.confirmed(1)
    assert buffer.waiting == 50
    again = [_DECODER.decode(data) for data in buffer.unconfirmed(0.25)]
    assert [(batch.number, len(batch.results), batch.offset) for batch in again] == [(2, 50, 0.25)]


@given(st.integers(0, 2**32))
def test_the_oldest_are_dropped_first_and_counted(seed: int) -> None:
    chance = random.Random(seed)
    buffer, added, confirmed = Buffer(lambda: None, kept=50), 0, 0
    sent: list[Batch] = []
    for _ in range(400):
        what = chance.random()
        if what < 0.8:
            buffer.add(found(added))
            added += 1
        elif what < 0.9 and (data := buffer.next_batch(0.0)) is not None:
            sent.append(_DECODER.decode(data))
        elif sent and what < 0.93:
            batch = sent[-1]
            buffer.confirmed(batch.number)
            confirmed = max(confirmed, int(batch.results[-1].at) + 1)
        assert buffer.waiting <= 50
    left = [result.at for data in buffer.unconfirmed(0.0) for result in _DECODER.decode(data).results]
    while (data := buffer.next_batch(0.0)) is not None:
        left += [result.at for result in _DECODER.decode(data).results]
    assert left == sorted(left)
    assert not left or left[-1] == added - 1, "the newest are never dropped"
    assert len(left) == buffer.waiting


def test_no_more_batches_are_on_their_way_than_the_window_holds() -> None:
    buffer = Buffer(lambda: None)
    for number in range(RESULTS_PER_FRAME * (WINDOW + 3)):
        buffer.add(found(number))
    sent = 0
    while buffer.next_batch(0.0) is not None:
        sent += 1
    assert sent == WINDOW
    buffer.confirmed(1)
    assert buffer.next_batch(0.0) is not None


def test_what_is_too_long_is_sent_in_smaller_batches_and_a_giant_without_its_evidence() -> None:
    buffer = Buffer(lambda: None)
    for number in range(8):
        buffer.add(found(number, evidence={"picture": "x" * 600_000}))
    buffer.add(found(8, evidence={"picture": "x" * 5_000_000}))
    sizes, results = [], []
    while (data := buffer.next_batch(0.0)) is not None:
        sizes.append(len(data))
        results += _DECODER.decode(data).results
    assert max(sizes) <= 2 * 1024 * 1024
    assert [result.uid for result in results] == [f"u{number}" for number in range(9)]
    assert "cut" in results[-1].evidence


def test_a_clock_that_is_set_moves_what_waits() -> None:
    buffer = Buffer(lambda: None)
    buffer.add(found(1))
    buffer.next_batch(0.0)
    buffer.add(found(2))
    buffer.shift(10.0)
    assert _DECODER.decode(buffer.unconfirmed(0.0)[0]).results[0].at == 11.0
    fresh = buffer.next_batch(0.0)
    assert fresh is not None
    assert _DECODER.decode(fresh).results[0].at == 12.0


def test_leaving_waits_until_the_server_has_everything() -> None:
    async def leave() -> None:
        buffer = Buffer(lambda: None)
        buffer.add(found(1))
        buffer.next_batch(0.0)
        waiting = asyncio.create_task(buffer.empty())
        await asyncio.sleep(0)
        assert not waiting.done()
        buffer.confirmed(1)
        await asyncio.wait_for(waiting, 5)

    asyncio.run(leave())


# What the server takes


def test_what_a_prober_sends_is_bounded() -> None:
    wild = CheckResult(
        uid="u",
        at=1.0,
        duration=float("nan"),
        lag=-3.0,
        verdict="down",
        code="c" * 500,
        message="m" * 100_000,
        phases={f"phase{number}": float("inf") for number in range(100)},
        evidence={f"key{number}": {"deep": [{"er": {"and": {"deeper": "x" * 9_999}}}]} for number in range(500)},
    )
    kept = bounded(wild)
    assert kept.duration == kept.lag == 0.0
    assert len(kept.code) == 60
    assert len(kept.message) == 1000
    assert len(kept.phases) <= 12
    assert set(kept.phases.values()) == {0.0}
    assert len(kept.evidence) == 40
    assert len(msgspec.json.encode(kept)) < 100_000


# Who is lost


def test_a_location_is_lost_after_its_silence_and_back_once_it_is_steady() -> None:
    presence = Presence("waiting", 0.0)
    assert change(presence, 500.0, 30.0, blind=False) is None, "one that was never heard is not lost"
    presence.heard = presence.since = 500.0
    assert change(presence, 500.0, 30.0, blind=False) == "up"
    presence.state = "up"
    assert change(presence, 530.0, 30.0, blind=False) is None
    assert change(presence, 531.0, 30.0, blind=True) is None, "this machine hears nobody"
    assert change(presence, 531.0, 30.0, blind=False) == "silent"
    presence.state, presence.since = "silent", None
    assert change(presence, 540.0, 30.0, blind=False) is None
    presence.heard = presence.since = 540.0
    assert change(presence, 541.0, 30.0, blind=False) is None, "a link that comes and goes is not back"
    presence.heard = 540.0 + STEADY
    assert change(presence, 540.0 + STEADY, 30.0, blind=False) == "up"
