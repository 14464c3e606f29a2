"""What a monitor may say about an MQTT broker."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, field_validator, model_validator

from mainstay.integrations.checks.endpoint_spec import (
    JSON_PLACES,
    CertificateExpect,
    ClientTarget,
    JsonPlaces,
    WordsExpect,
)
from mainstay.integrations.checks.endpoints import format_endpoint, split_endpoint
from mainstay.kernel.ports import CheckKind
from mainstay.kernel.secret import Text


class MqttTarget(ClientTarget):
    default_port: ClassVar[int | None] = 1883

    address: str = Field(max_length=300, description="host or host:port; default port 1883, or 8883 with tls")
    client_id: str | None = Field(
        None, min_length=1, max_length=200, description="client identifier; default: `mainstay-` and a random suffix"
    )
    topic: str | None = Field(
        None, min_length=1, max_length=1000, description="topic to subscribe to; + and # stand for any part"
    )
    send: Text | None = Field(
        None, max_length=10_000, description="message to publish to the topic; it, or what is expected, must come back"
    )

    @field_validator("topic")
    @classmethod
    def _filter(cls, value: str | None) -> str | None:
        """MQTT 3.1.1, section 4.7."""
        levels = (value or "").split("/")
        wild = [level for level in levels if level in ("+", "#")]
        if "\0" in (value or "") or sum(level.count("+") + level.count("#") for level in levels) != len(wild):
            raise ValueError(f"`{(value or '')[:60]}` is not a topic: + and # stand alone between slashes")
        if "#" in levels[:-1]:
            raise ValueError(f"`{(value or '')[:60]}` is not a topic: # stands at the end only")
        return value

    @model_validator(mode="after")
    def _somewhere_to_send(self) -> Self:
        if self.send is not None and (self.topic is None or any(sign in self.topic for sign in "+#")):
            raise ValueError("a message needs a `topic` without + and # to be published to")
        return self


class MqttExpect(WordsExpect, CertificateExpect):
    json_: JsonPlaces = Field({}, alias="json", max_length=50, description=f"in the message: {JSON_PLACES}")


def _address(target: MqttTarget) -> str:
    endpoint = format_endpoint(*split_endpoint(target.address, 8883 if target.tls else 1883))
    return endpoint + (f" {target.topic}" if target.topic else "")


KIND = CheckKind("mqtt", "MQTT broker: login, topic and message", MqttTarget, MqttExpect, "address", _address)
