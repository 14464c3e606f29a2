"""Parts that the specs of several kinds share: where to connect, how TLS is trusted, limits of time, values."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, field_validator, model_validator

from mainstay.integrations.checks.endpoints import check_host, format_endpoint, split_endpoint
from mainstay.kernel.duration import Duration
from mainstay.kernel.jsonpath import check_comparison, parse_comparison, parse_path
from mainstay.kernel.patterns import check_pattern
from mainstay.kernel.resource import Spec
from mainstay.kernel.secret import Secret, Text


class EndpointTarget(Spec):
    """One host and port; `default_port` is None where the port must be written."""

    default_port: ClassVar[int | None] = None

    address: str = Field(max_length=300, description="host:port, such as example.com:7000 or [2001:db8::1]:7000")

    @field_validator("address")
    @classmethod
    def _endpoint(cls, value: str) -> str:
        split_endpoint(value, cls.default_port)
        return value.strip()


class TlsTrust(Spec):
    """How the certificate of a server is judged."""

    server_name: str | None = Field(
        None, max_length=253, description="name to request (SNI) and to verify; default: the host"
    )
    verify: bool = Field(True, description="reject certificates that are untrusted, expired or for another name")
    ca: Text | None = Field(
        None, description="certificates to trust (PEM, such as ${file:/path}); default: the system's"
    )

    @field_validator("server_name")
    @classmethod
    def _name(cls, value: str | None) -> str | None:
        return value if value is None else check_host(value)


class TimedExpect(Spec):
    degraded_after: Duration | None = Field(None, description="slower than this, all phases together, is degraded")
    down_after: Duration | None = Field(None, description="slower than this is a failure")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.degraded_after is not None and self.down_after is not None and self.degraded_after > self.down_after:
            raise ValueError("degraded_after is above down_after")
        return self


class WordsExpect(TimedExpect):
    contains: str | None = Field(None, min_length=1, max_length=1000, description="text that must be in the answer")
    regex: str | None = Field(
        None, min_length=1, max_length=1000, description="regular expression (RE2) found in the answer"
    )

    @field_validator("regex")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        return value if value is None else check_pattern(value)


class CertificateExpect(TimedExpect):
    certificate_days: float | None = Field(
        None,
        ge=0,
        le=3650,
        description="degraded with fewer days left on any certificate; default: a third of the lifetime of the "
        "server's own",
    )


class ValueExpect(TimedExpect):
    value: str | int | float | bool | None = Field(
        None,
        description="expected first value of the first row: the value itself, or text that begins with an operator "
        "(`>= 3`, `< 10`, `!= stopped`, `=~ pattern`)",
    )

    @field_validator("value")
    @classmethod
    def _comparison(cls, value: Any) -> Any:
        check_comparison(value)
        return value


class RowsExpect(ValueExpect):
    rows: int | str | None = Field(None, description="expected number of rows: 0, 5, or such as `>= 1`")

    @field_validator("rows")
    @classmethod
    def _number(cls, value: int | str | None) -> int | str | None:
        operand = parse_comparison(value).operand
        if value is not None and (isinstance(operand, bool) or not isinstance(operand, int)):
            raise ValueError(f"`{str(value)[:40]}` is not a number of rows such as 1 or `>= 1`")
        return value


class ClientTarget(TlsTrust, EndpointTarget):
    """A server that a client signs in to."""

    username: Text | None = Field(None, min_length=1, max_length=500, description="name to sign in with")
    password: Secret | None = Field(None, description="reference to the password")
    tls: bool = Field(False, description="use TLS; a server without it is then a failure")


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _known_places(value: dict[str, Any]) -> dict[str, Any]:
    for path, expected in value.items():
        parse_path(path)
        check_comparison(expected)
    return value


JsonPlaces = Annotated[dict[str, JsonValue], AfterValidator(_known_places)]
JSON_PLACES = 'JSON path -> value, or an operator: {"$.n": "< 100"}'
OneOrMore = Annotated[list[str], BeforeValidator(_listed, json_schema_input_type=str | list[str])]
Query = Annotated[Text, Field(min_length=1, max_length=10_000)]


def endpoint_of(target: Any) -> str:
    """`db.example.com:5432`: the address with its port."""
    return format_endpoint(*split_endpoint(target.address, target.default_port))
