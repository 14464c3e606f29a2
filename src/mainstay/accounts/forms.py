"""Forms of the account pages. They repeat the rules of the verbs only to say so beside the field."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib.auth.password_validation import password_validators_help_texts, validate_password

from mainstay.accounts import rules
from mainstay.accounts.models import User
from mainstay.kernel.capability import CAPABILITIES


class NewPasswordForm(forms.Form):
    """A new password, twice."""

    password1 = forms.CharField(
        label="Password",
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=password_validators_help_texts()[0],
    )
    password2 = forms.CharField(
        label="Password again",
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, data: Any = None, *, email: str = "") -> None:
        super().__init__(data)
        self._email = email

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        password, again = cleaned.get("password1"), cleaned.get("password2")
        if password and again and password != again:
            self.add_error("password2", "The two passwords do not match.")
        elif password:
            try:
                validate_password(password, User(email=cleaned.get("email") or self._email))
            except forms.ValidationError as error:
                self.add_error("password1", error)
        return cleaned


class SetUpForm(NewPasswordForm):
    """The first administrator."""

    email = forms.EmailField(
        label="E-mail address", max_length=190, widget=forms.EmailInput(attrs={"autocomplete": "username"})
    )
    field_order = ("email", "password1", "password2")


class NewUserForm(forms.Form):
    """Offers the roles that the person could hand out."""

    email = forms.EmailField(label="E-mail address", max_length=190)
    role = forms.ChoiceField(label="Role", initial="operations")

    def __init__(self, data: Any = None, *, roles: Iterable[rules.Role] = ()) -> None:
        super().__init__(data)
        choices = [(role.name, f"{role.name}: {role.about}" if role.about else role.name) for role in roles]
        self.fields["role"].choices = choices  # type: ignore[attr-defined] # a field with choices


class NewTokenForm(forms.Form):
    """Offers the scopes that the person has themselves, and the service accounts that it could belong to."""

    name = forms.CharField(label="Name", max_length=100, help_text="What it is for, such as deploy or prometheus.")
    days = forms.IntegerField(
        label="Days until it expires", min_value=1, max_value=rules.LONGEST_TOKEN_DAYS, initial=rules.TOKEN_DAYS
    )
    service = forms.ChoiceField(
        label="Whose it is", required=False, help_text="A service account's token outlives its creator's account."
    )
    limit = forms.CharField(
        label="Only where",
        required=False,
        max_length=1000,
        help_text='A label matcher such as team="core"; for monitors and alerts only.',
    )
    scopes = forms.MultipleChoiceField(label="What it may do", required=False, widget=forms.CheckboxSelectMultiple)

    def __init__(self, data: Any = None, *, scopes: frozenset[str] = frozenset(), services: Iterable[str] = ()) -> None:
        super().__init__(data)
        owners = [("", "my own"), *((name, f"service account {name}") for name in services)]
        self.fields["service"].choices = owners  # type: ignore[attr-defined] # a field with choices
        if len(owners) == 1:
            del self.fields["service"]
        choices = [(name, f"{name}: {scope.about}") for name, scope in CAPABILITIES.scopes.items() if name in scopes]
        self.fields["scopes"].choices = choices  # type: ignore[attr-defined] # a field with choices
