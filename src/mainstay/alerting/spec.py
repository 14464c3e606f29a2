"""What a user may declare of channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, create_model

from mainstay.alerting.calm_spec import calm_kinds
from mainstay.alerting.route_spec import route_kind
from mainstay.kernel.asking import first, shorthand
from mainstay.kernel.capability import Surroundings
from mainstay.kernel.ports import ChannelKind
from mainstay.kernel.resource import Kind, Spec
from mainstay.kernel.secret import REFERENCE, Text, check_password
from mainstay.kernel.variants import validate_variant


def check_proxy(text: str) -> None:
    """ValueError if the setting `channel_proxy` can name no proxy with it."""
    if text:
        check_password(text)
        if urlsplit(REFERENCE.sub("x", text)).scheme not in ("http", "https"):
            raise ValueError("must be an address such as http://proxy.example.com:3128")


def _check_proxy(url: str) -> str:
    if url in ("", "direct") or REFERENCE.search(url):
        return url
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or not parts.port:
        raise ValueError("a proxy is written as http://proxy.example.com:3128")
    if parts.password is not None:
        raise ValueError("a password must be a reference: http://user:${env:NAME}@host:port")
    return url


class ChannelSpec(Spec):
    """The part that all channel kinds share; a subclass for each adds its own key."""

    model_config = ConfigDict(json_schema_extra=first("description", "resolved"))

    channel: ClassVar[ChannelKind]

    resolved: bool = Field(True, description="also notify when an alert is resolved")
    description: str = Field("", max_length=2000, description="who receives it")
    proxy: Annotated[Text, AfterValidator(_check_proxy)] = Field(
        "",
        max_length=2000,
        description="HTTP proxy to go through: http://host:port, perhaps with user and password; empty: the setting "
        "channel_proxy; direct: none",
    )

    @property
    def target(self) -> Any:
        return getattr(self, self.channel.name)


_CHANNEL = """channels:
  hook:
    webhook: {url: https://hooks.example.com/alerts, secret: "${env:HOOK_SECRET}"}
    description: The team's chat
"""


def _channel_in_words(document: Mapping[str, Any]) -> str:
    key = next((key for key in document if key not in ("resolved", "description")), "")
    return f"{key}: {document['description']}" if document.get("description") else key


def channel_kind(channels: Mapping[str, ChannelKind]) -> Kind:
    """The kind `channel`, with one model for each channel kind; the key present chooses."""
    models = {name: _channel_model(channel) for name, channel in channels.items()}

    def validate(document: Any) -> Spec:
        return validate_variant("channel", document, models, ChannelSpec)

    def schema() -> dict[str, Any]:
        return {"anyOf": [model.model_json_schema(mode="validation") for model in models.values()]}

    return Kind(
        "channel",
        "channels",
        "where notifications go",
        validate,
        schema,
        requires=lambda spec: spec.channel.requires,
        example=_CHANNEL,
        in_words=_channel_in_words,
        page="/channels/",
        afterwards=lambda _spec: "Send a test to see whether it is delivered.",
    )


def _channel_model(channel: ChannelKind) -> type[ChannelSpec]:
    def from_shorthand(value: Any) -> Any:
        return {channel.shorthand: value} if channel.shorthand and isinstance(value, str) else value

    shape: Any = channel.target
    target = Annotated[shape, BeforeValidator(from_shorthand, json_schema_input_type=str | shape)]
    fields: dict[str, Any] = {
        channel.name: (target, Field(description=channel.summary, json_schema_extra=shorthand(channel.shorthand)))
    }
    model = create_model(
        f"{channel.name.title()}Channel",
        __base__=ChannelSpec,
        **fields,
    )
    model.channel = channel
    return model


def kinds(surroundings: Surroundings) -> tuple[Kind, ...]:
    return channel_kind(surroundings.channels), *calm_kinds(), route_kind()
