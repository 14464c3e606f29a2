"""What accounts uses of allauth beyond its public interface. No other module does: upgrades are read against this one.

`tests/house/test_layout.py` keeps it so.
"""

from __future__ import annotations

from allauth.account.internal.flows.email_verification import (
    add_email_verification_sent_message,
    consume_email_verification_rate_limit,
)
from allauth.account.internal.flows.login import (
    AUTHENTICATION_METHODS_SESSION_KEY,
    get_authentication_records,
    perform_login,
    record_authentication,
)
from allauth.core.internal import ratelimit
from allauth.core.internal.ratelimit import RateLimitUsage
from allauth.mfa.internal.flows import trust
from allauth.usersessions.internal.flows.sessions import end_sessions

__all__ = [
    "AUTHENTICATION_METHODS_SESSION_KEY",
    "RateLimitUsage",
    "add_email_verification_sent_message",
    "consume_email_verification_rate_limit",
    "end_sessions",
    "get_authentication_records",
    "perform_login",
    "ratelimit",
    "record_authentication",
    "trust",
]
