"""What a monitor may say about a gRPC server."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from mainstay.integrations.checks.endpoint_spec import EndpointTarget, TimedExpect, TlsTrust
from mainstay.integrations.checks.http.spec import check_headers
from mainstay.kernel.ports import CheckKind
from mainstay.kernel.secret import Secret, Text


class GrpcTarget(TlsTrust, EndpointTarget):
    service: str = Field(
        "",
        max_length=120,
        pattern=r"^[A-Za-z0-9_./-]*$",
        description="service to check, such as shop.v1.Orders; empty: the server as a whole",
    )
    tls: bool = Field(False, description="speak TLS")
    metadata: dict[str, Text] = Field({}, max_length=50, description="metadata to send; credentials must be references")

    @field_validator("metadata")
    @classmethod
    def _usable(cls, metadata: dict[str, str]) -> dict[str, str]:
        for name in metadata:
            if name.lower().startswith("grpc-") or name.lower() in ("te", "content-type"):
                raise ValueError(f"the metadata {name} belongs to the protocol, which the check writes itself")
        return check_headers(metadata)

    certificate: Text | None = Field(None, description="client certificate in PEM form, usually ${file:client.pem}")
    key: Secret | None = Field(None, description="reference to the key of the client certificate")
    ip_version: Literal[4, 6] | None = Field(None, description="use addresses of this version only")

    @model_validator(mode="after")
    def _key_with_certificate(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("a client certificate needs both `certificate` and `key`")
        return self


class GrpcExpect(TimedExpect):
    status: Literal["SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"] = Field(
        "SERVING", description="expected status; NOT_SERVING for a standby"
    )
    certificate_days: float | None = Field(
        None, ge=0, le=3650, description="degraded with fewer days left on the certificate"
    )


def _address(target: GrpcTarget) -> str:
    return str(target.address) + (f"/{target.service}" if target.service else "")


KIND = CheckKind("grpc", "gRPC health protocol", GrpcTarget, GrpcExpect, "address", _address)
