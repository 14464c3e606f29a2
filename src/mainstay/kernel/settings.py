"""What a setting is, those of the house itself, and the object that a process has them all in.

A capability declares its settings in its `settings.py`, each a `Setting`, and lists them in its `capability.py`; the
house's own, which stand below all capabilities, are the fields of `Settings`. Read from the environment as
MAINSTAY_<NAME> by `frames.boot`. Those with a `group` may be declared as well, in the resource `settings`, whose spec
is made from them; so is the reference page. What stays in the environment alone is needed before the database is
read, belongs to one machine, or opens access (ADR 26).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

KIND = "settings"  # the resource in which some of them may be declared
# Headings of the form, in its order; others come after them.
GROUPS = ("Mail", "Messages", "Retention", "Snapshots", "Journal", "Sign-in", "Limits")
Origin = Literal["environment", "declared", "default"]
MAIL_SCHEMES = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}  # of `smtp`, with their ports
Value = TypeVar("Value", str, int, bool, Path)


@dataclass(frozen=True, slots=True, eq=False)
class Setting(Generic[Value]):
    """One that is read as `settings[SETTING]`, in the environment alone if it has no `group`, the heading of the form.

    check: `module:attribute` of what raises ValueError or UserError for a text that makes no sense; asked of what is
    declared. bounds: keywords of pydantic's Field.
    """

    name: str
    default: Value
    about: str
    group: str = ""
    check: str = ""
    bounds: Mapping[str, Any] = field(default_factory=dict)


def declarable(name: str, default: Value, about: str, group: str, *, check: str = "", **bounds: Any) -> Setting[Value]:
    """In the environment, or else declared. `title` of the bounds: what the form calls it."""
    return Setting(name, default, about, group, check, bounds)


def _own(default: Any, about: str, group: str = "", *, check: str = "", **bounds: Any) -> Any:
    """A setting of the house, as a field of `Settings`."""
    metadata = {"about": about, "group": group, "check": check, "bounds": bounds}
    return field(default=default, hash=False if group else None, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Settings:
    """Fields are read as such, settings of capabilities by item: `settings.data`, `settings[PINGS_KEPT]`."""

    data: Path = _own(Path(), "data folder; created with mode 0700")
    database: str = _own("", "postgres://user:password@host/name; empty: SQLite in the data folder")
    keys: str = _own(
        "",
        "folder of secret.key, journal.key and vault.key, which several servers on one database must share; empty: "
        "the data folder",
    )
    listen: str = _own("127.0.0.1:8800", "address and port of the web server")
    url: str = _own("", "URL at which people reach it, for links in messages; empty: http:// and the listen address")
    location: str = _own("main", "name of the location that the server's own probers check from")
    probe_allow: str = _own(
        "self",
        "which guarded addresses checks and channels may reach, comma-separated: `self` (loopback and this machine's "
        "own addresses), `link-local`, `metadata`; empty allows none of them, as a shared install should",
    )
    telemetry: str = _own(
        "",
        "where results are kept: clickhouse://user:password@host:port/database, or clickhouses:// for TLS (extra "
        "`clickhouse`), in which ${env:NAME}, ${file:PATH} or ${vault:NAME} may stand for the password; empty: DuckDB "
        "in the data folder",
    )
    requests_per_address: int = _own(
        5_000,
        "requests a second that one client address may make, ten times as many at once; 0: any number",
        "Limits",
        title="Requests a second from one address",
        ge=0,
        le=1_000_000,
    )
    reports_per_key: int = _own(
        1_000,
        "pings and pushes a second to one address of a job, ten times as many at once; 0: any number",
        "Limits",
        title="Reports a second of one job",
        ge=0,
        le=1_000_000,
    )
    smtp: str = _own(
        "smtp://127.0.0.1:25",
        "mail server: smtp://, smtp+starttls:// or smtps://user:password@host:port; ${vault:NAME}, ${env:NAME} or "
        "${file:PATH} may stand for the password, and must where it is declared",
        "Mail",
        check="mainstay.runtime.spec:check_mail_server",
        title="Mail server",
    )
    mail_from: str = _own(
        "mainstay@localhost",
        "sender of mail: ops@example.org or Mainstay <ops@example.org>",
        "Mail",
        check="mainstay.runtime.spec:check_sender",
        title="Sender",
    )
    secure_cookies: bool = _own(False, "send cookies over HTTPS only; on automatically when `url` is https")
    hosts: str = _own("", "further host names, comma-separated, under which browsers may reach the pages")
    trusted_proxies: str = _own("", "proxy addresses, comma-separated, whose X-Forwarded-For is trusted")
    # Not settings: what the environment or options say of those of capabilities, which of all were said there (those
    # that are not as by default, where it is not told), and what is declared besides.
    said: Mapping[str, Any] = field(default_factory=dict, hash=False)
    given: frozenset[str] | None = field(default=None, compare=False, repr=False)
    declared: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    revision: int = field(default=0, compare=False, repr=False)  # that declared it

    @classmethod
    def of(cls, values: Mapping[str, Any], given: frozenset[str] | None = None) -> Settings:
        """From values of any settings by their names."""
        own = {name: value for name, value in values.items() if name in _OWN}
        return cls(**own, said={name: value for name, value in values.items() if name not in _OWN}, given=given)

    def __post_init__(self) -> None:
        if self.given is None:
            said = frozenset(one.name for one in OWN if getattr(self, one.name) != one.default)
            object.__setattr__(self, "given", said | self.said.keys())

    def __getitem__(self, one: Setting[Value]) -> Value:
        """Its present value."""
        if one.name in _OWN:
            return cast("Value", getattr(self, one.name))
        if one.name in self.said:
            return cast("Value", self.said[one.name])
        return cast("Value", self.declared.get(one.name, one.default)) if one.group else one.default

    def take(self, declared: Mapping[str, Any], revision: int) -> None:
        """From now on what is declared holds, wherever the environment says nothing; all else is as by default.

        The one change that this object knows: who keeps it, and asks when a value is used, sees the present one.
        """
        object.__setattr__(self, "declared", dict(declared))
        object.__setattr__(self, "revision", revision)
        for one in OWN:
            if one.group and not self.is_given(one.name):
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


OWN: tuple[Setting[Any], ...] = tuple(
    Setting(one.name, cast("Any", one.default), **one.metadata) for one in dataclasses.fields(Settings) if one.metadata
)
_OWN = {one.name for one in OWN}


def variable(name: str) -> str:
    """The variable of the environment that says it."""
    return f"MAINSTAY_{name.upper()}"
