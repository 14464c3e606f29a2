"""What a monitor may say about a MySQL or MariaDB server."""

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


class MysqlTarget(ClientTarget):
    default_port: ClassVar[int | None] = 3306

    address: str = Field(max_length=300, description="host or host:port; default port 3306")
    username: Text = Field("root", min_length=1, max_length=500, description="name to sign in with")
    database: Text | None = Field(None, min_length=1, max_length=200, description="database to use; default: none")
    query: Query = Field("SELECT 1", description="statement to run, in a session that is read-only")


class MysqlExpect(RowsExpect, CertificateExpect):
    pass


KIND = CheckKind("mysql", "MySQL or MariaDB: login, query and value", MysqlTarget, MysqlExpect, "address", endpoint_of)
