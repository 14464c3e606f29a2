"""HTTP and HTTPS."""

from __future__ import annotations

from pydantic import Field

from mainstay.kernel.duration import Duration
from mainstay.kernel.ports import CheckKind
from mainstay.kernel.resource import Spec
from mainstay.kernel.secret import Text


class HttpTarget(Spec):
    url: Text = Field(pattern=r"^https?://", max_length=2000, description="what to request")


class HttpExpect(Spec):
    degraded_after: Duration | None = Field(None, description="slower than this is degraded")
    down_after: Duration | None = Field(None, description="slower than this is a failure")


KIND = CheckKind("http", "HTTP or HTTPS request", HttpTarget, HttpExpect, "url", lambda target: str(target.url))
