from django.apps import AppConfig


class OncallConfig(AppConfig):
    name = "mainstay.oncall"
    label = "oncall"
    default_auto_field = "django.db.models.BigAutoField"
