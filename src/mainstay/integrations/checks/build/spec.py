"""What a monitor may say about the deployments or builds of a project.

A provider that cannot be asked says nothing about the project: unknown, neither up nor down.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from mainstay.integrations.checks.build.providers import URLS, request_of
from mainstay.integrations.checks.http.credentials import without_userinfo
from mainstay.integrations.checks.http.spec import HttpTarget, Tls
from mainstay.kernel.duration import Duration
from mainstay.kernel.jsonpath import parse_path
from mainstay.kernel.ports import CheckKind
from mainstay.kernel.resource import Spec
from mainstay.kernel.secret import Text

Word = Annotated[str, Field(min_length=1, max_length=60)]
Part = Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z0-9_.\-]*$")]


class BuildTarget(Spec):
    provider: Literal["vercel", "netlify", "railway", "github", "json"] = Field(description="whose API is queried")
    project: Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z0-9_.\-]*(/[A-Za-z0-9_.\-]+)?$")] = Field(
        "", description="id of the project (Vercel, Railway), of the site (Netlify), or owner/name (GitHub)"
    )
    token: Text | None = Field(None, max_length=4000, description="token of the API, sent as bearer")
    branch: str = Field("", max_length=200, description="builds of this branch only (Vercel, Netlify, GitHub)")
    environment: Part = Field("", description="production or preview (Vercel), id of the environment (Railway)")
    service: Part = Field("", description="id of the service (Railway)")
    team: Part = Field("", description="id of the team (Vercel)")
    workflow: Part = Field("", description="file name or id of the workflow (GitHub Actions); default: any")
    url: Text | None = Field(None, max_length=2000, description="address of the API; json: of the document")
    headers: dict[str, Text] = Field({}, max_length=50, description="headers to send, such as Project-Access-Token")
    state: str = Field("$.state", max_length=200, description="json: path to the state of the newest build")
    began: str = Field("", max_length=200, description="json: path to its start time, in RFC 3339 or epoch seconds")
    succeeded: list[Word] = Field(
        ["success", "succeeded", "ready", "passed"], max_length=40, description="json: states that count as successful"
    )
    failed: list[Word] = Field(
        ["error", "failed", "failure", "crashed"], max_length=40, description="json: states that count as failed"
    )
    tls: Tls = Field(Tls(), description="options of TLS")
    proxy: Text | None = Field(None, max_length=2000, description="http://, https:// or socks5h:// proxy to go through")

    @field_validator("state", "began")
    @classmethod
    def _path(cls, value: str) -> str:
        if value:
            parse_path(value)
        return value

    @model_validator(mode="after")
    def _requestable(self) -> Self:
        if self.provider == "json" and self.url is None:
            raise ValueError("the provider `json` needs the `url` of a document that tells the newest build")
        if self.provider != "json" and not self.project:
            raise ValueError(f"the provider `{self.provider}` needs a `project`")
        if self.provider == "github" and "/" not in self.project:
            raise ValueError("a project at GitHub is written owner/name")
        if self.provider == "railway" and not self.service:
            raise ValueError("a project at Railway needs the `service` whose deployments count")
        HttpTarget(url=self.url or URLS[self.provider], headers=self.headers, tls=self.tls, proxy=self.proxy)
        return self


class BuildExpect(Spec):
    within: Duration = Field(1800.0, ge=1, description="a build that is queued or running for longer is degraded")


def _address(target: BuildTarget) -> str:
    return without_userinfo(str(request_of(target.to_document())["url"]))


KIND = CheckKind("build", "Newest deployment or build", BuildTarget, BuildExpect, "provider", _address)
