"""`python -m demo`: start the estate, and break and heal parts of it while it runs."""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from demo.estate import ADMINISTRATOR, FIRST_PORT, SWITCHES, Estate, Refused, default_folder


def main() -> int:
    asked = _arguments()
    estate = Estate((asked.data or default_folder()).absolute())
    try:
        if asked.what == "up":
            _up(estate, asked.port, reset=asked.reset)
        else:
            _flip(estate, asked.what, asked.switch)
    except Refused as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--data", type=Path, help=f"folder of the demo (default: {default_folder()})")
    commands = parser.add_subparsers(dest="what", metavar="up | break WHAT | heal [WHAT]")
    up = commands.add_parser("up", help="start all of it; Ctrl-C ends all of it")
    up.add_argument("--port", type=int, default=FIRST_PORT, help="the first of seven ports; 0: any that are free")
    up.add_argument("--reset", action="store_true", help="forget what was there, and begin anew")
    breaking = commands.add_parser("break", help="break a part of the running demo")
    breaking.add_argument("switch", choices=SWITCHES)
    healing = commands.add_parser("heal", help="mend a part of it, or all")
    healing.add_argument("switch", choices=SWITCHES, nargs="?")
    parser.set_defaults(what="up", port=FIRST_PORT, reset=False)
    return parser.parse_args()


@contextmanager
def _alone(estate: Estate) -> Iterator[None]:
    """Hold the folder's lock, so that there is one demo on it."""
    with (estate.folder / "lock").open("a") as handle:
        if _is_held(handle.fileno()):
            raise Refused(f"a demo runs on {estate.folder} already; end it first, or give another folder with DATA=")
        yield


def _is_held(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    return False


def _up(estate: Estate, port: int, *, reset: bool) -> None:
    from demo.running import Running

    os.umask(0o077)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    estate.make()
    with _alone(estate):
        if reset:
            _clear(estate)
        estate.choose_ports(port)
        estate.write_file()
        for switch in SWITCHES:
            estate.turn(switch, broken=False)
        running = Running(estate)
        try:
            print("  The demo starts. The first time it makes 90 days of history, which takes seconds.", flush=True)
            running.start()
            _greet(estate)
            running.keep()
        except KeyboardInterrupt:
            print("\n  The demo ends.", flush=True)
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            running.end()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _clear(estate: Estate) -> None:
    for path in (estate.data, estate.folder / "postgres"):
        shutil.rmtree(path, ignore_errors=True)
    for path in (*estate.folder.glob("*.password"), *estate.folder.glob("logs/*.log")):
        path.unlink()


def _greet(estate: Estate) -> None:
    own = "" if estate.folder == default_folder() else f"--data {estate.folder} "
    print(f"""
  Mainstay      {estate.url("mainstay")}
                sign in as {ADMINISTRATOR} with the password {estate.secret("admin")}
  Status page   {estate.url("mainstay")}/status/shop
  Tea shop      {estate.url("site")}  (made up, and so is all that lies before today)
  Inbox         {estate.url("inbox")}  (mail and webhooks that Mainstay sent)
  Folder        {estate.folder}

  Break something in another terminal, and look for a minute:
""")
    for switch, effect in SWITCHES.items():
        print(f"    .venv/bin/python -m demo {own}break {switch:<9} {effect}")
    print(
        f"    .venv/bin/python -m demo {own}heal            all is well again\n\n  Ctrl-C ends all of it.\n", flush=True
    )


def _flip(estate: Estate, what: str, switch: str | None) -> None:
    lock = estate.folder / "lock"
    if not lock.exists():
        raise Refused(f"no demo runs on {estate.folder}: start it with `make demo`, or name its folder with --data")
    with lock.open("a") as handle:
        if not _is_held(handle.fileno()):
            raise Refused(f"no demo runs on {estate.folder}: start it with `make demo`")
    for name in [switch] if switch else SWITCHES:
        estate.turn(name, broken=what == "break")
    told = SWITCHES[switch] if switch and what == "break" else f"{switch or 'everything'} is mended"
    print(f"{told}. See {estate.url('mainstay')}")


if __name__ == "__main__":
    sys.exit(main())
