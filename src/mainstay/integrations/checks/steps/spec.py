"""What a monitor may say about several requests in order.

Requests are written as those of the check `http`, and expectations too. A value that a step saves is `{{name}}` in
the steps after it: in URLs (percent-encoded, unless the URL begins with it), headers, bodies and expectations.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, JsonValue, field_validator, model_validator

from mainstay.integrations.checks.http.credentials import without_userinfo
from mainstay.integrations.checks.http.spec import HttpExpect, HttpTarget, Method, Redirects, Tls
from mainstay.integrations.checks.steps.variables import NAME, PLACE, check_places, fill_url, names_in
from mainstay.kernel.asking import first, shorthand
from mainstay.kernel.diagnostics import did_you_mean
from mainstay.kernel.duration import Duration
from mainstay.kernel.jsonpath import parse_path
from mainstay.kernel.patterns import check_pattern
from mainstay.kernel.ports import CheckKind
from mainstay.kernel.resource import Spec
from mainstay.kernel.secret import Text


class StepBasic(Spec):
    username: Text = Field(max_length=500, description="name to sign in with")
    password: Text = Field(description="reference to the password, or `{{name}}`")


class StepAuth(Spec):
    """How to sign in; exactly one of the three."""

    model_config = ConfigDict(
        json_schema_extra=first(
            either={"Name and password": ("basic",), "Digest": ("digest",), "Bearer token": ("bearer",)}
        )
    )

    basic: StepBasic | None = Field(None, description="HTTP basic authentication")
    digest: StepBasic | None = Field(None, description="HTTP digest authentication")
    bearer: Text | None = Field(
        None, description="reference to a token, or `{{name}}`, sent as `Authorization: Bearer`"
    )


class Save(Spec):
    """Where a value stands in the answer; exactly one of the three."""

    model_config = ConfigDict(
        json_schema_extra=first(
            either={"In the body, by JSON path": ("json",), "In a header": ("header",), "By a pattern": ("regex",)}
        )
    )

    json_: str | None = Field(None, alias="json", max_length=500, description="JSON path, such as $.items[0].id")
    header: str | None = Field(None, max_length=100, description="name of a header")
    regex: str | None = Field(
        None, min_length=1, max_length=1000, description="pattern in the body; its first group, or the whole match"
    )
    secret: bool = Field(
        False,
        description="mask the value in evidence; values named like credentials, or sent as such, are masked anyway",
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(part is not None for part in (self.json_, self.header, self.regex)) != 1:
            raise ValueError("a saved value needs exactly one of json, header and regex")
        if self.json_ is not None:
            parse_path(self.json_)
        if self.regex is not None:
            check_pattern(self.regex)
        return self


def _from_path(value: Any) -> Any:
    return {"json": value} if isinstance(value, str) else value


class Step(Spec):
    """One request, what it must answer, and what is kept of the answer."""

    model_config = ConfigDict(json_schema_extra=first("name", "url", "method", "save"))

    name: str = Field("", max_length=60, description="display name; default: step-1, step-2, ...")
    url: Text = Field(max_length=2000, description="what to request")
    method: Method = Field("GET", description="method of the request")
    headers: dict[str, Text] = Field({}, max_length=50, description="headers to send")
    body: Text | None = Field(None, description="body to send as it is")
    json_: JsonValue = Field(None, alias="json", description="body to send as JSON")
    form: dict[str, Text] | None = Field(None, max_length=100, description="fields to send as an HTML form")
    auth: StepAuth | None = Field(None, description="how to sign in")
    redirects: Redirects = Field(Redirects(), description="what to do with redirects")
    expect: HttpExpect = Field(HttpExpect(), description="what to expect of the answer, as in the check `http`")
    save: dict[
        str,
        Annotated[
            Save,
            BeforeValidator(_from_path, json_schema_input_type=str | Save),
            Field(json_schema_extra=shorthand("json")),
        ],
    ] = Field({}, max_length=30, description="name -> where to find its value in the answer: a JSON path, or a mapping")

    @field_validator("save")
    @classmethod
    def _names(cls, value: dict[str, Save]) -> dict[str, Save]:
        for name in value:
            if not NAME.fullmatch(name):
                raise ValueError(f"`{name[:40]}` is not a variable name; use letters, digits and _")
        return value

    @model_validator(mode="after")
    def _requestable(self) -> Self:
        """The rules of the check `http`, where what comes in later stands as a reference does there."""
        if sum(part is not None for part in (self.body, self.json_, self.form)) > 1:
            raise ValueError("give only one of body, json and form")
        document = self.model_dump(by_alias=True, exclude_defaults=True, exclude={"name", "save", "expect", "form"})
        check_places(document)
        check_places(self.form)
        check_places(self.expect.to_document())
        if self.form is not None:
            document["body"] = "form"
        HttpTarget.model_validate(_stood_in(document))
        return self

    @property
    def uses(self) -> set[str]:
        return set(names_in(self.to_document()))


def _stood_in(value: Any) -> Any:
    if isinstance(value, str):
        return PLACE.sub(r"${env:\1}", value)
    if isinstance(value, dict):
        return {key: _stood_in(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_stood_in(inner) for inner in value]
    return value


class StepsTarget(Spec):
    calls: list[Step] = Field(min_length=1, max_length=30, description="requests, one after the other")
    variables: dict[str, Text] = Field({}, max_length=50, description="values that every step may use as `{{name}}`")
    tls: Tls = Field(Tls(), description="options of TLS, for all steps")
    proxy: Text | None = Field(None, max_length=2000, description="proxy to go through, for all steps")
    ip_version: Literal[4, 6] | None = Field(None, description="use addresses of this version only")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        HttpTarget(url="https://example.com", tls=self.tls, proxy=self.proxy)
        known = set(self.variables)
        for name in known:
            if not NAME.fullmatch(name):
                raise ValueError(f"`{name[:40]}` is not a variable name; use letters, digits and _")
        names: set[str] = set()
        for number, step in enumerate(self.calls, 1):
            for unknown in sorted(step.uses - known):
                guess = did_you_mean(unknown, known) or "save it in an earlier step, or define it under `variables`"
                raise ValueError(f"step {number} uses {{{{{unknown}}}}}, which nothing defines before it; {guess}")
            known |= step.save.keys()
            name = step.name or f"step-{number}"
            if name in names:
                raise ValueError(f"two steps are called `{name}`")
            names.add(name)
        return self


class StepsExpect(Spec):
    """Of all steps together; what each answer must be like stands with its step."""

    degraded_after: Duration | None = Field(None, description="slower than this, all steps together, is degraded")
    down_after: Duration | None = Field(None, description="slower than this, all steps together, is a failure")

    @model_validator(mode="after")
    def _limits_fit(self) -> Self:
        if self.degraded_after is not None and self.down_after is not None and self.degraded_after > self.down_after:
            raise ValueError("degraded_after is above down_after")
        return self


def _address(target: StepsTarget) -> str:
    url = target.calls[0].url
    if all(name in target.variables for name in names_in(url)):
        url = fill_url(url, dict(target.variables))
    return without_userinfo(url)


KIND = CheckKind(
    "steps",
    "Several HTTP requests in order",
    StepsTarget,
    StepsExpect,
    "calls",
    _address,
    interval=300.0,
    timeout=30.0,
    bare=list[Step],
)
