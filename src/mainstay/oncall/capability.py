"""What others may know of on-call."""

from __future__ import annotations

from mainstay.kernel.capability import Capability

CAPABILITY = Capability(
    name="oncall",
    order=28,
    about="Who is on duty, and how each person is reached",
    kinds="mainstay.oncall.spec:kinds",
)
