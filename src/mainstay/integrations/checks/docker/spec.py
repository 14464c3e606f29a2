"""What a monitor may say about a container.

The engine is asked through its socket, in its published API. Whoever may use that socket may do anything on the
machine: Mainstay reads one container at a time and sends nothing else. It is tested against a server that answers in
the API's published format, since no engine can run where its tests run.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from mainstay.kernel.duration import Duration
from mainstay.kernel.ports import CheckKind
from mainstay.kernel.resource import Spec

SOCKET = "/var/run/docker.sock"


class DockerTarget(Spec):
    container: str = Field(
        pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,199}$", description="name or id of the container, such as `web`"
    )
    socket: str = Field(SOCKET, max_length=100, description="socket of the engine; of Podman: /run/podman/podman.sock")

    @field_validator("socket")
    @classmethod
    def _absolute(cls, value: str) -> str:
        value = value.removeprefix("unix://")
        if not value.startswith("/") or "\0" in value:
            raise ValueError(f"`{value[:60]}` is not the path of a socket, such as {SOCKET}")
        return value


class Restarts(Spec):
    """How often the engine may start it anew by itself."""

    warn: int | None = Field(2, ge=1, description="this many within the time is degraded; null: never")
    critical: int | None = Field(5, ge=1, description="this many within the time is down; null: never")
    within: Duration = Field(600.0, ge=10, le=86_400, description="the time within which they are counted")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.warn is not None and self.critical is not None and self.warn > self.critical:
            raise ValueError(f"warn ({self.warn}) is above critical ({self.critical}); give both")
        return self


class DockerExpect(Spec):
    health: Literal["if_any", "required", "ignored"] = Field(
        "if_any",
        description="whether its own health check counts: if it has one, always (down without one), never",
    )
    restarts: Restarts = Field(Restarts(), description="how often the engine may restart it by itself")


KIND = CheckKind(
    "docker",
    "Container of Docker or Podman on this machine",
    DockerTarget,
    DockerExpect,
    "container",
    lambda target: f"container {target.container}",
    interval=30.0,
    local=True,
    scope="programs:write",
)
