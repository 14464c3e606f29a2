"""Mail about accounts goes through the mail server that the settings name when it is sent."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.core.mail.backends.smtp import EmailBackend

from mainstay.kernel.secret import SecretMissing
from mainstay.kernel.settings import MAIL_SCHEMES
from mainstay.store.secrets import SecretSource

_TIMEOUT = 10  # seconds


class Backend(EmailBackend):
    """OSError if a secret of the server's address has no value: mail cannot be sent now."""

    def __init__(self, *, fail_silently: bool = False, **_more: Any) -> None:
        try:
            url = urlsplit(SecretSource(settings.MAINSTAY).fill(settings.MAINSTAY.smtp))
        except SecretMissing as error:
            raise OSError(str(error)) from None
        super().__init__(
            host=url.hostname or "127.0.0.1",
            port=url.port or MAIL_SCHEMES[url.scheme],
            username=unquote(url.username or ""),
            password=unquote(url.password or ""),
            use_tls=url.scheme == "smtp+starttls",
            use_ssl=url.scheme == "smtps",
            fail_silently=fail_silently,
            timeout=_TIMEOUT,
        )
