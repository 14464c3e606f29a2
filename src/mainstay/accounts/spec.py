"""What may be declared of access: roles with their policies, service accounts, and providers of single sign-on."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, field_validator, model_validator

from mainstay.kernel.actor import all_scopes, limitable
from mainstay.kernel.asking import first, helped, refers, sort
from mainstay.kernel.capability import CAPABILITIES, LEVELS, Surroundings
from mainstay.kernel.diagnostics import did_you_mean
from mainstay.kernel.matchers import check_matcher
from mainstay.kernel.resource import Complaint, Kind, Reference, Spec
from mainstay.kernel.secret import Secret
from mainstay.kernel.wording import counted

BuiltIn = Literal["admin", "operations", "support", "developer"]
BUILT_IN: tuple[BuiltIn, ...] = ("admin", "operations", "support", "developer")


def role_scopes(role: BuiltIn) -> frozenset[str]:
    """What a built-in role may do: every scope of its level and of those below. `admin` is the highest."""
    reached = LEVELS[: LEVELS.index(role) + 1]
    return frozenset(name for name, scope in CAPABILITIES.scopes.items() if scope.level in reached)


_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z0-9-]+")

ScopeName = Annotated[str, Field(max_length=60)]
Matcher = Annotated[str, Field(max_length=1000, json_schema_extra=sort("matcher"))]
Network = Annotated[str, Field(max_length=60)]
Text = Annotated[str, Field(max_length=200)]


class Reach(Spec):
    """What roles and service accounts share: how far they reach, and from where."""

    model_config = ConfigDict(json_schema_extra=first("description", "scopes", "limit"))

    scopes: list[ScopeName] = Field([], max_length=50, description="what it may do, such as monitors:read")
    limit: list[Matcher] = Field(
        [],
        max_length=20,
        description='label matchers, all of which must match what is seen or changed, such as team="core"; goes with '
        "the scopes monitors:read, monitors:check, alerts:read and alerts:write only",
        json_schema_extra=helped(
            "what is seen and changed must have labels for which all of these hold; goes with the scopes "
            "monitors:read, monitors:check, alerts:read and alerts:write only"
        ),
    )
    origin: list[Network] = Field(
        [],
        alias="from",
        max_length=100,
        description="networks that it may be used from, such as 10.0.0.0/8; none: anywhere",
    )
    description: str = Field("", max_length=2000, description="what it is for")

    @field_validator("scopes")
    @classmethod
    def _scopes_exist(cls, value: list[str]) -> list[str]:
        for scope in value:
            if scope not in all_scopes():
                guess = did_you_mean(scope, all_scopes()) or "known scopes: " + " ".join(CAPABILITIES.scopes)
                raise ValueError(f"there is no scope `{scope}`; {guess}")
        return sorted(set(value))

    @field_validator("limit")
    @classmethod
    def _matchers_parse(cls, value: list[str]) -> list[str]:
        return [check_matcher(text) for text in value]

    @field_validator("origin")
    @classmethod
    def _networks_parse(cls, value: list[str]) -> list[str]:
        for text in value:
            try:
                ipaddress.ip_network(text)
            except ValueError as error:
                raise ValueError(f"`{text}` is not an address or network such as 10.0.0.0/8: {error}") from None
        return value

    @property
    def granted(self) -> frozenset[str]:
        """Every scope that it hands out."""
        return frozenset(self.scopes)

    @model_validator(mode="after")
    def _limits_are_kept(self) -> Reach:
        beyond = sorted(self.granted - limitable()) if self.limit else []
        if beyond:
            raise ValueError(
                f"{' '.join(beyond)} cannot be limited by labels: leave `limit` out, or name only "
                f"{' '.join(sorted(limitable()))} under `scopes`"
            )
        return self


class RoleSpec(Reach):
    """A role of one's own, or the policy of a built-in one (`like` its own name)."""

    model_config = ConfigDict(
        json_schema_extra=first(
            "description",
            "limit",
            "second_factor",
            either={"Its own scopes": ("scopes",), "As a built-in role": ("like",)},
        )
    )

    like: BuiltIn | None = Field(None, description="take the scopes of this built-in role")
    second_factor: Literal["required", "optional"] | None = Field(
        None, description="whether people with this role need one; default: required for all but developer"
    )

    @property
    def granted(self) -> frozenset[str]:
        return role_scopes(self.like) if self.like else frozenset(self.scopes)

    @model_validator(mode="after")
    def _scopes_come_from_one_place(self) -> RoleSpec:
        if bool(self.like) == bool(self.scopes):
            raise ValueError("a role needs either `scopes`, or a built-in role that it is `like`")
        return self


