"""What happens in accounts."""

from __future__ import annotations

from mainstay.kernel.capability import EventKind

EVENTS = (
    EventKind(
        "user.created",
        "plus",
        "Account created",
        "an account was made; data: user, role, provider of single sign-on if one did",
    ),
    EventKind("user.role_changed", "shield", "Role changed", "data: user, from, to"),
    EventKind(
        "user.address_changed",
        "user",
        "E-mail address changed",
        "a person's e-mail address, which is their name here, was changed; data: from, to",
    ),
    EventKind(
        "user.link_made",
        "user",
        "One-time link made",
        "a one-time link to set a new password was made; data: user",
    ),
    EventKind("user.password_changed", "shield", "Password changed", "data: user, how"),
    EventKind(
        "user.deactivated",
        "paused",
        "Account switched off",
        "an account was switched off; its sessions and tokens stopped; data: user",
    ),
    EventKind("user.reactivated", "play", "Account switched on", "an account was switched on again; data: user"),
    EventKind("user.signed_in", "user", "Signed in", "data: user, how, second factor used, remote address"),
    EventKind(
        "user.sign_in_failed",
        "degraded",
        "Sign-in failed",
        "data: user name tried, step, reason if there is more to tell, remote address",
    ),
    EventKind("user.signed_out", "user", "Signed out", "data: user"),
    EventKind(
        "user.sessions_ended",
        "cross",
        "Sessions ended",
        "single sign-on is the only way in, so sessions that came by another were ended; data: sessions, people",
    ),
    EventKind("user.second_factor_changed", "shield", "Second factor changed", "data: user, what"),
    EventKind(
        "user.recovery_codes_shown",
        "shield",
        "Recovery codes shown",
        "a person looked at their recovery codes; data: user, how (page or file)",
    ),
    EventKind(
        "user.recovery_made",
        "shield",
        "Recovery link made",
        "a link that lifts what locks a person out was made on the machine; data: user, expires",
    ),
    EventKind(
        "user.recovered",
        "shield",
        "Recovery link used",
        "such a link was used: new password, second factor gone, limits lifted for an hour; data: user",
    ),
    EventKind(
        "token.created",
        "vault",
        "API token created",
        "an API token was made; data: token id, name, scopes, expiry, service account and limits if any",
    ),
    EventKind(
        "token.rotated",
        "refresh",
        "API token rotated",
        "a token was replaced; data: token id, name, replaces, and until when the old one works",
    ),
    EventKind("token.revoked", "trash", "API token revoked", "data: token id, name"),
)
