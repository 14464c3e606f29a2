"""What a user may declare of a public status page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import ConfigDict, Field

from mainstay.kernel.asking import first, refers
from mainstay.kernel.capability import Surroundings
from mainstay.kernel.resource import Kind, Reference, Spec
from mainstay.kernel.wording import counted


class Component(Spec):
    """One line of the page: as bad as the worst of its monitors and heartbeats."""

    model_config = ConfigDict(json_schema_extra=first("name", "monitors", "heartbeats"))

    name: str = Field(max_length=100, description="what visitors read")
    monitors: list[str] = Field(
        [], max_length=200, description="monitors that it summarises", json_schema_extra=refers("monitor")
    )
    heartbeats: list[str] = Field(
        [], max_length=200, description="heartbeats that it summarises", json_schema_extra=refers("heartbeat")
    )
    description: str = Field("", max_length=500, description="a sentence for visitors")
    group: str = Field("", max_length=100, description="heading that it appears under")


class StatusPageSpec(Spec):
    """A page at /status/<name>, open to everyone."""

    model_config = ConfigDict(json_schema_extra=first("title", "description", "components"))

    title: str = Field(max_length=100, description="heading of the page")
    description: str = Field("", max_length=2000, description="a sentence below the heading")
    components: list[Component] = Field([], max_length=500, description="its components, in order")
    days: Annotated[int, Field(ge=1, le=365)] = Field(90, description="days of history that the bars show")
    link: str = Field("", max_length=500, pattern=r"^(https?://\S+)?$", description="where the heading links to")
    support: str = Field("", max_length=500, description="how visitors reach you, such as an e-mail address")


_STATUS_PAGE = """status_pages:
  public:
    title: Example
    components:
      - {name: Website, monitors: [website]}
"""


def status_page_kind() -> Kind:
    def references(spec: StatusPageSpec) -> Iterable[Reference]:
        for index, component in enumerate(spec.components):
            for kind, plural in (("monitor", "monitors"), ("heartbeat", "heartbeats")):
                for position, name in enumerate(getattr(component, plural)):
                    yield Reference(kind, name, ("components", index, plural, position))

    return Kind(
        "status_page",
        "status_pages",
        "what the public sees",
        StatusPageSpec.model_validate,
        lambda: StatusPageSpec.model_json_schema(mode="validation"),
        references,
        example=_STATUS_PAGE,
        in_words=lambda document: (
            f"{document.get('title', '')}, {counted(len(document.get('components', [])), 'component')}"
        ),
        page="/status/{}/",
        afterwards=lambda _spec: "Everyone can open it within a second, at the address below.",
    )


def kinds(_surroundings: Surroundings) -> tuple[Kind, ...]:
    return (status_page_kind(),)
