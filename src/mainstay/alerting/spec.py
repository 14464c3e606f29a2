"""What a user may declare of channels and routes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, create_model, field_validator

from mainstay.kernel.asking import first, helped, refers, shorthand, sort
from mainstay.kernel.capability import Surroundings
from mainstay.kernel.matchers import check_matcher
from mainstay.kernel.ports import ChannelKind
from mainstay.kernel.resource import Kind, Reference, Spec
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


class RouteSpec(Spec):
    """Every route whose matchers all fit an alert's labels sends it to its channels."""

    model_config = ConfigDict(json_schema_extra=first("match", "to", "stop"))

    match: list[Annotated[str, Field(max_length=1000, json_schema_extra=sort("matcher"))]] = Field(
        [],
        max_length=40,
        title="Which alerts",
        description='label matchers, all of which must match, such as severity=~"P0|P1"; none: every alert',
        json_schema_extra=helped("those with labels for which all of these hold; with none of these, every alert"),
    )
    to: list[str] = Field(
        min_length=1,
        max_length=40,
        title="Where they go",
        description="channels",
        json_schema_extra=refers("channel"),
    )
    stop: bool = Field(False, title="Stop here", description="routes after this one are not evaluated")
    name: str | None = Field(None, max_length=100, description="a name; default: its position")

    @field_validator("match")
    @classmethod
    def _matchers_parse(cls, value: list[str]) -> list[str]:
        for text in value:
            check_matcher(text)
        return value


_CHANNEL = """channels:
  hook:
    webhook: {url: https://hooks.example.com/alerts, secret: "${env:HOOK_SECRET}"}
    description: The team's chat
"""


def _channel_in_words(document: Mapping[str, Any]) -> str:
    key = next((key for key in document if key not in ("resolved", "description")), "")
    return f"{key}: {document['description']}" if document.get("description") else key


def _route_in_words(document: Mapping[str, Any]) -> str:
    match = " and ".join(document.get("match", [])) or "everything"
    stop = ", then stop" if document.get("stop") else ""
    return f"{match} to {', '.join(document.get('to', []))}{stop}"


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


_ROUTE = """routes:
  - {name: urgent, match: ['severity=~"P0|P1"'], to: [hook]}
"""


def route_kind() -> Kind:
    def references(spec: RouteSpec) -> Iterable[Reference]:
        return [Reference("channel", name, ("to", index)) for index, name in enumerate(spec.to)]

    return Kind(
        "route",
        "routes",
        "which alerts go to which channels",
        RouteSpec.model_validate,
        lambda: RouteSpec.model_json_schema(mode="validation"),
        references,
        listed=True,
        example=_ROUTE,
        in_words=_route_in_words,
        facts="mainstay.alerting.facts:route_facts",
        afterwards=lambda _spec: "What it matches now is shown below.",
    )


def kinds(surroundings: Surroundings) -> tuple[Kind, ...]:
    return channel_kind(surroundings.channels), route_kind()
