"""What a monitor may say about a UDP service."""

from __future__ import annotations

from typing import Self

from pydantic import Field, field_validator, model_validator

from mainstay.integrations.checks.endpoint_spec import EndpointTarget, WordsExpect
from mainstay.kernel.ports import CheckKind
from mainstay.kernel.secret import Text

_PAYLOAD = 8192  # bytes; larger datagrams are fragmented and mostly lost


def _hex(value: str | None) -> str | None:
    try:
        size = len(bytes.fromhex(value)) if value is not None else 0
    except ValueError:
        raise ValueError(f"`{(value or '')[:40]}` is not hexadecimal; write pairs such as ff ff 54") from None
    if size > _PAYLOAD:
        raise ValueError(f"a packet has at most {_PAYLOAD} bytes")
    return value


class UdpTarget(EndpointTarget):
    send: Text = Field("", max_length=_PAYLOAD, description="text to send; empty: a packet without content")
    send_hex: str | None = Field(None, max_length=4 * _PAYLOAD, description="bytes to send instead, as ff ff 54 …")

    @field_validator("send_hex")
    @classmethod
    def _bytes(cls, value: str | None) -> str | None:
        return _hex(value)

    @model_validator(mode="after")
    def _one_payload(self) -> Self:
        if self.send and self.send_hex is not None:
            raise ValueError("give either send or send_hex, not both")
        return self


class UdpExpect(WordsExpect):
    contains_hex: str | None = Field(
        None, min_length=2, max_length=4096, description="bytes that the answer must contain"
    )
    answer: bool = Field(
        True,
        description="false: silence is fine, as of a log server; only a port where nothing listens is a failure, "
        "which the machine behind it must tell within a second",
    )

    @field_validator("contains_hex")
    @classmethod
    def _bytes(cls, value: str | None) -> str | None:
        return _hex(value)

    @model_validator(mode="after")
    def _words_need_answers(self) -> Self:
        if not self.answer and (self.contains or self.regex or self.contains_hex):
            raise ValueError("expecting content needs a service that answers")
        return self


KIND = CheckKind(
    "udp", "UDP packet and its answer", UdpTarget, UdpExpect, "address", lambda target: str(target.address)
)
