"""Tables of accounts: people, their invitations, API tokens, and the shared cache of several processes."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.db import models
from django.utils import timezone


class UserManager(BaseUserManager["User"]):
    """Django and allauth find people through this; accounts are made by accounts/verbs.py only."""

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email__iexact=username)


class User(AbstractBaseUser):
    """A person. The e-mail address, kept in lower case, is the name that they sign in with."""

    email = models.EmailField(unique=True)
    role = models.CharField(max_length=40, default="support")
    is_active = models.BooleanField(default=True)
    joined_at = models.DateTimeField(default=timezone.now)
    # From when the second factor's grace runs: the account's making, or a change to a role that needs one.
    second_factor_since = models.DateTimeField(default=timezone.now)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects = UserManager()

    class Meta:
        db_table = "account_user"

    def __str__(self) -> str:
        return self.email


class Invitation(models.Model):
    """A one-time link with which a person sets their password. Only the SHA-256 of its secret is kept."""

    secret_hash = models.CharField(max_length=64, primary_key=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE)
    purpose = models.CharField(max_length=10, default="join")  # or "recover": also lifts what locks the person out
    expires_us = models.BigIntegerField()

    class Meta:
        db_table = "account_invitation"
        constraints = (models.UniqueConstraint(fields=("user", "purpose"), name="invitation_user_purpose"),)


class Token(models.Model):
    """An API token. Only the SHA-256 of its secret is kept; times are microseconds since the Unix epoch."""

    id = models.CharField(max_length=12, primary_key=True)
    name = models.CharField(max_length=100)
    secret_hash = models.CharField(max_length=64)
    scopes = models.TextField()  # separated by spaces
    limits = models.TextField(default="[]")  # JSON list of label matchers, besides those of its owner
    owner = models.ForeignKey(User, null=True, on_delete=models.CASCADE)  # null: made on the command line
    service = models.CharField(max_length=100, default="")  # the service account that it belongs to
    made_by = models.CharField(max_length=300)
    created_us = models.BigIntegerField()
    expires_us = models.BigIntegerField()
    last_used_us = models.BigIntegerField(null=True)
    revoked_us = models.BigIntegerField(null=True)

    class Meta:
        db_table = "account_token"


class CacheRow(models.Model):
    """What Django's database cache writes: throttling counters that several processes share."""

    cache_key = models.CharField(max_length=255, primary_key=True)
    value = models.TextField()
    expires = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "account_cache"
