"""Tables of accounts."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    """A person. The e-mail address is the name they sign in with."""

    email = models.EmailField(unique=True)
    role = models.CharField(max_length=40, default="support")

    class Meta:
        db_table = "account_user"
