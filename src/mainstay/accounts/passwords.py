"""What Django's own checks of a password leave out. All of them work offline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError

from mainstay.accounts.rules import is_monotonous

if TYPE_CHECKING:
    from mainstay.accounts.models import User


class MonotonyValidator:
    """Refuses what is long only by repeating itself or by counting."""

    def validate(self, password: str, user: User | None = None) -> None:  # noqa: ARG002 # Django's signature
        if is_monotonous(password):
            raise ValidationError(
                "This password repeats itself or counts; a few words that do not go together are better."
            )

    def get_help_text(self) -> str:
        return "It must not repeat itself."
