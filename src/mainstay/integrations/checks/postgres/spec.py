"""What a monitor may say about a PostgreSQL server."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from mainstay.integrations.checks.endpoint_spec import (
    CertificateExpect,
    ClientTarget,
    Query,
    RowsExpect,
    endpoint_of,
)
from mainstay.kernel.ports import CheckKind
from mainstay.kernel.secret import Text


class PostgresTarget(ClientTarget):
    default_port: ClassVar[int | None] = 5432

    address: str = Field(max_length=300, description="host or host:port; default port 5432")
    username: Text = Field("postgres", min_length=1, max_length=500, description="name to sign in with")
    database: Text | None = Field(
        None, min_length=1, max_length=200, description="database to connect to; default: the one named as the user"
    )
    query: Query = Field("SELECT 1", description="statement to run, in a read-only transaction that is rolled back")


class PostgresExpect(RowsExpect, CertificateExpect):
    pass


KIND = CheckKind(
    "postgres", "PostgreSQL: login, query and value", PostgresTarget, PostgresExpect, "address", endpoint_of
)
