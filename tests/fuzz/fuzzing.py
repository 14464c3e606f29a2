"""Fuzzing without a library: inputs made from good examples by cutting, repeating, swapping and inserting.

`python -m tests.fuzz.fuzzing` runs every parser of tests/fuzz/targets.py for FUZZ_SECONDS altogether (default 600), on
every processor, prints how many inputs were tried, and fails with the input, written down, that raised what its
parser does not promise. Everything follows from the seed, so a run can be repeated.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

# What breaks parsers: numbers at the edges, signs of other scripts that look like digits, quotes, brackets.
WORDS = (
    "", "0", "-1", "1e999", "NaN", "Infinity", "9" * 30, "18446744073709551616", "2147483648", "0x7f", "١٢", "²", "½",
    "\x00", "\ud800", "\u2028", "\u202e", "\ufeff", "\x1b[0m", "ß", "İ", "é", "e\u0301", "\U0001f600", "\xa0", "\t",
    "\n", "\r\n",
    "'", '"', "`", "\\", "${", "}", "{{", "}}", "${env:X}", "${file:../x}", "[", "]", "[" * 50, "{" * 50, "(", ")",
    "(a+)+$", "(?P<", "[^]", "|", ";", ",", ":", "::", "/", "//", "..", "../" * 9, "%", "%00", "%2f", "%zz", "@",
    "#", "?",
    "&", "*", "&a", "*a", "!!python/object/apply:os.system", "<<: *a", "---", "...", "- ", "? ", "null", "~", "true",
    "utf-7", "idna", "punycode", "undefined", "hex", "[::1]", "[::1", "0.0.0.0", "1.2.3.4.5", "256.1.1.1", "xn--",
    "24:00", "99:99", "31", "60", "* * * * *", "*/0", "L", "1-0", "ms", "w", "fifth", "last day", "Europe/Berlin",
    "<script>", "=?utf-8?b?", "=?x?q?=", "boundary=", "Content-Type: ", "mst_", "A" * 300,
)  # fmt: skip
LONGEST = 4000  # characters of an input


@dataclass(frozen=True, slots=True)
class Target:
    """A parser of outside input. `run` takes what `seeds` are made of: text, or bytes.

    `refuses` are the errors that its callers handle; anything else is a finding. `change` spoils a seed, else `mutate`.
    """

    name: str
    run: Callable[[Any], object]
    seeds: Sequence[Any]
    refuses: tuple[type[BaseException], ...] = ()
    longest: int = LONGEST
    change: Callable[[Any, random.Random, Sequence[Any], int], Any] | None = None


class Finding(AssertionError):
    """An input that raised what its parser does not promise."""


def mutate(seed: str | bytes, dice: random.Random, others: Sequence[Any], longest: int = LONGEST) -> str | bytes:
    """One to eight changes. Bytes are changed as latin-1 text, so that every byte can come."""
    if isinstance(seed, bytes):
        rest = [one.decode("latin-1") for one in others]
        return _changed(seed.decode("latin-1"), dice, rest)[:longest].encode("latin-1", "replace")
    return _changed(seed, dice, others)[:longest]


def _changed(text: str, dice: random.Random, others: Sequence[str]) -> str:
    for _ in range(dice.choice((1, 1, 1, 2, 2, 3, 5, 8))):
        size = len(text)
        at = dice.randrange(size + 1)
        end = min(size, at + dice.choice((1, 1, 1, 2, 4, 8, 20, 200)))
        kind = dice.randrange(8)
        if kind == 0:
            text = text[:at] + text[end:]
        elif kind == 1:
            text = text[:at] + dice.choice(WORDS) + text[at:]
        elif kind == 2:
            text = text[:at] + dice.choice(WORDS) + text[end:]
        elif kind == 3:
            text = (
                text[:at]
                + chr(dice.choice((dice.randrange(128), dice.randrange(256), dice.randrange(0x3000))))
                + text[end:]
            )
        elif kind == 4:
            text = text[:at] + text[at:end] * dice.choice((2, 3, 17)) + text[end:]
        elif kind == 5 and others:
            other = dice.choice(others)
            cut = dice.randrange(len(other) + 1)
            text = text[:at] + other[cut:]
        elif kind == 6:
            text = text[:at] + text[at:end].swapcase()[::-1] + text[end:]
        else:
            again = dice.randrange(size + 1)
            text = text[:at] + text[again : again + 20] + text[at:]
    return text


def attempt(target: Target, given: Any) -> None:
    """Finding if the input raises what the target does not promise."""
    try:
        target.run(given)
    except target.refuses:
        return
    except Exception as error:
        raise Finding(f"{target.name} raised {type(error).__name__}: {error} for {given!r}") from error


def hunt(target: Target, seed: int, *, seconds: float = 0.0, inputs: int = 0) -> tuple[int, float]:
    """Try so many inputs, or for so long, whatever comes first; (inputs tried, seconds of the slowest)."""
    dice = random.Random(f"{target.name} {seed}")
    until = time.perf_counter() + seconds
    tried, slowest = 0, 0.0
    known, change = list(target.seeds), target.change or mutate
    while (not inputs or tried < inputs) and (not seconds or time.perf_counter() < until):
        given = change(dice.choice(known), dice, target.seeds, target.longest)
        begun = time.perf_counter()
        attempt(target, given)
        slowest = max(slowest, time.perf_counter() - begun)
        tried += 1
    return tried, slowest


def _work(job: tuple[str, int, float]) -> tuple[str, int, float, str]:
    from tests.fuzz.targets import targets

    name, seed, seconds = job
    warnings.simplefilter("ignore")
    structlog.configure(processors=[], logger_factory=structlog.ReturnLoggerFactory())
    target = next(target for target in targets() if target.name == name)
    try:
        tried, slowest = hunt(target, seed, seconds=seconds)
    except Finding as finding:
        return name, 0, 0.0, str(finding)
    return name, tried, slowest, ""


def main() -> int:
    """Exit code 1 if there was a finding."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    arguments.add_argument("--seconds", type=float, default=float(os.environ.get("FUZZ_SECONDS", "600")))
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    arguments.add_argument("--only", default="", help="part of a target's name")
    chosen = arguments.parse_args()
    folder = tempfile.mkdtemp(prefix="mainstay-fuzz-")
    tempfile.tempdir = folder  # also of the processes that are forked
    from tests.fuzz.targets import targets

    names = [target.name for target in targets() if chosen.only in target.name]
    workers = multiprocessing.cpu_count()
    each = max(1.0, chosen.seconds * workers / len(names))
    print(f"{len(names)} parsers, {each:.0f} s each on {workers} processors, seed {chosen.seed}")
    begun = time.monotonic()
    total, findings = 0, []
    with multiprocessing.Pool(workers) as pool:
        for name, tried, slowest, finding in pool.imap_unordered(_work, [(name, chosen.seed, each) for name in names]):
            total += tried
            print(f"{name:32} {tried:>10,} inputs  slowest {slowest * 1000:8.1f} ms  {finding}")
            if finding:
                findings.append(finding)
    shutil.rmtree(folder)
    took = time.monotonic() - begun
    print(f"{total:,} inputs in {took:.0f} s, {total / took * 60:,.0f} a minute; {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
