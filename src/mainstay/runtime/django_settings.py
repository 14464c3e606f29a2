"""Django's settings, derived from ours. Import through `runtime.boot.start_django` only."""

from __future__ import annotations

from mainstay.runtime.boot import current_settings, database_settings, is_booted, is_light, secret_key

MAINSTAY = current_settings()

SECRET_KEY = secret_key(MAINSTAY.data) if is_booted() else "type checkers import this module without a boot"
DEBUG = False
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
USE_I18N = False
AUTH_USER_MODEL = "accounts.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": database_settings(MAINSTAY)}

_OWN = [
    "mainstay.store",
    "mainstay.accounts",
    "mainstay.watch",
    "mainstay.heartbeats",
    "mainstay.alerting",
]
_LIGHT = ["django.contrib.contenttypes", "django.contrib.auth"]
_WEB = [
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "ninja",
    "mainstay.statuspage",
    "mainstay.entry.web",
]
# Commands need the tables only; leaving the web out halves their start-up.
INSTALLED_APPS = [*_OWN, *_LIGHT] if is_light() else [*_OWN, *_WEB, *_LIGHT]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]
ROOT_URLCONF = "mainstay.entry.web.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]
WSGI_APPLICATION = None
STATIC_URL = "/static/"
ALLOWED_HOSTS = ["*"]
LOGGING_CONFIG = None
