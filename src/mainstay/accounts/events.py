"""What happens in accounts."""

from __future__ import annotations

from typing import Annotated

from mainstay.kernel.event import Event

User = Annotated[str, "the person's e-mail address"]
RemoteAddress = Annotated[str, "the network address that it came from"]
TokenId = Annotated[str, "its id; no secret"]
Name = Annotated[str, "what it is for"]


class UserEvent(Event):
    """Of a person's account."""

    user: User


class UserCreated(UserEvent):
    """An account was created."""

    kind, icon, title = "user.created", "plus", "Account created"
    role: Annotated[str, "the role that it has"]
    provider: Annotated[str | None, "the provider of single sign-on that made it, if one did"] = None


class UserRoleChanged(UserEvent, rename={"from_": "from"}):
    """A person was given another role."""

    kind, icon, title = "user.role_changed", "shield", "Role changed"
    from_: Annotated[str, "the previous role"]
    to: Annotated[str, "the role from now on"]


class UserAddressChanged(Event, rename={"from_": "from"}):
    """A person's e-mail address, which identifies them here, was changed."""

    kind, icon, title = "user.address_changed", "user", "E-mail address changed"
    from_: Annotated[str, "the previous address"]
    to: Annotated[str, "the address from now on"]


class UserLinkMade(UserEvent):
    """A one-time link to set a new password was created."""

    kind, icon, title = "user.link_made", "user", "One-time link created"


class UserPasswordChanged(UserEvent):
    """A person set a new password."""

    kind, icon, title = "user.password_changed", "shield", "Password changed"
    how: Annotated[str, "link, changed or reset by mail"]
    address: Annotated[str | None, "the network address that it came from, if it is known"] = None


class UserDeactivated(UserEvent):
    """An account was switched off; its sessions and tokens stopped."""

    kind, icon, title = "user.deactivated", "paused", "Account switched off"


class UserReactivated(UserEvent):
    """An account was switched on again."""

    kind, icon, title = "user.reactivated", "play", "Account switched on"


class UserSignedIn(UserEvent):
    """A person signed in."""

    kind, icon, title = "user.signed_in", "user", "Signed in"
    second_factor: Annotated[str, "whether one was used: yes or no"]
    how: Annotated[str, "password, passkey, second factor or single sign-on: what they started with"]
    address: RemoteAddress


class UserSignInFailed(UserEvent):
    """A sign-in was refused; the user is the name that was tried."""

    kind, icon, title = "user.sign_in_failed", "degraded", "Sign-in failed"
    step: Annotated[str, "where it failed: password, second factor, single sign-on, method or address"]
    address: RemoteAddress
    provider: Annotated[str | None, "the provider of single sign-on, if one was used"] = None
    reason: Annotated[str | None, "why, if there is more to tell"] = None


class UserSignedOut(UserEvent):
    """A person signed out."""

    kind, icon, title = "user.signed_out", "user", "Signed out"
    address: RemoteAddress


class UserSessionsEnded(Event):
    """Single sign-on became the only way to sign in, so sessions of other kinds were ended."""

    kind, icon, title = "user.sessions_ended", "cross", "Sessions ended"
    sessions: Annotated[int, "how many"]
    people: Annotated[int, "how many people are affected"]


class UserSecondFactorChanged(UserEvent):
    """A second factor was added, removed or reset."""

    kind, icon, title = "user.second_factor_changed", "shield", "Second factor changed"
    what: Annotated[str, "what was done to it"]


class UserRecoveryCodesShown(UserEvent):
    """A person viewed their recovery codes."""

    kind, icon, title = "user.recovery_codes_shown", "shield", "Recovery codes shown"
    how: Annotated[str, "page or file"]


class UserRecoveryMade(UserEvent):
    """A link that lets a locked-out person in was created on the machine."""

    kind, icon, title = "user.recovery_made", "shield", "Recovery link created"
    expires: Annotated[str, "when it stops working"]


class UserRecovered(UserEvent):
    """Such a link was used: new password, second factor removed, limits lifted for an hour."""

    kind, icon, title = "user.recovered", "shield", "Recovery link used"


class TokenMade(Event, kw_only=True):
    """There is a new token."""

    token: TokenId
    name: Name
    scopes: Annotated[list[str], "what it may do"]
    expires: Annotated[str, "when it ends"]
    service: Annotated[str | None, "the service account that it belongs to, if any"] = None
    limits: Annotated[list[str] | None, "label matchers that limit it, if any"] = None


class TokenCreated(TokenMade):
    """An API token was created."""

    kind, icon, title = "token.created", "vault", "API token created"


class TokenRotated(TokenMade, kw_only=True):
    """A token was replaced."""

    kind, icon, title = "token.rotated", "refresh", "API token rotated"
    replaces: Annotated[str, "the id of the old one"]
    until: Annotated[str, "when the old one stops working"]


class TokenRevoked(Event):
    """A token was revoked."""

    kind, icon, title = "token.revoked", "trash", "API token revoked"
    token: TokenId
    name: Name


EVENTS = (
    UserCreated,
    UserRoleChanged,
    UserAddressChanged,
    UserLinkMade,
    UserPasswordChanged,
    UserDeactivated,
    UserReactivated,
    UserSignedIn,
    UserSignInFailed,
    UserSignedOut,
    UserSessionsEnded,
    UserSecondFactorChanged,
    UserRecoveryCodesShown,
    UserRecoveryMade,
    UserRecovered,
    TokenCreated,
    TokenRotated,
    TokenRevoked,
)
