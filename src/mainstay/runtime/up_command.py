"""`mainstay up`: start the server."""

from __future__ import annotations

from typing import Annotated

import typer


def up(
    targets: Annotated[list[str] | None, typer.Argument(help="Addresses to watch: URLs or host:port.")] = None,
    config: Annotated[str | None, typer.Option(help="File to apply at start and whenever it changes.")] = None,
    data: Annotated[str | None, typer.Option(help="Data folder.")] = None,
    listen: Annotated[str | None, typer.Option(help="HOST:PORT of the web server.")] = None,
) -> None:
    """Start Mainstay. Ctrl-C or SIGTERM ends it cleanly."""
    from mainstay.frames.boot import load_settings
    from mainstay.runtime.up import start

    start(load_settings(serving=True, data=data, listen=listen), targets or [], config)
