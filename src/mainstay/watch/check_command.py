"""`mainstay check`: one check in this process, without server, database or Django; its phases drawn as bars.

Imports are kept to what the check at hand needs: pydantic, for instance, only where options are validated.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mainstay.kernel.errors import UserError
from mainstay.kernel.timespan import parse_duration
from mainstay.watch.settings import CHROMIUM, PLUGIN_DIRS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from mainstay.kernel.ports import CheckKind
    from mainstay.kernel.probing import CheckOrder, CheckResult

# kind -> (the target's field that the argument fills, an example); other kinds tell by their spec, which takes longer
KINDS = {
    "http": ("url", "https://example.com/health"),
    "tcp": ("address", "db.example.com:5432"),
    "tls": ("address", "example.com"),
    "dns": ("name", "example.com"),
    "icmp": ("host", "192.0.2.1"),
}
_EXIT_CODES = {"up": 0, "degraded": 0, "down": 1, "unknown": 2}
_TEXT_WANTED = {"string_type", "literal_error"}  # what pydantic says of a number where text is wanted
_TIMEOUT_LIMIT = 120.0  # seconds, as of a monitor


def check(
    target: Annotated[
        str, typer.Argument(metavar="URL|KIND", help="A URL, host:port, or a kind: http, tcp, tls, dns, ...")
    ],
    where: Annotated[str | None, typer.Argument(metavar="[TARGET]", help="What to check, after a kind.")] = None,
    *,
    option: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", metavar="KEY=VALUE", help="Field of the check, such as type=MX or tls=true."),
    ] = None,
    expect: Annotated[
        list[str] | None,
        typer.Option("--expect", "-e", metavar="KEY=VALUE", help="What to expect, such as status=204 or days=14."),
    ] = None,
    timeout: Annotated[str, typer.Option("--timeout", "-t", help="Hard limit of the check.")] = "10s",
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Run one check now and show its phases.

    Exit code 0: up or degraded, 1: down, 2: unknown, or wrong usage.
    """
    try:
        order = make_order(target, where, option or [], expect or [], timeout)
    except UserError as error:
        typer.echo(f"mainstay check: {error}", err=True)
        raise typer.Exit(2) from None
    result = run(order)
    if as_json:
        typer.echo(to_json(order, result))
    else:
        from mainstay.watch.check_drawing import draw

        draw(order, result)
    raise typer.Exit(_EXIT_CODES[result.verdict])


def run(order: CheckOrder) -> CheckResult:
    """The check as a prober would run it, with the guard that the settings say."""
    from mainstay.frames.boot import load_settings
    from mainstay.integrations.addresses import Guard
    from mainstay.kernel.probing import Configure
    from mainstay.watch.prober.context import Context
    from mainstay.watch.prober.dispatch import prepare
    from mainstay.watch.prober.trust import default_ca_file

    settings = load_settings()
    configured = Configure(settings.probe_allow, plugin_dirs=settings[PLUGIN_DIRS], chromium=settings[CHROMIUM])
    guard = Guard.from_settings(settings.probe_allow)
    context = Context(guard, ca_file=default_ca_file(), configured=configured)
    at, began = time.time(), time.perf_counter()
    result = asyncio.run(prepare(order).run(context))
    result.uid, result.at, result.scheduled = order.uid, at, False
    result.duration = result.duration or time.perf_counter() - began
    return result


def make_order(
    first: str, second: str | None, options: Sequence[str], expect: Sequence[str], timeout: str
) -> CheckOrder:
    """UserError says what is wrong with the arguments."""
    from mainstay.kernel.probing import CheckOrder

    kind, address = _kind_and_address(first, second)
    target, expected = {_field(kind): address}, {}
    secrets: list[str] = []
    if options or expect or kind not in KINDS:
        spec = _spec(kind)
        mistakes: list[str] = []
        target = _validated(spec.target, options, "--set", mistakes, target)
        expected = _validated(spec.expect, expect, "--expect", mistakes, {})
        if mistakes:
            raise UserError("; ".join(mistakes))
        target, expected = _fill(target, secrets), _fill(expected, secrets)
    return CheckOrder(
        uid="check",
        kind=kind,
        interval=0.0,
        timeout=_seconds(timeout),
        options={"target": target, "expect": expected, "detail": True},
        secrets=tuple(secrets),
    )


def _kind_and_address(first: str, second: str | None) -> tuple[str, str]:
    if second is not None:
        if first not in (known := [*KINDS, *_more_kinds()]):
            from mainstay.kernel.diagnostics import did_you_mean

            raise UserError(f"`{first[:40]}` is not a kind of check", hint=did_you_mean(first, known) or _kinds_hint())
        if first == "http" and "://" not in second:
            second = f"https://{second}"
        return first, second
    if first.endswith((".yaml", ".yml", ".json")) and Path(first).is_file():
        raise UserError(f"`{first[:80]}` is a file", hint="`mainstay plan FILE` says whether it is valid")
    if first in KINDS:
        raise UserError(f"{first} needs a target", hint=f"such as `mainstay check {first} {KINDS[first][1]}`")
    if "://" not in first and first in _more_kinds():
        default = _spec(first).target.model_fields[_field(first)].default
        if not isinstance(default, str):
            raise UserError(f"{first} needs a target", hint=f"its `{_field(first)}`, in quotes where it has spaces")
        return first, default
    return _by_scheme(first) if "://" in first else _bare(first)


