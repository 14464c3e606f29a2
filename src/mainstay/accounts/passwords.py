"""How passwords are hashed, and what Django's own checks of one leave out. All of it works offline."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from django.contrib.auth.hashers import Argon2PasswordHasher
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.core.exceptions import ValidationError
from django.utils.http import base36_to_int

from mainstay.accounts.rules import is_monotonous
from mainstay.kernel.clock import Steps

if TYPE_CHECKING:
    from mainstay.accounts.models import User


class Argon2Hasher(Argon2PasswordHasher):
    """Argon2id (RFC 9106) with parameters for a small server; ADR 11 says how they were chosen."""

    time_cost = 2
    memory_cost = 46 * 1024  # KiB
    parallelism = 1

    # Strangers decide how many sign-ins are tried at once; what these take of the memory is not for them to decide.
    _turns = threading.BoundedSemaphore(4)

    def encode(self, password: str, salt: str) -> str:
        with self._turns:
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        with self._turns:
            return super().verify(password, encoded)


class MonotonyValidator:
    """Refuses what is long only by repeating itself or by counting."""

    def validate(self, password: str, user: User | None = None) -> None:  # noqa: ARG002 # Django's signature
        if is_monotonous(password):
            raise ValidationError("This password is a repetition or a sequence; a few unrelated words are better.")

    def get_help_text(self) -> str:
        return "It must not be a repetition or a sequence."


class ResetTokens(PasswordResetTokenGenerator):
    """Of links in mails about a forgotten password; they are over if they were made later than now."""

    def check_token(self, user: User | None, token: str | None) -> bool:
        fits = super().check_token(user, token)
        made = base36_to_int(str(token).partition("-")[0]) if fits else 0
        return bool(fits) and made <= self._num_seconds(self._now()) + Steps.SMALL