class ServiceAccountSpec(Reach):
    """A program with tokens of its own. They end with it, and never do more than it may."""

    @model_validator(mode="after")
    def _may_do_something(self) -> ServiceAccountSpec:
        if not self.scopes:
            raise ValueError("a service account needs at least one scope under `scopes`")
        return self


class GroupRole(Spec):
    """One step from a provider's group to a role here."""

    group: Text = Field(description="as the provider spells it")
    role: Text = Field(description="the role that its members get here", json_schema_extra=refers("role"))


class SignInSpec(Spec):
    """A provider of single sign-on that speaks OpenID Connect."""

    model_config = ConfigDict(
        json_schema_extra=first("title", "server", "client_id", "client_secret", "domains", "roles", "default_role")
    )

    title: str = Field("", max_length=60, description="text of the button; default: the name")
    server: str = Field(max_length=500, description="the provider's issuer URL, such as https://login.example.com")
    client_id: Text = Field(description="the client ID that the provider assigned to this Mainstay")
    client_secret: Secret | None = Field(None, description="reference to the secret; none for a public client (PKCE)")
    scopes: list[Text] = Field([], max_length=20, description="requested besides openid, profile and email")
    domains: list[Text] = Field(
        [], max_length=100, description="e-mail domains that may sign in; none: all that the provider knows"
    )
    groups_claim: Text = Field("groups", description="the claim that lists a person's groups")
    roles: list[GroupRole] = Field(
        [], max_length=200, description="which group gets which role; the first match, in this order, counts"
    )
    default_role: Text | None = Field(
        None,
        description="the role of people in none of these groups; default: they are refused",
        json_schema_extra=refers("role"),
    )
    trust_email: bool = Field(
        False, description="accept the provider's addresses even where it does not report them as verified"
    )
    second_factor: Literal["here", "provider"] = Field(
        "here", description="`provider`: a sign-in there is enough, since it asks for a second factor itself"
    )
    only: bool = Field(False, description="nobody can sign in any other way (except with `mainstay access recover`)")

    @field_validator("server")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        parts = urlsplit(value)
        local = parts.hostname in ("localhost", "127.0.0.1", "::1")
        safe = parts.scheme == "https" or (parts.scheme == "http" and local)
        if not parts.hostname or parts.username or not safe:
            raise ValueError("must be an https:// address, such as https://login.example.com")
        return value.rstrip("/").removesuffix("/.well-known/openid-configuration")

    @field_validator("domains")
    @classmethod
    def _are_domains(cls, value: list[str]) -> list[str]:
        for text in value:
            if not _DOMAIN.fullmatch(text.lower()):
                raise ValueError(f"`{text}` is not a domain such as example.com")
        return [text.lower() for text in value]

    @model_validator(mode="after")
    def _gives_somebody_a_role(self) -> SignInSpec:
        if not self.roles and not self.default_role:
            raise ValueError("nobody could sign in: name groups under `roles`, or a `default_role`")
        return self

    @property
    def given_roles(self) -> list[tuple[str, tuple[str | int, ...]]]:
        """Every role that people may get, with its path."""
        found: list[tuple[str, tuple[str | int, ...]]] = [
            (one.role, ("roles", index, "role")) for index, one in enumerate(self.roles)
        ]
        return [*found, (self.default_role, ("default_role",))] if self.default_role else found


