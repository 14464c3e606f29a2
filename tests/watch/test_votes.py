"""Votes of several places: what must hold whatever they say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mainstay.kernel.probing import CheckResult, Verdict
from mainstay.kernel.wording import votes_in_words
from mainstay.watch.votes import Ballot, Terms, Vote, Why, count

NAMES = ("main", "fra", "nyc", "sin", "gru")
VERDICTS: tuple[Verdict, ...] = ("up", "degraded", "down", "unknown")


def result(verdict: Verdict, at: float = 0.0, duration: float = 0.1) -> CheckResult:
    code = "" if verdict == "up" else f"expect.{verdict}"
    return CheckResult(uid="u", at=at, verdict=verdict, code=code, message=code, duration=duration)


@st.composite
def polls(draw: st.DrawFn) -> tuple[Terms, dict[str, Vote], float]:
    """Terms, votes of some of the places, some of them counted and some stale, and a moment."""
    number = draw(st.integers(1, len(NAMES)))
    terms = Terms(NAMES[:number], draw(st.integers(1, number)), draw(st.booleans()) and number > 1)
    now = 1_000.0
    votes = {}
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True)):
        at = now - draw(st.sampled_from([0.0, 5.0, 60.0, 189.0, 191.0, 500.0]))
        found = result(draw(st.sampled_from(VERDICTS)), at)
        votes[name] = Vote(found, draw(st.booleans()), draw(st.integers(1, 3)) if found.verdict == "down" else 0)
    return terms, votes, now


@given(polls())
def test_a_verdict_has_as_many_votes_as_the_quorum_asks_for(poll: tuple[Terms, dict[str, Vote], float]) -> None:
    terms, votes, now = poll
    found = count(terms, votes, now)
    fresh = {name: vote for name, vote in votes.items() if name in terms.locations and now - vote.at <= terms.silence}
    failing = {name for name, vote in fresh.items() if vote.verdict == "down"}
    working = {name for name, vote in fresh.items() if vote.verdict in ("up", "degraded")}
    if found.verdict is None:
        assert found.why is not Why.AGREED
        return
    agreeing = failing if found.verdict == "down" else working
    assert set(found.agreeing) == agreeing
    assert sum(not fresh[name].counted for name in agreeing) >= terms.quorum, "nobody's vote counts twice"
    assert found.at >= now - terms.silence
    if found.verdict in ("up", "degraded"):
        assert len(failing) < max(terms.quorum, 2 if terms.elsewhere else 0)


@given(polls())
def test_too_few_votes_are_never_a_verdict(poll: tuple[Terms, dict[str, Vote], float]) -> None:
    terms, votes, now = poll
    said = [
        name
        for name, vote in votes.items()
        if name in terms.locations and now - vote.at <= terms.silence and vote.verdict != "unknown"
    ]
    if len(said) < terms.quorum:
        found = count(terms, votes, now)
        assert found.verdict is None
        assert found.why is Why.TOO_FEW


@given(polls(), st.randoms(use_true_random=False))
def test_the_order_of_votes_does_not_matter(poll: tuple[Terms, dict[str, Vote], float], chance: object) -> None:
    terms, votes, now = poll
    shuffled = list(votes.items())
    chance.shuffle(shuffled)  # type: ignore[attr-defined] # hypothesis gives a random.Random
    assert count(terms, dict(shuffled), now) == count(terms, votes, now)


@given(polls())
def test_one_more_failure_never_makes_it_work(poll: tuple[Terms, dict[str, Vote], float]) -> None:
    terms, votes, now = poll
    if count(terms, votes, now).verdict != "down":
        return
    for name in terms.locations:
        worse = {**votes, name: Vote(result("down", now), failures=1)}
        assert count(terms, worse, now).verdict == "down"


@given(polls())
def test_a_failure_that_one_place_alone_sees_does_not_count_where_others_are_asked(
    poll: tuple[Terms, dict[str, Vote], float],
) -> None:
    terms, votes, now = poll
    fresh = [v for n, v in votes.items() if n in terms.locations and now - v.at <= terms.silence]
    fresh = [vote for vote in fresh if vote.verdict != "unknown"]
    if terms.elsewhere and len(fresh) > 1 and sum(vote.verdict == "down" for vote in fresh) == 1:
        assert count(terms, votes, now).verdict != "down"


class Polling(RuleBasedStateMachine):
    """Results of places as they come in, also late and twice."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0
        self.made: list[CheckResult] = []
        self.downs: list[str] = []

    @initialize(number=st.integers(1, 5), quorum=st.integers(1, 5), elsewhere=st.booleans())
    def begin(self, number: int, quorum: int, elsewhere: bool) -> None:
        self.ballot = Ballot(Terms(NAMES[:number], min(quorum, number), elsewhere and number > 1))

    @rule(name=st.sampled_from(NAMES), verdict=st.sampled_from(VERDICTS), late=st.sampled_from([0.0, 30.0, 400.0]))
    def a_result_comes(self, name: str, verdict: Verdict, late: float) -> None:
        self.now += 3.0
        known = self.ballot.votes.get(name)
        taken = self.ballot.take(name, result(verdict, self.now - late), self.now)
        if late > 190.0 or name not in self.ballot.terms.locations:
            assert not taken
            assert self.ballot.votes.get(name) is known
        made = self.ballot.verdict("u", self.now, self.now)
        if made is not None:
            self.made.append(made)
            assert all(vote.counted for vote in self.ballot.votes.values())
            assert self.ballot.verdict("u", self.now, self.now) is None, "the same votes make no second verdict"

    @rule(seconds=st.sampled_from([1.0, 60.0, 200.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        made = self.ballot.overdue("u", self.now, self.now, 20.0)
        if made is not None:
            assert made.verdict == "unknown"
            assert made.code in ("check.split", "check.too_few_votes")
            self.made.append(made)

    @invariant()
    def times_never_go_back(self) -> None:
        times = [made.at for made in self.made]
        assert times == sorted(times)
        assert not times or times[-1] <= self.now


TestPolling = Polling.TestCase


def test_the_evidence_names_what_each_place_says_where_they_do_not_agree() -> None:
    ballot = Ballot(Terms(("main", "fra", "nyc"), 2))
    for name, verdict in (("main", "down"), ("nyc", "up"), ("fra", "down")):
        ballot.take(name, result(verdict, 999.0), 1_000.0)  # type: ignore[arg-type]
    made = ballot.verdict("u", 1_000.0, 0.0)
    assert made is not None
    assert made.verdict == "down"
    assert {name: said["verdict"] for name, said in made.evidence["locations"].items()} == {
        "main": "down",
        "fra": "down",
        "nyc": "up",
    }
    assert made.evidence["quorum"] == "2 of 3"
    assert made.message.startswith("2 of 3 locations")


def test_votes_are_told_in_words() -> None:
    votes = {"main": {"verdict": "up"}, "fra": {"verdict": "down", "message": "no connection"}, "odd": "text"}
    assert votes_in_words(votes) == "main: up, fra: down (no connection)"


def test_calm_results_carry_no_evidence_of_votes() -> None:
    ballot = Ballot(Terms(("main", "fra"), 2))
    ballot.take("main", result("up", 999.0, 0.1), 1_000.0)
    ballot.take("fra", result("up", 999.5, 0.3), 1_000.0)
    made = ballot.verdict("u", 1_000.0, 0.0)
    assert made is not None
    assert "locations" not in made.evidence
    assert made.at == 999.5, "when the quorum was reached"
