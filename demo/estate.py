"""What all parts of the estate know: its folder, its ports, and what is broken.

A switch is an empty file in the folder `broken`: whoever may write the folder may flip it, and every part looks at it.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PORTS = ("mainstay", "site", "api", "provider", "inbox", "mail", "database")
FIRST_PORT = 8900  # of those in mainstay.yaml, in the order of PORTS
ADMINISTRATOR = "admin@shop.example"
SWITCHES = {
    "api": "the API's process ends: shop-api is down, and four others are suppressed because of it",
    "db": "PostgreSQL stops: shop-database is down, five others are suppressed because of it, and jobs fail",
    "disk": "the disk of the uploads is 97 % full: uploads-disk is down",
    "latency": "the API takes a second longer: shop-api and shop-search are degraded",
    "provider": "the model provider answers 529: model-provider is down",
    "cron": "the job stock-sync exits with 1 each time: its heartbeat is down",
}


class Refused(Exception):
    """What the person who started it can mend, in a sentence."""


def default_folder() -> Path:
    return Path(tempfile.gettempdir()) / f"mainstay-demo-{os.getuid()}"


@dataclass(frozen=True, slots=True)
class Estate:
    """The folder that everything of one demo lies in."""

    folder: Path

    @classmethod
    def here(cls) -> Estate:
        """The estate that this process is a part of."""
        return cls(Path(os.environ["DEMO_FOLDER"]))

    def make(self) -> None:
        """Make the folder. Refused if there is one that is somebody else's, or no demo's."""
        mark = self.folder / "this-is-a-demo"
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self.folder.stat().st_uid != os.getuid():
                raise Refused(f"{self.folder} belongs to somebody else; give another folder with DATA=")
            if any(self.folder.iterdir()) and not mark.exists():
                raise Refused(f"{self.folder} holds something else than a demo; give another folder with DATA=")
            mark.touch()
            if os.getuid() == 0:
                self.folder.chmod(0o711)  # root's PostgreSQL runs as another user
            (self.folder / "broken").mkdir(exist_ok=True, mode=0o700)
            (self.folder / "logs").mkdir(exist_ok=True, mode=0o700)
        except OSError as error:
            raise Refused(f"{self.folder} cannot be used: {error.strerror}; give another folder with DATA=") from None

    @property
    def data(self) -> Path:
        """Mainstay's data folder."""
        return self.folder / "mainstay"

    @property
    def made(self) -> Path:
        """There once Mainstay's data was made to its end."""
        return self.data / "made-up-history"

    def choose_ports(self, first: int) -> None:
        """Keep the ports for all parts, `first` and those after it; 0: any that are free. Refused if one is taken."""
        held = [_listening(first and first + number) for number in range(len(PORTS))]
        ports = {name: holder.getsockname()[1] for name, holder in zip(PORTS, held, strict=True)}
        for holder in held:
            holder.close()
        (self.folder / "ports.json").write_text(json.dumps(ports))

    def port(self, name: str) -> int:
        return int(json.loads((self.folder / "ports.json").read_text())[name])

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port(name)}"

    def secret(self, name: str) -> str:
        """A password of this folder, made on first use and kept for its owner alone."""
        path = self.folder / f"{name}.password"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(12))
        return path.read_text()

    @property
    def database(self) -> str:
        """For psycopg."""
        at = f"host=127.0.0.1 port={self.port('database')} user=postgres dbname=postgres"
        return f"{at} password={self.secret('database')} connect_timeout=2"

    def is_broken(self, what: str) -> bool:
        return (self.folder / "broken" / what).exists()

    def turn(self, what: str, *, broken: bool) -> None:
        path = self.folder / "broken" / what
        path.touch() if broken else path.unlink(missing_ok=True)

    def write_file(self) -> Path:
        """The Mainstay file of the demo, with the ports of this one."""
        text = (ROOT / "demo" / "mainstay.yaml").read_text()
        path = self.folder / "mainstay.yaml"
        path.write_text(re.sub(r"\b890([0-6])\b", lambda found: str(self.port(PORTS[int(found[1])])), text))
        return path

    def environment(self) -> dict[str, str]:
        """For every part: nothing of the caller's own Mainstay."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MAINSTAY_")}
        return kept | {
            "DEMO_FOLDER": str(self.folder),
            "PYTHONPATH": str(ROOT),
            "SHOP_DB_PASSWORD": self.secret("database"),
            "MAINSTAY_DATA": str(self.data),
            "MAINSTAY_LISTEN": f"127.0.0.1:{self.port('mainstay')}",
            "MAINSTAY_REQUIRE_SECOND_FACTOR": "",
        }


def _listening(port: int) -> socket.socket:
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        holder.bind(("127.0.0.1", port))
        holder.listen(1)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Refused(
            f"port {port} cannot be used: {reason}. Choose the first of {len(PORTS)} others with PORT=, or 0 for any "
            "that are free"
        ) from None
    return holder
