"""allauth's forms that take an e-mail address, held to what nobody may learn or do by them."""

from __future__ import annotations

from typing import Any, cast

from allauth.account.forms import AddEmailForm, ResetPasswordForm
from allauth.account.models import EmailAddress
from django import forms
from django.http import HttpRequest

from mainstay.accounts import verbs
from mainstay.accounts.allauth_internals import (
    add_email_verification_sent_message,
    consume_email_verification_rate_limit,
)
from mainstay.accounts.models import User
from mainstay.kernel.errors import UserError


class NewAddressForm(AddEmailForm):
    """The address that a person wants to sign in with. An address that is taken is answered like any other."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].label = "New e-mail address"

    def clean_email(self) -> str:
        try:
            address = verbs.check_email(self.cleaned_data["email"])
        except UserError as error:
            raise forms.ValidationError(str(error)) from None
        if address == cast("User", self.user).email:
            raise forms.ValidationError("That is your address already.")
        return address

    def save(self, request: HttpRequest) -> Any:
        address = self.cleaned_data["email"]
        if not User.objects.filter(email=address).exists():
            return super().save(request)
        waiting = EmailAddress.objects.add_new_email(request, cast("User", self.user), address, send_verification=False)
        if consume_email_verification_rate_limit(request, address):
            add_email_verification_sent_message(request, address, signup=False)
        return waiting


class ForgottenPasswordForm(ResetPasswordForm):
    """A link goes to an account's own address only, never to one that waits to be confirmed."""

    def clean_email(self) -> str:
        email: str = super().clean_email()
        self.users = [user for user in self.users if user.email == email.lower()]
        return email
