"""What a user may declare of a source of alerts: its kind by one key, and what all kinds share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, cast

from pydantic import AfterValidator, Field, WithJsonSchema, create_model

from mainstay.kernel.asking import first
from mainstay.kernel.capability import Surroundings
from mainstay.kernel.duration import Duration
from mainstay.kernel.jsonpath import parse_path
from mainstay.kernel.labels import LabelName, Severity
from mainstay.kernel.resource import Kind, Spec
from mainstay.kernel.secret import Secret
from mainstay.kernel.variants import validate_variant


def _check_path(text: str) -> str:
    parse_path(text)
    return text


def _check_value(text: str) -> str:
    return _check_path(text) if text.startswith("$") else text


JsonPath = Annotated[str, AfterValidator(_check_path), Field(max_length=300)]
Value = Annotated[str, AfterValidator(_check_value), Field(max_length=300)]
Word = Annotated[str, Field(max_length=200)]
Words = Annotated[dict[Word, Severity], Field(max_length=100)]


def _check_severity(value: dict[str, Any]) -> dict[str, Any]:
    paths = [key for key in value if key.startswith("$")]
    if len(paths) > 1:
        raise ValueError("a severity is read from one place: give one path")
    for key, inner in value.items():
        if key.startswith("$"):
            parse_path(key)
        if key.startswith("$") != isinstance(inner, dict):
            raise ValueError(f"`{key[:40]}` is written as {{word: P1}}, or as {{$.path: {{word: P1}}}}")
    return value


class Target(Spec):
    """What all kinds share."""

    labels: dict[LabelName, Value] = Field(
        {},
        max_length=40,
        description="labels besides those that are sent: a text, or the JSON path of one in each alert, such as "
        "`$.service`",
    )
    severity: Annotated[
        dict[Word, Severity | Words],
        AfterValidator(_check_severity),
        WithJsonSchema({"type": "object", "maxProperties": 100}),  # two shapes: forms ask for it as a text
    ] = Field(
        {},
        max_length=100,
        description="what the sender's words mean, such as {fatal: P0}; with {$.level: {fatal: P0}} the word stands "
        "at that JSON path. Words that are not listed: critical, page, fatal and emergency are P1; error, high, major, "
        "warning and medium P2; info, low and none P3",
    )
    default_severity: Severity = Field("P2", description="of alerts without a severity, or with an unknown one")
    expires: Duration | None = Field(
        None, description="an alert that is not repeated for so long is over; empty: as its sender says"
    )

    @property
    def words(self) -> dict[str, str]:
        """Sender's word -> P0 to P3."""
        own = {key: value for key, value in self.severity.items() if isinstance(value, str)}
        for inner in self.severity.values():
            own.update(inner if isinstance(inner, dict) else {})
        return cast("dict[str, str]", own)

    @property
    def severity_path(self) -> str:
        """Where the word stands; empty: where the sender's format has it."""
        return next((key for key in self.severity if key.startswith("$")), "")


class Keyed(Target):
    """A kind whose senders show a key."""

    key: Secret = Field(description="what its senders show, such as ${env:NAME}")


class JsonTarget(Keyed):
    """Any JSON: where things stand in it, by JSON path."""

    each: JsonPath = Field("$", description="the alert, or the list of alerts, in what is sent; paths begin at each")
    id: JsonPath | None = Field(None, description="by what its sender knows an alert; empty: by its labels")
    title: Value | None = Field(None, description="a short summary")
    message: Value | None = Field(None, description="one sentence")
    ends: JsonPath | None = Field(
        None,
        description="true, `resolved`, `ok` or the like where it is over, or the time at which it ends",
    )
    starts: JsonPath | None = Field(None, description="the time at which it began")
    link: JsonPath | None = Field(None, description="an address with more about it")


class SourceSpec(Spec):
    """The part that all kinds share; a subclass for each adds its own key."""

    model_config = {"json_schema_extra": first("description")}

    kind: ClassVar[str]

    description: str = Field("", max_length=2000, description="what sends here")

    @property
    def target(self) -> Any:
        return getattr(self, _field(self.kind))


KINDS_OF_SOURCES: dict[str, tuple[type[Target], str]] = {
    "alertmanager": (Target, "the Alertmanager API (v2): Prometheus, amtool, and whatever else sends to Alertmanager"),
    "pagerduty": (Keyed, "PagerDuty's Events API v2; the key is the sender's routing key"),
    "opsgenie": (Keyed, "Opsgenie's Alert API; the key is the sender's GenieKey"),
    "grafana": (Keyed, "Grafana's webhook contact point, also Alertmanager's own webhook"),
    "healthchecks": (Keyed, "Healthchecks' webhook integration"),
    "kuma": (Keyed, "Uptime Kuma's webhook notification"),
    "gatus": (Keyed, "Gatus's custom alerting provider"),
    "cloudevents": (Keyed, "CloudEvents over HTTP: structured, binary or a batch"),
    "json": (JsonTarget, "any other JSON, read by JSON paths"),
    "email": (Keyed, "mail to <name>+<key>@ this server (needs the setting `mail_listen`)"),
}


def _field(kind: str) -> str:
    """The attribute that holds it: pydantic's own models have a `json` already."""
    return f"{kind}_target"


def _model(kind: str, target: type[Target], summary: str) -> type[SourceSpec]:
    shape: Any = target
    fields: dict[str, Any] = {_field(kind): (shape, Field(alias=kind, description=summary))}
    model = create_model(f"{kind.title()}Source", __base__=SourceSpec, **fields)
    model.kind = kind
    return model


_SOURCE = """alert_sources:
  prometheus:
    alertmanager: {expires: 10m}
    description: The cluster's Prometheus
"""


def _in_words(document: Mapping[str, Any]) -> str:
    kind = next((key for key in document if key != "description"), "")
    return f"{kind}: {document['description']}" if document.get("description") else kind


def source_kind() -> Kind:
    models = {name: _model(name, target, summary) for name, (target, summary) in KINDS_OF_SOURCES.items()}

    def validate(document: Any) -> Spec:
        return validate_variant("alert source", document, models, SourceSpec)

    def schema() -> dict[str, Any]:
        return {"anyOf": [model.model_json_schema(mode="validation") for model in models.values()]}

    return Kind(
        "alert_source",
        "alert_sources",
        "other tools that send alerts here",
        validate,
        schema,
        example=_SOURCE,
        in_words=_in_words,
        page="/sources/{}/",
        afterwards=lambda _spec: "Its page shows the lines to put into the sender, and what comes.",
    )


def kinds(_surroundings: Surroundings) -> tuple[Kind, ...]:
    return (source_kind(),)
