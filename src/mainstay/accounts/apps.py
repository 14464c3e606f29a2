from django.apps import AppConfig, apps


class AccountsConfig(AppConfig):
    name = "mainstay.accounts"
    label = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        if apps.is_installed("allauth.mfa"):  # not in commands, which leave the web out
            from mainstay.accounts.sign_in_events import connect

            connect()
