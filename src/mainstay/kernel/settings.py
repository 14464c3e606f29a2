"""Every setting of the program, with its default and what it does.

Read from the environment as MAINSTAY_<NAME> by `frames.boot`. Those with a `group` may be declared as well, in the
resource `settings`, whose spec is made from this table; so is the reference page. What stays in the environment alone
is needed before the database is read, belongs to one machine, or opens access (ADR 26).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mainstay.kernel.asking import refers

if TYPE_CHECKING:
    from collections.abc import Mapping

KIND = "settings"  # the resource in which some of them may be declared
# Headings of the form, in its order.
Group = Literal["Mail", "Messages", "Retention", "Snapshots", "Journal", "Sign-in", "Limits"]
Origin = Literal["environment", "declared", "default"]
MAIL_SCHEMES = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}  # of `smtp`, with their ports


def setting(default: Any, about: str) -> Any:
    """In the environment alone."""
    return field(default=default, metadata={"about": about})


def declarable(default: Any, about: str, group: Group, **schema: Any) -> Any:
    """In the environment, or else declared. `schema`: keywords of pydantic's Field that bound it."""
    return field(default=default, hash=False, metadata={"about": about, "group": group, "schema": schema})


@dataclass(frozen=True, slots=True)
class Settings:
    data: Path = setting(Path(), "data folder; created with mode 0700")
    database: str = setting("", "postgres://user:password@host/name; empty: SQLite in the data folder")
    node: str = setting("", "name of this server among several on one database; empty: the host name")
    keys: str = setting(
        "",
        "folder of secret.key, journal.key and vault.key, which several servers on one database must share; empty: "
        "the data folder",
    )
    listen: str = setting("127.0.0.1:8800", "address and port of the web server")
    url: str = setting("", "URL at which people reach it, for links in messages; empty: http:// and the listen address")
    probers: int = setting(1, "prober processes")
    location: str = setting("main", "name of the location that the server's own probers check from")
    probe_allow: str = setting(
        "self",
        "which guarded addresses checks and channels may reach, comma-separated: `self` (loopback and this machine's "
        "own addresses), `link-local`, `metadata`; empty allows none of them, as a shared install should",
    )
    plugin_dirs: str = setting(
        "",
        "folders, comma-separated, whose programs checks of the kind `plugin` may run, such as "
        "/usr/lib/nagios/plugins; empty: none. What a program connects to is not limited by `probe_allow`",
    )
    chromium: str = setting("", "browser that checks of the kind `browser` control; empty: `chromium` on the PATH")
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
    raw_days: int = declarable(
        7, "days to keep every single result", "Retention", title="Single results, in days", ge=1, le=3650
    )
    minute_days: int = declarable(
        14, "days to keep roll-ups by minute", "Retention", title="Roll-ups by minute, in days", ge=1, le=3650
    )
    hour_days: int = declarable(
        100, "days to keep roll-ups by hour", "Retention", title="Roll-ups by hour, in days", ge=1, le=3650
    )
    day_days: int = declarable(
        1100, "days to keep roll-ups by day", "Retention", title="Roll-ups by day, in days", ge=1, le=36_500
    )
    archive_to: str = declarable(
        "",
        "folder or s3://bucket/prefix (extra `s3`) to which results older than `raw_days` go as Parquet; "
        "empty: they are deleted",
        "Retention",
        title="Archive",
    )
    archive_days: int = declarable(
        365,
        "days to keep archived results; 0: for ever",
        "Retention",
        title="Archived results, in days",
        ge=0,
        le=36_500,
    )
    ping_body_limit: int = declarable(
        100_000, "bytes of a ping's body that are kept", "Limits", title="Body of a ping, in bytes", ge=0, le=10_000_000
    )
    requests_per_address: int = declarable(
        5_000,
        "requests a second that one client address may make, ten times as many at once; 0: any number",
        "Limits",
        title="Requests a second from one address",
        ge=0,
        le=1_000_000,
    )
    reports_per_key: int = declarable(
        1_000,
        "pings and pushes a second to one address of a job, ten times as many at once; 0: any number",
        "Limits",
        title="Reports a second of one job",
        ge=0,
        le=1_000_000,
    )
    ping_spool_limit: int = setting(
        256, "megabytes of pings to spool on this server's disk while a PostgreSQL database is unavailable"
    )
    mail_listen: str = setting(
        "", "address and port at which pings by mail are accepted, such as 0.0.0.0:25; empty: none (extra `mail`)"
    )
    pings_kept: int = declarable(
        100, "pings kept per heartbeat", "Retention", title="Pings of each heartbeat", ge=1, le=100_000
    )
    notification_expiry: int = declarable(
        86_400,
        "seconds after which delivery of a notification is abandoned",
        "Messages",
        title="Give up after, in seconds",
        ge=60,
        le=2_592_000,
    )
    alert_days: int = declarable(
        400,
        "days to keep resolved alerts, with their messages",
        "Retention",
        title="Alerts that are over, in days",
        ge=1,
        le=36_500,
    )
    vault_key: str = setting(
        "",
        "where the key of stored secrets comes from: file:/path, env:NAME or command:program arguments; empty: "
        "`vault.key` in the data folder",
    )
    snapshot_to: str = declarable(
        "",
        "folder or s3://bucket/prefix (extra `s3`) for snapshots; empty: `snapshots` in the data folder",
        "Snapshots",
        title="Place",
    )
    snapshot_every: str = declarable(
        "", "how often the server takes a snapshot, such as 1d; empty: only on request", "Snapshots", title="How often"
    )
    snapshot_keep: str = declarable(
        "7d,4w",
        "snapshots to keep: the newest of each of the last 7 days and 4 weeks",
        "Snapshots",
        title="Which stay",
    )
    snapshot_key: str = setting(
        "", "${env:NAME} or ${file:PATH} of the key that encrypts snapshots; empty: they are not encrypted"
    )
    snapshot_before_upgrade: bool = setting(True, "take a snapshot before a new version changes the tables")
    journal_to: str = setting(
        "",
        "folder or s3://bucket/prefix (extra `s3`) for the sealed segments of the journal, which several servers must "
        "share; empty: `journal` in the data folder",
    )
    journal_days: int = declarable(
        0,
        "days that sealed entries stay in the database, after which they are read from their segments; 0: for ever",
        "Journal",
        title="Entries in the database, in days",
        ge=0,
        le=36_500,
    )
    journal_segment_days: int = declarable(
        0,
        "days after which segments whose entries have left the database are deleted, all but their seals; 0: never",
        "Journal",
        title="Segments, in days",
        ge=0,
        le=36_500,
    )
    seal_channel: str = declarable(
        "",
        "channel that receives each seal of the journal, for safekeeping elsewhere; empty: none",
        "Journal",
        title="Channel for seals",
        json_schema_extra=refers("channel"),
    )
    smtp: str = declarable(
        "smtp://127.0.0.1:25",
        "mail server: smtp://, smtp+starttls:// or smtps://user:password@host:port; ${vault:NAME}, ${env:NAME} or "
        "${file:PATH} may stand for the password, and must where it is declared",
        "Mail",
        title="Mail server",
    )
    mail_from: str = declarable(
        "mainstay@localhost", "sender of mail: ops@example.org or Mainstay <ops@example.org>", "Mail", title="Sender"
    )
    channel_proxy: str = declarable(
        "",
        "HTTP proxy that all channels go through, such as http://proxy.example.com:3128, with references as in `smtp`; "
        "empty: none",
        "Messages",
        title="Proxy",
    )
    secret_dirs: str = setting(
        "/run/secrets", "folders, comma-separated, that ${file:} may read besides `secrets` in the data folder"
    )
    secure_cookies: bool = setting(False, "send cookies over HTTPS only; on automatically when `url` is https")
    hosts: str = setting("", "further host names, comma-separated, under which browsers may reach the pages")
    require_second_factor: str = declarable(
        "admin,operations,support",
        "roles, comma-separated, that need a second factor; empty: none",
        "Sign-in",
        title="Roles that need a second factor",
    )
    second_factor_grace_days: int = declarable(
        7,
        "days that a new person may postpone the second factor; until it is set up they cannot grant access to others",
        "Sign-in",
        title="Time to set it up, in days",
        ge=0,
        le=365,
    )
    trusted_proxies: str = setting("", "proxy addresses, comma-separated, whose X-Forwarded-For is trusted")
    log_level: str = setting("info", "debug, info, warning or error")
    log_format: str = setting("auto", "auto, console or json")
    # Not settings: which of them were said in the environment or as options (those that are not as by default, where
    # it is not told), and what is declared besides.
    given: frozenset[str] | None = field(default=None, compare=False, repr=False)
    declared: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    revision: int = field(default=0, compare=False, repr=False)  # that declared it

    def __post_init__(self) -> None:
        if self.given is None:
            said = frozenset(one.name for one in SETTINGS if getattr(self, one.name) != one.default)
            object.__setattr__(self, "given", said)

    def take(self, declared: Mapping[str, Any], revision: int) -> None:
        """From now on what is declared holds, wherever the environment says nothing; all else is as by default.

        The one change that this object knows: who keeps it, and asks when a value is used, sees the present one.
        """
        object.__setattr__(self, "declared", dict(declared))
        object.__setattr__(self, "revision", revision)
        for one in DECLARABLE:
            if not self.is_given(one.name):
                object.__setattr__(self, one.name, declared.get(one.name, one.default))

    def is_given(self, name: str) -> bool:
        return name in (self.given or ())

    def origin(self, name: str) -> Origin:
        """Where the present value comes from."""
        if self.is_given(name):
            return "environment"
        return "declared" if name in self.declared else "default"

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


SETTINGS = tuple(one for one in dataclasses.fields(Settings) if "about" in one.metadata)
DECLARABLE = tuple(one for one in SETTINGS if "group" in one.metadata)


def variable(name: str) -> str:
    """The variable of the environment that says it."""
    return f"MAINSTAY_{name.upper()}"
