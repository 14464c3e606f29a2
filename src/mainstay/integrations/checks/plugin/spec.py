"""What a monitor may say about a monitoring plugin.

There is no shell: a text is split into words by the rules of one, and nothing in a word is expanded. Arguments can
be seen by everybody on the machine who can list its processes; give secrets by `env`, where the plugin takes them.
"""

from __future__ import annotations

import re
import shlex
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from mainstay.integrations.checks.plugin.programs import launches
from mainstay.kernel.asking import sort
from mainstay.kernel.duration import Duration
from mainstay.kernel.ports import CheckKind
from mainstay.kernel.resource import Spec
from mainstay.kernel.secret import Text

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,100}")
_LOADER = re.compile(r"LD_|PYTHON|PERL|BASH_|GCONV_PATH|IFS$|PATH$|ENV$")  # these decide what code is run


def _split(value: Any) -> Any:
    """A text in words, before references are filled: what a secret holds never becomes several arguments."""
    if not isinstance(value, str):
        return value
    try:
        return shlex.split(value)
    except ValueError as error:
        raise ValueError(f"`{value[:60]}` cannot be split into words: {error}") from None


class PluginTarget(Spec):
    command: Annotated[
        list[Text],
        BeforeValidator(_split, json_schema_input_type=str | list[str]),
        Field(
            min_length=1,
            max_length=100,
            description="name of a program in MAINSTAY_PLUGIN_DIRS, and its arguments: a text or a list of words",
            json_schema_extra=sort("words"),
        ),
    ]
    env: dict[str, Text] = Field(
        {}, max_length=50, description="environment variables besides PATH, LANG and LC_ALL; secrets by reference"
    )

    @field_validator("command")
    @classmethod
    def _a_program(cls, value: list[str]) -> list[str]:
        name = value[0]
        if not name or name in (".", "..") or ("/" in name and not name.startswith("/")) or "${" in name:
            raise ValueError(f"`{name[:60]}` is not a program; write its name, such as check_http, or its whole path")
        if launches(name):
            raise ValueError(f"`{name[:60]}` runs other programs: name the program itself, or use a script")
        for word in value:
            if "\0" in word or len(word) > 4000:
                raise ValueError("a word of a command has at most 4000 characters and no zero bytes")
        return value

    @field_validator("env")
    @classmethod
    def _variables(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if not _VARIABLE.fullmatch(name) or "\0" in text:
                raise ValueError(f"`{name[:40]}` is not the name of an environment variable")
            if _LOADER.match(name):
                raise ValueError(f"{name} may not be set: it could change which code runs")
        return value


class PluginExpect(Spec):
    degraded_after: Duration | None = Field(None, description="slower than this is degraded")
    down_after: Duration | None = Field(None, description="slower than this is a failure")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.degraded_after is not None and self.down_after is not None and self.degraded_after > self.down_after:
            raise ValueError("degraded_after is above down_after")
        return self


KIND = CheckKind(
    "plugin",
    "Monitoring plugin (Nagios, Icinga, Naemon)",
    PluginTarget,
    PluginExpect,
    "command",
    lambda target: shlex.join(target.command)[:300],
    timeout=20.0,  # the plugins' own limit is 10 s as a rule: let them tell in their words what took so long
    bare=str | list[str],
    scope="programs:write",
)
