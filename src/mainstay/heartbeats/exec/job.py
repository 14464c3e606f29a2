"""`mainstay exec`: run a job and report its start, end, duration, peak memory and the tail of its output.

What it promises the job: the same standard input, output byte for byte, signals passed on, and the same end: its
exit code, or death by the same signal. Reporting never delays the start and never fails the job; what cannot be
reported now is spooled and sent later. Only what loses a report for good is told on standard error.

This path imports the standard library and its neighbours `exec_*` only, and no typer: jobs start every minute on
small machines. `exec_command` declares the same options for `--help` and the reference.
"""

from __future__ import annotations

import os
import re
import sys
import time
from typing import NamedTuple, NoReturn

from mainstay.heartbeats.exec.child import Child, Outcome, Tail, die, say
from mainstay.heartbeats.exec.report import Address, Report, Reporter, drain
from mainstay.heartbeats.exec.spool import Spool

DEFAULT_SERVER = "http://127.0.0.1:8800"
DEFAULT_TAIL = 10_000
LONGEST_TAIL = 90_000  # bytes; a server keeps 100,000 of a body by default
DEFAULT_WAIT = 10.0
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_VALUED = {"--heartbeat": "heartbeat", "--server": "server", "--tail": "tail", "--wait": "wait"}
_SWITCHES = {"--create": "create", "--verbose": "verbose", "--flush": "flush"}


class Options(NamedTuple):
    """`tail`: bytes of output that are kept, 0: none, and the job's streams are handed over untouched.

    `wait`: seconds after the job's end within which the report must be taken, or it is spooled.
    """

    command: tuple[str, ...] = ()
    heartbeat: str = ""
    server: str = ""
    tail: int = DEFAULT_TAIL
    wait: float = DEFAULT_WAIT
    create: bool = False
    verbose: bool = False
    flush: bool = False


class Misnamed(Exception):
    """What is to be reported has no address; the message says what to give."""


def run_plainly(arguments: list[str]) -> None:
    """Run if the arguments are clear; return for everything that needs help, an error or typer's words."""
    options = _parse(arguments)
    if options is not None:
        run(options)


def run(options: Options) -> NoReturn:
    """Ends the process as the job ended."""
    if options.flush:
        os._exit(flush())
    try:
        address = find_address(options)
    except Misnamed as error:
        say(f"nothing is reported: {error}")
        address = None
    die(_run_job(options, address))


def flush() -> int:
    """Send what waits; 0 if nothing is left."""
    spool = Spool.find()
    sent, refused = drain(spool, None)
    left, dropped = spool.count(), spool.dropped()
    words = [f"{sent} sent"]
    words += [f"{refused} permanently refused by the server"] if refused else []
    words += [f"{left} still waiting in {spool.folder}"] if left else []
    words += [f"{dropped} dropped, because too many waited"] if dropped else []
    sys.stdout.write(f"Reports: {', '.join(words)}.\n")
    sys.stdout.flush()
    spool.forget_dropped()
    return 1 if left or refused else 0


def _run_job(options: Options, address: Address | None) -> Outcome:
    tail = Tail(options.tail if address else 0)
    began_at, began = time.time(), time.monotonic()
    child = Child(options.command, tail)
    reporter = Reporter(address, Spool.find()) if address else None
    if not child.error and reporter:
        reporter.begin()
    outcome = child.wait()
    seconds = time.monotonic() - began
    if reporter:
        child.settle()
        report = _report(options, outcome, tail, began_at, seconds)
        problem = reporter.finish(report, options.wait, child.is_asked_to_stop)
        if problem and (options.verbose or reporter.lost):
            say(problem)
    child.let_go()
    return outcome


def _report(options: Options, outcome: Outcome, tail: Tail, began_at: float, seconds: float) -> Report:
    # The arguments stay away: they may hold passwords.
    name = os.path.basename(options.command[0])[:80]
    end = f"was ended by {outcome.signal_name}" if outcome.signal else f"ended with exit code {outcome.code}"
    memory = f", peak memory {outcome.peak_bytes / 1e6:.1f} MB" if outcome.peak_bytes else ""
    lines = [outcome.error] if outcome.error else [f"{name} {end} after {_lasting(seconds)}{memory}"]
    kept = tail.kept()
    if kept:
        cut = f", the last {len(kept):,} of {tail.seen:,} bytes" if tail.seen > len(kept) else ""
        lines += [f"Output{cut}:", ""]
    body = "\n".join(lines).encode("utf-8", "replace") + b"\n" + kept
    return Report(outcome.code, began_at + seconds, body, seconds)


