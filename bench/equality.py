"""Generated cases of matchers, routes, groups, inhibitions and time intervals, answered by Mainstay and by Debian's
Alertmanager: how many answers differ.

A seed makes the cases (BENCH_SEED, default 1), BENCH_CASES says how many (default 10,000). `python -m bench.equality
FILE` writes a few of them with Alertmanager's answers to a file, which tests compare with where it is not installed.
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from bench.alertmanager import Answer, running
from bench.figures import Figure, at_most, hand_over, told
from mainstay.alerting.calm import Inhibitions, Source
from mainstay.alerting.calm_spec import InhibitionSpec
from mainstay.alerting.route_spec import RouteSpec
from mainstay.alerting.routing import find_routes
from mainstay.kernel.intervals import is_active
from mainstay.kernel.matchers import parse_matcher

_CASES = int(os.environ.get("BENCH_CASES") or 10_000)
_ALERTS = 100  # of one configuration
_INTERVALS = 200  # of one server
_LABELS = ("team", "site", "env", "service", "check")
_VALUES = ("core", "web", "db1", "db2", 'a "b"', "c:\\new", "ü", "two\nlines", "a b", "")
_PATTERNS = (
    "core|web",
    "db\\d",
    "d.*",
    ".+",
    ".*",
    "",
    "[a-c].*",
    "(?i)CORE",
    "we",
    "a.b",
    "two.lines",
    "(?s)two.lines",
)
_RECEIVERS = ("r0", "r1", "r2", "r3", "r4")
_ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia")


def measure() -> list[Figure]:
    chance = random.Random(os.environ.get("BENCH_SEED") or "1")
    began = time.perf_counter()
    figures, asked = [], 0
    kinds = {"routes, groups and inhibitions": _trees, "matchers": _matchers, "time intervals": _all_intervals}
    for name, compare in kinds.items():
        differ, count = compare(chance)
        asked += count
        figures += [told(f"{name}: cases", count, ""), at_most(f"{name}: different answers", differ, 0, "")]
    return [*figures, told("cases in all", asked, ""), told("took", time.perf_counter() - began, "s")]


# What is generated


def labels_of(chance: random.Random, number: int) -> dict[str, str]:
    found = {name: chance.choice(_VALUES) for name in _LABELS if chance.random() < 0.7}
    return {name: value for name, value in found.items() if value} | {"id": str(number)}


def matcher_of(chance: random.Random) -> str:
    operator = chance.choice(("=", "!=", "=~", "!~"))
    value = chance.choice(_PATTERNS if "~" in operator else _VALUES)
    blank = chance.choice(("", " "))
    return f"{chance.choice(_LABELS)}{blank}{operator}{blank}{_written(chance, value)}"


def _written(chance: random.Random, value: str) -> str:
    """In quotes, with as many backslashes as needed or fewer, or bare where that may be."""
    if chance.random() < 0.3 and value.isalnum():
        return value
    text = value.replace('"', '\\"').replace("\n", "\\n")
    if chance.random() < 0.5:
        text = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"'


def route_of(chance: random.Random, depth: int = 0) -> dict[str, Any]:
    """In Alertmanager's form."""
    route: dict[str, Any] = {"matchers": [matcher_of(chance) for _ in range(chance.choice((1, 1, 2)))]}
    if depth == 0:
        route = {"receiver": "r0"}
    elif chance.random() < 0.8:
        route["receiver"] = chance.choice(_RECEIVERS)
    if depth and chance.random() < 0.4:
        route["continue"] = True
    if chance.random() < 0.5:
        route["group_by"] = chance.choice((["..."], ["site"], ["team", "env"], ["nothing"], list(_LABELS)))
    if depth < 4:
        route["routes"] = [route_of(chance, depth + 1) for _ in range(chance.choice((0, 1, 2, 3) if depth else (4, 8)))]
    return route


def inhibition_of(chance: random.Random) -> dict[str, Any]:
    return {
        "source_matchers": [matcher_of(chance)],
        "target_matchers": [matcher_of(chance) for _ in range(chance.choice((1, 2)))],
        "equal": chance.sample(_LABELS, chance.choice((0, 1, 2))),
    }


