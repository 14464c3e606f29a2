"""Every setting of the program, with its default and what it does.

Read from the environment as MAINSTAY_<NAME> by `runtime.boot`; the reference page is made from this table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


def setting(default: Any, about: str) -> Any:
    return field(default=default, metadata={"about": about})


@dataclass(frozen=True, slots=True)
class Settings:
    data: Path = setting(Path(), "folder of all data; created with mode 0700")
    database: str = setting("", "postgres://user:password@host/name; empty: SQLite in the data folder")
    node: str = setting("", "name of this server among several on one database; empty: the name of the machine")
    keys: str = setting(
        "",
        "folder of secret.key, journal.key and vault.key, which several servers on one database must share; empty: "
        "the data folder",
    )
    listen: str = setting("127.0.0.1:8800", "address and port of the web server")
    url: str = setting("", "how people reach it, for links in messages; empty: http:// and the listen address")
    probers: int = setting(1, "prober processes")
    location: str = setting("main", "name of the place that the server's own probers check from")
    probe_allow: str = setting(
        "self",
        "which guarded addresses checks and channels may reach, comma-separated: `self` (loopback and this machine's "
        "own addresses), `link-local`, `metadata`; empty closes all of them, as a shared install should",
    )
    plugin_dirs: str = setting(
        "",
        "folders, comma-separated, whose programs checks of the kind `plugin` may run, such as "
        "/usr/lib/nagios/plugins; empty: none. What a program connects to is not held to `probe_allow`",
    )
    chromium: str = setting("", "program that checks of the kind `browser` drive; empty: `chromium` on the PATH")
    blackbox_modules: str = setting(
        "",
        "file of the Prometheus blackbox exporter whose modules `/probe` knows besides the built-in ones; read again "
        "when it, or a file that it names, changes",
    )
    uplink_targets: str = setting(
        "1.1.1.1:443,8.8.8.8:443,9.9.9.9:443",
        "host:port pairs that tell whether this machine has a network; counted only once reached",
    )
    telemetry: str = setting(
        "",
        "where results are kept: clickhouse://user:password@host:port/database, or clickhouses:// for TLS (extra "
        "`clickhouse`), in which ${env:NAME}, ${file:PATH} or ${vault:NAME} may stand for the password; empty: DuckDB "
        "in the data folder",
    )
    telemetry_memory: str = setting("96MB", "memory limit of the embedded telemetry store, and of reading the archive")
    raw_days: int = setting(7, "days to keep every single result")
    minute_days: int = setting(14, "days to keep roll-ups by minute")
    hour_days: int = setting(100, "days to keep roll-ups by hour")
    day_days: int = setting(1100, "days to keep roll-ups by day")
    archive_to: str = setting(
        "",
        "folder or s3://bucket/prefix (extra `s3`) to which results that are older than `raw_days` go as Parquet; "
        "empty: they are deleted",
    )
    archive_days: int = setting(365, "days to keep archived results; 0: for ever")
    ping_body_limit: int = setting(100_000, "bytes of a ping's body that are kept")
    requests_per_address: int = setting(
        5_000, "requests a second that one client address may make, ten times as many at once; 0: any number"
    )
    reports_per_key: int = setting(
        1_000, "pings and pushes a second to one address of a job, ten times as many at once; 0: any number"
    )
    ping_spool_limit: int = setting(
        256, "megabytes of pings that are kept on this server's disk while a PostgreSQL database is away"
    )
    mail_listen: str = setting(
        "", "address and port at which pings by mail are taken in, such as 0.0.0.0:25; empty: none (extra `mail`)"
    )
    pings_kept: int = setting(100, "pings kept per heartbeat")
    notification_expiry: int = setting(86_400, "seconds after which an undeliverable notification is given up")
    alert_days: int = setting(400, "days to keep alerts that are over, with their messages")
    vault_key: str = setting(
        "",
        "where the key of stored secrets comes from: file:/path, env:NAME or command:program arguments; empty: "
        "`vault.key` in the data folder",
    )
    snapshot_to: str = setting(
        "", "folder or s3://bucket/prefix (extra `s3`) for snapshots; empty: `snapshots` in the data folder"
    )
    snapshot_every: str = setting("", "how often the server takes a snapshot, such as 1d; empty: never by itself")
    snapshot_keep: str = setting("7d,4w", "snapshots that stay: the newest of each of the last 7 days and 4 weeks")
    snapshot_key: str = setting(
        "", "${env:NAME} or ${file:PATH} of the key that encrypts snapshots; empty: they are not encrypted"
    )
    snapshot_before_upgrade: bool = setting(True, "take a snapshot before a new version changes the tables")
    journal_to: str = setting(
        "",
        "folder or s3://bucket/prefix (extra `s3`) for the sealed segments of the journal, which several servers must "
        "share; empty: `journal` in the data folder",
    )
    journal_days: int = setting(
        0, "days that sealed entries stay in the database, after which they are read from their segments; 0: for ever"
    )
    journal_segment_days: int = setting(
        0,
        "days after which segments whose entries have left the database are deleted, all but their seals; 0: never",
    )
    seal_channel: str = setting("", "channel that gets each seal of the journal, to be kept elsewhere; empty: none")
    smtp: str = setting(
        "smtp://127.0.0.1:25", "mail server: smtp://, smtp+starttls:// or smtps://user:password@host:port"
    )
    mail_from: str = setting("mainstay@localhost", "sender of mail: ops@example.org or Mainstay <ops@example.org>")
    channel_proxy: str = setting(
        "", "HTTP proxy that all channels go through, such as http://proxy.example.com:3128; empty: none"
    )
    secret_dirs: str = setting(
        "/run/secrets", "folders, comma-separated, that ${file:} may read besides `secrets` in the data folder"
    )
    secure_cookies: bool = setting(False, "send cookies over HTTPS only; on by itself when `url` is https")
    hosts: str = setting("", "further host names, comma-separated, under which browsers may reach the pages")
    require_second_factor: str = setting(
        "admin,operations,support", "roles, comma-separated, that need a second factor; empty: nobody has to"
    )
    second_factor_grace_days: int = setting(
        7, "days a new person may put the second factor off; until then they cannot hand out access to others"
    )
    trusted_proxies: str = setting("", "addresses, comma-separated, whose X-Forwarded-For is believed")
    log_level: str = setting("info", "debug, info, warning or error")
    log_format: str = setting("auto", "auto, console or json")

    @property
    def base_url(self) -> str:
        """Without a final slash. An address that listens everywhere is reached from here by loopback."""
        host, _, port = self.listen.rpartition(":")
        reachable = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]", "": "127.0.0.1"}.get(host, host)  # noqa: S104  compared
        return (self.url or f"http://{reachable}:{port}").rstrip("/")

    @property
    def key_folder(self) -> Path:
        return Path(self.keys).expanduser().absolute() if self.keys else self.data

    @property
    def cookies_secure(self) -> bool:
        return self.secure_cookies or self.base_url.startswith("https://")
