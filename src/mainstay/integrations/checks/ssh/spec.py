"""What a monitor may say about an SSH server."""

from __future__ import annotations

import base64
import binascii
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from mainstay.integrations.checks.endpoint_spec import EndpointTarget, OneOrMore, TimedExpect, endpoint_of
from mainstay.kernel.ports import CheckKind


class SshTarget(EndpointTarget):
    default_port: ClassVar[int | None] = 22

    address: str = Field(max_length=300, description="host or host:port; default port 22")
    key_type: Literal["ed25519", "ecdsa", "rsa"] | None = Field(
        None, description="which host key type the server must present; default: its best"
    )


class SshExpect(TimedExpect):
    host_key: OneOrMore = Field(
        [],
        max_length=20,
        description="fingerprints such as SHA256:jY0K…, one of which the host key must have; `ssh-keygen -lf` and "
        "the evidence of a check show it; default: any key is accepted",
    )
    banner: str | None = Field(None, min_length=1, max_length=200, description="text in the server's first line")

    @field_validator("host_key")
    @classmethod
    def _fingerprints(cls, value: list[str]) -> list[str]:
        for text in value:
            name, _, coded = text.partition(":")
            try:
                size = len(base64.b64decode(coded + "=" * (-len(coded) % 4), validate=True))
            except (ValueError, binascii.Error):
                size = 0
            if name != "SHA256" or size != 32 or coded.endswith("="):
                raise ValueError(f"`{text[:60]}` is not a fingerprint such as SHA256: and 43 letters and digits")
        return value


KIND = CheckKind("ssh", "SSH server: banner and host key", SshTarget, SshExpect, "address", endpoint_of)
