"""Forms of the second factor: what allauth's forms do, with bounds on what a visitor may send."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import get_adapter as account_adapter
from allauth.core import context
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base.forms import AuthenticateForm
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.forms import (
    AddWebAuthnForm,
    AuthenticateWebAuthnForm,
    EditWebAuthnForm,
    LoginWebAuthnForm,
    ReauthenticateWebAuthnForm,
)
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from django import forms
from django.forms.fields import InvalidJSONInput

from mainstay.accounts import policies
from mainstay.accounts.devices import wish_to_remember

MOST_PASSKEYS = 20
_LONGEST_NAME = 60
_LARGEST_CREDENTIAL = 32 * 1024  # attestations with a certificate chain have a few thousand characters
# What parsing a forged answer of an authenticator may raise: JSON, base64, CBOR, keys and signatures.
_MALFORMED = (
    ArithmeticError,
    AttributeError,
    InvalidSignature,
    LookupError,
    RuntimeError,
    TypeError,
    UnsupportedAlgorithm,
    ValueError,
)


class CredentialField(forms.JSONField):
    """What the browser's authenticator answered: a JSON object of bounded size."""

    widget = forms.HiddenInput

    def bound_data(self, data: Any, initial: Any) -> Any:  # noqa: ARG002 # an answer is good once: never shown again
        return InvalidJSONInput("")

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str) and len(value) > _LARGEST_CREDENTIAL:
            raise get_adapter().validation_error("incorrect_code")
        try:
            parsed = super().to_python(value)
        except RecursionError:
            raise get_adapter().validation_error("incorrect_code") from None
        if parsed is not None and not isinstance(parsed, dict):
            raise get_adapter().validation_error("incorrect_code")
        return parsed


class AddPasskeyForm(AddWebAuthnForm):
    name = forms.CharField(
        label="Name",
        required=False,
        max_length=_LONGEST_NAME,
        help_text="To tell it apart from others: laptop, phone, security key.",
    )
    credential = CredentialField()
    passwordless = forms.BooleanField(
        label="Sign in with it alone, without the password",
        required=False,
        initial=True,
        help_text="It then asks for a fingerprint, face or PIN. Old security keys cannot do this.",
    )

    def clean(self) -> dict[str, Any]:
        if Authenticator.objects.filter(user_id=self.user.pk, type="webauthn").count() >= MOST_PASSKEYS:
            raise forms.ValidationError(f"There are {MOST_PASSKEYS} passkeys already. Remove one first.")
        try:
            cleaned: dict[str, Any] = super().clean()
        except _MALFORMED:
            raise get_adapter().validation_error("incorrect_code") from None
        return cleaned


class RenamePasskeyForm(EditWebAuthnForm):
    name = forms.CharField(label="Name", max_length=_LONGEST_NAME)


class _Answer(AuthenticateWebAuthnForm):
    """An authenticator's answer to a challenge. A forged one is refused like a wrong one, never an error of ours."""

    credential = CredentialField()

    def clean_credential(self) -> Authenticator:
        try:
            found: Authenticator = super().clean_credential()
        except _MALFORMED:
            raise get_adapter().validation_error("incorrect_code") from None
        return found


class PasskeyForm(_Answer):
    """The second step of a sign-in, by passkey."""

    remember = forms.BooleanField(required=False, widget=forms.HiddenInput)

    def save(self) -> None:
        super().save()
        wish_to_remember(context.request, wanted=self.cleaned_data["remember"])


class PasskeyAgainForm(_Answer, ReauthenticateWebAuthnForm):
    """Confirms by passkey that the right person sits at the keys."""

    credential = CredentialField()


class PasskeySignInForm(_Answer, LoginWebAuthnForm):
    """Sign-in by passkey alone."""

    credential = CredentialField()

    def clean_credential(self) -> Authenticator:
        if policies.only_sso():
            raise account_adapter().validation_error("only_sso")
        return super().clean_credential()


class CodeForm(AuthenticateForm):
    """The second step of a sign-in, by authenticator app or recovery code."""

    code = forms.CharField(
        label="Code",
        max_length=20,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}),
    )
    remember = forms.BooleanField(label="Skip this step in this browser for 30 days", required=False)

    def save(self) -> None:
        super().save()
        wish_to_remember(context.request, wanted=self.cleaned_data["remember"])
