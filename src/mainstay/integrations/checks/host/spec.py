"""What a monitor may say about the machine that Mainstay runs on."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from mainstay.integrations.checks.host.limits import DEFAULTS
from mainstay.kernel.asking import shorthand
from mainstay.kernel.ports import CheckKind
from mainstay.kernel.resource import Spec


class HostTarget(Spec):
    machine: Literal["local"] = Field("local", description="the machine that Mainstay itself runs on")
    disks: list[str] | None = Field(
        None, max_length=50, description="mount points to look at; default: every disk that is mounted for writing"
    )

    @field_validator("disks")
    @classmethod
    def _absolute(cls, value: list[str] | None) -> list[str] | None:
        for path in value or []:
            if not path.startswith("/") or "\0" in path or len(path) > 1000:
                raise ValueError(f"`{path[:60]}` is not the path of a mount point, such as /data")
        return value


class _Limits(Spec):
    warn: float | None = Field(None, ge=0, description="degraded at this value and above; null: never")
    critical: float | None = Field(None, ge=0, description="down at this value and above; null: never")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.warn is not None and self.critical is not None and self.warn > self.critical:
            raise ValueError(f"warn ({self.warn:g}) is above critical ({self.critical:g}); give both")
        return self


class Percent(_Limits):
    """Limits in percent."""

    warn: float | None = Field(None, ge=0, le=100, description="degraded from this percentage on; null: never")
    critical: float | None = Field(None, ge=0, le=100, description="down from this percentage on; null: never")


class Memory(Percent):
    """Limits of memory that is not available to programs, in percent."""

    warn: float | None = Field(
        DEFAULTS["memory"][0], ge=0, le=100, description="degraded from this percentage on; null: never"
    )


class Disk(Percent):
    """Limits of space and of inodes that are in use, in percent, as `df` counts them."""

    warn: float | None = Field(
        DEFAULTS["disk"][0], ge=0, le=100, description="degraded from this percentage on; null: never"
    )
    critical: float | None = Field(
        DEFAULTS["disk"][1], ge=0, le=100, description="down from this percentage on; null: never"
    )


class Load(_Limits):
    """Limits of the load average of five minutes, for each processor."""


class Temperature(_Limits):
    """Limits of the hottest sensor, in degrees Celsius."""


class Count(Spec):
    """How many processes of a name must run."""

    min: int = Field(1, ge=0, description="fewer than this is down")
    max: int | None = Field(None, ge=0, description="more than this is degraded")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.max is not None and self.max < self.min:
            raise ValueError("max is below min")
        return self


def _from_number(value: object) -> object:
    return {"min": value} if isinstance(value, int) else value


class HostExpect(Spec):
    cpu: Percent = Field(Percent(), description="limits of processor time in use since the check before, in percent")
    memory: Memory = Field(Memory(), description="limits of memory in use, in percent")
    swap: Percent = Field(Percent(), description="limits of swap space in use, in percent")
    disk: Disk = Field(Disk(), description="limits of every disk, in percent")
    disks: dict[str, Disk] = Field({}, max_length=50, description="mount point -> limits of that disk alone")
    load: Load = Field(Load(), description="limits of the 5-minute load average for each processor")
    temperature: Temperature = Field(Temperature(), description="limits of the hottest sensor, in degrees Celsius")
    processes: dict[
        str,
        Annotated[
            Count,
            BeforeValidator(_from_number, json_schema_input_type=int | Count),
            Field(json_schema_extra=shorthand("min")),
        ],
    ] = Field({}, max_length=50, description="name of a program -> how many must run: a minimum, or {min, max}")


KIND = CheckKind(
    "host",
    "This machine: processor, memory, disks, load, processes, temperature",
    HostTarget,
    HostExpect,
    "machine",
    lambda _target: "this machine",
    requires=(("psutil", "host"),),
    local=True,
)