def interval_of(chance: random.Random, now: datetime) -> dict[str, Any]:
    """In Alertmanager's form, near enough to `now` to be active about as often as not."""
    zone = chance.choice(_ZONES)
    local = now.astimezone(ZoneInfo(zone))
    found: dict[str, Any] = {"location": zone}
    if chance.random() < 0.7:
        found["times"] = [_times(chance, local) for _ in range(chance.choice((1, 2)))]
    if chance.random() < 0.5:
        names = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
        found["weekdays"] = [_span(chance, local.isoweekday() % 7, 0, 6, names)]
    if chance.random() < 0.5:
        found["days_of_month"] = [_days(chance, local)]
    if chance.random() < 0.3:
        found["months"] = [_span(chance, local.month, 1, 12, ())]
    if chance.random() < 0.3:
        found["years"] = [_span(chance, local.year, 2020, 2035, ())]
    return found


def _times(chance: random.Random, local: datetime) -> dict[str, str]:
    at = local.hour * 60 + local.minute
    start = max(0, min(1439, at + chance.randint(-90, 45)))
    end = max(start + 1, min(1440, start + chance.randint(1, 120)))
    return {"start_time": f"{start // 60:02}:{start % 60:02}", "end_time": f"{end // 60:02}:{end % 60:02}"}


def _span(chance: random.Random, value: int, lowest: int, highest: int, names: tuple[str, ...]) -> str:
    start = max(lowest, min(highest, value + chance.randint(-1, 1)))
    end = max(start, min(highest, start + chance.randint(0, 2)))
    first, last = (names[start], names[end]) if names else (str(start), str(end))
    return first if first == last and chance.random() < 0.5 else f"{first}:{last}"


