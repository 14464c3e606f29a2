"""`python -m mainstay` and the command `mainstay`."""

from __future__ import annotations


def main() -> None:
    from mainstay.entry.cli.app import run

    run()


if __name__ == "__main__":
    main()
