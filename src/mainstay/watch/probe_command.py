"""`mainstay probe`: check from this machine for a Mainstay elsewhere. It keeps nothing on the disk."""

from __future__ import annotations

import ipaddress
import os
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote, urlsplit

import typer

from mainstay.kernel.errors import UserError
from mainstay.watch.settings import CHROMIUM, PLUGIN_DIRS

if TYPE_CHECKING:
    from mainstay.watch.prober.remote import Server

_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


def probe(
    join: Annotated[list[str], typer.Option(metavar="URL", help="URL of Mainstay; once for each of its servers.")],
    location: Annotated[str, typer.Option(help="The declared location of this machine.")],
    *,
    token: Annotated[str, typer.Option(help="Its API token (or MAINSTAY_PROBE_TOKEN).")] = "",
    token_file: Annotated[str, typer.Option(help="File that holds the token; read again for each attempt.")] = "",
    ca_file: Annotated[str, typer.Option(help="Certificates to trust, PEM (default: the system's).")] = "",
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Allow http:// to other machines: secrets can be read in transit.")
    ] = False,
    keep: Annotated[int, typer.Option(help="Results to buffer while the server is unreachable.")] = 50_000,
) -> None:
    """Join a Mainstay server and run its checks from here, until SIGTERM. Exits if the token is refused, unless it
    comes from a file, which may be replaced.
    """
    from mainstay.frames.boot import load_settings
    from mainstay.integrations.addresses import parse_allow
    from mainstay.kernel.probing import Configure
    from mainstay.watch.prober.remote import Options, run

    if not 1 <= keep <= 1_000_000:
        raise UserError("--keep is 1 to 1000000 results")
    settings = load_settings()
    parse_allow(settings.probe_allow)
    servers = [_server(url, location, ca_file, insecure=insecure) for url in join]
    path = Path(token_file) if token_file else None
    given = token or os.environ.get("MAINSTAY_PROBE_TOKEN", "")
    _token(path, given)
    allowed = Configure(settings.probe_allow, plugin_dirs=settings[PLUGIN_DIRS], chromium=settings[CHROMIUM])
    run(Options(servers, location, lambda: _token(path, given), allowed, keep, fixed=path is None))


def _token(path: Path | None, given: str) -> str:
    if path is None:
        if not given:
            raise UserError(
                "a prober needs a token",
                hint="make one with `mainstay locations token NAME`, and give --token-file or MAINSTAY_PROBE_TOKEN",
            )
        return given
    try:
        return path.read_text().strip()
    except OSError as error:
        raise UserError(f"the token cannot be read from {path}: {error.strerror}") from None


def _server(url: str, location: str, ca_file: str, *, insecure: bool) -> Server:
    from mainstay.watch.prober.remote import Server

    parts = urlsplit(url)
    scheme = _SCHEMES.get(parts.scheme.lower())
    if scheme is None or not parts.hostname:
        raise UserError(
            f"`{url[:100]}` is not the address of a Mainstay server", hint="such as https://status.example.com"
        )
    loopback = _is_loopback(parts.hostname)
    if scheme == "ws" and not loopback and not insecure:
        raise UserError(
            f"{url[:100]} is not encrypted: secrets of checks could be read in transit",
            hint="use https://, or --insecure where the network itself is safe",
        )
    address = f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}/probe/join?location={quote(location)}"
    return Server(address, _tls(ca_file) if scheme == "wss" else None, loopback)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _checked_ca(ca_file: str) -> str:
    if not Path(ca_file).is_file():
        raise UserError(f"there is no file {ca_file}", hint="--ca-file names certificates in PEM")
    return ca_file


def _tls(ca_file: str) -> ssl.SSLContext:
    from mainstay.watch.prober.trust import default_ca_file

    trusted = _checked_ca(ca_file) if ca_file else default_ca_file()
    try:
        return ssl.create_default_context(cafile=trusted or None)
    except (OSError, ssl.SSLError) as error:
        raise UserError(f"the certificates in {trusted} cannot be read: {error}") from None
