"""`mainstay up`: opens the stores, starts the lanes and serves until it is told to stop."""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import structlog
import uvloop

from mainstay.frames.boot import default_data_folder, prepare_data_folder, remember_address, start_django
from mainstay.kernel.actor import command, system
from mainstay.kernel.errors import Conflict, UserError
from mainstay.kernel.resource import KINDS
from mainstay.kernel.settings import Settings
from mainstay.runtime.logs import set_up_logs

log = structlog.get_logger("mainstay")

_ROOM = 1024 * 1024  # bytes that opening the stores may take


def start(settings: Settings, targets: list[str], config: str | None) -> None:
    """Run the server in this process until SIGTERM or SIGINT. UserError for what the caller can mend."""
    os.umask(0o077)
    set_up_logs(settings)
    file = Path(config).absolute() if config else None
    if file is not None and not file.is_file():
        raise UserError(f"there is no file {config}", hint="give the path of a Mainstay file with --config")
    with listen(settings.listen) as listener:
        settings = replace(settings, listen=_with_port(settings.listen, listener))
        prepare_data_folder(settings)
        check_room(settings.data)
        start_django(settings)
        from mainstay.runtime.upgrade import open_data

        with only_server(settings):
            remember_address(settings)
            open_data(settings)
            declare_targets(settings, targets)
            link = setup_link(settings)
            from mainstay.runtime.composition import serve

            uvloop.run(serve(settings, listener, file, announce=lambda: _greet(settings, link)))


def listen(address: str) -> socket.socket:
    """A listening socket on HOST:PORT ([::1]:PORT for IPv6); UserError says what is wrong with it."""
    host, _, port = address.rpartition(":")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host.strip("[]"), int(port)))
    except (OSError, ValueError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(
            f"cannot listen on {address}: {reason}",
            hint="is Mainstay running already? Choose another address with --listen HOST:PORT (make run LISTEN=...)",
        ) from None
    listener.listen(2048)
    listener.setblocking(False)
    return listener


def _with_port(address: str, listener: socket.socket) -> str:
    """The address with the port that the system chose where it says 0."""
    return f"{address.rpartition(':')[0]}:{listener.getsockname()[1]}"


def check_room(folder: Path) -> None:
    """UserError if the folder takes no more: better told here than by the first database that is opened."""
    try:
        with tempfile.TemporaryFile(dir=folder) as trial:
            trial.write(bytes(_ROOM))
            trial.flush()
            os.fsync(trial.fileno())
    except OSError as error:
        raise UserError(
            f"the data folder {folder} cannot be written: {error.strerror}",
            hint="free some space on the disk, or give another folder with --data",
        ) from None


@contextmanager
def only_server(settings: Settings) -> Iterator[None]:
    """Hold the data folder's lock: two servers on one folder would both write its telemetry."""
    with (settings.data / "server.lock").open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.seek(0)
            raise Conflict(
                f"another Mainstay (process {handle.read().strip() or 'unknown'}) uses the data folder {settings.data}",
                hint="stop it first, or give this one its own folder with --data",
            ) from None
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield


def declare_targets(settings: Settings, targets: list[str]) -> None:
    """Declare what was given to `up`; on an empty install also a monitor of Mainstay itself."""
    from mainstay.store.resources.apply import declare
    from mainstay.store.resources.queries import latest_revision, resources
    from mainstay.watch.targets import free_name, monitor_from_address, same_form

    actor = command("up")
    if latest_revision() == 0:
        port = settings.listen.rpartition(":")[2]
        own = {
            "http": f"http://127.0.0.1:{port}/api/health",
            "every": "30s",
            "tags": ["mainstay"],
            "description": "Mainstay monitors itself",
        }
        declare(actor, "monitor", "mainstay", own, manager="command", source="up")
    known = {same_form(resource.spec.address) for resource in resources("monitor")}
    for target in targets:
        name, document = monitor_from_address(target)
        place = same_form(KINDS["monitor"].validate(document).address)  # type: ignore[attr-defined] # a MonitorSpec
        if place not in known:
            known.add(place)
            free = free_name(name, {resource.name for resource in resources("monitor")})
            declare(actor, "monitor", free, document, manager="command", source="up")


def setup_link(settings: Settings) -> str:
    """The one-time address for the first administrator; empty once there is one."""
    from mainstay.accounts.verbs import make_setup_link

    token = make_setup_link(system("up"))
    return f"{settings.base_url}/setup/{token}" if token else ""


def _greet(settings: Settings, link: str) -> None:
    print(f"\n  Mainstay is watching: {settings.base_url}", flush=True)  # noqa: T201  for the person who started it
    if settings.data != default_data_folder():
        print(f"  Commands find it with: mainstay --data {settings.data} ...", flush=True)  # noqa: T201  likewise
    if link:
        print(f"  Create the first administrator (once, within a day): {link}\n", flush=True)  # noqa: T201
