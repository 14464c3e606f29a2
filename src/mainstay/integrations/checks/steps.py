"""The names of `progress`, for modules that still ask here."""

from mainstay.integrations.checks.progress import (
    EXCERPT_LIMIT,
    LatencyLimits,
    Steps,
    carry_out,
    describe_seconds,
    document,
    excerpt,
    find_addresses,
)

__all__ = [
    "EXCERPT_LIMIT",
    "LatencyLimits",
    "Steps",
    "carry_out",
    "describe_seconds",
    "document",
    "excerpt",
    "find_addresses",
]
