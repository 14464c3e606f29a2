"""`python -m mainstay` and the command `mainstay`."""

from __future__ import annotations

import sys


def main() -> None:
    if sys.argv[1:2] == ["exec"]:  # jobs start often, and wait for no library of the command line
        from mainstay.heartbeats.exec.job import run_plainly

        run_plainly(sys.argv[2:])
    from mainstay.runtime.app import run

    run()


if __name__ == "__main__":
    main()
