"""What a monitor may say about a page in a browser.

A script is a list of steps, each with one key. Selectors are Playwright's: CSS such as `#buy`, `text=Sign in`,
`role=button[name="Buy"]`. Every connection of the browser goes through the address guard.
"""

from __future__ import annotations

import fnmatch
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from mainstay.integrations.checks.http.credentials import without_userinfo
from mainstay.integrations.checks.http.spec import HttpTarget
from mainstay.kernel.duration import Duration
from mainstay.kernel.ports import CheckKind
from mainstay.kernel.resource import Spec
from mainstay.kernel.secret import Text

Selector = Annotated[str, Field(min_length=1, max_length=500)]
_ACTIONS = ("goto", "click", "fill", "press", "expect", "wait")


class Seen(Spec):
    """What must be seen; everything given must hold, and is waited for."""

    text: str | None = Field(None, min_length=1, max_length=1000, description="text that is visible on the page")
    selector: Selector | None = Field(None, description="an element that is visible")
    absent: Selector | None = Field(None, description="an element that is absent or not visible")
    url: str | None = Field(
        None, min_length=1, max_length=1000, description="address of the page; * stands for anything"
    )
    title: str | None = Field(None, min_length=1, max_length=300, description="text in the title of the page")

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("say what to expect: text, selector, absent, url or title")
        if self.url is not None:
            fnmatch.translate(self.url)
        return self


class Step(Spec):
    """One step of a script; exactly one of the keys."""

    goto: Text | None = Field(None, max_length=2000, description="open this URL and wait until the page is loaded")
    click: Selector | None = Field(None, description="click the element once it can be clicked")
    fill: dict[Selector, Text] | None = Field(
        None, min_length=1, max_length=50, description="selector of a field -> value to enter; secrets by reference"
    )
    press: str | None = Field(
        None, pattern=r"^[A-Za-z0-9+]{1,40}$", description="a key, such as Enter, Escape or Control+A"
    )
    expect: Seen | None = Field(None, description="what must be visible before the script continues")
    wait: Duration | None = Field(None, gt=0, le=60, description="wait this long; prefer `expect`")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [name for name in _ACTIONS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"a step has exactly one of {', '.join(_ACTIONS)}; this one has {', '.join(given) or 'none'}"
            )
        if self.goto is not None:
            HttpTarget(url=self.goto)
        return self


class BrowserTarget(Spec):
    url: Text | None = Field(None, max_length=2000, description="page to open first")
    script: list[Step] = Field([], max_length=50, description="steps after that")
    patience: Duration = Field(10.0, gt=0, le=60, description="longest wait for a page or an element of one step")
    viewport: str = Field("1280x800", pattern=r"^\d{3,4}x\d{3,4}$", description="width and height of the window")
    verify: bool = Field(True, description="reject pages whose certificates Chromium does not trust")
    screenshot: bool = Field(True, description="keep a small screenshot of the page when something is wrong")
    trace: bool = Field(
        True, description="keep Playwright's trace when something is wrong; never of a script that uses secrets"
    )

    @field_validator("url")
    @classmethod
    def _page(cls, value: str | None) -> str | None:
        if value is not None:
            HttpTarget(url=value)
        return value

    @model_validator(mode="after")
    def _begins_somewhere(self) -> Self:
        if self.url is None and (not self.script or self.script[0].goto is None):
            raise ValueError("give a url, or start the script with goto")
        return self


class BrowserExpect(Spec):
    errors: Literal["ignored", "degraded", "down"] = Field(
        "degraded", description="what an uncaught error in the page's own scripts means"
    )
    ttfb: Duration | None = Field(None, description="first byte of the first page later than this is degraded")
    fcp: Duration | None = Field(None, description="first contentful paint later than this is degraded")
    lcp: Duration | None = Field(None, description="largest contentful paint later than this is degraded; good is 2.5s")
    cls: float | None = Field(None, ge=0, le=100, description="layout shift above this is degraded; good is 0.1")
    degraded_after: Duration | None = Field(None, description="slower than this, all steps together, is degraded")
    down_after: Duration | None = Field(None, description="slower than this, all steps together, is a failure")

    @model_validator(mode="after")
    def _limits_fit(self) -> Self:
        if self.degraded_after is not None and self.down_after is not None and self.degraded_after > self.down_after:
            raise ValueError("degraded_after is above down_after")
        return self


def _address(target: Any) -> str:
    return without_userinfo(str(target.url or target.script[0].goto))


KIND = CheckKind(
    "browser",
    "Page in a real Chromium",
    BrowserTarget,
    BrowserExpect,
    "url",
    _address,
    interval=600.0,
    timeout=30.0,
    requires=(("playwright", "browser"),),
    scope="programs:write",
)
