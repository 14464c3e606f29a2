"""Django's settings, derived from ours. Import through `runtime.boot.start_django` only."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from mainstay.frames.boot import current_settings, database_settings, is_booted, is_light, secret_key
from mainstay.kernel.errors import UserError
from mainstay.kernel.settings import MAIL_SCHEMES
from mainstay.runtime.capabilities import apps

MAINSTAY = current_settings()

SECRET_KEY = secret_key(MAINSTAY.key_folder) if is_booted() else "type checkers import this module without a boot"
DEBUG = False
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
USE_I18N = False
AUTH_USER_MODEL = "accounts.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": database_settings(MAINSTAY)}

_OWN = apps("tables")
_LIGHT = ["django.contrib.contenttypes", "django.contrib.auth"]
_WEB = [
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    *apps("templates"),
    "mainstay.frames.web",
]
# Commands need the tables only; leaving the web out halves their start-up.
INSTALLED_APPS = [*_OWN, *_LIGHT] if is_light() else [*_OWN, *_WEB, *_LIGHT]

MIDDLEWARE = [
    "mainstay.frames.proxied.ProxyMiddleware",
    "mainstay.frames.web.middleware.GuardMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "mainstay.accounts.middleware.PlaceMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "mainstay.frames.web.middleware.ErrorsMiddleware",
]
ROOT_URLCONF = "mainstay.runtime.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "mainstay.accounts.doors.factor_notice",
                "mainstay.accounts.middleware.ways_in",
            ],
        },
    }
]
WSGI_APPLICATION = None
STATIC_URL = "/static/"
LOGGING_CONFIG = None
# Messages wear the colours of states.
MESSAGE_TAGS = {10: "unknown", 20: "maintenance", 25: "up", 30: "degraded", 40: "down"}
# Checked by GuardMiddleware, which also knows about literal addresses.
ALLOWED_HOSTS = ["*"]

# Sign-in ---------------------------------------------------------------------------------------------------

AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
# The first for new passwords; the others read older hashes, which are made anew at the next sign-in.
PASSWORD_HASHERS = [
    "mainstay.accounts.passwords.Argon2Hasher",
    "django.contrib.auth.hashers.ScryptPasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
_VALIDATION = "django.contrib.auth.password_validation."
AUTH_PASSWORD_VALIDATORS: list[dict[str, Any]] = [
    {"NAME": _VALIDATION + "MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": _VALIDATION + "UserAttributeSimilarityValidator", "OPTIONS": {"user_attributes": ["email"]}},
    {"NAME": _VALIDATION + "CommonPasswordValidator"},
    {"NAME": _VALIDATION + "NumericPasswordValidator"},
    {"NAME": "mainstay.accounts.passwords.MonotonyValidator"},
]
LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/accounts/login/"

_SECURE = MAINSTAY.cookies_secure
# Browsers do not keep the cookies of different ports apart: names of our own leave other programs on localhost alone.
_PREFIX = "__Host-" if _SECURE else ""
SESSION_COOKIE_NAME = f"{_PREFIX}mainstay_session"
SESSION_COOKIE_SECURE = _SECURE
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 14 * 86_400
CSRF_COOKIE_NAME = f"{_PREFIX}mainstay_csrf"
CSRF_COOKIE_SECURE = _SECURE
CSRF_COOKIE_HTTPONLY = True  # pages carry the token themselves
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "mainstay.frames.errors.csrf_failure"
_URL = urlsplit(MAINSTAY.base_url)
# Behind a proxy that ends TLS, the browser's origin differs from the one that reaches us.
CSRF_TRUSTED_ORIGINS = [f"{_URL.scheme}://{_URL.netloc}"]
BODY_LIMIT = 2 * 1024 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = BODY_LIMIT

ACCOUNT_ADAPTER = "mainstay.accounts.adapters.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"  # whoever makes an account vouches for its address
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # no mail to strangers
ACCOUNT_CHANGE_EMAIL = True  # one address, and one that waits to take its place
ACCOUNT_EMAIL_CONFIRMATION_EXPIRE_DAYS = 1
ACCOUNT_FORMS = {
    "add_email": "mainstay.accounts.address_forms.NewAddressForm",
    "reset_password": "mainstay.accounts.address_forms.ForgottenPasswordForm",
}
ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR = "mainstay.accounts.passwords.ResetTokens"  # noqa: S105 # a class
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = False  # this session stays, all others end
ACCOUNT_REAUTHENTICATION_TIMEOUT = 900
ACCOUNT_RATE_LIMITS = {
    "login": "30/m/ip",
    # Each account from each address; a browser that the account knows counts for itself (accounts/devices.py).
    "login_failed": "10/m/ip,5/300s/key",
    "login_failed_known": "10/300s/key",
    # All strangers' attempts at one account together, against guessing from many addresses.
    "login_strangers": "60/h/key",
    "reset_password": "20/m/ip,5/m/key",
    "reset_password_from_key": "20/m/ip",
    "change_password": "5/m/user",
    "reauthenticate": "10/m/user",
}
# Links on the sign-in page and in answers to a provider carry the scheme by which people come.
ACCOUNT_DEFAULT_HTTP_PROTOCOL = urlsplit(MAINSTAY.base_url).scheme
SOCIALACCOUNT_ADAPTER = "mainstay.accounts.sso.SsoAdapter"
SOCIALACCOUNT_EMAIL_VERIFICATION = "none"  # accounts/sso.py asks whether the provider has verified it
SOCIALACCOUNT_EMAIL_AUTHENTICATION_AUTO_CONNECT = True
SOCIALACCOUNT_STORE_TOKENS = False
MFA_ADAPTER = "mainstay.accounts.adapters.FactorAdapter"
_FACTOR_FORMS = "mainstay.accounts.factor_forms."
MFA_FORMS = {
    "add_webauthn": _FACTOR_FORMS + "AddPasskeyForm",
    "edit_webauthn": _FACTOR_FORMS + "RenamePasskeyForm",
    "login_webauthn": _FACTOR_FORMS + "PasskeySignInForm",
    "authenticate": _FACTOR_FORMS + "CodeForm",
    "authenticate_webauthn": _FACTOR_FORMS + "PasskeyForm",
    "reauthenticate_webauthn": _FACTOR_FORMS + "PasskeyAgainForm",
}
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TRUST_ENABLED = True
MFA_TRUST_COOKIE_NAME = f"{_PREFIX}mainstay_remembered"
MFA_TRUST_COOKIE_AGE = 30 * 86_400
MFA_TRUST_COOKIE_HTTPONLY = True
MFA_TRUST_COOKIE_SECURE = _SECURE
MFA_TRUST_COOKIE_SAMESITE = "Lax"
DEVICE_COOKIE_NAME = f"{_PREFIX}mainstay_device"
MFA_ALLOW_UNVERIFIED_EMAIL = True  # there is no open sign-up that could take somebody else's address
MFA_TOTP_ISSUER = "Mainstay"

# Throttling counts in memory; on PostgreSQL, where several processes may serve, in a table that all of them see.
CACHES: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "account_cache",
        "OPTIONS": {"MAX_ENTRIES": 20_000},
    }
    if MAINSTAY.database
    else {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "OPTIONS": {"MAX_ENTRIES": 20_000},
    }
}

# Mail ------------------------------------------------------------------------------------------------------

_SCHEME = urlsplit(MAINSTAY.smtp).scheme
if _SCHEME not in MAIL_SCHEMES:
    raise UserError(
        f"MAINSTAY_SMTP must begin with smtp://, smtp+starttls:// or smtps://, not `{_SCHEME[:20]}`",
        hint="for example smtps://user:password@mail.example.com:465",
    )
EMAIL_BACKEND = "mainstay.accounts.mail.Backend"
