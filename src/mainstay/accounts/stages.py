"""The last step of every sign-in: do the declared policies let this person in, this way, from here?"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from allauth.account.stages import LoginStage
from django.shortcuts import render

from mainstay.accounts import policies, queries, verbs
from mainstay.accounts.doors import visit
from mainstay.accounts.events import UserSignInFailed
from mainstay.kernel.actor import Actor

if TYPE_CHECKING:
    from django.http import HttpResponse

    from mainstay.accounts.models import User


class PolicyStage(LoginStage):
    """Comes last, so that nobody learns from its answer whether a password alone was right."""

    key = "mainstay_policy"

    def handle(self) -> tuple[HttpResponse | None, bool]:
        user, now = cast("User", self.login.user), visit(self.request)
        recovered = queries.recovered(now, queries.moment())
        if not recovered and not now.provider and policies.only_sso():
            return self._refuse(user, "way", "Passwords and passkeys are switched off here. Use single sign-on.")
        if not queries.place_fits(user, now):
            return self._refuse(
                user, "address", f"Your role may not be used from {now.address or 'an unknown address'}."
            )
        return None, True

    def _refuse(self, user: User, step: str, text: str) -> tuple[HttpResponse, bool]:
        details = {"step": step, "address": str(self.request.META.get("REMOTE_ADDR", ""))}
        verbs.note_sign_in(UserSignInFailed, Actor("public", "sign-in"), user.email, details)
        return render(self.request, "accounts/not_let_in.html", {"text": text}, status=403), False
