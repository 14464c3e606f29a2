"""Boot: settings from the environment, Django, and the registration of all kinds, guards and followers.

Every entry (server, command, test) starts here; nothing else reads the environment's MAINSTAY_ names.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from mainstay.kernel.capability import CAPABILITIES, load
from mainstay.kernel.errors import UserError
from mainstay.kernel.settings import Settings, variable

if TYPE_CHECKING:
    from mainstay.kernel.capability import Surroundings

_current: Settings | None = None
_light = False
_SHORTEST_KEY = 16  # characters
_FORMER = {"seal_channel": "checkpoint_channel"}  # names that settings had before
_HOUSE = "mainstay.runtime.capabilities"  # by name: the list of capabilities stands above all that starts here


def default_data_folder() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "mainstay"


# Files of the data folder, of the server that runs there, or ran last: where people reach it, and the names of the
# settings that its environment says.
SERVER_URL = "server.url"
SERVER_GIVEN = "server.settings"


def load_settings(*, serving: bool = False, **overrides: Any) -> Settings:
    """Settings from MAINSTAY_* and then from `overrides` (None: not given). UserError names a bad one.

    Where neither says how the server is reached, a command goes by what the server on this data folder said when it
    started, so that addresses which it prints work; `serving` is for the server, which goes by what it is told alone.
    """
    values: dict[str, Any] = {"data": default_data_folder()}
    load(f"{_HOUSE}:load_capabilities")()
    for name, one in CAPABILITIES.settings.items():
        raw: Any = os.environ.get(variable(name))
        if raw is None and name in _FORMER:
            raw = os.environ.get(variable(_FORMER[name]))
        if overrides.get(name) is not None:
            raw = overrides[name]
        if raw is not None:
            values[name] = _convert(name, type(one.default).__name__, raw)
    given = frozenset(values)
    values["data"] = Path(values["data"]).expanduser().absolute()
    if not serving and not values.get("url") and not values.get("listen"):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            values["url"] = (values["data"] / SERVER_URL).read_text(encoding="utf-8").strip()
    return Settings.of(values, given)


def remember_address(settings: Settings) -> None:
    """For commands on this data folder. A folder that cannot be written is told of elsewhere."""
    with contextlib.suppress(OSError):
        (settings.data / SERVER_URL).write_text(f"{settings.base_url}\n", encoding="utf-8")
        (settings.data / SERVER_GIVEN).write_text(" ".join(sorted(settings.given or ())), encoding="utf-8")


def said_by_environment(settings: Settings) -> frozenset[str]:
    """Names of settings that the environment says: of this process, or of the server that runs on this data folder."""
    told = ""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        told = (settings.data / SERVER_GIVEN).read_text(encoding="utf-8")
    return frozenset({*(settings.given or ()), *told.split()})


def _convert(name: str, wanted: str, raw: Any) -> Any:
    try:
        if wanted == "int":
            return int(raw)
        if wanted == "bool":
            return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}[
                str(raw).lower()
            ]
    except (ValueError, KeyError):
        kind = "a whole number" if wanted == "int" else "true or false"
        raise UserError(f"{variable(name)} must be {kind}, not `{str(raw)[:40]}`") from None
    return str(raw) if wanted == "str" else Path(raw)


def current_settings() -> Settings:
    return _current or load_settings()


def is_booted() -> bool:
    return _current is not None


def is_light() -> bool:
    return _light


def prepare_data_folder(settings: Settings) -> None:
    """Create the data folder for this user alone. Conflict if a restore into it was not finished."""
    if (settings.data / ".restore").exists():
        from mainstay.store.snapshots.restore_folder import check_finished

        check_finished(settings.data)
    try:
        settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        (settings.data / "secrets").mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        raise UserError(
            f"the data folder {settings.data} cannot be created: {error.strerror}",
            hint="give another one with --data or MAINSTAY_DATA",
        ) from None
    if not settings.key_folder.is_dir():
        raise UserError(
            f"MAINSTAY_KEYS names {settings.key_folder}, which does not exist",
            hint="create it with mode 0700, or check that it is mounted",
        )
    if not settings.database and (settings.data / "version.json").exists():
        from mainstay.store.damage import check_there

        check_there(settings)


def secret_key(folder: Path) -> str:
    """The signing key of this install, made on first use, readable by its owner only. UserError if it cannot be had."""
    try:
        return _secret_key(folder)
    except OSError as error:
        raise UserError(
            f"the key {folder / 'secret.key'} can be neither read nor created: {error.strerror}",
            hint="the folder and its keys must belong to the user that Mainstay runs as",
        ) from None


def _secret_key(folder: Path) -> str:
    path = folder / "secret.key"
    with contextlib.suppress(FileNotFoundError):
        return _sound_key(path)
    key = secrets.token_urlsafe(48)
    temporary = folder / f".secret.key.{os.getpid()}"
    temporary.touch(mode=0o600)
    temporary.write_text(key)
    try:
        os.link(temporary, path)  # fails if another process was first: then its key counts
    except FileExistsError:
        key = _sound_key(path)
    finally:
        temporary.unlink()
    return key


def _sound_key(path: Path) -> str:
    """With an empty key anybody could sign links and sessions, so nothing starts on one."""
    key = path.read_bytes().strip()
    if len(key) < _SHORTEST_KEY or not key.isascii() or not key.decode().isprintable():
        raise UserError(
            f"the key {path} is {'damaged or too short' if key else 'empty'}",
            hint="restore it from a snapshot; or remove it, and a new one is made: everybody signs in again, and "
            "links that were sent before do not work any more",
        )
    return key.decode()


def database_settings(settings: Settings) -> dict[str, Any]:
    if not settings.database:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(settings.data / "state.sqlite3"),
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 5,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-8000",
            },
        }
    url = urlsplit(settings.database)
    if url.scheme not in ("postgres", "postgresql"):
        raise UserError(f"MAINSTAY_DATABASE must begin with postgres://, not `{url.scheme}`")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(url.path.lstrip("/")) or "mainstay",
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "HOST": unquote(url.hostname or ""),
        "PORT": str(url.port or ""),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": _postgres_options(url.query),
    }


def _postgres_options(query: str) -> dict[str, Any]:
    """`?host=/run/postgresql&sslmode=require` of the URL goes to the driver as it is.

    A server that hangs or is cut off must not hold locks that others wait for: its transaction is ended once it has
    said nothing for five seconds, and a connection that leads nowhere is given up about as fast on both sides.
    """
    asked = dict(parse_qsl(query))
    keep = {"keepalives_idle": 3, "keepalives_interval": 1, "keepalives_count": 3, "tcp_user_timeout": 6000}
    options = "-c idle_in_transaction_session_timeout=5s -c tcp_keepalives_idle=3 -c tcp_keepalives_interval=1 "
    options += f"-c tcp_keepalives_count=3 {asked.pop('options', '')}"
    return {"connect_timeout": 5, **keep, "options": options.strip(), **asked}


def register_kinds() -> Surroundings:
    """Fill KINDS without the rest, for what reads and writes files alone; what they were made from."""
    found: Surroundings = load(f"{_HOUSE}:register_kinds")()
    return found


def start_django(settings: Settings, *, light: bool = False) -> None:
    """Set Django up for this process, once. `light` leaves the web out (commands)."""
    global _current, _light
    if _current is not None:
        return
    _current, _light = settings, light
    load(f"{_HOUSE}:load_capabilities")()
    prepare_data_folder(settings)
    os.environ["DJANGO_SETTINGS_MODULE"] = "mainstay.runtime.django_settings"
    import django

    django.setup(set_prefix=False)
    register_kinds()
    load(f"{_HOUSE}:register_followers")()


def migrate() -> None:
    """Bring the tables to this version; safe to run when they are."""
    from django.core.management import call_command

    from mainstay.store import followers

    call_command("migrate", verbosity=0, interactive=False)
    followers.begin()
