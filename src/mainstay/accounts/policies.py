"""Reads of what is declared of access: roles with their policies, service accounts, providers of single sign-on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from django.conf import settings

from mainstay.accounts import rules
from mainstay.accounts.settings import REQUIRE_SECOND_FACTOR
from mainstay.accounts.spec import BUILT_IN, RoleSpec, ServiceAccountSpec, SignInSpec
from mainstay.kernel.patterns import stored
from mainstay.store.resources.queries import find, resources

if TYPE_CHECKING:
    from mainstay.kernel.resource import Resource, Spec


@lru_cache(maxsize=512)
def _parsed(kind: type[Spec], document: str) -> Spec:
    # Every request asks for its person's role; reading the text anew each time would cost more than the query.
    with stored():
        return kind.model_validate(json.loads(document))


def _spec(kind: type[Spec], resource: Resource) -> Spec:
    return _parsed(kind, json.dumps(resource.document))


def _needing() -> frozenset[str]:
    """Built-in roles that need a second factor, from the settings."""
    return frozenset(name.strip() for name in settings.MAINSTAY[REQUIRE_SECOND_FACTOR].split(",") if name.strip())


def role(name: str) -> rules.Role:
    """The role of this name as it holds now; one that is not there may do nothing."""
    declared = find("role", name)
    spec = cast("RoleSpec", _spec(RoleSpec, declared)) if declared is not None else None
    return rules.role_of(name, spec, _needing())


def roles() -> dict[str, rules.Role]:
    """Every role: the built-in ones, then the declared ones by name."""
    declared = {one.name: cast("RoleSpec", _spec(RoleSpec, one)) for one in resources("role")}
    names = [*BUILT_IN, *(name for name in declared if name not in BUILT_IN)]
    needing = _needing()
    return {name: rules.role_of(name, declared.get(name), needing) for name in names}


def service_account(name: str) -> ServiceAccountSpec | None:
    """What a service account may do; None if there is none (any more)."""
    declared = find("service_account", name)
    return cast("ServiceAccountSpec", _spec(ServiceAccountSpec, declared)) if declared is not None else None


def service_accounts() -> list[str]:
    return [one.name for one in resources("service_account")]


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider of single sign-on as the sign-in page offers it."""

    name: str
    spec: SignInSpec

    @property
    def title(self) -> str:
        return self.spec.title or self.name


def providers() -> list[Provider]:
    return [Provider(one.name, cast("SignInSpec", _spec(SignInSpec, one))) for one in resources("sign_in")]


def provider(name: str) -> Provider | None:
    declared = find("sign_in", name)
    return Provider(name, cast("SignInSpec", _spec(SignInSpec, declared))) if declared is not None else None


def only_sso() -> bool:
    """Whether passwords and passkeys are closed, because a provider is declared to be the only way in."""
    return any(one.spec.only for one in providers())