def check_roles(text: str) -> None:
    """ValueError for a list of roles, comma-separated, that names another than a built-in one."""
    strange = [name for name in map(str.strip, text.split(",")) if name and name not in BUILT_IN]
    if strange:
        raise ValueError(f"`{strange[0][:40]}` is not a built-in role; they are {', '.join(BUILT_IN)}")


def _check_role(name: str, spec: RoleSpec) -> Iterable[Complaint]:
    if name in BUILT_IN and spec.like != name:
        yield Complaint(
            f"the role `{name}` is built in; its scopes cannot be changed",
            f"write `like: {name}` to set its policy, or choose another name",
        )
    if name in BUILT_IN and spec.limit:
        yield Complaint(f"the built-in role `{name}` cannot be limited", "declare a role of your own", ("limit",))
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,40}", name):
        yield Complaint("the name of a role has at most 40 letters, digits and `.`, `_`, `-`")


def _check_sign_in(name: str, _spec: SignInSpec) -> Iterable[Complaint]:
    if not re.fullmatch(r"[a-z0-9-]{1,40}", name):
        yield Complaint(
            "the name of a provider has at most 40 lower-case letters, digits and `-`",
            "it is part of the address that the provider redirects to; `title` is what people see",
        )


_ROLE = """roles:
  core-on-call:
    description: Watches and silences what the core team runs
    scopes: [monitors:read, monitors:check, alerts:read, alerts:write]
    limit: ['team="core"']
    second_factor: required
    from: [10.0.0.0/8]
"""


def _reach_in_words(document: Mapping[str, Any]) -> str:
    what = f"like {document['like']}" if document.get("like") else counted(len(document.get("scopes", [])), "scope")
    limit = f", only where {' and '.join(document['limit'])}" if document.get("limit") else ""
    networks = f", only from {', '.join(document['from'])}" if document.get("from") else ""
    return f"{what}{limit}{networks}"


def role_kind() -> Kind:
    return Kind(
        "role",
        "roles",
        "what people may do, and what they need to sign in",
        RoleSpec.model_validate,
        lambda: RoleSpec.model_json_schema(mode="validation"),
        check=_check_role,
        grants=lambda spec: spec.granted,
        example=_ROLE,
        in_words=_reach_in_words,
    )


_SERVICE_ACCOUNT = """service_accounts:
  deploy:
    description: The pipeline declares monitors
    scopes: [resources:read, resources:write]
    from: [192.0.2.0/24]
"""


def service_account_kind() -> Kind:
    return Kind(
        "service_account",
        "service_accounts",
        "programs with tokens of their own",
        ServiceAccountSpec.model_validate,
        lambda: ServiceAccountSpec.model_json_schema(mode="validation"),
        grants=lambda spec: spec.granted,
        example=_SERVICE_ACCOUNT,
        in_words=_reach_in_words,
    )


_SIGN_IN = """sign_in:
  company:
    title: Example Login
    server: https://login.example.com
    client_id: mainstay
    client_secret: "${env:OIDC_CLIENT_SECRET}"
    domains: [example.com]
    roles:
      - {group: leads, role: admin}
      - {group: sre, role: operations}
    default_role: support
"""


def sign_in_kind() -> Kind:
    return Kind(
        "sign_in",
        "sign_in",
        "providers of single sign-on",
        SignInSpec.model_validate,
        lambda: SignInSpec.model_json_schema(mode="validation"),
        lambda spec: [Reference("role", role, path) for role, path in spec.given_roles if role not in BUILT_IN],
        check=_check_sign_in,
        grants=_everything,
        example=_SIGN_IN,
        in_words=lambda document: f"{document.get('server', '')}{', the only way in' if document.get('only') else ''}",
    )


def _everything(_spec: Any) -> frozenset[str]:
    return all_scopes()  # whoever says how people sign in can make them anybody


def kinds(_surroundings: Surroundings) -> tuple[Kind, ...]:
    return role_kind(), service_account_kind(), sign_in_kind()
