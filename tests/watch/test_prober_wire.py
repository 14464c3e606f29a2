"""Frames, and the outbox that waits for a reader."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.kernel.errors import Broken
from mainstay.kernel.probing import Assign, CheckOrder, CheckResult, Results, Stop, ToProber, Withdraw
from mainstay.watch.prober.outbox import Outbox
from mainstay.watch.prober.wire import FRAME_LIMIT, Frames, pack

FRAMES = [
    Assign([CheckOrder(uid="a", kind="http", interval=1, timeout=1, options={"target": {"url": "http://x"}})]),
    Withdraw(["a", "b"]),
    Stop(),
]


@given(st.lists(st.integers(1, 20), max_size=40))
def test_frames_survive_any_cut(cuts: list[int]) -> None:
    data = b"".join(pack(frame) for frame in FRAMES)
    frames: Frames[Any] = Frames(ToProber)
    found, position = [], 0
    for cut in cuts:
        found += frames.feed(data[position : position + cut])
        position += cut
    found += frames.feed(data[position:])
    assert found == FRAMES


@pytest.mark.parametrize(
    "data", [(FRAME_LIMIT + 1).to_bytes(4, "big"), b"\0\0\0\1\xc1", b"\0\0\0\2\x81\xa1", pack(Results([]))]
)
def test_a_frame_that_is_none_is_told(data: bytes) -> None:
    frames: Frames[Any] = Frames(ToProber)
    with pytest.raises(Broken):
        frames.feed(data)


class Reader:
    """Stands for the pipe."""

    def __init__(self) -> None:
        self.full = False
        self.batches: list[list[CheckResult]] = []
        self.second = asyncio.Event()

    def send(self, frame: Results) -> None:
        self.batches.append(frame.results)
        if len(self.batches) == 2:
            self.second.set()

    @property
    def uids(self) -> list[str]:
        return [result.uid for batch in self.batches for result in batch]


def result(uid: str, verdict: Any = "up") -> CheckResult:
    return CheckResult(uid=uid, at=1.0, verdict=verdict)


def in_loop(work: Any) -> None:
    async def run() -> None:
        reader = Reader()
        await work(reader, Outbox(reader, kept=5))  # type: ignore[arg-type]

    asyncio.run(run())


def test_good_news_is_gathered_and_bad_news_goes_at_once() -> None:
    async def work(reader: Reader, outbox: Outbox) -> None:
        outbox.add(result("a"))
        outbox.add(result("b"))
        assert reader.batches == []
        outbox.add(result("c", "down"))
        assert reader.uids == ["c", "a", "b"]
        outbox.add(result("d"))
        await asyncio.wait_for(reader.second.wait(), 10)
        assert reader.uids[3:] == ["d"]

    in_loop(work)


def test_a_full_pipe_drops_the_oldest_good_news_first() -> None:
    async def work(reader: Reader, outbox: Outbox) -> None:
        reader.full = True
        for number in range(4):
            outbox.add(result(f"up{number}"))
            outbox.add(result(f"down{number}", "down"))
        assert reader.batches == []
        assert (outbox.dropped, outbox.waiting) == (3, 5)
        outbox.add(result("down4", "down"))
        outbox.add(result("down5", "down"))
        assert outbox.dropped == 5
        reader.full = False
        outbox.flush()
        assert reader.uids == ["down1", "down2", "down3", "down4", "down5"]

    in_loop(work)