def _lasting(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min {rest} s" if hours else f"{minutes} min {rest} s"


def find_address(options: Options) -> Address:
    """Where to report: by URL, uuid or name; Misnamed says what is missing."""
    given = options.heartbeat or os.environ.get("MAINSTAY_PING_URL", "")
    if not given:
        raise Misnamed("no heartbeat is named; give --heartbeat, or MAINSTAY_PING_URL")
    query = "create=1" if options.create else ""
    if "://" in given:
        if not given.lower().startswith(("http://", "https://")):
            raise Misnamed("the address of the heartbeat must begin with http:// or https://")
        return Address(given.partition("?")[0].rstrip("/"), "")
    server = (options.server or os.environ.get("MAINSTAY_URL", "") or _server_here() or DEFAULT_SERVER).rstrip("/")
    if "://" not in server:
        server = f"http://{server}"
    if _UUID.fullmatch(given):
        return Address(f"{server}/ping/{given.lower()}", "")
    slug = slug_of(given)
    if not slug:
        raise Misnamed(f"`{given[:60]}` cannot be an address; name the heartbeat by its uuid")
    return Address(f"{server}/ping/{_ping_key()}/{slug}", query)


def slug_of(name: str) -> str:
    """As `heartbeats.directory.slug_of`, which cannot be imported here without libraries."""
    if not name.isascii():
        import unicodedata

        name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-")


def _server_here() -> str:
    """URL of the server on this user's data folder, as it said when it started; empty if none ever did.

    The same folder and file as in `runtime.boot`, which cannot be imported here without libraries.
    """
    base = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    try:
        with open(f"{os.environ.get('MAINSTAY_DATA') or f'{base}/mainstay'}/server.url", encoding="utf-8") as file:
            return file.read(500).strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _ping_key() -> str:
    key = os.environ.get("MAINSTAY_PING_KEY", "").strip()
    if key:
        return key
    own = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    for path in (os.environ.get("MAINSTAY_PING_KEY_FILE", ""), f"{own}/mainstay/ping-key", "/etc/mainstay/ping-key"):
        try:
            with open(path, encoding="utf-8") as file:
                key = file.read(200).strip()
        except (OSError, UnicodeDecodeError):
            continue
        if re.fullmatch(r"[-\w]{1,100}", key, re.ASCII):
            return key
    raise Misnamed(
        "finding a heartbeat by its name needs the ping key; give MAINSTAY_PING_KEY, or keep the key in "
        f"{own}/mainstay/ping-key or /etc/mainstay/ping-key, or give the heartbeat's URL "
        "(`mainstay token ping-key` creates a new key, and the old one stops working)"
    )


def _parse(arguments: list[str]) -> Options | None:
    """The options before the command; None for `--help` and for every mistake."""
    found: dict[str, object] = {}
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        word = rest.pop(0)
        if word == "--":
            break
        name, equals, value = word.partition("=")
        if word in _SWITCHES:
            found[_SWITCHES[word]] = True
        elif name in _VALUED and (equals or rest):
            found[_VALUED[name]] = value if equals else rest.pop(0)
        else:
            return None
    return checked(tuple(rest), found)


def checked(command: tuple[str, ...], found: dict[str, object]) -> Options | None:
    """Options with their numbers read and bounded; None if they make no sense."""
    try:
        tail = int(str(found.pop("tail", DEFAULT_TAIL)))
        wait = float(str(found.pop("wait", DEFAULT_WAIT)).removesuffix("s"))
    except ValueError:
        return None
    if not 0 <= tail <= LONGEST_TAIL or not 0 <= wait <= 600 or bool(command) == bool(found.get("flush")):
        return None
    if command and not command[0]:
        return None
    return Options(command, tail=tail, wait=wait, **found)  # type: ignore[arg-type]  # keys and types are those of _VALUED and _SWITCHES