def _days(chance: random.Random, local: datetime) -> str:
    last = (local.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    start = max(1, min(31, local.day + chance.randint(-2, 2)))
    end = max(start, min(31, start + chance.randint(0, 3)))
    if chance.random() < 0.4:  # from the month's end
        begin = max(-31, min(-1, local.day - last.day - 1 + chance.randint(-2, 2)))
        return f"{begin}:{max(begin, min(-1, begin + chance.randint(0, 3)))}"
    # Alertmanager refuses what ends before it starts in a February.
    return chance.choice((f"{start}:{end}", f"{min(start, 27)}:-1", str(start)))


def config_of(chance: random.Random) -> dict[str, Any]:
    return {
        "route": route_of(chance) | {"group_wait": "1h"},
        "receivers": [{"name": name} for name in _RECEIVERS],
        "inhibit_rules": [inhibition_of(chance) for _ in range(chance.choice((0, 1, 2)))],
    }


# What Mainstay answers


def own_route(theirs: Mapping[str, Any]) -> dict[str, Any]:
    """A route of Alertmanager's as Mainstay writes it."""
    names = {"matchers": "match", "group_by": "group_by", "continue": "continue"}
    route: dict[str, Any] = {ours: theirs[key] for key, ours in names.items() if key in theirs}
    if "receiver" in theirs:
        route["to"] = [theirs["receiver"]]
    return route | {"routes": [own_route(inner) for inner in theirs.get("routes", ())]}


def _own_rule(theirs: Mapping[str, Any]) -> InhibitionSpec:
    ours = {"source": theirs["source_matchers"], "target": theirs["target_matchers"], "equal": theirs["equal"]}
    return InhibitionSpec.model_validate(ours)


def own_answers(config: Mapping[str, Any], alerts: list[dict[str, str]]) -> dict[str, Answer]:
    """By the label `id`, as `Peer.groups` has them."""
    root = RouteSpec.model_validate({"group_by": []} | own_route(config["route"]))
    rules = [(f"i{number}", _own_rule(one)) for number, one in enumerate(config["inhibit_rules"])]
    inhibitions = Inhibitions(rules, [Source(one["id"], one) for one in alerts])
    found: dict[str, Answer] = {}
    for labels in alerts:
        leaves = find_routes([("all", root)], _RECEIVERS, labels).leaves
        groups = sorted((to, tuple(sorted(leaf.group(labels).items()))) for leaf in leaves for to in leaf.to)
        found[labels["id"]] = groups, inhibitions.inhibited(labels, labels["id"]) is not None
    return found


# Comparing


def _trees(chance: random.Random) -> tuple[int, int]:
    differ = count = 0
    while count < _CASES * 6 // 10:
        config, alerts = config_of(chance), [labels_of(chance, number) for number in range(_ALERTS)]
        theirs = _their_answers(config, alerts)
        ours = own_answers(config, alerts)
        for labels in alerts:
            count += 1
            if ours[labels["id"]] != theirs[labels["id"]]:
                differ += 1
                _say(config, labels, ours[labels["id"]], theirs[labels["id"]])
    return differ, count


def _their_answers(config: Mapping[str, Any], alerts: list[dict[str, str]]) -> dict[str, Answer]:
    with running(config) as peer:
        peer.take(alerts)
        return peer.groups(len(alerts))


def _matchers(chance: random.Random) -> tuple[int, int]:
    alerts = [labels_of(chance, number) for number in range(_ALERTS)]
    differ, count = 0, _CASES * 3 // 10
    with running({"route": {"receiver": "r0"}, "receivers": [{"name": "r0"}]}) as peer:
        peer.take(alerts)
        peer.groups(len(alerts))
        for _ in range(count):
            text = matcher_of(chance)
            theirs, ours = peer.fitting(text), _fitting(text, alerts)
            if ours != theirs:
                differ += 1
                _say(text, ours, theirs)
    return differ, count


def _fitting(text: str, alerts: list[dict[str, str]]) -> set[str] | None:
    try:
        matcher = parse_matcher(text)
    except ValueError:
        return None
    return {one["id"] for one in alerts if matcher.matches(one)}


def _all_intervals(chance: random.Random) -> tuple[int, int]:
    differ = count = 0
    while count < _CASES // 10:
        while time.time() % 60 > 45:  # the answers of one minute
            time.sleep(1)
        now = datetime.now(UTC)
        intervals = [interval_of(chance, now) for _ in range(_INTERVALS)]
        theirs = _active(intervals)
        for number, one in enumerate(intervals):
            count += 1
            ours = is_active((), "UTC", [one], now.timestamp())
            if ours != (number in theirs):
                differ += 1
                _say(one, now.isoformat(), ours, number in theirs)
    return differ, count


def _active(intervals: list[dict[str, Any]]) -> set[int]:
    """Those during which Alertmanager notifies now: a route for each, which may notify during it alone, and one that
    always may. All are flushed at once; when the message of the last has come and no other for a second, that is it."""
    with _listening() as (url, heard):
        names = [str(number) for number in range(len(intervals))]
        routes = [
            {"matchers": [f'id="{name}"'], "receiver": name, "active_time_intervals": [name]} for name in names
        ]  # fmt: skip
        config = {
            "route": {"receiver": "always", "group_wait": "1ms", "routes": routes},
            "receivers": [
                {"name": name, "webhook_configs": [{"url": f"{url}{name}"}]} for name in (*names, "always")
            ],
            "time_intervals": [
                {"name": name, "time_intervals": [one]} for name, one in zip(names, intervals, strict=True)
            ],
        }  # fmt: skip
        with running(config) as peer:
            peer.take([{"id": name} for name in names] + [{"id": "always"}])
            until, before = time.monotonic() + 20, -1
            while time.monotonic() < until and not ("always" in heard and len(heard) == before):
                before = len(heard)
                time.sleep(1)
        if "always" not in heard:
            raise RuntimeError("Alertmanager sent nothing")
        return {int(name) for name in heard if name != "always"}


@contextmanager
def _listening() -> Iterator[tuple[str, dict[str, int]]]:
    heard: dict[str, int] = defaultdict(int)

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            heard[self.path.strip("/")] += 1
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 1024  # all of them call at once

    server = Server(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", heard
    finally:
        server.shutdown()
        server.server_close()


def _say(*what: Any) -> None:
    print("differs:", *what, file=sys.stderr)


def record(file: Path) -> None:
    """200 cases of 10 configurations with Alertmanager's answers."""
    chance, kept = random.Random("recorded"), []
    for _ in range(10):
        config, alerts = config_of(chance), [labels_of(chance, number) for number in range(20)]
        config["inhibit_rules"] = config["inhibit_rules"] or [inhibition_of(chance)]
        theirs = _their_answers(config, alerts)
        cases = [{"labels": one, "answer": theirs[one["id"]]} for one in alerts]
        kept.append(json.dumps({"config": config, "cases": cases}, ensure_ascii=False))
    file.write_text("[\n" + ",\n".join(kept) + "\n]\n")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        record(Path(sys.argv[1]))
    else:
        hand_over(measure())
