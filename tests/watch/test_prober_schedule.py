"""When checks are due: slots without drift, clock jumps, stops, reassignments."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.kernel.probing import CheckOrder
from mainstay.watch.prober.schedule import Schedule, following_slot, next_slot


def order(uid: str = "m", interval: float = 60.0, offset: float = 7.5, **changes: object) -> CheckOrder:
    options = changes.pop("options", {"target": {"url": "http://x"}})
    return CheckOrder(uid=uid, kind="http", interval=interval, timeout=5, offset=offset, options=options, **changes)  # type: ignore[arg-type]


class Timeline:
    """Both clocks; only the wall clock jumps."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now, self.monotonic = now, 500.0
        self.schedule = Schedule()
        self.runs: list[tuple[float, float]] = []  # (wall clock, monotonic)

    def assign(self, *orders: CheckOrder) -> list[bool]:
        return [self.schedule.assign(one, self.now, self.monotonic) for one in orders]

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.monotonic += seconds

    def run(self, seconds: float) -> list[tuple[str, float]]:
        """Serve what is due for so long, waking up only when something is."""
        ends = self.monotonic + seconds
        started = []
        while (due := self.schedule.next_due()) is not None and due <= ends:
            self.sleep(max(0.0, due - self.monotonic))
            started += self.serve()
        self.sleep(ends - self.monotonic)
        return started

    def serve(self, limit: int = 1000) -> list[tuple[str, float]]:
        found = []
        for one, late in self.schedule.due(self.now, self.monotonic, limit):
            self.runs.append((self.now, self.monotonic))
            found.append((one.uid, late))
        return found


def test_slots_lie_on_the_wall_clock_and_do_not_drift() -> None:
    line = Timeline()
    line.assign(order())
    line.run(3600)
    first, *slots = line.runs
    assert first[1] == 500.0  # at once
    assert len(slots) in (59, 60)
    assert all(abs((now - 7.5) % 60.0) < 1e-3 for now, _ in slots)


def test_the_first_run_waits_as_told() -> None:
    line = Timeline()
    line.assign(order(first_delay=3.0))
    line.run(10)
    assert [round(monotonic - 500, 6) for _, monotonic in line.runs] == [3.0]


def test_an_unchanged_order_keeps_its_slot() -> None:
    line = Timeline()
    assert line.assign(order(first_delay=9.0)) == [True]
    line.run(20)
    due = line.schedule.next_due()
    assert line.assign(order(first_delay=0.0)) == [False]
    assert line.schedule.next_due() == due
    assert line.assign(order(options={"target": {"url": "http://y"}})) == [True]
    assert line.schedule.next_due() == line.monotonic


def test_a_withdrawn_order_does_not_run() -> None:
    line = Timeline()
    line.assign(*(order(f"m{number}") for number in range(200)))
    for number in range(199):
        line.schedule.withdraw(f"m{number}")
    assert {uid for uid, _ in line.run(120)} == {"m199"}
    line.schedule.withdraw("m199")
    assert line.schedule.next_due() is None


def test_after_a_stop_each_missed_check_runs_once() -> None:
    line = Timeline()
    line.assign(*(order(f"m{number}", interval=10.0, offset=number / 10) for number in range(100)))
    line.run(60)
    line.sleep(30)  # SIGSTOP
    started = line.serve()
    assert sorted(uid for uid, _ in started) == sorted({uid for uid, _ in started})
    assert len(started) == 100
    assert max(late for _, late in started) <= 30
    gaps = line.run(20)
    assert len(gaps) <= 250


def test_a_backlog_is_served_in_portions() -> None:
    line = Timeline()
    line.assign(*(order(f"m{number}") for number in range(100)))
    assert [len(line.serve(40)) for _ in range(3)] == [40, 40, 20]


@settings(max_examples=200, deadline=None)
@given(
    interval=st.floats(1, 3600),
    share=st.floats(0, 1, exclude_max=True),
    jumps=st.lists(st.tuples(st.floats(0, 4000), st.floats(-3700, 3700)), max_size=4),
)
def test_jumps_of_the_clock_neither_hold_up_nor_repeat(
    interval: float, share: float, jumps: list[tuple[float, float]]
) -> None:
    line = Timeline()
    line.assign(order(interval=interval, offset=share * interval))
    for wait, jump in jumps:
        line.run(wait)
        line.now += jump
    line.run(3 * interval)
    gaps = [later - earlier for (_, earlier), (_, later) in zip(line.runs, line.runs[1:], strict=False)]
    assert gaps
    assert max(gaps) <= 1.5 * interval + 0.01
    assert min(gaps) >= 0.49 * interval


@settings(max_examples=200, deadline=None)
@given(st.floats(1, 86_400), st.floats(0, 86_400), st.floats(1e9, 2e9))
def test_the_next_slot_is_after_now_and_within_an_interval(interval: float, offset: float, now: float) -> None:
    one = order(interval=interval, offset=offset)
    slot = next_slot(one, now)
    assert now - 1e-3 <= slot <= now + interval + 1e-3
    assert abs(following_slot(one, slot, slot) - slot - interval) < 1e-3
