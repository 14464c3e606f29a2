"""What a monitor may say about a MongoDB server."""

from __future__ import annotations

import json
from typing import ClassVar, Literal

from pydantic import Field, JsonValue, field_validator

from mainstay.integrations.checks.endpoint_spec import (
    JSON_PLACES,
    CertificateExpect,
    ClientTarget,
    JsonPlaces,
    endpoint_of,
)
from mainstay.kernel.ports import CheckKind
from mainstay.kernel.secret import Text

# Commands that change nothing; https://www.mongodb.com/docs/manual/reference/command/
READING = (
    "aggregate",
    "buildInfo",
    "collStats",
    "connPoolStats",
    "connectionStatus",
    "count",
    "dbStats",
    "distinct",
    "find",
    "hello",
    "hostInfo",
    "listCollections",
    "listDatabases",
    "listIndexes",
    "ping",
    "replSetGetStatus",
    "serverStatus",
    "top",
)


class MongodbTarget(ClientTarget):
    default_port: ClassVar[int | None] = 27017

    address: str = Field(max_length=300, description="host or host:port of one server; default port 27017")
    username: Text | None = Field(None, min_length=1, max_length=500, description="name to sign in with (SCRAM)")
    auth_database: Text = Field(
        "admin", min_length=1, max_length=64, description="database that the user belongs to (authSource)"
    )
    database: Text = Field("admin", min_length=1, max_length=64, description="database that the command is for")
    command: dict[str, JsonValue] = Field(
        {"ping": 1},
        min_length=1,
        max_length=50,
        description="read-only command, its name first, such as {count: jobs, query: {state: waiting}}",
    )

    @field_validator("command")
    @classmethod
    def _reads(cls, value: dict[str, JsonValue]) -> dict[str, JsonValue]:
        name = next(iter(value))
        if name not in READING:
            raise ValueError(f"`{name[:40]}` is not one of the commands that only read: {', '.join(READING)}")
        written = json.dumps(value)
        if len(written) > 10_000:
            raise ValueError("a command has at most 10000 characters")
        if '"$out"' in written or '"$merge"' in written:
            raise ValueError("an aggregation with $out or $merge writes, which a check does not")
        return value


class MongodbExpect(CertificateExpect):
    role: Literal["primary", "secondary", "standalone", "mongos"] | None = Field(
        None, description="required role of the server in its replica set; default: any"
    )
    json_: JsonPlaces = Field({}, alias="json", max_length=50, description=f"in the answer: {JSON_PLACES}")


KIND = CheckKind(
    "mongodb", "MongoDB: login, role, command and values", MongodbTarget, MongodbExpect, "address", endpoint_of
)
