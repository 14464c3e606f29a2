"""What a monitor may say about a PromQL query.

The query says something about what it measures: where the API cannot be asked, or has no data, the answer is
unknown, neither up nor down. Whether the API itself works is for another monitor, of the kind `http`.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from mainstay.integrations.checks.http.credentials import without_userinfo
from mainstay.integrations.checks.http.spec import Auth, HttpTarget, Tls
from mainstay.integrations.checks.promql.limits import parse_limit
from mainstay.kernel.ports import CheckKind
from mainstay.kernel.resource import Spec
from mainstay.kernel.secret import Text


class PromqlTarget(Spec):
    query: str = Field(min_length=1, max_length=4000, description='an instant query in PromQL, such as `up{job="api"}`')
    url: Text = Field(
        "http://127.0.0.1:9090",
        max_length=2000,
        description="address of the API without `/api/v1/query`: Prometheus, Thanos, Mimir, VictoriaMetrics, ...",
    )
    headers: dict[str, Text] = Field({}, max_length=50, description="headers to send, such as X-Scope-OrgID")
    auth: Auth | None = Field(None, description="how to sign in")
    tls: Tls = Field(Tls(), description="options of TLS")
    proxy: Text | None = Field(None, max_length=2000, description="http://, https:// or socks5h:// proxy to go through")

    @field_validator("query")
    @classmethod
    def _written(cls, value: str) -> str:
        if not value.strip():
            raise ValueError('the query is empty; write one such as `up{job="api"}`')
        return value

    @model_validator(mode="after")
    def _requestable(self) -> Self:
        if "?" in self.url or "#" in self.url:
            raise ValueError("the url is that of the API alone, such as https://prometheus.example.com")
        HttpTarget(url=self.url, headers=self.headers, auth=self.auth, tls=self.tls, proxy=self.proxy)
        return self


class PromqlExpect(Spec):
    warn: str | None = Field(None, max_length=60, description="values that are degraded, such as `> 80`")
    critical: str | None = Field(None, max_length=60, description="values that are down, such as `>= 95` or `== 0`")
    series: Literal["any", "all"] = Field(
        "any",
        description="any: one series beyond a limit is enough, and the worst is reported; all: only if every series is",
    )
    no_data: Literal["unknown", "up", "degraded", "down"] = Field(
        "unknown", description="what it means when the query returns no series, or none with a number"
    )

    @field_validator("warn", "critical")
    @classmethod
    def _limit(cls, value: str | None) -> str | None:
        if value is not None:
            parse_limit(value)
        return value


KIND = CheckKind(
    "promql",
    "PromQL query against limits",
    PromqlTarget,
    PromqlExpect,
    "query",
    lambda target: without_userinfo(str(target.url)),
)