def _by_scheme(url: str) -> tuple[str, str]:
    scheme, _, rest = url.partition("://")
    if scheme.lower() == "tcp":
        return "tcp", rest
    if scheme.lower() not in ("http", "https"):
        raise UserError(f"`{url[:80]}` is not a URL with http://, https:// or tcp://", hint=_kinds_hint())
    return "http", url


def _more_kinds() -> list[str]:
    """Kinds beside KINDS that a prober can run, from their folders."""
    import mainstay.integrations.checks

    folders = (path.parent for place in mainstay.integrations.checks.__path__ for path in Path(place).glob("*/run.py"))
    return sorted(folder.name for folder in folders if folder.name not in KINDS)


def _spec(kind: str) -> CheckKind:
    import importlib

    found: CheckKind = importlib.import_module(f"mainstay.integrations.checks.{kind}.spec").KIND
    return found


def _field(kind: str) -> str:
    return KINDS[kind][0] if kind in KINDS else _spec(kind).shorthand


def _bare(text: str) -> tuple[str, str]:
    """`host:port` is TCP; a host, with a path or not, a site."""
    from mainstay.integrations.checks.endpoints import check_host, split_endpoint

    host, slash, _ = text.partition("/")
    try:
        if not slash and host.rpartition(":")[2].isdigit() and (host.count(":") == 1 or host.startswith("[")):
            split_endpoint(host)
            return "tcp", host
        check_host(host.partition(":")[0])
    except ValueError as error:
        raise UserError(str(error), hint=_kinds_hint()) from None
    return "http", f"https://{text}"


def _kinds_hint() -> str:
    return "write a URL, host:port, or a kind and its target: " + ", ".join([*KINDS, *_more_kinds()])


def _seconds(text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise UserError(f"--timeout: {error}") from None
    if not 0 < seconds <= _TIMEOUT_LIMIT:
        raise UserError(f"--timeout must be above 0 and at most {_TIMEOUT_LIMIT:g} s")
    return seconds


def parse_pairs(pairs: Sequence[str], what: str, texts: Collection[str] = ()) -> dict[str, Any]:
    """`KEY=VALUE` to a document: JSON where it is JSON, else text; `a.b=1` nests; a repeated key makes a list.

    `texts`: keys whose values are text whatever they look like.
    """
    document: dict[str, Any] = {}
    for pair in pairs:
        key, equals, written = pair.partition("=")
        if not equals or not key:
            raise UserError(f"{what} {pair[:60]} is not KEY=VALUE")
        try:
            value = written if key in texts else json.loads(written)
        except (ValueError, RecursionError):
            value = written
        *path, last = _path(key)
        inner = document
        for name in path:
            inner = inner.setdefault(name, {})
            if not isinstance(inner, dict):
                raise UserError(f"{what} {key}: {name} already has a value")
        if last in inner:
            before = inner[last]
            value = [*(before if isinstance(before, list) else [before]), value]
        inner[last] = value
    return document


def _path(key: str) -> list[str]:
    return ["json", key[5:]] if key.startswith("json.") else key.split(".")


def _validated(
    model: Any, pairs: Sequence[str], option: str, mistakes: list[str], more: dict[str, Any]
) -> dict[str, Any]:
    """The document as the kind's spec gives it back, empty after mistakes, which are added.

    A value that looks like a number, where the spec says text, is text: `http_version=2`.
    """
    from pydantic import ValidationError

    try:
        found: dict[str, Any] = model.model_validate(parse_pairs(pairs, option) | more).to_document()
    except ValidationError as error:
        wanted = [list(map(str, one["loc"])) for one in error.errors() if one["type"] in _TEXT_WANTED]
    else:
        return found
    keys = [pair.partition("=")[0] for pair in pairs]
    texts = {key for key in keys if any(_path(key) == where[: len(_path(key))] for where in wanted)}
    try:
        found = model.model_validate(parse_pairs(pairs, option, texts) | more).to_document()
    except ValidationError as error:
        mistakes += [_mistake(option, one, model) for one in error.errors(include_url=False)]
        return {}
    return found


def _mistake(option: str, error: Any, model: Any) -> str:
    from mainstay.kernel.diagnostics import did_you_mean

    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        known = {field.alias or name for name, field in model.model_fields.items()}
        guess = did_you_mean(where, known)
        return f"{option} {where}: unknown key{', ' + guess if guess else '; known are ' + ', '.join(sorted(known))}"
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{option} {where}: {message}" if where else f"{option}: {message}"


def _fill(document: dict[str, Any], secrets: list[str]) -> dict[str, Any]:
    """References replaced by what this user's environment and files hold; the values are remembered for masking."""
    from mainstay.kernel.secret import resolve

    def look_up(source: str, name: str) -> str:
        try:
            value = os.environ[name] if source == "env" else Path(name).read_text(encoding="utf-8").strip()
        except KeyError:
            raise UserError(f"the environment variable {name} is not set") from None
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"the file {name} cannot be read: {error}") from None
        secrets.append(value)
        return value

    filled: dict[str, Any] = resolve(document, look_up)
    return filled


def to_json(order: CheckOrder, result: CheckResult) -> str:
    import msgspec

    document = {"kind": order.kind, "target": address_of(order)} | {
        name: getattr(result, name) for name in ("verdict", "code", "message", "at", "duration", "phases", "evidence")
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def address_of(order: CheckOrder) -> str:
    """What the person asked for, without the values of references."""
    from mainstay.kernel.masking import Masker

    asked = order.options["target"].get(_field(order.kind), order.kind)
    shown = " ".join(map(str, asked)) if isinstance(asked, list) else str(asked)
    return Masker(order.secrets).text(shown)
