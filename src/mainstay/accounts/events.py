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
    """An account was made."""

    kind, icon, title = "user.created", "plus", "Account created"
    role: Annotated[str, "the role that it has"]
    provider: Annotated[str | None, "the provider of single sign-on that made it, if one did"] = None


class UserRoleChanged(UserEvent, rename={"from_": "from"}):
    """A person has another role."""

    kind, icon, title = "user.role_changed", "shield", "Role changed"
    from_: Annotated[str, "the role before"]
    to: Annotated[str, "the role from now on"]


class UserAddressChanged(Event, rename={"from_": "from"}):
    """A person's e-mail address, which is their name here, was changed."""

    kind, icon, title = "user.address_changed", "user", "E-mail address changed"
    from_: Annotated[str, "the address before"]
    to: Annotated[str, "the address from now on"]


class UserLinkMade(UserEvent):
    """A one-time link to set a new password was made."""

    kind, icon, title = "user.link_made", "user", "One-time link made"


class UserPasswordChanged(UserEvent):
    """A person has a new password."""

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
    how: Annotated[str, "password, passkey, second factor or single sign-on: what they began with"]
    address: RemoteAddress


class UserSignInFailed(UserEvent):
    """Somebody was not let in; the user is what was tried."""

    kind, icon, title = "user.sign_in_failed", "degraded", "Sign-in failed"
    step: Annotated[str, "where it failed: password, second factor, single sign-on, way or address"]
    address: RemoteAddress
    provider: Annotated[str | None, "the provider of single sign-on, if one was used"] = None
    reason: Annotated[str | None, "why, if there is more to tell"] = None


class UserSignedOut(UserEvent):
    """A person signed out."""

    kind, icon, title = "user.signed_out", "user", "Signed out"
    address: RemoteAddress


class UserSessionsEnded(Event):
    """Single sign-on is the only way in, so sessions that came by another were ended."""

    kind, icon, title = "user.sessions_ended", "cross", "Sessions ended"
    sessions: Annotated[int, "how many"]
    people: Annotated[int, "of how many people"]


class UserSecondFactorChanged(UserEvent):
    """A second factor was added, removed or reset."""

    kind, icon, title = "user.second_factor_changed", "shield", "Second factor changed"
    what: Annotated[str, "what was done to it"]


class UserRecoveryCodesShown(UserEvent):
    """A person looked at their recovery codes."""

    kind, icon, title = "user.recovery_codes_shown", "shield", "Recovery codes shown"
    how: Annotated[str, "page or file"]


class UserRecoveryMade(UserEvent):
    """A link that lifts what locks a person out was made on the machine."""

    kind, icon, title = "user.recovery_made", "shield", "Recovery link made"
    expires: Annotated[str, "when it stops working"]


class UserRecovered(UserEvent):
    """Such a link was used: new password, second factor gone, limits lifted for an hour."""

    kind, icon, title = "user.recovered", "shield", "Recovery link used"


class TokenMade(Event, kw_only=True):
    """There is a new token."""

    token: TokenId
    name: Name
    scopes: Annotated[list[str], "what it may do"]
    expires: Annotated[str, "when it ends"]
    service: Annotated[str | None, "the service account that it is of, if it is of one"] = None
    limits: Annotated[list[str] | None, "label matchers that it is limited by, if it is"] = None


class TokenCreated(TokenMade):
    """An API token was made."""

    kind, icon, title = "token.created", "vault", "API token created"


class TokenRotated(TokenMade, kw_only=True):
    """A token was replaced."""

    kind, icon, title = "token.rotated", "refresh", "API token rotated"
    replaces: Annotated[str, "the id of the old one"]
    until: Annotated[str, "until when the old one works"]


class TokenRevoked(Event):
    """A token was ended."""

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
