"""Several HTTP requests in order, as one visitor would make them."""

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
