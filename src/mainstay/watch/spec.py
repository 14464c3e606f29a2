"""What a user may declare of a monitor, and of a place that it is checked from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, ConfigDict, Field, create_model, field_validator, model_validator

from mainstay.kernel.asking import first, refers, shorthand
from mainstay.kernel.capability import Surroundings
from mainstay.kernel.duration import Duration, format_duration
from mainstay.kernel.labels import Label, LabelName, Severity
from mainstay.kernel.ports import CheckKind
from mainstay.kernel.resource import NAME_LIMIT, Complaint, Kind, Reference, Spec
from mainstay.kernel.variants import validate_variant, variant_in_words
from mainstay.kernel.wording import counted


class Confirm(Spec):
    """How often a check must fail before the monitor is down, and how soon it is repeated."""

    failures: int = Field(2, ge=1, le=20, description="consecutive failed checks before it is down")
    recheck: Duration = Field(5.0, description="a failed check is repeated after this time instead of the interval")
    elsewhere: bool = Field(
        False,
        description="a first failure is checked from the other `locations` at once; it counts when one of them "
        "sees it too",
    )


class Recover(Spec):
    """How often a check must succeed before the monitor is up again."""

    successes: int = Field(2, ge=1, le=20, description="consecutive successful checks before it is up")


class Flapping(Spec):
    """A monitor that goes down again and again is flapping: one message says so, and one when it is calm."""

    falls: int = Field(3, ge=2, le=100, description="going down this many times is flapping")
    within: Duration = Field(
        1800.0,
        ge=60,
        le=7 * 86_400,
        description="within this time, or that of 20 checks if longer; over after half of it without a change",
    )


class SlowerThanUsual(Spec):
    """A check that takes much longer than in the same hour of past weeks is degraded."""

    deviations: float = Field(
        4.0, ge=1, le=100, description="threshold, in robust standard deviations above the usual time"
    )
    at_least: Duration = Field(0.1, description="smaller differences do not count")
    weeks: int = Field(4, ge=2, le=12, description="past weeks to compare with; at least two must have results")


def _switch(value: Any) -> Any:
    return ({} if value else None) if isinstance(value, bool) else value


class MonitorSpec(Spec):
    """The part that all check kinds share; a subclass for each adds its own key and `expect`."""

    model_config = ConfigDict(json_schema_extra=first("every", "expect", "severity", "labels", "description"))

    check: ClassVar[CheckKind]

    every: Duration = Field(60.0, ge=1, le=86_400, title="Check every", description="interval between checks")
    timeout: Duration = Field(10.0, gt=0, le=120, description="hard limit for one check, all phases together")
    confirm: Confirm = Confirm()
    recover: Recover = Recover()
    flapping: Flapping = Flapping()
    slower_than_usual: Annotated[
        SlowerThanUsual | None, BeforeValidator(_switch, json_schema_input_type=bool | SlowerThanUsual | None)
    ] = Field(None, description="true, or how: much slower than in this hour of past weeks is degraded; default: off")
    inverted: bool = Field(False, description="success is down and failure is up, as for a port that must stay closed")
    parents: list[str] = Field(
        [],
        max_length=20,
        description="monitors without which this one cannot work",
        json_schema_extra=refers("monitor"),
    )
    severity: Severity = Field("P2", description="P0 (worst) to P3; becomes a label of its alerts")
    labels: dict[LabelName, Label] = Field(
        {}, max_length=40, description="free-form labels; routes and windows match them"
    )
    tags: list[Label] = Field([], max_length=40, description="keywords to find it by")
    alert_on: list[Literal["down", "degraded", "unknown"]] = Field(["down"], description="states that open an alert")
    description: str = Field("", max_length=2000, description="notes for whoever is alerted by it")
    enabled: bool = Field(True, description="false: declared, but paused")
    locations: tuple[Annotated[str, Field(max_length=NAME_LIMIT)], ...] = Field(
        (),
        max_length=20,
        description="locations that check it independently; default: this server alone",
        json_schema_extra=refers("location"),
    )
    quorum: Annotated[int, Field(ge=1, le=20)] | Annotated[str, Field(pattern=r"^\d{1,2} of \d{1,2}$")] | None = Field(
        None,
        description="how many `locations` must agree that it fails, or works, such as `2 of 3`; default: more "
        "than half",
    )

    @property
    def agreeing(self) -> int:
        """How many locations must agree."""
        if self.quorum is None:
            return len(self.locations) // 2 + 1
        return self.quorum if isinstance(self.quorum, int) else int(self.quorum.partition(" ")[0])

    @property
    def target(self) -> Any:
        """The typed target of the check."""
        return getattr(self, self.check.name)

    @property
    def address(self) -> str:
        return self.check.address(self.target)

    @field_validator("parents")
    @classmethod
    def _parents_once(cls, value: list[str]) -> list[str]:
        if len(set(value)) != len(value):
            raise ValueError("a parent is named twice")
        return value

    @model_validator(mode="after")
    def _timeout_fits(self) -> MonitorSpec:
        if self.locations or self.quorum is not None or self.confirm.elsewhere:
            self._check_locations()
        return self

    def _check_locations(self) -> None:
        named, count = self.locations, len(self.locations)
        check: CheckKind | None = getattr(self, "check", None)  # of a document without one check: this part alone
        if check is not None and check.quorum is not None:
            raise ValueError("a group is judged from its members; give `locations` to those")
        if len(set(named)) != count:
            raise ValueError("a location is named twice")
        if self.quorum is not None and not named:
            raise ValueError("`quorum` counts `locations`, and there are none")
        if isinstance(self.quorum, str) and int(self.quorum.rpartition(" ")[2]) != count:
            raise ValueError(
                f"the quorum is `{self.quorum}`, and there {'is' if count == 1 else 'are'} {counted(count, 'location')}"
            )
        if not 1 <= self.agreeing <= max(1, count):
            raise ValueError(f"a quorum of {counted(count, 'location')} is 1 to {count}")
        if self.confirm.elsewhere and count < 2:
            raise ValueError("`confirm.elsewhere` needs at least two `locations`")


def monitor_model(check: CheckKind) -> type[MonitorSpec]:
    """The model of a monitor with this check."""

    def from_shorthand(value: Any) -> Any:
        return {check.shorthand: value} if isinstance(value, bare) else value

    shape: Any = check.target
    bare = str | int if check.bare is str else str | int | list
    target = Annotated[shape, BeforeValidator(from_shorthand, json_schema_input_type=check.bare | shape)]
    every = MonitorSpec.model_fields["every"]
    fields: dict[str, Any] = {
        check.name: (target, Field(description=check.summary, json_schema_extra=shorthand(check.shorthand))),
        "expect": (check.expect, Field(check.expect(), title="A good answer")),
        "every": (Duration, Field(check.interval, ge=1, le=86_400, title=every.title, description=every.description)),
    }
    if check.timeout != MonitorSpec.model_fields["timeout"].default:
        limit = MonitorSpec.model_fields["timeout"].description
        fields["timeout"] = (Duration, Field(check.timeout, gt=0, le=120, description=limit))
    model = create_model(
        f"{check.name.title()}Monitor",
        __base__=MonitorSpec,
        **fields,
    )
    model.check = check
    return model


_MONITOR = """monitors:
  website:
    http: https://example.com
    every: 1m
    expect: {status: 200-299, degraded_after: 1s}
    severity: P1
    labels: {service: website}
