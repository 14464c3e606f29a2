"""Write the reference pages that are made from the code; with --check, fail if one is out of step.

Pages: docs/reference/{settings,events,scopes,commands,error-codes,file-format,metrics}.md and checks/<kind>.md there.
"""

from __future__ import annotations

import argparse
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from file_format import check_pages, file_format

from mainstay.kernel import errors
from mainstay.kernel.capability import CAPABILITIES, load
from mainstay.kernel.event import Event
from mainstay.kernel.settings import variable
from mainstay.runtime.capabilities import load_capabilities

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference"


def settings() -> Iterator[str]:
    yield "# Settings\n"
    yield "Every setting is read from the environment at start. Options of `mainstay up` win over it. Those with a name"
    yield "under *declared as* may be declared as well, below [`settings`](file-format.md#settings) in a file or on the"
    yield "page of settings; they hold at once, on all servers, wherever the environment says nothing. The others are"
    yield "needed before the database is read, belong to one machine, or would open access.\n"
    yield "| name | declared as | default | what it does |\n|---|---|---|---|"
    for field in CAPABILITIES.settings.values():
        default = (
            "`~/.local/share/mainstay`"
            if field.name == "data"
            else f"`{field.default}`"
            if field.default != ""
            else "empty"
        )
        about = field.about.replace("|", "\\|")
        declared = f"`{field.name}`" if field.group else ""
        yield f"| `{variable(field.name)}` | {declared} | {default} | {about} |"


def events() -> Iterator[str]:
    yield "# Events\n"
    yield "Every kind of entry that the journal holds, and the fields of its `data`. Its `subject` says as kind/name"
    yield "what it is about; data of alerts repeat it. Times are seconds since the Unix epoch where they are numbers,"
    yield "and ISO 8601 where they are text.\n"
    for capability in CAPABILITIES:
        if capability.events:
            yield f"## {capability.about}\n"
        for event in capability.events:
            yield f"### {event.kind}\n\n{event.title}. {event.__doc__}\n"
            yield from (f"- {line}" for line in _fields(event))
            yield ""


def _fields(event: type[Event]) -> Iterator[str]:
    hints = typing.get_type_hints(event, include_extras=True)
    for name, key in zip(event.__struct_fields__[1:], event.__struct_encode_fields__[1:], strict=True):
        kind, tells = typing.get_args(hints[name])[:2]
        optional = type(None) in typing.get_args(kind)
        said = [JSON[_bare(kind)], *(["may be left out"] if optional else [])]
        yield f"`{key}` ({', '.join(said)}): {tells}"


JSON = {str: "text", int: "number", float: "number", bool: "true or false", dict: "object", list: "list"}


def _bare(kind: Any) -> type:
    """`dict` of `dict[str, int] | None`, and the type of a Literal's values."""
    options = [one for one in typing.get_args(kind) if one is not type(None)]
    if typing.get_origin(kind) is typing.Literal:
        return type(options[0])
    if type(None) in typing.get_args(kind):
        return _bare(options[0])
    return typing.get_origin(kind) or kind


def scopes() -> Iterator[str]:
    yield "# Scopes\n"
    yield "What a role or a token may do. Every verb checks its scope before anything else.\n"
    yield "| scope | allows to |\n|---|---|"
    yield from (f"| `{name}` | {scope.about} |" for name, scope in CAPABILITIES.scopes.items())


def commands() -> Iterator[str]:
    import click

    from mainstay.runtime.app import cli
    from mainstay.runtime.app import commands as every

    yield "# Commands\n"
    yield "`mainstay --data DIR COMMAND`; every command has `--help`. Exit codes, where nothing else is said: 0 done,"
    yield "1 failed, 2 wrong usage or wrong input.\n"
    context = click.Context(cli, info_name="mainstay", terminal_width=100)
    for name, command in every().items():
        found: Any = cli.get_command(context, name)
        yield f"## {name}\n\n{found.inner.help or f'{command.summary}.'}\n"
        yield from _usage(found.inner, f"mainstay {name}")


def _usage(command: Any, name: str) -> Iterator[str]:
    """A command of typer, which has its own copy of click's classes."""
    context = command.context_class(command, info_name=name, terminal_width=100)
    yield f"`{' '.join(context.get_usage().split())}`"
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record and "--help" not in record[0]:
            yield f"- `{record[0]}` {' '.join(record[1].split())}".rstrip()
    yield ""
    for nested, inner in getattr(command, "commands", {}).items():
        yield f"### {name} {nested}\n\n{inner.help or inner.get_short_help_str()}\n"
        yield from _usage(inner, f"{name} {nested}")


def error_codes() -> Iterator[str]:
    yield "# Error codes\n"
    yield "Errors of the API and the command line; the message says what happened, the hint what to do.\n"
    yield "| code | HTTP status | who can mend it | a repeat may help |\n|---|---|---|---|"
    found = [
        value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, errors.MainstayError)
    ]
    for kind in found:
        if kind is not errors.MainstayError:
            yield f"| `{kind.code}` | {kind.status} | {kind.blame} | {'yes' if kind.retryable else 'no'} |"


def metrics() -> Iterator[str]:
    yield "# Metrics\n"
    yield "What `/api/metrics` says of Mainstay itself and of what it watches; counters begin at 0 with every start."
    yield "The `probe_*` families beside these are those of the blackbox exporter, for each monitor's newest result.\n"
    yield "| name | type | what it says |\n|---|---|---|"
    suffix = {"counter": "_total", "info": "_info"}
    every = [metric for one in CAPABILITIES if one.metrics for metric in load(f"{one.metrics}:METRICS")]
    for metric in sorted(every, key=lambda one: one.name):
        yield f"| `mainstay_{metric.name}{suffix.get(metric.type, '')}` | {metric.type} | {metric.help} |"


PAGES: dict[str, Callable[[], Iterator[str]]] = {
    "settings": settings,
    "events": events,
    "scopes": scopes,
    "commands": commands,
    "error-codes": error_codes,
    "file-format": file_format,
    "metrics": metrics,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    load_capabilities()
    stale = []
    pages = {name: page() for name, page in PAGES.items()}
    pages |= {f"checks/{name}": page for name, page in check_pages().items()}
    for name, page in pages.items():
        path = FOLDER / f"{name}.md"
        text = "\n".join(page).strip() + "\n"
        if not path.exists() or path.read_text() != text:
            stale.append(path.name)
            if not check:
                path.parent.mkdir(exist_ok=True)
                path.write_text(text)
    if check and stale:
        sys.exit(f"out of step with the code: {', '.join(stale)}; run `make docs`")


if __name__ == "__main__":
    main()
