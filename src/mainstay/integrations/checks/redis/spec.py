"""What a monitor may say about a Redis server, or Valkey, KeyDB, Dragonfly."""

from __future__ import annotations

import shlex
from typing import ClassVar

from pydantic import Field, field_validator

from mainstay.integrations.checks.endpoint_spec import CertificateExpect, ClientTarget, ValueExpect, endpoint_of
from mainstay.kernel.ports import CheckKind
from mainstay.kernel.secret import Text


class RedisTarget(ClientTarget):
    default_port: ClassVar[int | None] = 6379

    address: str = Field(max_length=300, description="host or host:port; default port 6379")
    username: Text | None = Field(
        None, min_length=1, max_length=500, description="ACL user; default: the password is the server's own"
    )
    database: int = Field(0, ge=0, le=100_000, description="number of the database")
    command: Text = Field(
        "PING",
        min_length=1,
        max_length=10_000,
        description="command and its arguments, in quotes where they hold spaces: GET, LLEN, EXISTS … with a key",
    )

    @field_validator("command")
    @classmethod
    def _words(cls, value: str) -> str:
        try:
            words = shlex.split(value)
        except ValueError:
            raise ValueError(f"`{value[:60]}` has a quote that is not closed") from None
        if not words:
            raise ValueError("a command has at least one word")
        return value


class RedisExpect(ValueExpect, CertificateExpect):
    value: str | int | float | bool | None = Field(
        None,
        description="what the command must give (of a list its first element): itself, or text that begins with an "
        "operator (`>= 3`, `< 10`, `!= stopped`, `=~ pattern`); default: anything but an error",
    )


KIND = CheckKind("redis", "Redis: login, command and value", RedisTarget, RedisExpect, "address", endpoint_of)