"""


# What every monitor may have; the key beside these says what is checked.
_SHARED = frozenset(MonitorSpec.model_fields) | {"expect"}


def _in_words(document: Mapping[str, Any]) -> str:
    every, text = document.get("every"), variant_in_words(document, _SHARED)
    return f"{text}, every {every}" if every else text


def monitor_kind(checks: Mapping[str, CheckKind], here: str = "main") -> Kind:
    """The kind `monitor`, with one model for each check kind; the key present in a document chooses.

    here: the location of this server itself, which nobody declares.
    """
    models = {name: monitor_model(check) for name, check in checks.items()}

    def validate(document: Any) -> Spec:
        return validate_variant("monitor", document, models, MonitorSpec)

    def schema() -> dict[str, Any]:
        return {"anyOf": [model.model_json_schema(mode="validation") for model in models.values()]}

    def references(spec: MonitorSpec) -> Iterable[Reference]:
        found = [Reference("monitor", name, ("parents", index)) for index, name in enumerate(spec.parents)]
        if spec.check.quorum is not None:
            members = enumerate(spec.check.quorum(spec.target).members)
            found += [Reference("monitor", name, (spec.check.name, "members", index)) for index, name in members]
        if spec.locations:
            elsewhere = [(index, name) for index, name in enumerate(spec.locations) if name != here]
            found += [Reference("location", name, ("locations", index)) for index, name in elsewhere]
        return found

    return Kind(
        "monitor",
        "monitors",
        "something that is checked at an interval",
        validate,
        schema,
        references,
        requires=lambda spec: spec.check.requires,
        needs=lambda spec: frozenset({spec.check.scope} if spec.check.scope else ()),
        example=_MONITOR,
        in_words=_in_words,
        page="/monitors/{}/",
        labelled=True,
        afterwards=_first_check,
    )


def _first_check(spec: MonitorSpec) -> str:
    first = f"Its first check follows within seconds, then one every {format_duration(spec.every)}."
    return first if spec.enabled else "It is paused."


class LocationSpec(Spec):
    """A place that checks are made from, by `mainstay probe --join`."""

    description: str = Field("", max_length=2000, description="where it is, and which network it is in")
    silent_after: Duration = Field(
        30.0, ge=2, le=3600, description="silent for this long: it counts as lost, and one alert is opened"
    )


_LOCATION = """locations:
  frankfurt:
    description: A rented machine in Frankfurt, outside of our network
    silent_after: 30s
"""


def location_kind(here: str = "main") -> Kind:
    """The kind `location`. here: the location of this server itself."""

    def check(name: str, _spec: Any) -> Iterable[Complaint]:
        if name == here:
            yield Complaint(
                f"`{name}` is the location of this server itself, which is not declared",
                hint="choose another name, or change the setting MAINSTAY_LOCATION",
            )

    return Kind(
        "location",
        "locations",
        "a location that checks are made from, besides this server",
        LocationSpec.model_validate,
        lambda: LocationSpec.model_json_schema(mode="validation"),
        check=check,
        example=_LOCATION,
        page="/locations/#{}",
        afterwards=lambda _spec: "Now create a token for it under Locations, and start `mainstay probe` there.",
    )


def kinds(surroundings: Surroundings) -> tuple[Kind, ...]:
    return monitor_kind(surroundings.checks, surroundings.here), location_kind(surroundings.here)
